// Package kms keeps the keys that encrypt data keys, and uses them for the
// other wings: the part of AWS Key Management Service, version 2014-11-01,
// that a Secrets Manager with its default key needs.
package kms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"azekura/internal/api"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// DefaultAlias names the key that Secrets Manager uses unless told otherwise.
// There is one an account and region, made on first use.
const DefaultAlias = "alias/aws/secretsmanager"

// Config is what a Service works with. DB and Keyring are needed.
type Config struct {
	DB      *store.DB
	Keyring *seal.Keyring
	// CacheBytes bounds the memory for prepared keys; 0 stands for 8 MiB.
	CacheBytes int64
}

// A Service is KMS over one store. It may be used concurrently, but not inside
// a transaction of the store.
type Service struct {
	db      *store.DB
	keyring *seal.Keyring
	keys    *store.Cache[*Key]   // by id
	aliases *store.Cache[string] // by account/region/name, to the key's id
}

// New makes the service.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 8 << 20
	}
	s := &Service{db: cfg.DB, keyring: cfg.Keyring}
	s.keys = store.NewCache(cfg.DB, cfg.CacheBytes*3/4, (*Key).size, s.loadKey).Checked((*Key).stamp, selectStamps)
	s.aliases = store.NewCache(cfg.DB, cfg.CacheBytes/4, func(id string) int64 { return int64(len(id)) }, selectAlias)
	return s
}

// KeyCacheStats is of the cache of prepared keys.
func (s *Service) KeyCacheStats() store.CacheStats { return s.keys.Stats() }

// AliasCacheStats is of the cache of aliases.
func (s *Service) AliasCacheStats() store.CacheStats { return s.aliases.Stats() }

// A Key is a symmetric KMS key, ready for use. It is shared and must not be
// changed.
type Key struct {
	ID      string // a UUID
	ARN     string
	Managed bool // made by a service, not by a customer

	account, region string
	newest          uint32
	versions        map[uint32]*envelope.Sealer
}

// size is about what a prepared key takes in memory, in bytes.
func (k *Key) size() int64 { return 256 + 1024*int64(len(k.versions)) }

func (k *Key) stamp() store.Stamp { return store.Stamp{ID: k.ID, Rev: int64(k.newest)} }

func (s *Service) loadKey(tx *store.Tx, id string) (*Key, error) {
	row, err := selectKey(tx, id)
	if err != nil {
		return nil, err
	}
	material, err := selectMaterial(tx, id)
	if err != nil {
		return nil, err
	}
	k := &Key{
		ID: id, ARN: keyARN(row.account, row.region, id), Managed: row.manager == managerAWS,
		account: row.account, region: row.region, versions: map[uint32]*envelope.Sealer{},
	}
	for _, m := range material {
		key, err := s.keyring.OpenKey(m.sealed, materialAAD(id, m.version))
		if err != nil {
			return nil, fmt.Errorf("open version %d of the key %s: %w", m.version, id, err)
		}
		k.versions[m.version] = envelope.NewSealer(key)
		k.newest = max(k.newest, m.version)
	}
	return k, nil
}

// materialAAD binds key material to its key and version: a row with a stronger
// key's id does not open with a weaker key's material in it.
func materialAAD(id string, version uint32) []byte {
	return envelope.AAD("kms key material", id, fmt.Sprint(version))
}

func keyARN(account, region, id string) string {
	return "arn:aws:kms:" + region + ":" + account + ":key/" + id
}

// Resolve finds the key that a KmsKeyId of the caller's means: an id, an
// alias, the ARN of either, or "" for the default key, which is made if it is
// not there yet. An *api.Error with NotFoundException says that there is none.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
func (s *Service) Resolve(ctx context.Context, c *call.Call, keyID string) (*Key, error) {
	name, err := ownName(c, keyID)
	if err != nil {
		return nil, err
	}
	id := name
	if strings.HasPrefix(name, "alias/") {
		if id, err = s.byAlias(ctx, c, name); err != nil {
			return nil, err
		}
	} else if uuid.Validate(id) != nil {
		return nil, notFound("Invalid keyId '%s'", id)
	}
	key, err := s.keys.Get(ctx, c.Reads, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, notFound("Key '%s' does not exist", keyARN(c.Principal.Account, c.Region, id))
	case err != nil:
		return nil, fmt.Errorf("load the key %s: %w", id, err)
	case !key.usableBy(c):
		return nil, notFound("Key '%s' does not exist", keyARN(c.Principal.Account, c.Region, id))
	}
	return key, nil
}

// ownName is the key id or the alias that a KmsKeyId means. An ARN must be of
// the caller's own account and region: nobody reaches another account's keys,
// or has its default key made, by naming it.
func ownName(c *call.Call, keyID string) (string, error) {
	if keyID == "" {
		return DefaultAlias, nil
	}
	if !strings.HasPrefix(keyID, "arn:") {
		return keyID, nil
	}
	a, err := arn.Parse(keyID)
	if err != nil || a.Service != "kms" || a.Region != c.Region {
		return "", notFound("Invalid arn %s", c.Region)
	}
	if a.Account != c.Principal.Account {
		return "", notFound("Key '%s' does not exist", keyID)
	}
	if id, isKey := strings.CutPrefix(a.Resource, "key/"); isKey && uuid.Validate(id) == nil {
		return id, nil
	}
	if !strings.HasPrefix(a.Resource, "alias/") {
		return "", notFound("Invalid arn %s", c.Region)
	}
	return a.Resource, nil
}

// usableBy says whether a call may use the key at all: in its own region, by
// its own account. Key policies and grants will say more.
func (k *Key) usableBy(c *call.Call) bool {
	return k.region == c.Region && k.account == c.Principal.Account
}

// byAlias is the id of the key that an alias names, made if it is the default.
func (s *Service) byAlias(ctx context.Context, c *call.Call, name string) (string, error) {
	account, region := c.Principal.Account, c.Region
	id, err := s.aliases.Get(ctx, c.Reads, aliasKey(account, region, name))
	if !errors.Is(err, store.ErrNotFound) {
		return id, err
	}
	if name != DefaultAlias {
		return "", notFound("Alias arn:aws:kms:%s:%s:%s is not found.", region, account, name)
	}
	return s.createManaged(ctx, account, region, name)
}

func aliasKey(account, region, name string) string { return account + "/" + region + "/" + name }

// createManaged makes the key behind one of AWS's own aliases. Of several that
// come at the same time one makes it and all get it.
func (s *Service) createManaged(ctx context.Context, account, region, alias string) (string, error) {
	fresh := uuid.NewString()
	material := envelope.NewKey()
	sealed := s.keyring.Seal(material[:], materialAAD(fresh, 1))
	id := fresh
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		there, err := selectAlias(tx, aliasKey(account, region, alias))
		if err == nil {
			id = there
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		id = fresh
		s.aliases.Changed(tx, aliasKey(account, region, alias))
		s.keys.Changed(tx, id)
		return insertKey(tx, keyRow{id: id, account: account, region: region, manager: managerAWS}, sealed, alias)
	})
	if errors.Is(err, store.ErrConflict) { // on an engine with several writers
		return s.aliases.Get(ctx, nil, aliasKey(account, region, alias))
	}
	return id, err
}

func notFound(format string, args ...any) *api.Error {
	return &api.Error{Code: "NotFoundException", Status: 400, Message: fmt.Sprintf(format, args...), Modelled: true}
}

// Package iam keeps accounts, users and their access keys: the part of AWS
// Identity and Access Management, version 2010-05-08, that a first
// administrator needs.
package iam

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"azekura/internal/api"
	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// Config is what a Service works with. DB and Keyring are needed.
type Config struct {
	DB      *store.DB
	Keyring *seal.Keyring
	// CacheBytes bounds the memory for credentials in use; 0 stands for 8 MiB.
	CacheBytes int64
}

// A Service is IAM over one store. It may be used concurrently, but not inside
// a transaction of the store.
type Service struct {
	db          *store.DB
	keyring     *seal.Keyring
	credentials *store.Cache[*Credential] // by access key id
}

// New makes the service.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 8 << 20
	}
	s := &Service{db: cfg.DB, keyring: cfg.Keyring}
	s.credentials = store.NewCache(cfg.DB, cfg.CacheBytes, (*Credential).size, s.loadCredential).Checked((*Credential).stamp, selectStamps)
	return s
}

// CacheStats is of the cache of credentials.
func (s *Service) CacheStats() store.CacheStats { return s.credentials.Stats() }

// An AccessKey is what a user signs with. It prints without its secret.
type AccessKey struct {
	AccessKeyID string
	Secret      api.Sensitive
}

const adminName = "admin"

// statusActive is the status of access keys that authenticate.
const statusActive = "Active"

// ErrNoAdminKey says that the first administrator, or every access key of
// theirs, is gone or inactive.
var ErrNoAdminKey = errors.New("the first administrator has no active access key")

// Bootstrap makes the first account, its user admin with AdministratorAccess,
// and an access key for it, all or nothing. On a store that has a first account
// it changes nothing and returns false; if that is another account than the one
// asked for, an error says so.
func (s *Service) Bootstrap(ctx context.Context, account string) (AccessKey, bool, error) {
	id, err := NewAccessKeyID(PrefixAccessKey, account)
	if err != nil {
		return AccessKey{}, false, fmt.Errorf("make the first account: %w", err)
	}
	return s.BootstrapWith(ctx, account, AccessKey{id, api.Sensitive(newSecret())})
}

// BootstrapWith is Bootstrap with a given access key, whose id need not be of
// IAM's form.
func (s *Service) BootstrapWith(ctx context.Context, account string, key AccessKey) (AccessKey, bool, error) {
	if !regexp.MustCompile(`^[0-9]{12}$`).MatchString(account) || !isAccessKeyID(key.AccessKeyID) || key.Secret == "" {
		return AccessKey{}, false, errors.New("make the first account: it needs an id of 12 digits and an access key")
	}
	made := false
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		err := belongsTo(tx, account)
		if made = errors.Is(err, store.ErrNotFound); !made {
			return err
		}
		return s.insertAdministrator(tx, account, key)
	})
	if errors.Is(err, store.ErrConflict) { // another process was quicker
		made = false
		err = s.db.View(ctx, func(tx *store.Tx) error { return belongsTo(tx, account) })
	}
	if err != nil {
		return AccessKey{}, false, fmt.Errorf("make the first account: %w", err)
	}
	if !made {
		return AccessKey{}, false, nil
	}
	return key, true, nil
}

// FirstAccount is the account that was made with the store; ErrNotFound of the
// store if there is none yet.
func FirstAccount(tx *store.Tx) (string, error) { return selectFirstAccount(tx) }

// belongsTo says whether the first account is the one wanted; ErrNotFound if
// there is none yet.
func belongsTo(tx *store.Tx, account string) error {
	first, err := selectFirstAccount(tx)
	if err == nil && first != account {
		return fmt.Errorf("the data belongs to account %s, not to %s: start with account id %s, or with an empty data directory", first, account, first)
	}
	return err
}

func (s *Service) insertAdministrator(tx *store.Tx, account string, key AccessKey) error {
	now := time.Now().UnixMilli()
	user := userRow{id: newID(prefixUser), account: account, path: "/", name: adminName}
	if err := insertFirstAccount(tx, account, now); err != nil {
		return err
	}
	if err := insertUser(tx, user, now); err != nil {
		return err
	}
	if err := insertAttachedPolicy(tx, user.id, administratorAccess, now); err != nil {
		return err
	}
	s.credentials.Changed(tx, key.AccessKeyID)
	return insertAccessKey(tx, accessKeyRow{
		id: key.AccessKeyID, userID: user.id, status: statusActive,
		secret: s.keyring.Seal([]byte(key.Secret), secretAAD(key.AccessKeyID, user.id)),
	}, now)
}

// AdminKey is the oldest active access key of the first administrator, to be
// shown again to who owns the data directory; ErrNoAdminKey if there is none.
func (s *Service) AdminKey(ctx context.Context) (AccessKey, error) {
	var row accessKeyRow
	err := s.db.View(ctx, func(tx *store.Tx) error {
		account, err := selectFirstAccount(tx)
		if err != nil {
			return err
		}
		row, err = selectOldestKey(tx, account, adminName, statusActive)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return AccessKey{}, ErrNoAdminKey
	}
	if err != nil {
		return AccessKey{}, fmt.Errorf("read the first administrator's access key: %w", err)
	}
	return s.openKey(row)
}

func (s *Service) openKey(row accessKeyRow) (AccessKey, error) {
	secret, err := s.keyring.Open(row.secret, secretAAD(row.id, row.userID))
	if err != nil {
		return AccessKey{}, fmt.Errorf("open the secret of access key %s: %w", row.id, err)
	}
	return AccessKey{row.id, api.Sensitive(secret)}, nil
}

// secretAAD binds a sealed secret to its access key and user: who can write to
// the database can neither give a key a secret that they know from another,
// nor a key of their own to the administrator.
func secretAAD(accessKeyID, userID string) []byte {
	return envelope.AAD("iam access key", accessKeyID, userID)
}

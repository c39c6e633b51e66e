package kms

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/envelope"
	"azekura/internal/material"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A Key is a KMS key in one region. In the hands of an operation it is proof
// that the call was allowed: only look and change hand them out. Those of look
// are shared and must not be changed; they print without their material.
type Key struct {
	ID      string // a UUID, or mrk- and 32 hexadecimal digits
	ARN     string
	Managed bool // made by a service, not by a customer

	account, region string
	rev             int64
	spec            material.Spec
	usage           material.Usage
	origin, state   string
	description     string
	policyText      string // "" for a managed key
	tags            tags
	primary         string // region of the primary key; "" unless this is a multi-Region key
	rotationDays    int64  // 0: not rotated
	rotateAt        api.Timestamp
	windowDays      int64
	deleteAt        api.Timestamp // 0 unless it is to be deleted
	created         api.Timestamp

	policy   *policy.Document // nil allows nothing
	bytes    int64            // that the policy takes
	regions  []string         // of a multi-Region key, in byte order
	aliases  []string         // in byte order
	granted  bool             // has grants
	imported imported         // of a key of external origin
	versions []version        // oldest first; nil in a key that is being changed
}

const (
	managerAWS      = "AWS"
	managerCustomer = "CUSTOMER"
)

// A version is one of a key's materials.
type version struct {
	number   uint32
	id       string // as answers name it, see materialID
	rotation string // AUTOMATIC, ON_DEMAND; "" for the first
	created  api.Timestamp

	sealer *envelope.Sealer // of a symmetric key
	key    *material.Key    // of all others
}

// newest is the version that encrypts and signs, nil if there is none yet.
func (k *Key) newest() *version {
	if len(k.versions) == 0 {
		return nil
	}
	return &k.versions[len(k.versions)-1]
}

// numbered is the version of a number, nil if there is none.
func (k *Key) numbered(n uint32) *version {
	for i := range k.versions {
		if k.versions[i].number == n {
			return &k.versions[i]
		}
	}
	return nil
}

// materialID is how AWS's answers name a version of a key: 64 hexadecimal
// digits. It says nothing about the material.
func materialID(keyID string, number uint32) string {
	sum := sha256.Sum256(envelope.AAD("kms key material id", keyID, fmt.Sprint(number)))
	return hex.EncodeToString(sum[:])
}

// gone says whether the waiting period is over: such a key does not exist any
// more, whether or not the purge has come by.
func (k *Key) gone(now api.Timestamp) bool { return k.deleteAt != 0 && k.deleteAt <= now }

func (k *Key) multiRegion() bool { return k.primary != "" }

// size is about what a prepared key takes in memory, in bytes.
func (k *Key) size() int64 {
	return 1024 + k.bytes + int64(len(k.policyText)+len(k.description)) + 1536*int64(len(k.versions)) + 256*int64(len(k.tags)) + 128*int64(len(k.aliases))
}

func (k *Key) stamp() store.Stamp { return store.Stamp{ID: k.ARN, Rev: k.rev} }

// cacheKey is where the cache keeps a key: a ciphertext names its key's id
// alone, whoever owns it.
func cacheKey(region, id string) string { return region + "/" + id }

func keyARN(account, region, id string) string {
	return "arn:aws:kms:" + region + ":" + account + ":key/" + id
}

// idOf is the id in a key's ARN.
func idOf(keyARN string) string { return keyARN[strings.LastIndexByte(keyARN, '/')+1:] }

// loadKey is what the cache keeps: a key with its policy compiled and its
// material opened.
func (s *Service) loadKey(tx *store.Tx, at string) (*Key, error) {
	region, id, _ := strings.Cut(at, "/")
	k, err := s.loadRow(tx, region, id, "")
	if err != nil {
		return nil, err
	}
	rows, err := selectMaterial(tx, id)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		v, err := s.open(k, row)
		if err != nil {
			return nil, fmt.Errorf("open version %d of the key %s: %w", row.number, k.ARN, err)
		}
		k.versions = append(k.versions, v)
	}
	return k, nil
}

// loadRow is a key without its material. lock is the suffix of a locking read,
// or "".
func (s *Service) loadRow(tx *store.Tx, region, id, lock string) (*Key, error) {
	k, err := selectKey(tx, region, id, lock)
	if err != nil {
		return nil, err
	}
	if k.multiRegion() {
		if k.regions, err = selectRegions(tx, id); err != nil {
			return nil, err
		}
	}
	if k.origin == originExternal {
		if k.imported, err = selectImport(tx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	if k.aliases, err = selectAliasNames(tx, k.ARN); err != nil {
		return nil, err
	}
	if k.granted, err = hasGrants(tx, k.ARN); err != nil {
		return nil, err
	}
	text := k.policyText
	if k.Managed {
		text = managedPolicy(k.account, k.region)
	}
	k.policy, k.bytes = s.documents.Compile(text, policy.Key, 0)
	return k, nil
}

// open makes material ready for use.
func (s *Service) open(k *Key, row materialRow) (version, error) {
	v := version{number: row.number, id: materialID(k.ID, row.number), rotation: row.rotation, created: row.created}
	raw, err := s.keyring.Open(row.sealed, materialAAD(k.ID, row.number))
	if err != nil {
		return v, err
	}
	defer clear(raw)
	if k.spec != material.SymmetricDefault {
		v.key, err = material.Parse(k.spec, raw)
		return v, err
	}
	if len(raw) != envelope.KeySize {
		return v, envelope.ErrOpen
	}
	v.sealer = envelope.NewSealer((*envelope.Key)(raw))
	return v, nil
}

// newMaterial makes material for a version of a key, and seals it.
func (s *Service) newMaterial(spec material.Spec, id string, number uint32) ([]byte, error) {
	raw, err := material.Generate(spec)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	return s.keyring.Seal(raw, materialAAD(id, number)), nil
}

// materialAAD binds key material to its key and version: a row with a stronger
// key's id does not open with a weaker key's material in it.
func materialAAD(id string, version uint32) []byte {
	return envelope.AAD("kms key material", id, fmt.Sprint(version))
}

// metadata is the key as answers show it.
func (k *Key) metadata() *model.KeyMetadata {
	m := &model.KeyMetadata{
		AWSAccountId: &k.account, KeyId: &k.ID, Arn: &k.ARN, CreationDate: &k.created,
		Enabled: new(k.state == stateEnabled), KeyState: &k.state, Description: &k.description,
		KeyUsage: new(string(k.usage)), KeySpec: new(string(k.spec)), CustomerMasterKeySpec: new(string(k.spec)),
		Origin: &k.origin, KeyManager: new(managerCustomer), MultiRegion: new(k.multiRegion()),
	}
	if k.Managed {
		m.KeyManager = new(managerAWS)
	}
	algorithms := material.Algorithms(k.spec, k.usage)
	switch k.usage {
	case material.EncryptDecrypt:
		m.EncryptionAlgorithms = algorithms
	case material.SignVerify:
		m.SigningAlgorithms = algorithms
	case material.GenerateVerifyMAC:
		m.MacAlgorithms = algorithms
	case material.KeyAgreement:
		m.KeyAgreementAlgorithms = algorithms
	}
	switch k.state {
	case statePendingDeletion:
		m.DeletionDate = &k.deleteAt
	case statePendingReplicaDeletion:
		m.PendingDeletionWindowInDays = &k.windowDays
	}
	if v := k.newest(); v != nil && k.spec == material.SymmetricDefault {
		m.CurrentKeyMaterialId = &v.id
	}
	if k.origin == originExternal && k.newest() != nil {
		m.ExpirationModel = new(doesNotExpire)
		if k.imported.expires != 0 {
			m.ExpirationModel, m.ValidTo = new(expires), &k.imported.expires
		}
	}
	if k.multiRegion() {
		m.MultiRegionConfiguration = k.configuration()
	}
	return m
}

// configuration says where the related keys of a multi-Region key are.
func (k *Key) configuration() *model.MultiRegionConfiguration {
	in := func(region string) model.MultiRegionKey {
		return model.MultiRegionKey{Arn: new(keyARN(k.account, region, k.ID)), Region: &region}
	}
	config := &model.MultiRegionConfiguration{
		MultiRegionKeyType: new("REPLICA"), PrimaryKey: new(in(k.primary)), ReplicaKeys: []model.MultiRegionKey{},
	}
	if k.region == k.primary {
		config.MultiRegionKeyType = new("PRIMARY")
	}
	for _, region := range k.regions {
		if region != k.primary {
			config.ReplicaKeys = append(config.ReplicaKeys, in(region))
		}
	}
	return config
}

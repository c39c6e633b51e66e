// Package iam serves AWS Identity and Access Management, version 2010-05-08:
// users, groups, roles, their access keys and policies; and tells the rest of
// the house who somebody is and what they may do.
//
// Two functions lead to a user, a group or a role: look for reads and change
// for changes. Both decide whether the caller may have it, so no operation can
// forget to.
package iam

import (
	"context"

	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// Config is what a Service works with. DB and Keyring are needed.
type Config struct {
	DB      *store.DB
	Keyring *seal.Keyring // seals access keys and page markers
	// CacheBytes bounds the memory for access keys, identities and policies in
	// use; 0 stands for 12 MiB.
	CacheBytes int64
	// Bind puts policies under the service control policies that bind the
	// principals of an account, for the simulator. It may be nil.
	Bind func(ctx context.Context, account string, set *policy.Set) (*policy.Set, error)
}

// A Service is IAM over one store. It may be used concurrently, but not inside
// a transaction of the store.
type Service struct {
	db      *store.DB
	keyring *seal.Keyring

	credentials *store.Cache[*Credential]    // by access key id
	identities  *store.Cache[*Identity]      // by unique id
	policies    *store.Cache[*ManagedPolicy] // by ARN, of accounts
	documents   *policy.Pool
	uses        *uses

	bind          func(context.Context, string, *policy.Set) (*policy.Set, error)
	hashers       chan struct{} // holds a token for each password that is being hashed
	passwordTries *passwordTries
}

// New makes the service. Let Run work beside it.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 12 << 20
	}
	s := &Service{
		db: cfg.DB, keyring: cfg.Keyring, documents: new(policy.Pool), uses: newUses(), bind: cfg.Bind,
		hashers: make(chan struct{}, maxHashing), passwordTries: newPasswordTries(),
	}
	part := cfg.CacheBytes / 8
	s.credentials = store.NewCache(cfg.DB, 3*part, (*Credential).size, s.loadCredential).Checked((*Credential).stamp, selectKeyStamps)
	s.identities = store.NewCache(cfg.DB, 4*part, (*Identity).size, s.loadIdentity).Checked((*Identity).stamp, selectStamps)
	s.policies = store.NewCache(cfg.DB, part, (*ManagedPolicy).size, s.loadManaged).Checked((*ManagedPolicy).stamp, selectPolicyStamps)
	return s
}

// CredentialCacheStats is of the cache of access keys, IdentityCacheStats of
// that of users and roles, with what bears on them, and PolicyCacheStats of that
// of managed policies, which sessions name.
func (s *Service) CredentialCacheStats() store.CacheStats { return s.credentials.Stats() }
func (s *Service) IdentityCacheStats() store.CacheStats   { return s.identities.Stats() }
func (s *Service) PolicyCacheStats() store.CacheStats     { return s.policies.Stats() }

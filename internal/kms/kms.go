// Package kms serves AWS Key Management Service, version 2014-11-01: the keys
// that encrypt, sign and authenticate, who may use them, and their life; and
// encrypts data keys for the other wings.
//
// Two functions lead to a key: look for those that use or show it, and change
// for those that change it. Both decide whether the caller may, and whether the
// key's state lets them, so no operation can forget to.
package kms

import (
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// Config is what a Service works with. DB and Keyring are needed.
type Config struct {
	DB      *store.DB
	Keyring *seal.Keyring // seals key material and page tokens
	Regions []string      // served
	// CacheBytes bounds the memory for prepared keys; 0 stands for 8 MiB.
	CacheBytes int64
}

// A Service is KMS over one store. It may be used concurrently, but not inside
// a transaction of the store.
type Service struct {
	db      *store.DB
	keyring *seal.Keyring
	regions []string

	keys      *store.Cache[*Key]   // by cacheKey
	aliases   *store.Cache[string] // by aliasKey, to the key's ARN
	grants    *store.Cache[*grantSet]
	documents policy.Pool
}

// New makes the service.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 8 << 20
	}
	s := &Service{db: cfg.DB, keyring: cfg.Keyring, regions: cfg.Regions}
	s.keys = store.NewCache(cfg.DB, cfg.CacheBytes/2, (*Key).size, s.loadKey).Checked((*Key).stamp, selectStamps)
	s.aliases = store.NewCache(cfg.DB, cfg.CacheBytes/4, func(arn string) int64 { return int64(len(arn)) }, selectAlias)
	s.grants = store.NewCache(cfg.DB, cfg.CacheBytes/4, (*grantSet).size, s.loadGrants).Checked((*grantSet).stamp, selectStamps)
	return s
}

// KeyCacheStats is of the cache of prepared keys.
func (s *Service) KeyCacheStats() store.CacheStats { return s.keys.Stats() }

// AliasCacheStats is of the cache of aliases.
func (s *Service) AliasCacheStats() store.CacheStats { return s.aliases.Stats() }

// GrantCacheStats is of the cache of grants.
func (s *Service) GrantCacheStats() store.CacheStats { return s.grants.Stats() }

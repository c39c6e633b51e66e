// Package secretsmanager serves the AWS Secrets Manager API, version
// 2017-10-17: the life of a secret, its versions and their staging labels.
//
// Two functions lead to a secret, authorized for reads and update for changes.
// Both decide whether the caller may have it, so no operation can forget to.
package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/kms"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// Config is what a Service works with. All fields but CacheBytes are needed.
type Config struct {
	DB      *store.DB
	KMS     *kms.Service
	Keyring *seal.Keyring // seals page tokens
	Log     *slog.Logger
	// CacheBytes bounds the memory that cached secrets take; they are kept
	// encrypted. 0 stands for 64 MiB.
	CacheBytes int64
}

// A Service is the API over one store. It may be used concurrently.
type Service struct {
	db      *store.DB
	kms     *kms.Service
	keyring *seal.Keyring
	log     *slog.Logger
	cache   *store.Cache[kept] // by cacheKey

	noteAgain atomic.Int64 // when reads are noted again, in milliseconds since 1970
}

// New makes the service.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 64 << 20
	}
	load := func(tx *store.Tx, key string) (kept, error) {
		account, region, name := splitCacheKey(key)
		return loadSnapshot(tx, account, region, name)
	}
	return &Service{
		db: cfg.DB, kms: cfg.KMS, keyring: cfg.Keyring, log: cfg.Log,
		cache: store.NewCache(cfg.DB, cfg.CacheBytes, kept.size, load).Checked(kept.stamp, selectStamps),
	}
}

// CacheStats is of the cache of encrypted secrets.
func (s *Service) CacheStats() store.CacheStats { return s.cache.Stats() }

// API is the service as the wire serves it: one line an operation.
func (s *Service) API() call.Service {
	return call.Service{Name: "secretsmanager", Target: "secretsmanager", Ops: []call.Op{
		call.BindRead("BatchGetSecretValue", s.BatchGetSecretValue),
		call.Bind("CreateSecret", s.CreateSecret),
		call.Bind("DeleteResourcePolicy", s.DeleteResourcePolicy),
		call.Bind("DeleteSecret", s.DeleteSecret),
		call.BindRead("DescribeSecret", s.DescribeSecret),
		call.BindRead("GetRandomPassword", s.GetRandomPassword),
		call.BindRead("GetResourcePolicy", s.GetResourcePolicy),
		call.BindRead("GetSecretValue", s.GetSecretValue),
		call.BindRead("ListSecretVersionIds", s.ListSecretVersionIds),
		call.BindRead("ListSecrets", s.ListSecrets),
		call.Bind("PutResourcePolicy", s.PutResourcePolicy),
		call.Bind("PutSecretValue", s.PutSecretValue),
		call.Bind("RestoreSecret", s.RestoreSecret),
		call.Bind("TagResource", s.TagResource),
		call.Bind("UntagResource", s.UntagResource),
		call.Bind("UpdateSecret", s.UpdateSecret),
		call.Bind("UpdateSecretVersionStage", s.UpdateSecretVersionStage),
		call.BindRead("ValidateResourcePolicy", s.ValidateResourcePolicy),
	}}
}

// authorized finds the secret that a SecretId names, for a call that reads it,
// and says whether the call may.
func (s *Service) authorized(ctx context.Context, c *call.Call, secretID string) (*secret, error) {
	id, err := parseID(c, secretID)
	if err != nil {
		return nil, err
	}
	held, err := s.cache.Get(ctx, c.Reads, cacheKey(id.account, id.region, id.name))
	if err != nil {
		return permitted(c, id, nil, err)
	}
	return permitted(c, id, held.secret(), nil)
}

// glance is authorized for a call that is going to change the secret: what is
// not cached is read without its values, and not kept, since the change would
// drop it.
func (s *Service) glance(ctx context.Context, c *call.Call, secretID string) (*secret, error) {
	id, err := parseID(c, secretID)
	if err != nil {
		return nil, err
	}
	if held, cached := s.cache.Peek(cacheKey(id.account, id.region, id.name)); cached {
		return permitted(c, id, held.secret(), nil)
	}
	var sec *secret
	err = s.db.Look(ctx, func(tx *store.Tx) (err error) {
		sec, err = loadSecret(tx, id.account, id.region, id.name, "")
		return err
	})
	return permitted(c, id, sec, err)
}

// update changes the secret that a SecretId names, if the call may. It loads
// the secret, runs change on it, and writes it back, in one transaction;
// change may run twice, starts from the same secret each time, and a secret
// that it does not alter is written all the same (see updateSecret).
func (s *Service) update(ctx context.Context, c *call.Call, secretID string, change func(*store.Tx, *secret) error) (*secret, error) {
	id, err := parseID(c, secretID)
	if err != nil {
		return nil, err
	}
	var sec *secret
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		loaded, err := loadSecret(tx, id.account, id.region, id.name, tx.ForUpdate())
		if sec, err = permitted(c, id, loaded, err); err != nil {
			return err
		}
		if err := change(tx, sec); err != nil {
			return err
		}
		s.cache.Changed(tx, sec.key())
		return updateSecret(tx, sec)
	})
	return sec, err
}

// permitted decides whether the call may have what was found under id, which
// is nothing if err is store.ErrNotFound. Who may neither have nor describe the
// secret is not told whether it exists: the denial is the one that there would
// be if it did not. (AWS's shows the secret's ARN, and so tells.)
func permitted(c *call.Call, id id, sec *secret, err error) (*secret, error) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		sec = nil
	case err != nil:
		return nil, err
	case sec.gone(api.At(c.Time)), id.suffix != "" && id.suffix != sec.suffix, !id.reachable(c):
		sec = nil
	}
	if sec == nil {
		if err := c.Allow(id.target(c)); err != nil {
			return nil, err
		}
		return nil, errNotFound()
	}
	denied := c.Allow(sec.target(c))
	if denied == nil {
		return sec, nil
	}
	if !c.Would("secretsmanager:DescribeSecret", sec.target(c)).Allowed {
		blind := *c // the call itself keeps the decision that was made, for the log
		denied = cmp.Or(blind.Allow(id.target(c)), denied)
	}
	return nil, denied
}

// target is the secret as policies see it.
func (s *secret) target(c *call.Call) call.Target {
	return call.Target{ARN: s.arn(), Account: s.account, Policy: s.policy, Keys: requestKeys(c, s)}
}

// target is what id names, as policies see it if there is no such secret.
func (id id) target(c *call.Call) call.Target {
	return call.Target{ARN: id.unresolved(), Named: id.text, Account: id.account, Keys: requestKeys(c, nil)}
}

// everything is the target of the operations that act on no secret of their
// own.
func everything(c *call.Call) call.Target {
	return call.Target{ARN: "*", Keys: requestKeys(c, nil)}
}

// purgeLease is for how long a node that has begun to purge, and is then not
// heard of, keeps the others from it.
const purgeLease = 30 * time.Second

// Purge deletes for good the secrets whose recovery window is over, and says
// how many. It may run at any time and on several nodes: one of them purges,
// for the others there is nothing to do. A node that loses its lease meanwhile
// stops with store.ErrHeld.
func (s *Service) Purge(ctx context.Context, now time.Time) (purged int, err error) {
	at := api.At(now)
	if due, err := s.anyDue(ctx, at); err != nil || !due {
		return 0, err
	}
	lease, err := s.db.Acquire(ctx, "purge secrets", purgeLease)
	if errors.Is(err, store.ErrHeld) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	const batch = 100
	for {
		n, err := s.purgeSome(ctx, lease, at, batch)
		if purged += n; err != nil {
			return purged, err
		}
		if n < batch {
			return purged, s.db.Release(ctx, lease)
		}
	}
}

func (s *Service) anyDue(ctx context.Context, now api.Timestamp) (due bool, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		some, err := selectDue(tx, now, 1)
		due = len(some) > 0
		return err
	})
	return due, err
}

func (s *Service) purgeSome(ctx context.Context, lease store.Lease, now api.Timestamp, limit int) (n int, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Fence(lease); err != nil {
			return err
		}
		due, err := selectDue(tx, now, limit)
		if err != nil {
			return err
		}
		for _, sec := range due {
			if err := s.remove(tx, &sec); err != nil {
				return err
			}
		}
		n = len(due)
		return nil
	})
	return n, err
}

// remove deletes a secret with all that hangs on it.
func (s *Service) remove(tx *store.Tx, sec *secret) error {
	s.cache.Changed(tx, sec.key())
	return deleteSecret(tx, sec.id)
}

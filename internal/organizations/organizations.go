// Package organizations serves AWS Organizations, version 2016-11-28: the
// accounts of a deployment, which are one organization, and the service control
// policies that bound what their principals may do; and tells the rest of the
// house what an account's place and bounds are.
//
// Two functions lead to an account, a policy or the root: look for reads and
// change for changes. Both decide whether the caller may have it, so no
// operation can forget to.
package organizations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"azekura/internal/api"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// Config is what a Service works with. CacheBytes alone may be left out.
type Config struct {
	DB         *store.DB
	Keyring    *seal.Keyring // seals page tokens
	Management string        // the management account: the first one

	// Add makes an account, with a role of full access that the management
	// account may assume; store.ErrConflict if there is an account of that id.
	// It may be called twice for one account that is then made.
	Add func(tx *store.Tx, account Member) error

	// CacheBytes bounds the memory for accounts in use; 0 stands for 2 MiB.
	CacheBytes int64
}

// A Member is an account that is to be made.
type Member struct {
	ID         string // 12 digits
	Management string // the management account
	RoleName   string // of the role by which the management account enters it
	Created    api.Timestamp
}

// A Service is Organizations over one store. It may be used concurrently, but
// not inside a transaction of the store.
type Service struct {
	db         *store.DB
	keyring    *seal.Keyring
	management string // the account
	add        func(*store.Tx, Member) error

	accounts  *store.Cache[*Account] // by id
	documents policy.Pool
}

// New makes the service.
func New(cfg Config) *Service {
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = 2 << 20
	}
	s := &Service{db: cfg.DB, keyring: cfg.Keyring, management: cfg.Management, add: cfg.Add}
	s.accounts = store.NewCache(cfg.DB, cfg.CacheBytes, (*Account).size, s.loadAccount).Checked((*Account).stamp, selectStamps)
	return s
}

// CacheStats is of the cache of accounts.
func (s *Service) CacheStats() store.CacheStats { return s.accounts.Stats() }

// Bootstrap makes the organization, if it is not there yet. The first account
// is there.
func (s *Service) Bootstrap(ctx context.Context) error {
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		_, err := selectOrganization(tx, s.management, "")
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		now := api.At(time.Now())
		org := organization{management: s.management, id: newID("o-", 10), root: newID("r-", 4), guarded: true, created: now}
		made, err := insertOrganization(tx, org)
		if err != nil || !made { // another process was quicker
			return err
		}
		s.accounts.Changed(tx, s.management)
		if err := insertAccount(tx, account{id: s.management, name: managementName, joined: now}); err != nil {
			return err
		}
		return errors.Join(attach(tx, org.root, fullAccessID), attach(tx, s.management, fullAccessID))
	})
	if err != nil {
		return fmt.Errorf("make the organization: %w", err)
	}
	return nil
}

// managementName is what lists call the first account, which nobody has named.
const managementName = "management"

// An organization is the one row that holds what all accounts share.
type organization struct {
	management, id, root string
	guarded              bool // service control policies are enabled
	tags                 tags // of the root
	created              api.Timestamp
}

// path is the place of an account that is directly under the root, and all are.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgpaths
func (o *organization) path() string { return o.id + "/" + o.root + "/" }

// arn is the ARN of what the organization has: its accounts, policies and root.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
func (o *organization) arn(noun, id string) string {
	return "arn:aws:organizations::" + o.management + ":" + noun + "/" + o.id + "/" + id
}

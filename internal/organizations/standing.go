package organizations

import (
	"context"
	"fmt"

	"azekura/internal/policy"
	"azekura/internal/store"
)

// An Account is what decisions about an account's principals need of it. It is
// shared, must not be changed, and is replaced when anything about it changes.
// The zero Account is closed.
type Account struct {
	ID           string // 12 digits
	Active       bool   // false for one that was closed: nobody calls for it
	Organization string // o-....
	Path         string // o-..../r-..../, as aws:PrincipalOrgPaths has it

	levels [][]policy.Policy // of service control policies, from the root down; nil if none bind it
	rev    int64
	bytes  int64
}

// Bind is set under the organization's service control policies, which bind
// every principal of a member account, its root user too, but not service-linked
// roles. Those of the management account keep the set that they have.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
func (a *Account) Bind(set *policy.Set) *policy.Set {
	if a.levels == nil {
		return set
	}
	return set.WithOrganization(a.levels...)
}

func (a *Account) stamp() store.Stamp { return store.Stamp{ID: a.ID, Rev: a.rev} }
func (a *Account) size() int64        { return a.bytes }

// Account finds an account by its id; the error is store.ErrNotFound if the
// organization has none of it. It is to be confirmed by reads, unless they are
// nil.
func (s *Service) Account(ctx context.Context, reads *store.Reads, id string) (*Account, error) {
	a, err := s.accounts.Get(ctx, reads, id)
	if err != nil {
		return nil, fmt.Errorf("find an account: %w", err)
	}
	return a, nil
}

func (s *Service) loadAccount(tx *store.Tx, id string) (*Account, error) {
	row, err := selectAccount(tx, id)
	if err != nil {
		return nil, err
	}
	org, err := selectOrganization(tx, s.management, "")
	if err != nil {
		return nil, err
	}
	a := &Account{ID: id, Active: row.closed == 0, Organization: org.id, Path: org.path(), rev: row.rev, bytes: 512}
	if id == org.management || !org.guarded {
		return a, nil
	}
	a.levels = make([][]policy.Policy, 2)
	for i, target := range []string{org.root, id} {
		attached, err := selectAttached(tx, target)
		if err != nil {
			return nil, err
		}
		for _, p := range attached {
			var document *policy.Document // stays nil if it cannot be read, which denies
			document, a.bytes = s.documents.Compile(p.content, policy.Identity, a.bytes)
			a.levels[i] = append(a.levels[i], policy.Policy{Name: p.arn(&org), Document: document})
		}
	}
	return a, nil
}

// touch tells the caches and the other nodes of a change of policies on a
// target: of an account, or of the root, which bears on all.
func (s *Service) touch(tx *store.Tx, org *organization, targets ...string) error {
	for _, target := range targets {
		if target == org.root {
			return s.touchAll(tx)
		}
	}
	for _, target := range targets {
		s.accounts.Changed(tx, target)
		if err := bumpAccount(tx, target); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) touchAll(tx *store.Tx) error {
	ids, err := selectAccountIDs(tx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.accounts.Changed(tx, id)
	}
	return bumpAccounts(tx)
}

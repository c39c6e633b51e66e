package iam

import (
	"context"
	"errors"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/store"
)

// A kind is one of the three that policies are attached to: users, groups and
// roles. What they share is written once, for any kind.
type kind struct {
	noun   string // in ARNs, and in AWS's sentences
	title  string // begins a sentence, and names operations
	prefix string // of unique ids
	rows   string // the query that reads them, see entityDest

	quota     int // in an account
	inlineMax int // characters of inline policies on one, white space aside
}

// The kinds, with AWS's quotas.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
var (
	userKind  = &kind{noun: "user", title: "User", prefix: "AIDA", rows: userRows, quota: 5000, inlineMax: 2048}
	groupKind = &kind{noun: "group", title: "Group", prefix: "AGPA", rows: groupRows, quota: 300, inlineMax: 5120}
	roleKind  = &kind{noun: "role", title: "Role", prefix: "AROA", rows: roleRows, quota: 1000, inlineMax: 10240}
)

var kinds = []*kind{userKind, groupKind, roleKind}

// kindOf is the kind of a unique id, nil if it is of none.
func kindOf(id string) *kind {
	for _, k := range kinds {
		if strings.HasPrefix(id, k.prefix) {
			return k
		}
	}
	return nil
}

// An entity is a user, a group or a role. An *entity in the hands of an
// operation is proof that the call was allowed: only look and change, and the
// pages of lists, hand them out.
type entity struct {
	kind                    *kind
	id, account, path, name string
	created                 api.Timestamp
	rev                     int64 // 0 for groups, which no decision is cached for
	tags                    tags  // none for groups

	// Of users, when the password was last used; of roles, when a session last
	// made a call. 0 is never.
	used       api.Timestamp
	usedRegion string // of roles

	trust, description string // of roles
	maxSession         int64  // of roles, in seconds
}

func (e *entity) arn() string { return arnOf(e.account, e.kind.noun, e.path, e.name) }

// arnOf is the ARN of what IAM keeps: it has no region, and the path is part
// of it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
func arnOf(account, noun, path, name string) string {
	return "arn:aws:iam::" + account + ":" + noun + path + name
}

// fold is a name as names are compared: without regard to case. Names are
// ASCII.
func fold(name string) string { return strings.ToLower(name) }

func (k *kind) notFound(name string) error {
	return model.NoSuchEntity("The %s with name %s cannot be found.", k.noun, name)
}

// look finds the entity that a name means in the caller's account, decides
// whether the call may, and then reads on in the same snapshot. read may run
// twice, and may be nil.
func (s *Service) look(ctx context.Context, c *call.Call, k *kind, name string, read func(*store.Tx, *entity) error) (e *entity, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		if e, err = s.permitted(tx, c, k, name, ""); err != nil {
			return err
		}
		if read == nil {
			return nil
		}
		return read(tx, e)
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// change finds the entity that a name means, decides whether the call may,
// runs fn on it, and writes it back, in one transaction. The entity's row is
// locked, so changes of one come one after the other. fn may run twice, starts
// from the same entity each time, and one that it does not alter is written all
// the same, see touch.
func (s *Service) change(ctx context.Context, c *call.Call, k *kind, name string, fn func(*store.Tx, *entity) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		e, err := s.permitted(tx, c, k, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := fn(tx, e); err != nil {
			return err
		}
		return s.touch(tx, e)
	})
}

// touch writes an entity back, and tells the caches and the other nodes of all
// whom that bears on. An answer that says done is always of a transaction that
// has written: see store.DB.Update.
func (s *Service) touch(tx *store.Tx, e *entity) error {
	if e.kind == groupKind {
		if err := updateGroup(tx, e); err != nil {
			return err
		}
		return s.touchMembers(tx, e.id)
	}
	s.identities.Changed(tx, e.id)
	if e.kind == userKind {
		return updateUser(tx, e)
	}
	return updateRole(tx, e)
}

// touchMembers tells of a change that bears on the members of a group. Its row
// is locked.
func (s *Service) touchMembers(tx *store.Tx, groupID string) error {
	ids, err := lockMembers(tx, groupID)
	if err != nil || len(ids) == 0 {
		return err
	}
	for _, id := range ids {
		s.identities.Changed(tx, id)
	}
	return bumpMembers(tx, groupID)
}

// permitted decides whether the call may have the entity that a name means,
// and returns it. Whoever may not have it is not told whether it exists.
func (s *Service) permitted(tx *store.Tx, c *call.Call, k *kind, name, lock string) (*entity, error) {
	e, err := selectEntity(tx, k, c.Principal.Account, name, lock)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return nil, err
	}
	if missing {
		e = &entity{kind: k, account: c.Principal.Account, path: "/", name: name}
	}
	boundary, err := boundaryFor(tx, c, e)
	if err != nil {
		return nil, err
	}
	if err := c.Allow(e.target(c, boundary)); err != nil {
		return nil, err
	}
	if missing {
		return nil, k.notFound(name)
	}
	return e, nil
}

// target is an entity as policies see it.
func (e *entity) target(c *call.Call, boundary string) call.Target {
	return call.Target{ARN: e.arn(), Named: e.kind.noun + " " + e.name, Keys: conditionKeys(c, e.tags, boundary)}
}

// everything is the target of operations that act on nothing in particular.
func everything(c *call.Call) call.Target {
	return call.Target{ARN: "*", Keys: conditionKeys(c, nil, "")}
}

// entityIn is the kind and the name in an entity's ARN; nil if it is of
// something else.
func entityIn(a arn.ARN) (k *kind, name string) {
	noun, _, found := strings.Cut(a.Resource, "/")
	for _, k := range kinds {
		if found && k.noun == noun {
			return k, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
		}
	}
	return nil, ""
}

package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// An Identity is a user or a role, with all that decisions need of it. It is
// shared, must not be changed, and is replaced when anything about it changes.
type Identity struct {
	ID                  string // AIDA... of a user, AROA... of a role; never given to another
	Account, Path, Name string
	ARN                 string // arn:aws:iam::111111111111:user/path/name
	Tags                []Tag
	// Policies are its own and those of its groups, under its boundary; a
	// session's are the caller's to add. A policy that cannot be read denies.
	Policies *policy.Set

	// Of roles only. A nil Trust trusts nobody.
	Trust      *policy.Document
	MaxSession time.Duration

	tagMap map[string]string // by folded key

	rev   int64
	bytes int64
	noted atomic.Int64 // when it was last noted as used, in milliseconds since 1970
}

// IsRole says whether the identity is a role; if not it is a user.
func (i *Identity) IsRole() bool { return strings.HasPrefix(i.ID, roleKind.prefix) }

// IsServiceLinked says whether the identity is a role that belongs to a
// service: an organization's policies do not bind it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
func (i *Identity) IsServiceLinked() bool { return i.IsRole() && isServiceLinked(i.Path) }

// Principal is a user as one who calls with an access key, or the role itself,
// of which a session makes its own.
func (i *Identity) Principal() call.Principal {
	p := call.Principal{Principal: policy.Principal{Kind: policy.Role, ARN: i.ARN, Account: i.Account, Entity: i.ARN, ID: i.ID}, Tags: i.tagMap}
	if !i.IsRole() {
		p.Kind, p.UserName = policy.User, i.Name
	}
	return p
}

func (i *Identity) stamp() store.Stamp { return store.Stamp{ID: i.ID, Rev: i.rev} }
func (i *Identity) size() int64        { return i.bytes }

// Identity finds a user or a role by its unique id; the error is
// store.ErrNotFound if there is none, or none any more. What was found is to be
// confirmed by reads, unless they are nil.
func (s *Service) Identity(ctx context.Context, reads *store.Reads, id string) (*Identity, error) {
	i, err := s.identities.Get(ctx, reads, id)
	if err != nil {
		return nil, fmt.Errorf("find an identity: %w", err)
	}
	return i, nil
}

// Role finds a role of an account by name, without its path; store.ErrNotFound
// if there is none. Names are compared without regard to case: whoever was
// given an ARN compares that of the role with it. What was found is to be
// confirmed by reads, unless they are nil.
func (s *Service) Role(ctx context.Context, reads *store.Reads, account, name string) (*Identity, error) {
	return s.named(ctx, reads, roleKind, account, name)
}

func (s *Service) named(ctx context.Context, reads *store.Reads, k *kind, account, name string) (*Identity, error) {
	var e *entity
	err := s.db.Look(ctx, func(tx *store.Tx) (err error) {
		e, err = selectEntity(tx, k, account, name, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find a %s: %w", k.noun, err)
	}
	return s.Identity(ctx, reads, e.id)
}

// loadIdentity reads an identity in one snapshot with all that is part of it.
func (s *Service) loadIdentity(tx *store.Tx, id string) (*Identity, error) {
	k := kindOf(id)
	if k == nil || k == groupKind {
		return nil, store.ErrNotFound
	}
	e, err := selectEntityByID(tx, k, id)
	if err != nil {
		return nil, err
	}
	attached, err := selectAllAttached(tx, id)
	if err != nil {
		return nil, err
	}
	inlines, err := selectAllInline(tx, id)
	if err != nil {
		return nil, err
	}
	texts, err := s.defaultTexts(tx, e.account, attached)
	if err != nil {
		return nil, err
	}
	i := &Identity{
		ID: e.id, Account: e.account, Path: e.path, Name: e.name, ARN: e.arn(), Tags: e.tags,
		MaxSession: time.Duration(e.maxSession) * time.Second, rev: e.rev,
	}
	i.bytes = int64(512 + 3*len(e.path+e.name))
	if len(e.tags) > 0 {
		i.tagMap = make(map[string]string, len(e.tags))
	}
	for _, t := range e.tags {
		i.tagMap[policy.FoldKey(t.Key)] = t.Value
		i.bytes += int64(160 + len(t.Key) + len(t.Value))
	}
	if k == roleKind {
		i.noted.Store(int64(e.used))
		i.Trust, i.bytes = s.documents.Compile(e.trust, policy.Trust, i.bytes)
	}
	s.assemble(i, attached, inlines, texts)
	return i, nil
}

// assemble puts together what bears on an identity: each policy once, however
// many of its groups have it.
func (s *Service) assemble(i *Identity, attached []attachment, inlines []inline, texts map[string]string) {
	var own []policy.Policy
	var boundary *policy.Policy
	for _, a := range attached {
		p := policy.Policy{Name: a.policyARN, Document: s.managedDocument(i, a.policyARN, texts)}
		switch {
		case a.purpose == forBoundary:
			boundary = &p
		case !slices.ContainsFunc(own, func(held policy.Policy) bool { return held.Name == p.Name }):
			own = append(own, p)
		}
	}
	for _, p := range inlines {
		var document *policy.Document
		document, i.bytes = s.documents.Compile(p.document, policy.Identity, i.bytes)
		own = append(own, policy.Policy{Name: p.name, Document: document})
	}
	i.Policies = policy.NewSet(own...)
	if boundary != nil {
		i.Policies = i.Policies.WithBoundary(*boundary)
	}
}

// managedDocument is the default version of a managed policy, nil if it cannot
// be read.
func (s *Service) managedDocument(i *Identity, policyARN string, texts map[string]string) (document *policy.Document) {
	if p := awsManaged(policyARN); p != nil {
		return p.compiled()
	}
	document, i.bytes = s.documents.Compile(texts[policyARN], policy.Identity, i.bytes)
	return document
}

// defaultTexts reads the default versions of those attached policies that are
// the account's own, by their ARNs.
func (s *Service) defaultTexts(tx *store.Tx, account string, attached []attachment) (map[string]string, error) {
	var names []string
	for _, a := range attached {
		if awsManaged(a.policyARN) == nil {
			names = append(names, policyName(a.policyARN))
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	found, err := selectDefaultDocuments(tx, account, names)
	texts := make(map[string]string, len(found))
	for _, d := range found {
		texts[d.arn] = d.document
	}
	return texts, err
}

// policyName is the name in a managed policy's ARN, "" if it is none.
func policyName(policyARN string) string {
	a, err := arn.Parse(policyARN)
	if err != nil {
		return ""
	}
	return a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
}

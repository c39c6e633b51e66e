package kms

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/iam"
	"azekura/internal/material"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// AWS's quotas.
// https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
const (
	maxGrants          = 50_000 // of a key
	maxConstraintPairs = 8
	maxConstraintValue = 384
)

// CreateGrant lets a principal use a key. A grantee of a grant for CreateGrant
// may hand on no more than it has.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html
func (s *Service) CreateGrant(ctx context.Context, c *call.Call, in *model.CreateGrantInput) (*model.CreateGrantOutput, error) {
	var g grant
	_, err := s.changeBy(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key, by *grant) (err error) {
		if g, err = newGrant(tx, c, k, in); err != nil {
			return err
		}
		if by != nil && !by.covers(&g) {
			return api.AccessDenied("User: %s is not authorized to perform: kms:CreateGrant on resource: %s because the grant that allows it does not cover what is to be granted",
				c.Principal.ARN, k.ARN)
		}
		if isTrue(in.DryRun) {
			return errDryRun()
		}
		same, err := s.alike(tx, &g)
		if err != nil || same != "" {
			g.id = same
			return err
		}
		held, err := countGrants(tx, k.ARN)
		if err != nil {
			return err
		}
		if held >= maxGrants {
			return model.LimitExceeded("The key %s has %d grants, which is the limit.", k.ARN, maxGrants)
		}
		s.grants.Changed(tx, grantKey(k.ARN, g.grantee))
		return insertGrant(tx, &g)
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateGrantOutput{GrantId: &g.id, GrantToken: s.grantToken(g.id)}, nil
}

// newGrant is the grant that a request describes.
func newGrant(tx *store.Tx, c *call.Call, k *Key, in *model.CreateGrantInput) (g grant, err error) {
	g = grant{
		keyARN: k.ARN, name: deref(in.Name, ""), issuer: c.Principal.Account, created: api.At(c.Time),
		operations: slices.Compact(slices.Sorted(slices.Values(in.Operations))),
	}
	id := make([]byte, 32)
	rand.Read(id)
	g.id = hex.EncodeToString(id)
	if (in.GranteePrincipal == nil) == (in.GranteeServicePrincipal == nil) {
		return g, invalid("Specify either GranteePrincipal or GranteeServicePrincipal.")
	}
	if in.RetiringPrincipal != nil && in.RetiringServicePrincipal != nil {
		return g, invalid("Specify either RetiringPrincipal or RetiringServicePrincipal.")
	}
	if g.grantee, err = principalOf(tx, in.GranteePrincipal, in.GranteeServicePrincipal); err != nil {
		return g, err
	}
	if g.retiring, err = principalOf(tx, in.RetiringPrincipal, in.RetiringServicePrincipal); err != nil {
		return g, err
	}
	if in.Constraints != nil {
		g.constraints = constraints{in.Constraints.EncryptionContextSubset, in.Constraints.EncryptionContextEquals, deref(in.Constraints.SourceArn, "")}
	}
	return g, g.check(k)
}

// principalOf is a principal as it is stored; "" if neither is given.
func principalOf(tx *store.Tx, principal, service *string) (string, error) {
	switch {
	case service != nil:
		if !strings.HasSuffix(*service, ".amazonaws.com") {
			return "", invalid("%s is no service principal.", *service)
		}
		return *service, nil
	case principal == nil:
		return "", nil
	}
	stored, err := iam.StorePrincipal(tx, *principal)
	if _, ok := errors.AsType[*policy.SyntaxError](err); ok {
		return "", model.InvalidArn("ARN does not refer to a valid principal: %s", *principal)
	}
	return stored, err
}

// check refuses operations that keys of the kind do not have, and constraints
// that bind nothing.
func (g *grant) check(k *Key) error {
	for _, operation := range g.operations {
		if !slices.Contains(grantable(k), operation) {
			return invalid("The operation %s cannot be granted on the key %s, whose spec is %s and usage %s.", operation, k.ARN, k.spec, k.usage)
		}
		free := []string{"CreateGrant", "RetireGrant", "DescribeKey"}
		if g.constraints.bindContext() && (k.spec.IsPair() || !slices.Contains(withContext, operation) && !slices.Contains(free, operation)) {
			return invalid("The operation %s has no encryption context that a grant could constrain.", operation)
		}
	}
	if g.constraints.Subset != nil && g.constraints.Equals != nil {
		return invalid("Specify either EncryptionContextSubset or EncryptionContextEquals.")
	}
	for _, pairs := range []map[string]string{g.constraints.Subset, g.constraints.Equals} {
		if len(pairs) > maxConstraintPairs {
			return invalid("A constraint can have at most %d pairs.", maxConstraintPairs)
		}
		for name, value := range pairs {
			if len(name) > maxConstraintValue || len(value) > maxConstraintValue {
				return invalid("A key or value of a constraint can have at most %d bytes.", maxConstraintValue)
			}
		}
	}
	return nil
}

// grantable are the operations that can be granted on a key.
// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html#terms-grant-operations
func grantable(k *Key) []string {
	operations := []string{"CreateGrant", "RetireGrant", "DescribeKey"}
	switch {
	case k.spec == material.SymmetricDefault:
		return append(operations, withContext...)
	case k.usage == material.EncryptDecrypt:
		operations = append(operations, "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo")
	case k.usage == material.SignVerify:
		operations = append(operations, "Sign", "Verify")
	case k.usage == material.GenerateVerifyMAC:
		return append(operations, "GenerateMac", "VerifyMac")
	case k.usage == material.KeyAgreement:
		operations = append(operations, "DeriveSharedSecret")
	}
	return append(operations, "GetPublicKey")
}

// covers says whether a grant allows all that another would.
func (g *grant) covers(inner *grant) bool {
	return !slices.ContainsFunc(inner.operations, func(o string) bool { return !slices.Contains(g.operations, o) }) &&
		g.constraints.cover(&inner.constraints)
}

// alike is the id of a grant that is the same as a new one with a name; "" if
// there is none.
func (s *Service) alike(tx *store.Tx, g *grant) (string, error) {
	if g.name == "" {
		return "", nil
	}
	held, err := selectGrantsTo(tx, g.keyARN, g.grantee)
	for _, h := range held {
		if h.name == g.name && h.retiring == g.retiring && slices.Equal(h.operations, g.operations) && h.constraints.SourceARN == g.constraints.SourceARN &&
			maps.Equal(h.constraints.Subset, g.constraints.Subset) && maps.Equal(h.constraints.Equals, g.constraints.Equals) {
			return h.id, nil
		}
	}
	return "", err
}

func grantTokenAAD() []byte { return envelope.AAD("kms grant token") }

// grantToken names a grant to who retires it. Grants work at once, with a token
// or without.
func (s *Service) grantToken(id string) *string {
	return new(base64.RawURLEncoding.EncodeToString(s.keyring.Seal([]byte(id), grantTokenAAD())))
}

func (s *Service) openGrantToken(token string) (id string, err error) {
	blob, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		blob, err = s.keyring.Open(blob, grantTokenAAD())
	}
	if err != nil {
		return "", model.InvalidGrantToken("The grant token is invalid.")
	}
	return string(blob), nil
}

// RevokeGrant ends a grant, from the next call on, for who may manage the key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RevokeGrant.html
func (s *Service) RevokeGrant(ctx context.Context, c *call.Call, in *model.RevokeGrantInput) (*model.RevokeGrantOutput, error) {
	_, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) error {
		g, err := grantOf(tx, k.ARN, *in.GrantId)
		if err != nil {
			return err
		}
		if isTrue(in.DryRun) {
			return errDryRun()
		}
		return s.end(tx, &g)
	})
	return nil, err
}

// grantOf is a grant of a key.
func grantOf(tx *store.Tx, keyARN, id string) (grant, error) {
	g, err := selectGrant(tx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && g.keyARN != keyARN {
		return g, model.NotFound("Grant ID %s not found", id)
	}
	return g, err
}

func (s *Service) end(tx *store.Tx, g *grant) error {
	s.grants.Changed(tx, grantKey(g.keyARN, g.grantee))
	return deleteGrant(tx, g.id)
}

// RetireGrant ends a grant for who was named to, for a grantee who was granted
// that, and for who may by policies.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html
func (s *Service) RetireGrant(ctx context.Context, c *call.Call, in *model.RetireGrantInput) (*model.RetireGrantOutput, error) {
	id := deref(in.GrantId, "")
	switch {
	case in.GrantToken != nil && (in.KeyId != nil || in.GrantId != nil), in.GrantToken == nil && (in.KeyId == nil || in.GrantId == nil):
		if err := c.Allow(everything(c)); err != nil {
			return nil, err
		}
		return nil, invalid("Specify either a grant token, or a key ARN and a grant id.")
	case in.GrantToken != nil:
		var err error
		if id, err = s.openGrantToken(*in.GrantToken); err != nil {
			return nil, err
		}
	}
	return nil, s.db.Update(ctx, func(tx *store.Tx) error {
		g, err := selectGrant(tx, id)
		there := err == nil
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		at := g.keyARN
		if in.KeyId != nil {
			at = *in.KeyId
		}
		k, err := s.retirable(ctx, tx, c, at, &g, there)
		if err != nil {
			return err
		}
		if !there || g.keyARN != k.ARN {
			return model.NotFound("Grant ID %s not found", id)
		}
		if isTrue(in.DryRun) {
			return errDryRun()
		}
		if err := s.end(tx, &g); err != nil {
			return err
		}
		return s.update(tx, k)
	})
}

// retirable is the key of a grant, if the call may retire the grant.
func (s *Service) retirable(ctx context.Context, tx *store.Tx, c *call.Call, keyID string, g *grant, there bool) (*Key, error) {
	if keyID == "" { // the grant of the token is gone, maybe with its key
		if err := c.Allow(everything(c)); err != nil {
			return nil, err
		}
		return nil, model.NotFound("Grant ID %s not found", g.id)
	}
	n, err := s.named(ctx, c, keyID)
	if err != nil {
		return nil, err
	}
	k, err := s.loadRow(tx, n.region, n.id, tx.ForUpdate())
	if there && err == nil && k.ARN == g.keyARN && g.retiring != "" {
		// To be named is as good as a grant of RetireGrant, with no less that denies.
		named := grant{grantee: g.retiring, operations: texts{"RetireGrant"}}
		if err := named.compile(); err != nil {
			return nil, err
		}
		target := k.target(c)
		target.Policy = named.document
		own, theirs := c.Would("kms:RetireGrant", k.target(c)), c.Would("kms:RetireGrant", target)
		if !own.Explicit && theirs.Allowed {
			c.Resource, c.Decision = k.ARN, theirs
			return k, nil
		}
	}
	k, _, err = s.permitted(c, "kms:RetireGrant", n, k, err, within(tx))
	return k, err
}

// ListGrants lists the grants of a key, in the order of their ids.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html
func (s *Service) ListGrants(ctx context.Context, c *call.Call, in *model.ListGrantsInput) (*model.ListGrantsOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	to := deref(in.GranteePrincipal, deref(in.GranteeServicePrincipal, ""))
	out := &model.ListGrantsOutput{}
	out.Grants, out.NextMarker, err = s.listGrants(ctx, c, in.Marker, in.Limit, []string{k.ARN, to, deref(in.GrantId, "")}, func(tx *store.Tx, p *page) ([]grant, error) {
		if in.GrantId != nil {
			g, err := grantOf(tx, k.ARN, *in.GrantId)
			return []grant{g}, err
		}
		if to != "" && in.GranteePrincipal != nil {
			stored, err := iam.StorePrincipal(tx, to)
			if _, nobody := errors.AsType[*policy.SyntaxError](err); nobody {
				stored, err = to, nil
			}
			if err != nil {
				return nil, err
			}
			to = stored
		}
		return selectGrants(tx, k.ARN, to, p.after, p.size+1)
	})
	out.Truncated = new(out.NextMarker != nil)
	return out, err
}

// ListRetirableGrants lists the grants in the region that a principal of the
// caller's account was named to retire, in the order of their ids.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListRetirableGrants.html
func (s *Service) ListRetirableGrants(ctx context.Context, c *call.Call, in *model.ListRetirableGrantsInput) (*model.ListRetirableGrantsOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	of := deref(in.RetiringPrincipal, deref(in.RetiringServicePrincipal, ""))
	if of == "" {
		return nil, invalid("Specify either RetiringPrincipal or RetiringServicePrincipal.")
	}
	if a, err := arn.Parse(of); in.RetiringPrincipal != nil && (err != nil || a.Account != c.Principal.Account) {
		return nil, model.InvalidArn("ARN does not refer to a valid principal: %s", of)
	}
	out := &model.ListRetirableGrantsOutput{}
	var err error
	out.Grants, out.NextMarker, err = s.listGrants(ctx, c, in.Marker, in.Limit, []string{of}, func(tx *store.Tx, p *page) ([]grant, error) {
		stored, err := principalOf(tx, in.RetiringPrincipal, in.RetiringServicePrincipal)
		if err != nil {
			return nil, err
		}
		return selectRetirable(tx, stored, c.Region, p.after, p.size+1)
	})
	out.Truncated = new(out.NextMarker != nil)
	return out, err
}

func (s *Service) listGrants(ctx context.Context, c *call.Call, marker *string, limit *int64, scope []string,
	read func(*store.Tx, *page) ([]grant, error)) (shown []model.GrantListEntry, next *string, err error) {
	p, err := s.page(c, marker, limit, pageLimits{usual: 50, most: 100}, scope...)
	if err != nil {
		return nil, nil, err
	}
	var all []grant
	var arns map[string]string
	err = s.db.View(ctx, func(tx *store.Tx) error {
		if all, err = read(tx, p); err != nil {
			return err
		}
		var named []string
		for _, g := range all {
			named = append(named, g.grantee, g.retiring)
		}
		arns, err = iam.PrincipalARNs(tx, named)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	all, next = cut(p, all, func(g *grant) string { return g.id })
	shown = []model.GrantListEntry{}
	for i := range all {
		shown = append(shown, all[i].entry(arns))
	}
	return shown, next, nil
}

// entry is the grant as lists show it; users and roles that are gone go by
// their ids.
func (g *grant) entry(arns map[string]string) model.GrantListEntry {
	e := model.GrantListEntry{
		KeyId: &g.keyARN, GrantId: &g.id, CreationDate: &g.created, IssuingAccount: new("arn:aws:iam::" + g.issuer + ":root"), Operations: g.operations,
	}
	if g.name != "" {
		e.Name = &g.name
	}
	show := func(stored string) (principal, service *string) {
		if strings.HasSuffix(stored, ".amazonaws.com") {
			return nil, &stored
		}
		if named, ok := arns[stored]; ok {
			return &named, nil
		}
		if stored == "" {
			return nil, nil
		}
		return &stored, nil
	}
	e.GranteePrincipal, e.GranteeServicePrincipal = show(g.grantee)
	e.RetiringPrincipal, e.RetiringServicePrincipal = show(g.retiring)
	if c := &g.constraints; c.bindContext() || c.SourceARN != "" {
		e.Constraints = &model.GrantConstraints{EncryptionContextSubset: c.Subset, EncryptionContextEquals: c.Equals}
		if c.SourceARN != "" {
			e.Constraints.SourceArn = &c.SourceARN
		}
	}
	return e
}

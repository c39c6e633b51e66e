package sts

import (
	"context"
	"errors"
	"strings"
	"time"

	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/organizations"
	"azekura/internal/policy"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// A caller is who a claim says makes a request: not proven before the
// signature is.
type caller struct {
	principal *call.Principal
	policies  *policy.Set

	key      *iam.Credential // of a user; nil for a session
	session  *opened         // nil for a user's own access key
	identity *iam.Identity   // whose session it is
}

func (c *caller) signingKey(claim *sigv4.Claim) sigv4.Key {
	if c.session != nil {
		return c.session.keys.Of(string(c.session.secret), claim.Date, claim.Region, claim.Service)
	}
	return c.key.SigningKey(claim.Date, claim.Region, claim.Service)
}

// used notes that the caller has signed a request.
func (c *caller) used(service *iam.Service, claim *sigv4.Claim, now time.Time) {
	switch {
	case c.session == nil:
		service.Used(c.key, claim.Service, claim.Region, now)
	case c.identity.IsRole():
		service.RoleUsed(c.identity, claim.Region, now)
	}
}

// caller finds who a claim names. A token, and an access key id of the form
// that sessions have, belong to a session: neither is let pass without the
// other.
func (s *Service) caller(ctx context.Context, reads *store.Reads, claim *sigv4.Claim, now time.Time) (*caller, error) {
	if claim.Token != "" || strings.HasPrefix(claim.AccessKeyID, iam.PrefixSession) {
		return s.session(ctx, reads, claim, now)
	}
	key, user, err := s.user(ctx, reads, claim.AccessKeyID)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, reads, user.Account)
	if err != nil {
		return nil, err
	}
	p := user.Principal()
	p.Organization, p.OrganizationPath = account.Organization, account.Path
	return &caller{principal: &p, policies: account.Bind(user.Policies), key: key}, nil
}

// account is the account of a caller, which is open.
func (s *Service) account(ctx context.Context, reads *store.Reads, id string) (*organizations.Account, error) {
	a, err := s.orgs.Account(ctx, reads, id)
	if err == nil && !a.Active {
		err = sigv4.Refuse(sigv4.Closed)
	}
	return a, err
}

// user finds an access key that is active, and whose it is.
func (s *Service) user(ctx context.Context, reads *store.Reads, accessKeyID string) (key *iam.Credential, user *iam.Identity, err error) {
	key, err = s.iam.Credential(ctx, reads, accessKeyID)
	if err == nil && !key.Active {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, nil, unknown(err)
	}
	user, err = s.iam.Identity(ctx, reads, key.UserID)
	if err != nil { // deleted since, with its keys
		return nil, nil, unknown(err)
	}
	return key, user, nil
}

// unknown refuses the key of who is not there, or not any more.
func unknown(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return sigv4.Refuse(sigv4.UnknownKey)
	}
	return err
}

// session finds the session whose token came with a claim, and whose it is as
// they are now: a policy that was changed, a role that was deleted, though
// another may bear its name, or the access key that asked for the session, if
// it is not active any more, tell on the next call. Only what the token says is
// kept from call to call.
func (s *Service) session(ctx context.Context, reads *store.Reads, claim *sigv4.Claim, now time.Time) (*caller, error) {
	o := s.tokens.get(claim.AccessKeyID, claim.Token)
	if o == nil {
		c, secret, err := open(s.ring, claim.AccessKeyID, claim.Token)
		if err != nil {
			return nil, sigv4.Refuse(sigv4.UnknownKey)
		}
		o = newOpened(claim, c, secret)
		s.tokens.put(o)
	}
	if !now.Before(o.expires()) {
		return nil, sigv4.Refuse(sigv4.ExpiredToken)
	}
	if !o.mayCall(claim.Service) {
		return nil, sigv4.Refuse(sigv4.UnknownKey)
	}
	identity, err := s.identity(ctx, reads, o)
	if err != nil {
		return nil, err
	}
	account, err := s.account(ctx, reads, o.account)
	if err != nil {
		return nil, err
	}
	made, err := s.compose(ctx, reads, o, identity, account)
	if err != nil {
		return nil, err
	}
	return &caller{principal: &made.principal, policies: made.policies, session: o, identity: identity}, nil
}

// identity finds the role or the user behind a session.
func (s *Service) identity(ctx context.Context, reads *store.Reads, o *opened) (identity *iam.Identity, err error) {
	if o.kind == roleSession {
		identity, err = s.iam.Identity(ctx, reads, o.id)
	} else {
		_, identity, err = s.user(ctx, reads, o.parent)
	}
	if err != nil {
		return nil, unknown(err)
	}
	if identity.ID != o.id || identity.Account != o.account || identity.IsRole() != (o.kind == roleSession) {
		return nil, sigv4.Refuse(sigv4.UnknownKey)
	}
	return identity, nil
}

// mayCall says whether a session's credentials are good for a service at all.
// IAM takes no federated user's, and no user's session's that no device has
// confirmed.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html
func (c *claims) mayCall(service string) bool {
	switch {
	case service != "iam":
		return true
	case c.kind == userSession:
		return c.mfa != 0
	}
	return c.kind == roleSession
}

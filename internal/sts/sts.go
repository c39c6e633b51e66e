// Package sts says who makes a request: it finds the principal behind a
// signature and proves it. It also serves AWS's STS API, version 2011-06-15.
package sts

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"time"

	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/organizations"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// Config is what a Service works with. All fields are needed.
type Config struct {
	IAM           *iam.Service
	Organizations *organizations.Service
	Regions       []string // served; a request signed for another is refused
}

// A Service authenticates. It may be used concurrently.
type Service struct {
	iam     *iam.Service
	orgs    *organizations.Service
	regions []string
}

// New makes the service.
func New(cfg Config) *Service {
	return &Service{iam: cfg.IAM, orgs: cfg.Organizations, regions: cfg.Regions}
}

// Authenticate finds out who made a request for a service, in two stages. What
// can be refused without the body is refused at once, so that strangers cannot
// make the server read one. The function it returns takes the body's hash,
// checks the signature, and makes the call, with Region, Principal, Policies and
// AccessKeyID. It may be called once, while r is still as it was received.
//
// What the call, or a refusal, goes by is to be confirmed by reads, unless they
// are nil.
//
// Refusals are of type *sigv4.Error; any other error is the server's own. An
// unknown access key and a wrong signature are told apart, as AWS does: access
// key ids are no secret, so neither is hidden by taking the same time.
func (s *Service) Authenticate(r *http.Request, service string, now time.Time, reads *store.Reads) (func(bodySHA256 [sha256.Size]byte) (*call.Call, error), error) {
	claim, err := sigv4.Parse(r)
	if err != nil {
		return nil, err
	}
	if err := claim.CheckScope(service, s.regions); err != nil {
		return nil, err
	}
	if err := claim.CheckTime(now); err != nil {
		return nil, err
	}
	credential, user, err := s.credential(r.Context(), reads, claim)
	if err != nil {
		return nil, err
	}
	account, err := s.account(r.Context(), reads, user.Account)
	if err != nil {
		return nil, err
	}
	return func(bodySHA256 [sha256.Size]byte) (*call.Call, error) {
		key := credential.SigningKey(claim.Date, claim.Region, claim.Service)
		if err := claim.Verify(r, key, bodySHA256); err != nil {
			return nil, err
		}
		s.iam.Used(credential, claim.Service, claim.Region, now)
		c := &call.Call{
			Region:      claim.Region,
			Principal:   user.Principal(),
			Policies:    account.Bind(user.Policies),
			AccessKeyID: credential.AccessKeyID,
		}
		c.Principal.Organization, c.Principal.OrganizationPath = account.Organization, account.Path
		return c, nil
	}, nil
}

// temporaryPrefix begins the access key ids of sessions.
const temporaryPrefix = "ASIA"

// credential finds the long-term access key that a claim names, and whose it
// is. A token, or the id of a session's access key, belongs to a session, and
// none are issued: the token is not let pass unread.
func (s *Service) credential(ctx context.Context, reads *store.Reads, claim *sigv4.Claim) (c *iam.Credential, user *iam.Identity, err error) {
	if claim.Token != "" || strings.HasPrefix(claim.AccessKeyID, temporaryPrefix) {
		return nil, nil, sigv4.Refuse(sigv4.UnknownKey)
	}
	c, err = s.iam.Credential(ctx, reads, claim.AccessKeyID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !c.Active {
		return nil, nil, sigv4.Refuse(sigv4.UnknownKey)
	}
	if err != nil {
		return nil, nil, err
	}
	user, err = s.iam.Identity(ctx, reads, c.UserID)
	if errors.Is(err, store.ErrNotFound) { // deleted since, with its keys
		err = sigv4.Refuse(sigv4.UnknownKey)
	}
	return c, user, err
}

// account is the account of a caller, which is open.
func (s *Service) account(ctx context.Context, reads *store.Reads, id string) (*organizations.Account, error) {
	a, err := s.orgs.Account(ctx, reads, id)
	if err == nil && !a.Active {
		err = sigv4.Refuse(sigv4.Closed)
	}
	return a, err
}

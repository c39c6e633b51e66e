package sts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/organizations"
	"azekura/internal/policy"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// An opened token is a session's claims with what was worked out of them. It is
// shared, and but for what it keeps of itself not changed.
type opened struct {
	*claims
	accessKeyID string
	token       string
	secret      api.Sensitive
	inline      policy.Policy // the session policy, compiled; not there if none was given
	keys        sigv4.Keys
	made        atomic.Pointer[composed]
}

func newOpened(claim *sigv4.Claim, c *claims, secret api.Sensitive) *opened {
	o := &opened{claims: c, accessKeyID: strings.Clone(claim.AccessKeyID), token: strings.Clone(claim.Token), secret: secret}
	if c.policy != "" {
		// It could be read when the session was made. If it cannot be now, it
		// stays without a document, and so denies.
		document, _ := policy.Parse(c.policy, policy.Session)
		o.inline = policy.Policy{Name: "session policy", Document: document}
	}
	return o
}

// String keeps the token, and the claims in it, out of what is printed.
func (o *opened) String() string { return o.accessKeyID }

// size is about what an opened token takes in memory, in bytes: its texts are
// in the token and in the claims, its policy compiled takes some more.
func (o *opened) size() int64 {
	return o.claims.size() + int64(2*len(o.token)+4*len(o.policy)) + sigv4.KeysSize + 1024
}

// composed is a session as it is under its role or user, its account, and the
// managed policies that it names, as these were.
type composed struct {
	identity  *iam.Identity
	account   *organizations.Account
	managed   []*policy.Document // of policyARNs
	principal call.Principal
	policies  *policy.Set
}

// compose is the session under its role or user. It makes nothing new while
// that, the account and the managed policies are the same as before.
func (s *Service) compose(ctx context.Context, reads *store.Reads, o *opened, identity *iam.Identity, account *organizations.Account) (*composed, error) {
	var space [maxPolicyARNs]*policy.Document
	managed := space[:0]
	for _, arn := range o.policyARNs {
		document, err := s.managedPolicy(ctx, reads, arn)
		if err != nil {
			return nil, err
		}
		managed = append(managed, document)
	}
	made := o.made.Load()
	if made == nil || made.identity != identity || made.account != account || !slices.Equal(made.managed, managed) {
		made = &composed{
			identity: identity, account: account, managed: slices.Clone(managed),
			principal: o.principal(identity), policies: o.limit(identity.Policies, managed),
		}
		if !identity.IsServiceLinked() {
			made.policies = account.Bind(made.policies)
		}
		made.principal.Organization, made.principal.OrganizationPath = account.Organization, account.Path
		o.made.Store(made) // who loses a race makes it again
	}
	return made, nil
}

// managedPolicy is the document of a managed policy, or nil, which denies
// everything, if it is gone: a session was meant to have no more than it says.
func (s *Service) managedPolicy(ctx context.Context, reads *store.Reads, arn string) (*policy.Document, error) {
	p, err := s.iam.ManagedPolicy(ctx, reads, arn)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return p.Document, nil
}

// limit puts what was passed when the session was made over what its role or
// user may. A federated user who was passed nothing is not limited but has
// nothing, which policy.Set knows.
func (o *opened) limit(policies *policy.Set, managed []*policy.Document) *policy.Set {
	var passed []policy.Policy
	if o.policy != "" {
		passed = append(passed, o.inline)
	}
	for i, document := range managed {
		passed = append(passed, policy.Policy{Name: o.policyARNs[i], Document: document})
	}
	if len(passed) == 0 {
		return policies
	}
	return policies.WithSession(passed...)
}

// principal is the session of a role or a user.
func (c *claims) principal(identity *iam.Identity) call.Principal {
	p := identity.Principal()
	p.Issued, p.SourceIdentity, p.Provider = c.issueTime(), c.sourceIdentity, c.provider
	if c.mfa != 0 {
		p.MFATime = time.UnixMilli(c.mfa).UTC()
	}
	switch c.kind {
	case roleSession:
		p.Session = c.name
		p.ARN = "arn:aws:sts::" + c.account + ":assumed-role/" + identity.Name + "/" + c.name
	case federatedSession:
		p.Kind, p.UserName, p.Session = policy.Federated, "", c.name
		p.ARN = federatedARN(c.account, c.name)
	}
	if len(c.tags) > 0 {
		p.Tags = maps.Clone(p.Tags)
		if p.Tags == nil {
			p.Tags = map[string]string{}
		}
		for _, t := range c.tags {
			p.Tags[fold(t.key)] = t.value
			if t.transitive {
				if p.TransitiveTags == nil {
					p.TransitiveTags = map[string]string{}
				}
				p.TransitiveTags[t.key] = t.value
			}
		}
	}
	p.Claims = claimKeys(c.provider, c.identity)
	return p
}

func federatedARN(account, name string) string {
	return "arn:aws:sts::" + account + ":federated-user/" + name
}

// claimKeys are the condition keys of a web identity: the provider's name, which
// is in its ARN, before the name of each claim.
func claimKeys(provider string, identity []attribute) map[string][]string {
	if len(identity) == 0 {
		return nil
	}
	_, host, _ := strings.Cut(provider, "/")
	keys := make(map[string][]string, len(identity))
	for _, a := range identity {
		keys[fold(host+":"+a.name)] = a.values
	}
	return keys
}

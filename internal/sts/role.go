package sts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// An assumption is a role that is asked for, with what it is asked with.
type assumption struct {
	roleARN string
	session string
	role    *iam.Identity // nil if there is none, or none with that very ARN

	externalID     *string
	sourceIdentity string // what the session will have
	tags           []tag  // what the session will have
	requested      []tag  // those of them that come with the request
	transitive     []string
}

// lookRole finds the role that is asked for. There being none is no error:
// whether there is one is not for everybody to know. Of an account that is
// closed there is none.
func (s *Service) lookRole(ctx context.Context, reads *store.Reads, a *assumption) error {
	account, name, err := arnOfRole(a.roleARN)
	if err != nil {
		return err
	}
	role, err := s.iam.Role(ctx, reads, account, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case role.ARN == a.roleARN:
		owner, err := s.orgs.Account(ctx, reads, account)
		if err != nil {
			return err
		}
		if owner.Active {
			a.role = role
		}
	}
	return nil
}

// permit decides whether the role's trust policy, and the caller's own where
// both have to, allow what is asked: the action itself, and further ones for
// tags and a source identity, which a trust policy may refuse to take from who
// may assume the role. It returns the action that is denied, or "".
func (a *assumption) permit(c *call.Call, action string) (denied string) {
	account := ""
	target := call.Target{ARN: a.roleARN, MustAllow: true, Keys: a.keys(c)}
	if a.role != nil {
		account, target.Policy = a.role.Account, a.role.Trust
	}
	target.Account = account
	actions := []string{action}
	if len(a.tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if a.sourceIdentity != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	for _, action := range actions {
		if d := c.Decide(action, target); !d.Allowed || a.role == nil {
			return action
		}
	}
	return ""
}

// keys are the condition keys of STS and of the role.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
func (a *assumption) keys(c *call.Call) policy.Keys {
	return func(key string) ([]string, bool) {
		if name, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
			for _, t := range a.requested {
				if fold(t.key) == name {
					return c.Value(t.value)
				}
			}
			return nil, false
		}
		name, ok := strings.CutPrefix(key, "aws:resourcetag/")
		if !ok {
			name, ok = strings.CutPrefix(key, "iam:resourcetag/")
		}
		if ok {
			return a.roleTag(c, name)
		}
		switch key {
		case "aws:tagkeys":
			var keys []string
			for _, t := range a.requested {
				keys = append(keys, t.key)
			}
			return keys, len(keys) > 0
		case "sts:transitivetagkeys":
			return a.transitive, len(a.transitive) > 0
		case "sts:rolesessionname":
			return c.Value(a.session)
		case "sts:sourceidentity":
			return c.ValueIfAny(a.sourceIdentity)
		case "sts:externalid":
			if a.externalID != nil {
				return c.Value(*a.externalID)
			}
		}
		return nil, false
	}
}

func (a *assumption) roleTag(c *call.Call, name string) ([]string, bool) {
	if a.role == nil {
		return nil, false
	}
	value, ok := a.role.Principal().Tags[name]
	if !ok {
		return nil, false
	}
	return c.Value(value)
}

// AssumeRole makes a session of a role.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func (s *Service) AssumeRole(ctx context.Context, c *call.Call, in *model.AssumeRoleInput) (*model.AssumeRoleOutput, error) {
	caller := &c.Principal
	a := &assumption{
		roleARN: *in.RoleArn, session: *in.RoleSessionName, externalID: in.ExternalId,
		sourceIdentity: caller.SourceIdentity, transitive: in.TransitiveTagKeys,
	}
	c.Resource = a.roleARN
	if len(in.ProvidedContexts) > 0 { // a policy might count on what nobody has proven
		return nil, invalidParameter("ProvidedContexts are of context providers, of which there are none.")
	}
	if err := s.lookRole(ctx, c.Reads, a); err != nil {
		return nil, err
	}
	if err := a.tag(in.Tags, in.TransitiveTagKeys, callerTags(c)); err != nil {
		return nil, err
	}
	switch {
	case caller.Kind == policy.Root:
		return nil, api.AccessDenied("Roles may not be assumed by root accounts.")
	case caller.Kind == policy.Federated:
		return nil, notAuthorized(c, "sts:AssumeRole", a.roleARN)
	case in.SourceIdentity != nil && a.sourceIdentity != "" && *in.SourceIdentity != a.sourceIdentity:
		return nil, notAuthorized(c, "sts:SetSourceIdentity", a.roleARN) // it stays what it is along a chain
	case in.SourceIdentity != nil:
		a.sourceIdentity = *in.SourceIdentity
	}
	if err := s.takeCode(ctx, c, in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	if denied := a.permit(c, "sts:AssumeRole"); denied != "" {
		return nil, notAuthorized(c, denied, a.roleARN)
	}
	made := &claims{
		kind: roleSession, account: a.role.Account, id: a.role.ID, name: a.session, issued: c.Time.UnixMilli(),
		sourceIdentity: a.sourceIdentity, tags: a.tags,
	}
	// A role's session tells of no device again: what proved who its caller is
	// proved it for that role alone.
	if caller.Kind == policy.User && !caller.MFATime.IsZero() {
		made.mfa = caller.MFATime.UnixMilli()
	}
	var err error
	if made.lifetime, err = roleLifetime(in.DurationSeconds, seconds(a.role.MaxSession), !caller.Issued.IsZero()); err != nil {
		return nil, err
	}
	out := &model.AssumeRoleOutput{AssumedRoleUser: a.user(), SourceIdentity: ifAny(a.sourceIdentity)}
	if out.Credentials, out.PackedPolicySize, err = s.begin(ctx, made, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	return out, nil
}

// callerTags are the tags that the calling session passes on, in the order of
// their keys.
func callerTags(c *call.Call) []tag {
	var tags []tag
	for _, key := range slices.Sorted(maps.Keys(c.Principal.TransitiveTags)) {
		tags = append(tags, tag{key, c.Principal.TransitiveTags[key], true})
	}
	return tags
}

// tag gives the session its tags.
func (a *assumption) tag(requested []model.Tag, transitive []string, caller []tag) (err error) {
	if a.tags, err = sessionTags(requested, transitive, caller); err == nil {
		a.requested = a.tags[:len(requested)]
	}
	return err
}

func (a *assumption) user() *model.AssumedRoleUser {
	return &model.AssumedRoleUser{
		AssumedRoleId: new(a.role.ID + ":" + a.session),
		Arn:           new("arn:aws:sts::" + a.role.Account + ":assumed-role/" + a.role.Name + "/" + a.session),
	}
}

// notAuthorized is how AssumeRole denies: without a reason, and in the same
// words whether there is such a role or not.
func notAuthorized(c *call.Call, action, roleARN string) error {
	return api.AccessDenied("User: %s is not authorized to perform: %s on resource: %s", c.Principal.ARN, action, roleARN)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func ifAny(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// nameIn is the last part of a resource with a prefix: the name behind the
// path.
func nameIn(resource, prefix string) string {
	rest, ok := strings.CutPrefix(resource, prefix)
	if !ok {
		return ""
	}
	return rest[strings.LastIndexByte(rest, '/')+1:]
}

// begin gives a session its policies and makes its credentials. The size is nil
// if neither policies nor tags were passed.
func (s *Service) begin(ctx context.Context, c *claims, inline *string, managed []model.PolicyDescriptorType) (*model.Credentials, *int64, error) {
	if inline != nil {
		c.policy = *inline
	}
	if len(managed) > maxPolicyARNs {
		return nil, nil, tooMany("policyArns", maxPolicyARNs)
	}
	for _, p := range managed {
		if p.Arn != nil && !slices.Contains(c.policyARNs, *p.Arn) {
			c.policyARNs = append(c.policyARNs, *p.Arn)
		}
	}
	size, err := packedPolicySize(c)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkPolicies(ctx, c); err != nil {
		return nil, nil, err
	}
	if len(c.encode()) > maxClaims { // for what a web identity brings along
		return nil, nil, model.PackedPolicyTooLarge("Packed policy consumes %d%% of allotted space, please use smaller policy.", percent(len(c.encode()), maxClaims))
	}
	made, err := issue(s.ring, c)
	if err != nil {
		return nil, nil, err
	}
	out := &model.Credentials{
		AccessKeyId: &made.accessKeyID, SecretAccessKey: &made.secret, SessionToken: &made.token, Expiration: new(api.At(c.expires())),
	}
	if size == 0 {
		return out, nil, nil
	}
	return out, &size, nil
}

// checkPolicies refuses policies that cannot limit a session: one that cannot
// be read, or that is neither AWS's nor the account's own.
func (s *Service) checkPolicies(ctx context.Context, c *claims) error {
	if c.policy != "" {
		if _, err := policy.Parse(c.policy, policy.Session); err != nil {
			return malformed(err)
		}
	}
	for _, name := range c.policyARNs {
		a, err := arn.Parse(name)
		if err != nil {
			return api.Validation(name + " is invalid")
		}
		document, err := s.managedPolicy(ctx, nil, name)
		if err != nil {
			return err
		}
		if document == nil || a.Account != c.account && a.Account != "aws" {
			return api.Validation("Policy " + name + " does not exist or is not attachable.")
		}
	}
	return nil
}

func malformed(err error) error {
	text := "Syntax errors in policy."
	if fault, ok := errors.AsType[*policy.SyntaxError](err); ok {
		text = fault.Message
	}
	e := model.MalformedPolicyDocument("%s", text)
	e.Err = err
	return e
}

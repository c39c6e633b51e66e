package sts

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/oidc"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// AssumeRoleWithWebIdentity makes a session of a role for who holds a token of
// an identity provider that the role trusts. The request is not signed: the
// token alone is the proof.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, c *call.Call, in *model.AssumeRoleWithWebIdentityInput) (*model.AssumeRoleWithWebIdentityOutput, error) {
	a := &assumption{roleARN: *in.RoleArn, session: *in.RoleSessionName}
	c.Resource = a.roleARN
	account, _, err := arnOfRole(a.roleARN)
	if err != nil {
		return nil, err
	}
	providerARN, identity, err := s.verify(ctx, c, account, string(*in.WebIdentityToken))
	if err != nil {
		return nil, err
	}
	if err := s.lookRole(ctx, c.Reads, a); err != nil {
		return nil, err
	}
	made := &claims{
		kind: roleSession, account: account, name: a.session, issued: c.Time.UnixMilli(),
		provider: providerARN, identity: attributes(identity), sourceIdentity: identity.SourceIdentity,
	}
	if err := checkIdentity(identity); err != nil {
		return nil, err
	}
	if err := a.tag(tagsOf(identity), identity.TransitiveTags, nil); err != nil {
		return nil, err
	}
	a.sourceIdentity, a.transitive, made.tags = identity.SourceIdentity, identity.TransitiveTags, a.tags
	c.Principal = call.Principal{
		Principal: policy.Principal{Kind: policy.Provider, ARN: providerARN, Account: account},
		UserName:  identity.Subject, Provider: providerARN, Claims: claimKeys(providerARN, made.identity),
	}
	if denied := a.permit(c, "sts:AssumeRoleWithWebIdentity"); denied != "" {
		return nil, api.AccessDenied("Not authorized to perform %s", denied)
	}
	made.id = a.role.ID
	if made.lifetime, err = roleLifetime(in.DurationSeconds, seconds(a.role.MaxSession), false); err != nil {
		return nil, err
	}
	out := &model.AssumeRoleWithWebIdentityOutput{
		AssumedRoleUser: a.user(), SourceIdentity: ifAny(a.sourceIdentity),
		SubjectFromWebIdentityToken: &identity.Subject, Audience: &identity.Audience[0], Provider: &providerARN,
	}
	out.Credentials, out.PackedPolicySize, err = s.begin(ctx, made, in.Policy, in.PolicyArns)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// verify finds the provider that a token claims to be of among those of the
// role's account, and has it verified.
func (s *Service) verify(ctx context.Context, c *call.Call, account, text string) (providerARN string, identity *oidc.Identity, err error) {
	token, err := oidc.Parse(text)
	if err != nil {
		return "", nil, rejected(err)
	}
	noProvider := model.InvalidIdentityToken("No OpenIDConnect provider found in your account for %s", token.Issuer)
	url, https := strings.CutPrefix(token.Issuer, "https://")
	if !https || len(url) > maxProviderURL {
		return "", nil, noProvider
	}
	provider, err := s.iam.OIDCProvider(ctx, account, url)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil, noProvider
	}
	if err != nil {
		return "", nil, err
	}
	identity, err = s.issuers.Verify(ctx, token, oidc.Provider{Issuer: token.Issuer, ClientIDs: provider.Clients}, c.Time)
	if err != nil {
		return "", nil, rejected(err)
	}
	return provider.ARN, identity, nil
}

// maxProviderURL is the longest that IAM registers.
const maxProviderURL = 255

// rejected is a refusal of a token as STS words it.
func rejected(err error) error {
	e, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		return err
	}
	constructor := map[oidc.Kind]func(string, ...any) *api.Error{
		oidc.Invalid: model.InvalidIdentityToken, oidc.Expired: model.ExpiredToken,
		oidc.Rejected: model.IDPRejectedClaim, oidc.Unreachable: model.IDPCommunicationError,
	}[e.Kind]
	told := constructor("%s", e.Message)
	told.Err = e.Err
	return told
}

// attributes are the claims that conditions may ask for, in one order.
func attributes(id *oidc.Identity) []attribute {
	all := []attribute{{"sub", []string{id.Subject}}, {"aud", id.Audience}}
	if id.Party != "" {
		all = append(all, attribute{"azp", []string{id.Party}})
	}
	if len(id.Methods) > 0 {
		all = append(all, attribute{"amr", id.Methods})
	}
	for _, name := range slices.Sorted(maps.Keys(id.Others)) {
		all = append(all, attribute{name, []string{id.Others[name]}})
	}
	return all
}

func tagsOf(id *oidc.Identity) []model.Tag {
	tags := make([]model.Tag, 0, len(id.Tags))
	for i := range id.Tags {
		tags = append(tags, model.Tag{Key: &id.Tags[i].Key, Value: &id.Tags[i].Value})
	}
	return tags
}

// checkIdentity holds what a token asks for its session to what the model lets
// a request ask for.
func checkIdentity(id *oidc.Identity) error {
	const maxKey, maxValue, leastName, maxName = 128, 256, 2, 64
	for _, t := range id.Tags {
		key, value := utf8.RuneCountInString(t.Key), utf8.RuneCountInString(t.Value)
		if key == 0 || key > maxKey || value > maxValue || strings.ContainsFunc(t.Key+t.Value, notInTags) {
			return model.IDPRejectedClaim("A session tag of the ID Token is malformed")
		}
	}
	if len(id.Tags) > maxTags || len(id.TransitiveTags) > maxTags {
		return model.IDPRejectedClaim("The ID Token has more than %d session tags", maxTags)
	}
	name := id.SourceIdentity
	if name != "" && (len(name) < leastName || len(name) > maxName || strings.ContainsFunc(name, notInNames)) {
		return model.IDPRejectedClaim("The source identity of the ID Token is malformed")
	}
	return nil
}

// notInTags and notInNames are the characters that the model's patterns of tags
// and of source identities leave out.
func notInTags(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.In(r, unicode.Z) && !strings.ContainsRune("_.:/=+-@", r)
}

func notInNames(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("_+=,.@-", r)
}

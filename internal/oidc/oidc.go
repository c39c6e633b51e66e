// Package oidc verifies ID tokens of OpenID Connect issuers: the proof with
// which a Kubernetes service account or a CI job asks for a role's session.
// (OpenID Connect Core 1.0, section 3.1.3.7; RFC 7519.)
//
// Anybody may send a token, and a token names the issuer it wants to be asked
// about. So that strangers cannot have the server fetch what they like, or
// often, a token is read in two steps: Parse tells the issuer it claims, the
// caller looks for a provider that somebody has registered, and Verify fetches
// that provider's keys, within the limits of keys.go.
package oidc

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// A Kind is a way for a token to prove nothing.
type Kind int

const (
	Invalid     Kind = iota // no ID token, or one that is not for us
	Expired                 // over
	Rejected                // its claims cannot be accepted
	Unreachable             // the issuer did not answer; it may be tried again
)

// An Error is the refusal of a token. Message is AWS's text for the caller; Err
// says more for the log, and may be nil.
type Error struct {
	Kind    Kind
	Message string
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// MaxToken is the longest token that is read, in bytes: STS's limit.
const MaxToken = 20000

// What is kept of a token goes into its session's own, which has to fit into a
// header. The first is STS's limit for what it answers a subject in.
const (
	maxSubject = 255
	maxTexts   = 16 // of aud and amr
	maxMethod  = 128
)

// leeway is how far an issuer's clock may be ahead. The end of a token is not
// moved: AWS's text says that now must be before it.
const leeway = 5 * time.Minute

// algorithms are those of AWS. That none, HMAC's (whose key would be the public
// one) and the key that a token brings along are out is what makes a signature
// one of the issuer's.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512}

// A Token has been read, and nothing of it is to be believed.
type Token struct {
	// Issuer is who is said to have made it: a URL that starts with https.
	Issuer string
	jws    *jose.JSONWebSignature
}

// Parse reads a token without verifying it. Every error is an *Error.
func Parse(text string) (*Token, error) {
	const noJWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	if len(text) > MaxToken || !isCompact(text) {
		return nil, &Error{Kind: Invalid, Message: noJWT}
	}
	jws, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil {
		return nil, &Error{Invalid, noJWT, err}
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil {
		return nil, &Error{Invalid, noJWT, err}
	}
	if claims.Issuer == "" {
		return nil, missing("iss")
	}
	return &Token{claims.Issuer, jws}, nil
}

// isCompact says whether a text has the parts of a compact JWS in their one
// form. What base64 would forgive, line breaks and bits that are not used, makes
// many tokens of one.
func isCompact(text string) bool {
	parts := strings.Split(text, ".")
	for _, part := range parts {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return false
		}
	}
	return len(parts) == 3 && !strings.ContainsAny(text, "\r\n")
}

// A Provider is an issuer that is trusted to say who somebody is, and for whom
// its tokens have to be made out.
type Provider struct {
	Issuer    string // https URL, compared to the byte
	ClientIDs []string
}

// An Identity is what a verified token says.
type Identity struct {
	Subject  string
	Audience []string // those of the token that are client ids of the provider
	Party    string   // azp; empty if there is none
	Methods  []string // amr: how the subject proved who they are
	Others   map[string]string

	Tags           []Tag
	TransitiveTags []string
	SourceIdentity string
}

// A Tag is a session tag, from the claim https://aws.amazon.com/tags.
type Tag struct{ Key, Value string }

// claims are the parts of a payload that mean something here. The decoder tells
// names that differ in case apart and refuses a name given twice: who may
// choose the name of one claim must not replace another.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  texts    `json:"aud"`
	Party     string   `json:"azp"`
	Methods   texts    `json:"amr"`
	Expires   *seconds `json:"exp"`
	IssuedAt  *seconds `json:"iat"`
	NotBefore *seconds `json:"nbf"`
	Tags      struct {
		Principal  map[string]texts `json:"principal_tags"`
		Transitive texts            `json:"transitive_tag_keys"`
	} `json:"https://aws.amazon.com/tags"`
	SourceIdentity string `json:"https://aws.amazon.com/source_identity"`
}

// texts is a text, or a list of texts.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(texts, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// seconds since 1970; some issuers write fractions.
type seconds int64

func (s *seconds) UnmarshalJSON(b []byte) error {
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	if f < 0 || f > 1<<40 {
		return fmt.Errorf("%v is no time", f)
	}
	*s = seconds(f)
	return nil
}

// check holds a payload, which the issuer has signed, against the provider and
// the time.
func check(payload []byte, p Provider, now time.Time) (*Identity, error) {
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, &Error{Rejected, "A claim of the ID Token is malformed", err}
	}
	if c.Issuer != p.Issuer {
		return nil, missing("iss")
	}
	for _, claim := range []struct {
		name  string
		there bool
	}{
		{"sub", c.Subject != ""}, {"aud", len(c.Audience) > 0 || c.Party != ""}, {"exp", c.Expires != nil}, {"iat", c.IssuedAt != nil},
	} {
		if !claim.there {
			return nil, missing(claim.name)
		}
	}
	if len(c.Subject) > maxSubject {
		return nil, &Error{Kind: Rejected, Message: fmt.Sprintf("The claim sub is longer than %d characters", maxSubject)}
	}
	if len(c.Audience) > maxTexts || len(c.Methods) > maxTexts || slices.ContainsFunc(c.Methods, func(m string) bool { return len(m) > maxMethod }) {
		return nil, &Error{Kind: Rejected, Message: "A claim of the ID Token is too long"}
	}
	if err := c.checkTime(now); err != nil {
		return nil, err
	}
	// What a token is made out to is its authorized party, if it names one:
	// its audience may then be services that the party calls.
	audience := []string(c.Audience)
	if c.Party != "" {
		audience = []string{c.Party}
	}
	audience = slices.DeleteFunc(slices.Clone(audience), func(a string) bool { return !slices.Contains(p.ClientIDs, a) })
	if len(audience) == 0 {
		return nil, &Error{Kind: Invalid, Message: "Incorrect token audience"}
	}
	id := &Identity{
		Subject: c.Subject, Audience: audience, Party: c.Party, Methods: c.Methods,
		TransitiveTags: c.Tags.Transitive, SourceIdentity: c.SourceIdentity,
	}
	var err error
	if id.Tags, err = c.tags(); err != nil {
		return nil, err
	}
	id.Others, err = others(payload, p.Issuer)
	return id, err
}

func (c *claims) checkTime(now time.Time) error {
	if at := now.Unix(); at >= int64(*c.Expires) {
		return &Error{Kind: Expired, Message: fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", at, *c.Expires)}
	}
	for _, from := range []*seconds{c.IssuedAt, c.NotBefore} {
		if from != nil && now.Add(leeway).Unix() < int64(*from) {
			return &Error{Kind: Rejected, Message: fmt.Sprintf("Token not yet valid: current date/time %d must be after %d", now.Unix(), *from)}
		}
	}
	return nil
}

// tags are in the order of their keys.
func (c *claims) tags() ([]Tag, error) {
	tags := make([]Tag, 0, len(c.Tags.Principal))
	for key, values := range c.Tags.Principal {
		if len(values) != 1 {
			return nil, &Error{Kind: Rejected, Message: "A session tag of the ID Token has not one value"}
		}
		tags = append(tags, Tag{key, values[0]})
	}
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return tags, nil
}

// known lists the claims that AWS makes condition keys of, by issuer, besides
// those that all issuers have.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
var known = map[string][]string{
	"https://token.actions.githubusercontent.com": {
		"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref",
		"ref", "repository", "repository_id", "repository_owner", "workflow",
	},
}

// maxOther bounds the claims that are kept, each and in characters; a session
// carries them in its token.
const maxOther = 512

func others(payload []byte, issuer string) (map[string]string, error) {
	names := known[issuer]
	if names == nil {
		return nil, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &all); err != nil {
		return nil, &Error{Rejected, "A claim of the ID Token is malformed", err}
	}
	found := map[string]string{}
	for _, name := range names {
		var text string
		if raw, ok := all[name]; !ok || json.Unmarshal(raw, &text) != nil {
			continue
		}
		if len(text) > maxOther {
			return nil, &Error{Kind: Rejected, Message: fmt.Sprintf("The claim %s is longer than %d characters", name, maxOther)}
		}
		found[name] = text
	}
	return found, nil
}

func missing(claim string) *Error {
	return &Error{Kind: Invalid, Message: "Missing a required claim: " + claim}
}

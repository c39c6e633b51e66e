package sts

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/sigv4"
)

const pod = "system:serviceaccount:web:shop"

// trustProvider trusts a provider under conditions.
func trustProvider(arn, actions, conditions string) string {
	return `{"Effect":"Allow","Principal":{"Federated":"` + arn + `"},"Action":` + actions + `,"Condition":{` + conditions + `}}`
}

func (w *world) withToken(role, token string, change func(*model.AssumeRoleWithWebIdentityInput)) (*model.AssumeRoleWithWebIdentityOutput, error) {
	w.t.Helper()
	in := &model.AssumeRoleWithWebIdentityInput{RoleArn: &role, RoleSessionName: new("s1"), WebIdentityToken: new(api.Sensitive(token))}
	if change != nil {
		change(in)
	}
	return ask(w, sigv4.Credentials{}, "sts", w.AssumeRoleWithWebIdentity, in)
}

func TestWebIdentity(t *testing.T) {
	w := newWorld(t)
	provider := w.provider(account)
	host := strings.TrimPrefix(w.issuer.URL, "https://")
	w.role(account, "r", trustProvider(provider, `["sts:AssumeRoleWithWebIdentity","sts:TagSession","sts:SetSourceIdentity"]`,
		`"StringEquals":{"`+host+`:aud":"ci"},"StringLike":{"`+host+`:sub":"system:serviceaccount:web:*"}`),
		`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${`+host+`:sub}/*"}`)
	token := w.issuer.Token(t, w.now, "ci", pod, map[string]any{
		"https://aws.amazon.com/tags":            map[string]any{"principal_tags": map[string]any{"Team": []string{"red"}, "x": []string{""}}, "transitive_tag_keys": []string{"team"}},
		"https://aws.amazon.com/source_identity": "ann",
	})
	out, err := w.withToken(roleARN(account, "r"), token, nil)
	if err != nil {
		t.Fatal(err)
	}
	creds := signs(out.Credentials)
	out.Credentials, out.AssumedRoleUser = nil, nil
	want := &model.AssumeRoleWithWebIdentityOutput{
		SubjectFromWebIdentityToken: new(pod), Audience: new("ci"), Provider: &provider, SourceIdentity: new("ann"), PackedPolicySize: new(int64(1)),
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("the answer:\n%s", diff)
	}
	if got := w.who(creds); got != "arn:aws:sts::"+account+":assumed-role/r/s1" {
		t.Errorf("the session is %s", got)
	}
	c, err := w.enter(creds, "s3")
	if err != nil {
		t.Fatal(err)
	}
	if p := &c.Principal; p.Provider != provider || p.SourceIdentity != "ann" || p.Tags["team"] != "red" || !cmp.Equal(p.TransitiveTags, map[string]string{"Team": "red"}) {
		t.Errorf("the principal is %+v", p)
	}
	if !w.may(creds, "s3:GetObject", "arn:aws:s3:::"+pod+"/k") || w.may(creds, "s3:GetObject", "arn:aws:s3:::else/k") {
		t.Error("the session's policies do not know its subject")
	}
}

// A token proves what it proves to one account's provider, one role, and under
// the conditions of that role alone.
func TestWebIdentityIsRefused(t *testing.T) {
	w := newWorld(t)
	w.user("ann", "")
	provider := w.provider(account)
	host := strings.TrimPrefix(w.issuer.URL, "https://")
	sub := `"StringEquals":{"` + host + `:sub":"` + pod + `"}`
	all := `"sts:AssumeRoleWithWebIdentity"`
	w.role(account, "r", trustProvider(provider, all, sub), "")
	w.role(account, "keys", strings.ReplaceAll(trustAnn+","+trustRoot, `["sts:AssumeRole",`, `["sts:AssumeRoleWithWebIdentity",`), "")
	w.role(account, "mfa", trustProvider(provider, all, `"ForAnyValue:StringEquals":{"`+host+`:amr":"mfa"}`), "")
	w.role(account, "elsewhere", trustProvider("arn:aws:iam::"+account+":oidc-provider/idp.example.com", all, sub), "")
	w.role(other, "r", trustProvider(provider, all, sub), "")
	token := func(more map[string]any) string { return w.issuer.Token(t, w.now, "ci", pod, more) }
	const denied = "AccessDeniedException: Not authorized to perform "
	at := now.Unix()
	for name, test := range map[string]struct {
		role, token string
		change      func(*model.AssumeRoleWithWebIdentityInput)
		want        string
	}{
		"as it should be":   {roleARN(account, "r"), token(nil), nil, ""},
		"two methods":       {roleARN(account, "mfa"), token(map[string]any{"amr": []string{"pwd", "mfa"}}), nil, ""},
		"one method":        {roleARN(account, "mfa"), token(map[string]any{"amr": []string{"pwd"}}), nil, denied + "sts:AssumeRoleWithWebIdentity"},
		"another subject":   {roleARN(account, "r"), token(map[string]any{"sub": pod + "2"}), nil, denied + "sts:AssumeRoleWithWebIdentity"},
		"role of users":     {roleARN(account, "keys"), token(nil), nil, denied + "sts:AssumeRoleWithWebIdentity"},
		"another provider":  {roleARN(account, "elsewhere"), token(nil), nil, denied + "sts:AssumeRoleWithWebIdentity"},
		"no such role":      {roleARN(account, "none"), token(nil), nil, denied + "sts:AssumeRoleWithWebIdentity"},
		"another account's": {roleARN(other, "r"), token(nil), nil, "InvalidIdentityToken: No OpenIDConnect provider found in your account for " + w.issuer.URL},
		"no role":           {"arn:aws:iam::" + account + ":user/ann", token(nil), nil, "ValidationException: arn:aws:iam::" + account + ":user/ann is invalid"},
		"unknown issuer":    {roleARN(account, "r"), token(map[string]any{"iss": "https://idp.example.com"}), nil, "InvalidIdentityToken: No OpenIDConnect provider found in your account for https://idp.example.com"},
		"plain HTTP":        {roleARN(account, "r"), token(map[string]any{"iss": "http://" + host}), nil, "InvalidIdentityToken: No OpenIDConnect provider found in your account for http://" + host},
		"no token":          {roleARN(account, "r"), "ya29.x", nil, "InvalidIdentityToken: The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"},
		"another audience":  {roleARN(account, "r"), token(map[string]any{"aud": "x"}), nil, "InvalidIdentityToken: Incorrect token audience"},
		"over": {roleARN(account, "r"), token(map[string]any{"exp": at}), nil,
			"ExpiredTokenException: Token expired: current date/time 1773500966 must be before the expiration date/time 1773500966"},
		"of tomorrow": {roleARN(account, "r"), token(map[string]any{"nbf": at + 86400}), nil, "IDPRejectedClaim: Token not yet valid: current date/time 1773500966 must be after 1773587366"},
		"tags that are not let through": {roleARN(account, "r"), token(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a": []string{"1"}}}}), nil,
			denied + "sts:TagSession"},
		"source identity that is not let through": {roleARN(account, "r"), token(map[string]any{"https://aws.amazon.com/source_identity": "ann"}), nil, denied + "sts:SetSourceIdentity"},
		"odd source identity":                     {roleARN(account, "r"), token(map[string]any{"https://aws.amazon.com/source_identity": "a b"}), nil, "IDPRejectedClaim: The source identity of the ID Token is malformed"},
		"odd tag": {roleARN(account, "r"), token(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a*": []string{"1"}}}}), nil,
			"IDPRejectedClaim: A session tag of the ID Token is malformed"},
		"long tag": {roleARN(account, "r"), token(map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a": []string{strings.Repeat("v", 257)}}}}), nil,
			"IDPRejectedClaim: A session tag of the ID Token is malformed"},
		"too long": {roleARN(account, "r"), token(nil), func(in *model.AssumeRoleWithWebIdentityInput) { in.DurationSeconds = new(int64(7201)) },
			"ValidationException: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"odd policy": {roleARN(account, "r"), token(nil), func(in *model.AssumeRoleWithWebIdentityInput) { in.Policy = new("x") }, "MalformedPolicyDocument: This policy contains invalid Json"},
	} {
		out, err := w.withToken(test.role, test.token, test.change)
		if got := told(err); got != test.want || (out == nil) == (err == nil) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	if n := w.issuer.KeySets.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
	w.issuer.AddKey("new", jose.ES256)
	w.issuer.Answer(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(503) })
	w.now = now.Add(time.Minute)
	if _, err := w.withToken(roleARN(account, "r"), token(nil), nil); told(err) != "IDPCommunicationError: Couldn't reach your identity provider" {
		t.Errorf("an issuer that is away: %v", err)
	}
}

// The largest identity that is taken makes a token that comes in again.
func TestLargeWebIdentity(t *testing.T) {
	w := newWorld(t)
	provider := w.provider(account)
	w.role(account, "r", trustProvider(provider, `"sts:*"`, `"Bool":{"aws:SecureTransport":"false"}`), "")
	many := make([]string, 16)
	for i := range many {
		many[i] = strings.Repeat("m", 128)
	}
	tags := map[string]any{}
	for i := range 14 {
		tags[strings.Repeat(string(rune('a'+i)), 128)] = []string{strings.Repeat("v", 256)}
	}
	token := w.issuer.Token(t, w.now, "ci", strings.Repeat("s", 255), map[string]any{"amr": many, "https://aws.amazon.com/tags": map[string]any{"principal_tags": tags}})
	out, err := w.withToken(roleARN(account, "r"), token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.who(signs(out.Credentials)); got != "arn:aws:sts::"+account+":assumed-role/r/s1" {
		t.Errorf("%s, with a token of %d characters", got, len(*out.Credentials.SessionToken))
	}
}

package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"azekura/internal/oidc"
	"azekura/internal/oidc/oidctest"
)

const (
	audience = "sts.amazonaws.com"
	subject  = "system:serviceaccount:web:shop"

	noJWT       = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	noKey       = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	unreachable = "Couldn't reach your identity provider"
)

var now = time.Unix(1_773_500_966, 0)

// verify is both steps for a provider with two client ids.
func verify(t *testing.T, v *oidc.Verifier, is *oidctest.Issuer, text string, now time.Time) (*oidc.Identity, error) {
	t.Helper()
	token, err := oidc.Parse(text)
	if err != nil {
		return nil, err
	}
	return v.Verify(t.Context(), token, oidc.Provider{Issuer: is.URL, ClientIDs: []string{"other", audience}}, now)
}

// refusal is the kind and the text of an error, or "".
func refusal(err error) string {
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*oidc.Error](err)
	if !ok {
		return "not a refusal: " + err.Error()
	}
	return fmt.Sprint([]string{"invalid", "expired", "rejected", "unreachable"}[e.Kind], ": ", e.Message)
}

func TestIdentity(t *testing.T) {
	for _, path := range []string{"", "/realms/ci", "/realms/ci/"} {
		is := oidctest.New(t, path)
		if strings.HasSuffix(path, "/") {
			is = oidctest.New(t, path) // its configuration lies behind one slash
			is.Answer(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path, path, path+"/", 1)
				is.Answer(nil)
				is.ServeHTTP(w, r)
			})
		}
		token := is.Token(t, now, audience, subject, map[string]any{
			"azp": "other", "amr": []string{"pwd", "mfa"}, "aud": []string{"x", audience}, "repository": "not for this issuer",
			"https://aws.amazon.com/tags": map[string]any{
				"principal_tags": map[string]any{"team": []string{"red"}, "cost": []string{"7"}}, "transitive_tag_keys": []string{"team"},
			},
			"https://aws.amazon.com/source_identity": "ann",
		})
		got, err := verify(t, oidc.NewVerifier(is.Roots), is, token, now)
		if err != nil {
			t.Fatalf("%q: %v", path, err)
		}
		want := &oidc.Identity{
			Subject: subject, Audience: []string{"other"}, Party: "other", Methods: []string{"pwd", "mfa"},
			Tags: []oidc.Tag{{Key: "cost", Value: "7"}, {Key: "team", Value: "red"}}, TransitiveTags: []string{"team"}, SourceIdentity: "ann",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", path, diff)
		}
	}
}

func TestClaims(t *testing.T) {
	is := oidctest.New(t, "")
	v := oidc.NewVerifier(is.Roots)
	at := now.Unix()
	for name, test := range map[string]struct {
		more map[string]any
		want string
	}{
		"as it should be":       {nil, ""},
		"list of audiences":     {map[string]any{"aud": []string{"x", audience}}, ""},
		"another audience":      {map[string]any{"aud": "x"}, "invalid: Incorrect token audience"},
		"empty audience":        {map[string]any{"aud": ""}, "invalid: Incorrect token audience"},
		"azp instead":           {map[string]any{"aud": "x", "azp": audience}, ""},
		"azp before aud":        {map[string]any{"azp": "x"}, "invalid: Incorrect token audience"},
		"no audience":           {map[string]any{"aud": nil}, "invalid: Missing a required claim: aud"},
		"audiences of numbers":  {map[string]any{"aud": []int{1}}, "rejected: A claim of the ID Token is malformed"},
		"no subject":            {map[string]any{"sub": nil}, "invalid: Missing a required claim: sub"},
		"subject in capitals":   {map[string]any{"sub": nil, "SUB": "x"}, "invalid: Missing a required claim: sub"},
		"subject is a number":   {map[string]any{"sub": 7}, "rejected: A claim of the ID Token is malformed"},
		"long subject":          {map[string]any{"sub": strings.Repeat("s", 256)}, "rejected: The claim sub is longer than 255 characters"},
		"many audiences":        {map[string]any{"aud": make([]string, 17)}, "rejected: A claim of the ID Token is too long"},
		"many methods":          {map[string]any{"amr": make([]string, 17)}, "rejected: A claim of the ID Token is too long"},
		"long method":           {map[string]any{"amr": []string{strings.Repeat("m", 129)}}, "rejected: A claim of the ID Token is too long"},
		"no end":                {map[string]any{"exp": nil}, "invalid: Missing a required claim: exp"},
		"no beginning":          {map[string]any{"iat": nil}, "invalid: Missing a required claim: iat"},
		"fraction of a second":  {map[string]any{"iat": float64(at) + 0.5}, ""},
		"last second":           {map[string]any{"exp": at + 1}, ""},
		"over":                  {map[string]any{"exp": at}, fmt.Sprintf("expired: Token expired: current date/time %d must be before the expiration date/time %d", at, at)},
		"end before 1970":       {map[string]any{"exp": -1}, "rejected: A claim of the ID Token is malformed"},
		"end too far to count":  {map[string]any{"exp": 1e300}, "rejected: A claim of the ID Token is malformed"},
		"issuer's clock ahead":  {map[string]any{"iat": at + 300, "nbf": at + 300}, ""},
		"issued in the future":  {map[string]any{"iat": at + 301}, fmt.Sprintf("rejected: Token not yet valid: current date/time %d must be after %d", at, at+301)},
		"not before the future": {map[string]any{"nbf": at + 301}, fmt.Sprintf("rejected: Token not yet valid: current date/time %d must be after %d", at, at+301)},
		"no issuer":             {map[string]any{"iss": nil}, "invalid: Missing a required claim: iss"},
		"another issuer":        {map[string]any{"iss": is.URL + "/"}, "invalid: Missing a required claim: iss"},
		"tag with two values": {map[string]any{"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]any{"a": []string{"1", "2"}}}},
			"rejected: A session tag of the ID Token has not one value"},
		"tags of another form": {map[string]any{"https://aws.amazon.com/tags": []int{1}}, "rejected: A claim of the ID Token is malformed"},
	} {
		id, err := verify(t, v, is, is.Token(t, now, audience, subject, test.more), now)
		if got := refusal(err); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if (id == nil) != (err != nil) {
			t.Errorf("%s: %+v and %v", name, id, err)
		}
	}
}

func TestSignatures(t *testing.T) {
	is := oidctest.New(t, "")
	elliptic521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is.Publish(jose.JSONWebKey{Key: rsa2048, KeyID: "rsa"})
	is.Publish(jose.JSONWebKey{Key: elliptic521, KeyID: "p521", Algorithm: "ES512"})
	is.Publish(jose.JSONWebKey{Key: stranger, KeyID: "encrypts", Use: "enc"})
	v := oidc.NewVerifier(is.Roots)
	claims := is.Claims(now, audience, subject, nil)
	sign := func(key any, id, alg string) string {
		return oidctest.Sign(t, jose.JSONWebKey{Key: key, KeyID: id, Algorithm: alg}, claims)
	}
	good := sign(elliptic521, "p521", "ES512")
	parts := strings.Split(good, ".")
	raw := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "."
	}
	for name, test := range map[string]struct{ token, want string }{
		"ES512":                      {good, ""},
		"RS256":                      {sign(rsa2048, "rsa", "RS256"), ""},
		"RS384":                      {sign(rsa2048, "rsa", "RS384"), ""},
		"RS512":                      {sign(rsa2048, "rsa", "RS512"), ""},
		"without a key id":           {sign(rsa2048, "", "RS256"), ""},
		"PS256":                      {sign(rsa2048, "rsa", "PS256"), "invalid: " + noJWT},
		"public key as HMAC's":       {sign([]byte(strings.Repeat("k", 32)), "rsa", "HS256"), "invalid: " + noJWT},
		"none":                       {raw(`{"alg":"none"}`), "invalid: " + noJWT},
		"key of its own":             {oidctest.Sign(t, jose.JSONWebKey{Key: stranger, KeyID: "p521", Algorithm: "ES256"}, claims), "invalid: " + noKey},
		"stranger's, under first id": {oidctest.Sign(t, jose.JSONWebKey{Key: stranger, KeyID: "first", Algorithm: "ES256"}, claims), "invalid: Token signature invalid"},
		"key for other work":         {sign(stranger, "encrypts", "ES256"), "invalid: " + noKey},
		"unknown key":                {sign(stranger, "new", "ES256"), "invalid: " + noKey},
		"other claims":               {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"`+is.URL+`","sub":"root"}`)) + "." + parts[2], "invalid: Token signature invalid"},
		"no signature":               {parts[0] + "." + parts[1] + ".", "invalid: Token signature invalid"},
		"critical extension":         {raw(`{"alg":"ES512","kid":"p521","crit":["b64"],"b64":false}`) + parts[2], "invalid: Token signature invalid"},
		"two parts":                  {parts[0] + "." + parts[1], "invalid: " + noJWT},
		"JSON form":                  {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "invalid: " + noJWT},
		"line break":                 {good + "\n", "invalid: " + noJWT},
		"opaque":                     {"ya29.a0AfH6SMBx", "invalid: " + noJWT},
		"empty":                      {"", "invalid: " + noJWT},
		"huge":                       {strings.Repeat("a", oidc.MaxToken+1), "invalid: " + noJWT},
	} {
		_, err := verify(t, v, is, test.token, now)
		if got := refusal(err); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if n := is.KeySets.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times for tokens of one moment", n)
	}
}

// An issuer is asked when there is a reason, and never twice within the least
// interval, whatever tokens come.
func TestFetches(t *testing.T) {
	is := oidctest.New(t, "")
	v := oidc.NewVerifier(is.Roots)
	fetched := int64(0)
	step := func(what string, at time.Time, want string, fetches int64) {
		t.Helper()
		fetched += fetches
		_, err := verify(t, v, is, is.Token(t, at, audience, subject, nil), at)
		if got := refusal(err); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		if n := is.KeySets.Load(); n != fetched {
			t.Errorf("%s: fetched %d times, want %d", what, n, fetched)
			fetched = n
		}
	}
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	step("first", now, "", 1)
	step("kept", now.Add(time.Second), "", 0)
	is.AddKey("second", jose.ES256)
	step("new key at once", now.Add(2*time.Second), "invalid: "+noKey, 0)
	step("new key", now.Add(30*time.Second), "", 1)
	is.Withdraw()
	step("fresh still", now.Add(90*time.Minute), "", 1)
	is.Answer(down)
	step("away", now.Add(3*time.Hour), "", 0)
	step("away for a day", now.Add(26*time.Hour), "unreachable: "+unreachable, 0)
	is.Answer(nil)
	step("back, too soon", now.Add(26*time.Hour+29*time.Second), "unreachable: "+unreachable, 0)
	step("back", now.Add(26*time.Hour+30*time.Second), "", 1)
}

func TestWithdrawnKey(t *testing.T) {
	is := oidctest.New(t, "")
	v := oidc.NewVerifier(is.Roots)
	old := is.Token(t, now, audience, subject, map[string]any{"exp": now.Add(4 * time.Hour).Unix()})
	if _, err := verify(t, v, is, old, now); err != nil {
		t.Fatal(err)
	}
	is.AddKey("second", jose.ES256)
	is.Withdraw()
	_, err := verify(t, v, is, old, now.Add(61*time.Minute))
	if got := refusal(err); got != "invalid: "+noKey {
		t.Errorf("a key that the issuer has withdrawn: %s", got)
	}
}

// However an issuer answers, nothing is taken for its keys but its keys.
func TestBadIssuers(t *testing.T) {
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
	}
	elsewhere := oidctest.New(t, "")
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"no such page":      {http.NotFound, "invalid: " + noKey},
		"failing":           {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "unreachable: " + unreachable},
		"busy":              {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, "unreachable: " + unreachable},
		"hangs up":          {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unreachable: " + unreachable},
		"no JSON":           {text("hello"), "invalid: " + noKey},
		"another's":         {text(`{"issuer":"` + elsewhere.URL + `","jwks_uri":"` + elsewhere.URL + `/keys"}`), "invalid: " + noKey},
		"plain HTTP":        {text(`{"issuer":"ISSUER","jwks_uri":"http://127.0.0.1:1/keys"}`), "invalid: " + noKey},
		"file":              {text(`{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}`), "invalid: " + noKey},
		"no keys":           {text(`{"issuer":"ISSUER","jwks_uri":""}`), "invalid: " + noKey},
		"with a password":   {text(`{"issuer":"ISSUER","jwks_uri":"https://a:b@127.0.0.1:1/keys"}`), "invalid: " + noKey},
		"long":              {text(`{"issuer":"ISSUER"` + strings.Repeat(" ", 64<<10) + `}`), "invalid: " + noKey},
		"closed port":       {text(`{"issuer":"ISSUER","jwks_uri":"https://127.0.0.1:1/keys"}`), "unreachable: " + unreachable},
		"itself, endlessly": {text(`{"issuer":"ISSUER","jwks_uri":"ISSUER/.well-known/openid-configuration","keys":[{"kty":"oct","k":"c2VjcmV0"}]}`), "invalid: " + noKey},
	} {
		is := oidctest.New(t, "")
		token := is.Token(t, now, audience, subject, nil)
		is.Answer(func(w http.ResponseWriter, r *http.Request) {
			test.answer(&replacer{w, is.URL}, r)
		})
		_, err := verify(t, oidc.NewVerifier(is.Roots), is, token, now)
		if got := refusal(err); got != test.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, test.want)
		}
	}
	is := oidctest.New(t, "")
	_, err := verify(t, oidc.NewVerifier(nil), is, is.Token(t, now, audience, subject, nil), now)
	if got := refusal(err); got != "unreachable: "+unreachable {
		t.Errorf("a certificate that nobody trusts: %s", got)
	}
}

// Where an issuer's URL would send us was not registered, even if it is the
// issuer again.
func TestRedirectsAreNotFollowed(t *testing.T) {
	is := oidctest.New(t, "")
	token := is.Token(t, now, audience, subject, nil)
	is.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/moved" {
			http.Redirect(w, r, is.URL+"/moved", http.StatusFound)
			return
		}
		is.Answer(nil)
		r.URL.Path = "/.well-known/openid-configuration"
		is.ServeHTTP(w, r)
	})
	_, err := verify(t, oidc.NewVerifier(is.Roots), is, token, now)
	if got := refusal(err); got != "invalid: "+noKey {
		t.Errorf("got %q", got)
	}
}

// A replacer writes the issuer's URL for ISSUER.
type replacer struct {
	http.ResponseWriter
	url string
}

func (r *replacer) Write(b []byte) (int, error) {
	_, err := r.ResponseWriter.Write([]byte(strings.ReplaceAll(string(b), "ISSUER", r.url)))
	return len(b), err
}

// Many callers at once are one fetch; one who goes away does not spoil it.
func TestCallersShareAFetch(t *testing.T) {
	is := oidctest.New(t, "")
	v := oidc.NewVerifier(is.Roots)
	token, err := oidc.Parse(is.Token(t, now, audience, subject, nil))
	if err != nil {
		t.Fatal(err)
	}
	p := oidc.Provider{Issuer: is.URL, ClientIDs: []string{audience}}
	asked, answer := make(chan struct{}), make(chan struct{})
	var once sync.Once
	is.Answer(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(asked) })
		<-answer
		is.Answer(nil)
		is.ServeHTTP(w, r)
	})
	first, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := v.Verify(first, token, p, now); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	<-asked
	leave()
	for range 8 {
		all.Go(func() {
			if _, err := v.Verify(t.Context(), token, p, now); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := v.Verify(first, token, p, now); !errors.Is(err, context.Canceled) {
		t.Errorf("who has gone away waits: %v", err)
	}
	close(answer)
	all.Wait()
	if n := is.KeySets.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestClaimsOfKnownIssuers(t *testing.T) {
	got, err := oidc.Others([]byte(`{"repository":"a/b","ref":"refs/heads/main","Actor":"x","run_id":"7","environment":null,"workflow":{}}`),
		"https://token.actions.githubusercontent.com")
	want := map[string]string{"repository": "a/b", "ref": "refs/heads/main", "environment": ""}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	_, err = oidc.Others([]byte(`{"ref":"`+strings.Repeat("r", 513)+`"}`), "https://token.actions.githubusercontent.com")
	if got := refusal(err); got != "rejected: The claim ref is longer than 512 characters" {
		t.Errorf("a long claim: %s", got)
	}
}

// Whatever a stranger sends as a token, it is read or refused, and nothing that
// the issuer did not sign is believed.
func FuzzToken(f *testing.F) {
	is := oidctest.New(f, "")
	v := oidc.NewVerifier(is.Roots)
	p := oidc.Provider{Issuer: is.URL, ClientIDs: []string{audience}}
	good := is.Token(f, now, audience, subject, nil)
	parts := strings.Split(good, ".")
	f.Add(good)
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add("." + parts[1] + "." + parts[2])
	f.Add(parts[0] + ".e30." + parts[2])
	f.Add("eyJhbGciOiJub25lIn0." + parts[1] + ".")
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := oidc.Parse(text)
		if err != nil {
			if refusal(err) != "invalid: "+noJWT && refusal(err) != "invalid: Missing a required claim: iss" {
				t.Fatal(err)
			}
			return
		}
		if id, err := v.Verify(t.Context(), token, p, now); err == nil && text != good {
			t.Errorf("%q is %+v", text, id)
		}
	})
}

// An issuer is registered by somebody, but is not us: whatever it publishes, its
// keys are public ones that may sign.
func FuzzKey(f *testing.F) {
	f.Add(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`)
	f.Add(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`)
	f.Add(`{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}`)
	f.Add(`{"kty":"OKP","crv":"Ed25519","x":"AA"}`)
	f.Add(`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`)
	f.Fuzz(func(t *testing.T, text string) {
		switch key := oidc.ParseKey([]byte(text)).(type) {
		case nil:
		case *rsa.PublicKey:
			if key.N.BitLen() < 2048 {
				t.Errorf("%q is a key of %d bits", text, key.N.BitLen())
			}
		case *ecdsa.PublicKey:
			if _, err := key.ECDH(); err != nil {
				t.Errorf("%q is no point of its curve", text)
			}
		default:
			t.Errorf("%q is a %T", text, key)
		}
	})
}

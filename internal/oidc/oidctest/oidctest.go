// Package oidctest is an OpenID Connect issuer for tests, on loopback.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// An Issuer publishes its configuration and keys over TLS.
type Issuer struct {
	URL   string // the issuer's name
	Roots *x509.CertPool
	// Configurations and KeySets count what was asked for.
	Configurations, KeySets atomic.Int64

	server *httptest.Server
	mu     sync.Mutex
	keys   []jose.JSONWebKey
	answer http.HandlerFunc // in place of the issuer, if not nil
}

// New is Start for a test, with which the issuer ends.
func New(t testing.TB, path string) *Issuer {
	t.Helper()
	is := Start(path)
	t.Cleanup(is.Close)
	return is
}

// Start starts an issuer with one ES256 key. Path is that of its URL, such as ""
// or "/realm". It panics if there is no address for it, as httptest does. The
// caller closes it.
func Start(path string) *Issuer {
	is := &Issuer{Roots: x509.NewCertPool()}
	is.server = httptest.NewTLSServer(is)
	is.URL = is.server.URL + path
	is.Roots.AddCert(is.server.Certificate())
	is.AddKey("first", jose.ES256)
	return is
}

// Close ends the issuer.
func (is *Issuer) Close() { is.server.Close() }

// CA is the issuer's certificate, PEM.
func (is *Issuer) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: is.server.Certificate().Raw})
}

// AddKey publishes a new ES256 key, with which tokens are signed from now on.
func (is *Issuer) AddKey(id string, alg jose.SignatureAlgorithm) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // only if the system has no randomness
	}
	is.Publish(jose.JSONWebKey{Key: key, KeyID: id, Use: "sig", Algorithm: string(alg)})
}

// Publish adds a private key whose public part is published, to sign with from
// now on.
func (is *Issuer) Publish(key jose.JSONWebKey) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys = append(slices.Clip(is.keys), key)
}

// Withdraw publishes no keys but the latest.
func (is *Issuer) Withdraw() {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys = is.keys[len(is.keys)-1:]
}

// Answer puts another in the issuer's place; nil puts it back.
func (is *Issuer) Answer(with http.HandlerFunc) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.answer = with
}

// Claims are those of a token for audience and subject, from now on for ten
// minutes; more claims are added, and nil ones taken away.
func (is *Issuer) Claims(now time.Time, audience, subject string, more map[string]any) map[string]any {
	claims := map[string]any{
		"iss": is.URL, "sub": subject, "aud": audience,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

// Token is Claims, signed.
func (is *Issuer) Token(t testing.TB, now time.Time, audience, subject string, more map[string]any) string {
	t.Helper()
	is.mu.Lock()
	key := is.keys[len(is.keys)-1]
	is.mu.Unlock()
	return Sign(t, key, is.Claims(now, audience, subject, more))
}

// Sign makes a token of any claims.
func Sign(t testing.TB, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// ServeHTTP is the issuer.
func (is *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	answer, keys := is.answer, is.keys
	is.mu.Unlock()
	var body any
	switch r.URL.Path {
	case is.URL[len(is.server.URL):] + "/.well-known/openid-configuration":
		is.Configurations.Add(1)
		body = map[string]string{"issuer": is.URL, "jwks_uri": is.server.URL + "/keys"}
	case "/keys":
		is.KeySets.Add(1)
		set := jose.JSONWebKeySet{}
		for _, k := range keys {
			set.Keys = append(set.Keys, k.Public())
		}
		body = set
	}
	switch {
	case answer != nil:
		answer(w, r)
	case body == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(body)
	}
}

package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// What is asked of an issuer, and how much of it. Tokens cannot make the server
// ask more often than minInterval, nor elsewhere.
const (
	fresh       = time.Hour        // keys of this age are fetched again
	usable      = 24 * time.Hour   // and used this long if the issuer is away
	minInterval = 30 * time.Second // between two fetches from an issuer, whatever came of the first
	timeout     = 5 * time.Second  // for both requests together

	maxConfiguration = 64 << 10  // bytes
	maxKeySet        = 256 << 10 // bytes
	maxKeys          = 100
	maxIssuers       = 1024 // whose keys are kept

	minRSABits, maxRSABits = 2048, 8192
)

// A Verifier fetches the keys of issuers and keeps them. It may be used
// concurrently.
type Verifier struct {
	client  *http.Client
	mu      sync.Mutex
	issuers map[string]*issuer
}

// NewVerifier makes one that trusts the certificates that roots sign, or those
// that the system trusts if roots is nil.
func NewVerifier(roots *x509.CertPool) *Verifier {
	return &Verifier{
		issuers: map[string]*issuer{},
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				ForceAttemptHTTP2:      true,
				MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConns:           16,
				IdleConnTimeout:        10 * time.Second,
			},
			// The issuer's own URL is what was registered. Where it would send
			// us was not.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Verify proves that a token is the provider's, made out to one of its client
// ids, and not over at now. Every error is an *Error, but for those of ctx.
func (v *Verifier) Verify(ctx context.Context, t *Token, p Provider, now time.Time) (*Identity, error) {
	if t.Issuer != p.Issuer {
		return nil, missing("iss") // the caller has mixed up two providers
	}
	set, err := v.issuer(p.Issuer, now).keysInTurn(ctx, v.client, t.header(), now)
	if err != nil {
		return nil, err
	}
	for _, key := range set {
		if payload, err := t.jws.Verify(key); err == nil {
			return check(payload, p, now)
		}
	}
	return nil, &Error{Kind: Invalid, Message: "Token signature invalid"}
}

// header is of the one signature that a compact token has.
func (t *Token) header() jose.Header { return t.jws.Signatures[0].Protected }

// An issuer is asked by one caller at a time, who holds turn.
type issuer struct {
	url     string
	turn    chan struct{}
	asked   time.Time // guarded by Verifier.mu, for eviction
	tried   time.Time // when the last fetch began
	fetched time.Time // when the last that succeeded did
	set     []publicKey
	fault   error // of the last fetch
}

// issuer is the entry of an issuer; the one that was asked for longest ago makes
// room for a new one.
func (v *Verifier) issuer(url string, now time.Time) *issuer {
	v.mu.Lock()
	defer v.mu.Unlock()
	is := v.issuers[url]
	if is == nil {
		if len(v.issuers) >= maxIssuers {
			oldest := ""
			for u, other := range v.issuers {
				if oldest == "" || other.asked.Before(v.issuers[oldest].asked) {
					oldest = u
				}
			}
			delete(v.issuers, oldest)
		}
		is = &issuer{url: url, turn: make(chan struct{}, 1)}
		v.issuers[url] = is
	}
	is.asked = now
	return is
}

// keysInTurn is keys for who has waited for the turn.
func (is *issuer) keysInTurn(ctx context.Context, client *http.Client, h jose.Header, now time.Time) ([]any, error) {
	select {
	case is.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-is.turn }() // also if an answer of the issuer makes its reader panic
	return is.keys(ctx, client, h, now)
}

// keys are those that may have signed a token with a header. They are fetched
// if there are none yet, if they are no longer fresh, or if none fits: an issuer
// may sign with a key as soon as it has published it.
func (is *issuer) keys(ctx context.Context, client *http.Client, h jose.Header, now time.Time) ([]any, error) {
	age := now.Sub(is.fetched)
	found := fitting(is.set, h)
	if (len(found) == 0 || age > fresh) && now.Sub(is.tried) >= minInterval {
		is.fetch(ctx, client, now)
		age = now.Sub(is.fetched)
		found = fitting(is.set, h)
	}
	if len(found) > 0 && age <= usable {
		return found, nil
	}
	if unreachable, ok := errors.AsType[*unreachableError](is.fault); ok {
		return nil, &Error{Unreachable, "Couldn't reach your identity provider", unreachable}
	}
	return nil, &Error{Invalid, "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements", is.fault}
}

// fetch is not cut short with the request that caused it: who hangs up at once
// would have the next ones wait for the interval's end.
func (is *issuer) fetch(ctx context.Context, client *http.Client, now time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	is.tried = now
	set, err := fetchKeys(ctx, client, is.url)
	if is.fault = err; err == nil {
		is.set, is.fetched = set, now
	}
}

// fetchKeys follows OpenID Connect Discovery 1.0, section 4.
func fetchKeys(ctx context.Context, client *http.Client, issuer string) ([]publicKey, error) {
	var configuration struct {
		Issuer string `json:"issuer"`
		KeySet string `json:"jwks_uri"`
	}
	at := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	if err := get(ctx, client, at, maxConfiguration, &configuration); err != nil {
		return nil, err
	}
	if configuration.Issuer != issuer {
		return nil, errors.New("the issuer's configuration is another issuer's")
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := get(ctx, client, configuration.KeySet, maxKeySet, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the issuer has more than %d keys", maxKeys)
	}
	var keys []publicKey
	for _, raw := range set.Keys {
		if key, ok := raw.publicKey(); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// An unreachableError is a failure that may be gone at the next try.
type unreachableError struct{ error }

func get(ctx context.Context, client *http.Client, from string, limit int64, into any) error {
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("the issuer names no https URL")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return &unreachableError{err}
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return &unreachableError{fmt.Errorf("the issuer answered with status %d", answer.StatusCode)}
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("the issuer answered with status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return &unreachableError{err}
	}
	if int64(len(body)) > limit {
		return fmt.Errorf("the issuer answered with more than %d bytes", limit)
	}
	return json.Unmarshal(body, into)
}

// A jwk is one of an issuer's keys: of RFC 7517's members those of public keys.
// What else there may be, such as certificates, is not looked at.
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid,omitempty"`
	Use   string `json:"use,omitempty"`
	Alg   string `json:"alg,omitempty"`
	Curve string `json:"crv,omitempty"`
	N     string `json:"n,omitempty"`
	E     string `json:"e,omitempty"`
	X     string `json:"x,omitempty"`
	Y     string `json:"y,omitempty"`
}

type publicKey struct {
	id, alg string
	key     any // *rsa.PublicKey or *ecdsa.PublicKey
}

// publicKey is the key, if it is one that may sign; keys of other kinds may
// stand beside those.
func (k jwk) publicKey() (publicKey, bool) {
	if k.Use != "" && k.Use != "sig" {
		return publicKey{}, false
	}
	text, err := json.Marshal(k)
	if err != nil {
		return publicKey{}, false
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(text); err != nil {
		return publicKey{}, false
	}
	if key, ok := parsed.Key.(*rsa.PublicKey); ok && (key.N.BitLen() < minRSABits || key.N.BitLen() > maxRSABits) {
		return publicKey{}, false
	}
	return publicKey{k.ID, k.Alg, parsed.Key}, true
}

// fitting are the keys that a header may mean. A token without a key id may be
// signed by any: there are few, and each is the issuer's.
func fitting(set []publicKey, h jose.Header) []any {
	var found []any
	for _, k := range set {
		if (h.KeyID == "" || k.id == h.KeyID) && (k.alg == "" || k.alg == h.Algorithm) && signs(k.key, h.Algorithm) {
			found = append(found, k.key)
		}
	}
	return found
}

// signs ties each algorithm to its kind of key (RFC 7518, section 3.4).
func signs(key any, alg string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS")
	case *ecdsa.PublicKey:
		return key.Curve == map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
	}
	return false
}

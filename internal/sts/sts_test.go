package sts

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"azekura/internal/iam"
	"azekura/internal/organizations"
	"azekura/internal/seal"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const (
	account = "111111111111"
	region  = "us-east-1"
	service = "secretsmanager"
	body    = `{"SecretId":"s"}`
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// A door is the service over a fresh store, with the administrator's
// credentials.
type door struct {
	*Service
	db    *store.DB
	creds sigv4.Credentials
}

func newDoor(t testing.TB) *door {
	t.Helper()
	db := storetest.Memory(t)
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	users := iam.New(iam.Config{DB: db, Keyring: keyring})
	key, _, err := users.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	return &door{
		Service: New(Config{IAM: users, Organizations: organizationOf(t, db, keyring), Regions: []string{"us-west-2", region}}),
		db:      db,
		creds:   sigv4.Credentials{AccessKeyID: key.AccessKeyID, Secret: string(key.Secret)},
	}
}

// organizationOf makes the organization of the first account.
func organizationOf(t testing.TB, db *store.DB, keyring *seal.Keyring) *organizations.Service {
	t.Helper()
	orgs := organizations.New(organizations.Config{DB: db, Keyring: keyring, Management: account, Add: func(tx *store.Tx, m organizations.Member) error {
		return iam.AddMember(tx, iam.Member(m))
	}})
	if err := orgs.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return orgs
}

func newRequest() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4584/", nil)
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	return r
}

func signed(creds sigv4.Credentials) *http.Request {
	r := newRequest()
	sigv4.Sign(r, creds, region, service, sha256.Sum256([]byte(body)), now)
	return r
}

func kindOf(t *testing.T, err error) sigv4.Kind {
	t.Helper()
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok {
		t.Fatalf("got %v, want a refusal", err)
	}
	return e.Kind
}

func TestAuthenticate(t *testing.T) {
	d := newDoor(t)
	presigned := newRequest()
	sigv4.Presign(presigned, d.creds, region, service, sha256.Sum256([]byte(body)), now, time.Minute)
	for name, r := range map[string]*http.Request{"header": signed(d.creds), "presigned": presigned} {
		verify, err := d.Authenticate(r, service, netip.Addr{}, now, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c, err := verify(sha256.Sum256([]byte(body)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Region != region || c.AccessKeyID != d.creds.AccessKeyID || c.Policies == nil ||
			c.Principal.ARN != "arn:aws:iam::111111111111:user/admin" || c.Principal.Account != account {
			t.Errorf("%s: the call is %v with principal %+v", name, c.LogValue(), c.Principal)
		}
	}
}

func TestRefusedBeforeTheBody(t *testing.T) {
	d := newDoor(t)
	with := func(change func(*sigv4.Credentials)) *http.Request {
		creds := d.creds
		change(&creds)
		return signed(creds)
	}
	inRegion := newRequest()
	sigv4.Sign(inRegion, d.creds, "eu-west-1", service, sha256.Sum256([]byte(body)), now)
	garbled := signed(d.creds)
	garbled.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential")
	const invalid = "The security token included in the request is invalid."
	for name, test := range map[string]struct {
		r       *http.Request
		service string
		now     time.Time
		kind    sigv4.Kind
		text    string
	}{
		"unsigned":      {newRequest(), service, now, sigv4.Missing, "Missing Authentication Token"},
		"garbled":       {garbled, service, now, sigv4.Incomplete, "not a valid key=value pair"},
		"other service": {signed(d.creds), "kms", now, sigv4.Mismatch, "correct service: 'kms'"},
		"other region":  {inRegion, service, now, sigv4.Mismatch, "not 'eu-west-1'"},
		"too late":      {signed(d.creds), service, now.Add(6 * time.Minute), sigv4.Mismatch, "Signature expired"},
		"too early":     {signed(d.creds), service, now.Add(-6 * time.Minute), sigv4.Mismatch, "not yet current"},
		"unknown key":   {with(func(c *sigv4.Credentials) { c.AccessKeyID = "AKIAIOSFODNN7EXAMPLE" }), service, now, sigv4.UnknownKey, invalid},
		"long key":      {with(func(c *sigv4.Credentials) { c.AccessKeyID = strings.Repeat("A", 129) }), service, now, sigv4.UnknownKey, invalid},
		"odd key":       {with(func(c *sigv4.Credentials) { c.AccessKeyID = "'--" }), service, now, sigv4.UnknownKey, invalid},
		"session key":   {with(func(c *sigv4.Credentials) { c.AccessKeyID = "ASIAIOSFODNN7EXAMPLE" }), service, now, sigv4.UnknownKey, invalid},
		"session token": {with(func(c *sigv4.Credentials) { c.Token = "x" }), service, now, sigv4.UnknownKey, invalid},
	} {
		t.Run(name, func(t *testing.T) {
			verify, err := d.Authenticate(test.r, test.service, netip.Addr{}, test.now, nil)
			if kind := kindOf(t, err); kind != test.kind || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.kind, test.text)
			}
			if verify != nil {
				t.Error("there is a second stage")
			}
		})
	}
}

// A session's access key without its token is refused even if such a key is in
// the store.
func TestSessionKeysAreRefusedByTheirForm(t *testing.T) {
	db := storetest.Memory(t)
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	users := iam.New(iam.Config{DB: db, Keyring: keyring})
	given := iam.AccessKey{AccessKeyID: "ASIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	if _, _, err := users.BootstrapWith(t.Context(), account, given); err != nil {
		t.Fatal(err)
	}
	s := New(Config{IAM: users, Organizations: organizationOf(t, db, keyring), Regions: []string{region}})
	_, err = s.Authenticate(signed(sigv4.Credentials{AccessKeyID: given.AccessKeyID, Secret: string(given.Secret)}), service, netip.Addr{}, now, nil)
	if kind := kindOf(t, err); kind != sigv4.UnknownKey {
		t.Errorf("got %v", err)
	}
}

func TestRefusedByTheSignature(t *testing.T) {
	d := newDoor(t)
	for name, test := range map[string]struct {
		secret, body string
		change       func(*http.Request)
	}{
		"wrong secret":   {"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", body, func(*http.Request) {}},
		"other body":     {d.creds.Secret, `{"SecretId":"t"}`, func(*http.Request) {}},
		"no body":        {d.creds.Secret, "", func(*http.Request) {}},
		"other target":   {d.creds.Secret, body, func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.DeleteSecret") }},
		"other host":     {d.creds.Secret, body, func(r *http.Request) { r.Host = "example.com" }},
		"other path":     {d.creds.Secret, body, func(r *http.Request) { r.URL.Path = "/x" }},
		"with parameter": {d.creds.Secret, body, func(r *http.Request) { r.URL.RawQuery = "a=b" }},
	} {
		t.Run(name, func(t *testing.T) {
			r := signed(sigv4.Credentials{AccessKeyID: d.creds.AccessKeyID, Secret: test.secret})
			test.change(r)
			verify, err := d.Authenticate(r, service, netip.Addr{}, now, nil)
			if err != nil {
				t.Fatal(err)
			}
			c, err := verify(sha256.Sum256([]byte(test.body)))
			if kind := kindOf(t, err); kind != sigv4.Mismatch || c != nil {
				t.Errorf("got %v, %v", c, err)
			}
			if strings.Contains(err.Error(), test.secret) {
				t.Error("the refusal tells the secret")
			}
		})
	}
}

func TestInactiveKey(t *testing.T) {
	d := newDoor(t)
	err := d.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE iam_access_keys SET status = 'Inactive'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Authenticate(signed(d.creds), service, netip.Addr{}, now, nil)
	if kind := kindOf(t, err); kind != sigv4.UnknownKey {
		t.Errorf("got %v", err)
	}
}

// A store that cannot answer is the server's failure, not the caller's.
func TestStoreFailureIsNoRefusal(t *testing.T) {
	d := newDoor(t)
	r := signed(d.creds)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.db.Close()
	_, err := d.Authenticate(r.WithContext(ctx), service, netip.Addr{}, now, nil)
	if _, refused := errors.AsType[*sigv4.Error](err); err == nil || refused {
		t.Errorf("got %v", err)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	d := newDoor(b)
	r, sum := signed(d.creds), sha256.Sum256([]byte(body))
	b.ReportAllocs()
	for b.Loop() {
		verify, err := d.Authenticate(r, service, netip.Addr{}, now, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := verify(sum); err != nil {
			b.Fatal(err)
		}
	}
}

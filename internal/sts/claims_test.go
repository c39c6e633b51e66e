package sts

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"azekura/internal/iam"
	"azekura/internal/seal"
	"azekura/internal/store/storetest"
)

var sameClaims = cmp.AllowUnexported(claims{}, attribute{}, tag{})

func aRoleSession() *claims {
	return &claims{
		kind: roleSession, account: account, id: "AROAQAAAAAAAGMKEM7X5X", name: "ci",
		issued: now.UnixMilli(), lifetime: hour, mfa: now.Add(-time.Minute).UnixMilli(),
		sourceIdentity: "ann", provider: "arn:aws:iam::111111111111:oidc-provider/idp.example.com/a",
		identity:   []attribute{{"sub", []string{"repo"}}, {"amr", []string{"a", "b"}}},
		tags:       []tag{{"team", "red", true}, {"cost", "", false}},
		policy:     `{"Version": "2012-10-17", "Statement": []}`,
		policyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
	}
}

func newRing(t testing.TB) *seal.Keyring {
	t.Helper()
	ring, err := seal.OpenKeyring(t.Context(), storetest.Memory(t), seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestTokenComesBack(t *testing.T) {
	ring := newRing(t)
	want := aRoleSession()
	creds, err := issue(ring, want)
	if err != nil {
		t.Fatal(err)
	}
	if of, ok := iam.AccountOf(creds.accessKeyID); !ok || of != account || !strings.HasPrefix(creds.accessKeyID, "ASIA") || len(creds.secret) != 40 {
		t.Errorf("access key %s of account %s with a secret of %d characters", creds.accessKeyID, of, len(creds.secret))
	}
	got, secret, err := open(ring, creds.accessKeyID, creds.token)
	if err != nil || secret != creds.secret {
		t.Fatalf("the token does not open, or gives another secret: %v", err)
	}
	if diff := cmp.Diff(want, got, sameClaims); diff != "" {
		t.Errorf("other claims came back:\n%s", diff)
	}
	if end := got.expires(); !end.Equal(now.Add(time.Hour)) || !got.issueTime().Equal(now) {
		t.Errorf("it lasts from %v to %v", got.issueTime(), end)
	}
	second, err := issue(ring, want)
	if err != nil || second.secret == creds.secret || second.accessKeyID == creds.accessKeyID || second.token == creds.token {
		t.Errorf("a second session of the same claims shares credentials with the first, %v", err)
	}
}

// However a token is changed, it opens no more, nor does it for another access
// key or in another deployment.
func TestTamperedToken(t *testing.T) {
	ring := newRing(t)
	creds, err := issue(ring, aRoleSession())
	if err != nil {
		t.Fatal(err)
	}
	other, err := issue(ring, aRoleSession())
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(what string, ring *seal.Keyring, id, token string) {
		t.Helper()
		if c, secret, err := open(ring, id, token); !errors.Is(err, errToken) || c != nil || secret != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range creds.token {
		changed := []byte(creds.token)
		changed[i] ^= 1
		refuse("changed", ring, creds.accessKeyID, string(changed))
		refuse("cut", ring, creds.accessKeyID, creds.token[:i])
	}
	refuse("longer", ring, creds.accessKeyID, creds.token+"A")
	refuse("with a line break", ring, creds.accessKeyID, creds.token+"\n")
	refuse("padded", ring, creds.accessKeyID, creds.token+"==")
	refuse("huge", ring, creds.accessKeyID, strings.Repeat("A", maxTokenLength+1))
	refuse("with another access key", ring, other.accessKeyID, creds.token)
	refuse("without an access key", ring, "", creds.token)
	refuse("elsewhere", newRing(t), creds.accessKeyID, creds.token)
	refuse("sealed for something else", ring, creds.accessKeyID,
		tokenEncoding.EncodeToString(ring.Seal(aRoleSession().encode(), []byte("page token"))))
	refuse("sealed, but no claims", ring, creds.accessKeyID,
		tokenEncoding.EncodeToString(ring.Seal([]byte{claimsVersion}, claimsAAD(creds.accessKeyID))))
}

func TestClaimsComeBack(t *testing.T) {
	text := rapid.StringN(0, 20, 80)
	texts := rapid.SliceOfN(text, 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		want := &claims{
			kind:    rapid.SampledFrom([]kind{roleSession, userSession, federatedSession}).Draw(t, "kind"),
			account: text.Draw(t, "account"), id: text.Draw(t, "id"), parent: text.Draw(t, "parent"), name: text.Draw(t, "name"),
			issued: rapid.Int64Min(0).Draw(t, "issued"), lifetime: rapid.Int64Min(0).Draw(t, "lifetime"), mfa: rapid.Int64Min(0).Draw(t, "mfa"),
			sourceIdentity: text.Draw(t, "source"), provider: text.Draw(t, "provider"),
			policy: text.Draw(t, "policy"),
		}
		for _, s := range texts.Draw(t, "attributes") {
			want.identity = append(want.identity, attribute{s, []string{s}})
			want.tags = append(want.tags, tag{s, s + "x", len(s)%2 == 0})
			want.policyARNs = append(want.policyARNs, s)
		}
		got, err := decodeClaims(want.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameClaims); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What is read as claims is written again as the same bytes: nothing that is
// not said is taken for something.
func FuzzClaims(f *testing.F) {
	for _, c := range []*claims{aRoleSession(), {kind: userSession}, {kind: federatedSession, tags: []tag{{"a", "b", true}}}} {
		b := c.encode()
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	f.Add([]byte{claimsVersion, 1, 0x80, 0})
	f.Add([]byte{claimsVersion, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{claimsVersion + 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeClaims(b); err == nil && !bytes.Equal(c.encode(), b) {
			t.Errorf("%x is read as %+v, which is %x", b, c, c.encode())
		}
	})
}

// Whatever a stranger sends as token and access key id, only what was issued
// opens.
func FuzzToken(f *testing.F) {
	ring := newRing(f)
	creds, err := issue(ring, aRoleSession())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(creds.accessKeyID, creds.token)
	f.Add(creds.accessKeyID, creds.token[:len(creds.token)-1])
	f.Add("ASIAQAAAAAAAGMKEM7X5", creds.token)
	f.Add(creds.accessKeyID, strings.ToLower(creds.token))
	f.Add("", "")
	f.Add(creds.accessKeyID, "FwoGZXIvYXdzEXAMPLETOKEN==")
	f.Fuzz(func(t *testing.T, id, token string) {
		_, _, err := open(ring, id, token)
		if issued := id == creds.accessKeyID && token == creds.token; (err == nil) != issued {
			t.Errorf("%q with access key id %q: %v", token, id, err)
		}
	})
}

func TestTokenCache(t *testing.T) {
	entry := func(i int) *opened {
		id := string(rune('A' + i))
		return &opened{claims: &claims{}, accessKeyID: id, token: "token of " + id}
	}
	size := entry(0).size()
	c := newTokenCache(8 * size)
	for i := range 8 {
		c.put(entry(i))
	}
	if len(c.entries) != 8 {
		t.Fatalf("it keeps %d, though there is room", len(c.entries))
	}
	if o := c.get("A", "token of A"); o == nil || o.accessKeyID != "A" {
		t.Fatal("it does not find what was put")
	}
	for name, pair := range map[string][2]string{"another token": {"A", "token of B"}, "another id": {"B", "token of A"}, "nothing": {"A", ""}} {
		if c.get(pair[0], pair[1]) != nil {
			t.Errorf("it finds a session by %s", name)
		}
	}
	for i := range 20 {
		c.put(entry(8 + i))
		if c.get("A", "token of A") == nil {
			t.Fatalf("what is used is gone after %d others", i)
		}
		if n := int64(len(c.entries)) * size; n > 8*size || c.bytes != n || len(c.ring) != len(c.entries) {
			t.Fatalf("it holds %d bytes, counts %d", n, c.bytes)
		}
	}
	if c.get("B", "token of B") != nil {
		t.Error("what was not used is still there")
	}
	long := strings.Repeat("x", int(8*size))
	c.put(&opened{claims: &claims{}, accessKeyID: "Z", token: long})
	if c.get("Z", long) != nil {
		t.Error("it keeps what is larger than the limit")
	}
}

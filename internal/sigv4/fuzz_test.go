package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// claimOf parses a request that may be anything. What is refused is refused
// with an *Error and nothing else.
func claimOf(t *testing.T, r *http.Request) (*Claim, bool) {
	t.Helper()
	c, err := Parse(r)
	if err == nil {
		return c, true
	}
	if e, ok := errors.AsType[*Error](err); !ok || c != nil || e.Kind != Missing && e.Kind != Incomplete && e.Kind != UnknownKey {
		t.Fatalf("Parse: got %v, %v", c, err)
	}
	return nil, false
}

// sameClaim wants both to say the same, also of what a Claim does not print.
func sameClaim(t *testing.T, a, b *Claim) {
	t.Helper()
	if *a != *b {
		t.Errorf("%+v and %+v differ", *a, *b)
	}
}

// refused wants a signature that a stranger made up to be worth nothing.
func refused(t *testing.T, r *http.Request, c *Claim) {
	t.Helper()
	key := DeriveKey("a secret that signed nothing", c.Date, c.Region, c.Service)
	if err := c.Verify(r, key, sha256.Sum256(nil)); err == nil {
		t.Error("verified with a key that signed nothing")
	}
}

// FuzzHeader: what an Authorization header is read as can be written down, and
// is then read as the same.
func FuzzHeader(f *testing.F) {
	f.Add(full, "20260115T120000Z", "")
	f.Add(full, "Thu, 15 Jan 2026 12:00:00 GMT", "token")
	f.Add(strings.ReplaceAll(full, ", ", ","), "20260115T120000Z", "")
	f.Add("Basic dXNlcjpwYXNz", "", "")
	f.Add(algorithm+" Credential=a//b/c/d/,=,", "20260230T120000Z", "\x00")
	f.Add(algorithm+" Credential=, Signature=, SignedHeaders=;;", "-", "")
	f.Fuzz(func(t *testing.T, authorization, date, token string) {
		r := &http.Request{Method: http.MethodPost, URL: &url.URL{Path: "/"}, Host: "localhost", Header: http.Header{
			"Authorization": {authorization}, "X-Amz-Date": {date},
		}}
		if token != "" {
			r.Header.Set("X-Amz-Security-Token", token)
		}
		c, ok := claimOf(t, r)
		if !ok {
			return
		}
		if c.Presigned || c.Token != token || c.Time.Format(timeForm) != date {
			t.Errorf("%q at %q is read as %+v", authorization, date, *c)
		}
		refused(t, r, c)
		r.Header.Set("Authorization", algorithm+" Credential="+c.credential()+", SignedHeaders="+c.signedHeaders+
			", Signature="+hex.EncodeToString(c.signature[:]))
		again, ok := claimOf(t, r)
		if !ok {
			t.Fatal("what was read is refused when it is written down")
		}
		sameClaim(t, c, again)
	})
}

// FuzzQuery: the same for the query string, of which net/url must also read
// what we do.
func FuzzQuery(f *testing.F) {
	query := strings.TrimPrefix(presigned, "/?")
	f.Add(query)
	f.Add(query + "&X-Amz-Security-Token=a%2Bb")
	f.Add("X-Amz-Algorithm&X-Amz-Credential=%zz")
	f.Add("&&a=+&b=%2b;c=d&" + query)
	f.Add(query + "&x-amz-expires=61")
	f.Fuzz(func(t *testing.T, raw string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/", RawQuery: raw}, Host: "localhost", Header: http.Header{}}
		c, ok := claimOf(t, r)
		if !ok {
			return
		}
		refused(t, r, c)
		written := url.Values{
			"X-Amz-Algorithm": {algorithm}, "X-Amz-Credential": {c.credential()}, "X-Amz-Date": {c.Time.Format(timeForm)},
			"X-Amz-Expires": {strconv.Itoa(int(c.Expires.Seconds()))}, "X-Amz-SignedHeaders": {c.signedHeaders}, "X-Amz-Signature": {hex.EncodeToString(c.signature[:])},
		}
		if c.Token != "" {
			written.Set("X-Amz-Security-Token", c.Token)
		}
		r.URL.RawQuery = written.Encode()
		again, ok := claimOf(t, r)
		if !ok {
			t.Fatal("what was read is refused when it is written down")
		}
		sameClaim(t, c, again)
		if strings.Contains(raw, ";") { // which net/url takes no query with
			return
		}
		other, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("net/url refuses what we read: %v", err)
		}
		for name := range written {
			if name != "X-Amz-Expires" && other.Get(name) != written.Get(name) {
				t.Errorf("%s is %q to us and %q to net/url", name, written.Get(name), other.Get(name))
			}
		}
	})
}

// FuzzCanonical holds the canonical forms of a path and a query against others
// that are made of the standard library's parts.
func FuzzCanonical(f *testing.F) {
	for _, seed := range [][2]string{{"/", ""}, {"/a/./../b//c/", "b=2&a=1&a=0"}, {"/%2e%2E/ü", "a=%20+&=&b"}, {"//", "a;b"}, {"/..", "%41=%zz"}, {"a/..//", "&&"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, rawPath, rawQuery string) {
		want := path.Clean("/" + rawPath)
		// Clean drops the slash that says a folder is meant. Dots at the end
		// mean one too, but not to AWS.
		if want != "/" && strings.HasSuffix(rawPath, "/") {
			want += "/"
		}
		var segments []string
		for segment := range strings.SplitSeq(want, "/") {
			segments = append(segments, encoded(segment))
		}
		if got := string(appendPath(nil, rawPath)); got != strings.Join(segments, "/") {
			t.Errorf("path %q: got %q, want %q", rawPath, got, strings.Join(segments, "/"))
		}
		values, err := url.ParseQuery(rawQuery)
		got, ok := appendQuery(nil, rawQuery, false)
		if strings.Contains(rawQuery, ";") || len(rawQuery) > maxQuery || strings.Count(rawQuery, "&") >= maxParameters {
			return
		}
		if ok != (err == nil) {
			t.Fatalf("query %q: read %v, by net/url %v", rawQuery, ok, err)
		}
		var pairs []string
		for name, all := range values {
			for _, value := range all {
				pairs = append(pairs, encoded(name)+"="+encoded(value))
			}
		}
		slices.SortFunc(pairs, func(a, b string) int {
			aName, aValue, _ := strings.Cut(a, "=")
			bName, bValue, _ := strings.Cut(b, "=")
			return slices.Compare([]string{aName, aValue}, []string{bName, bValue})
		})
		if ok && string(got) != strings.Join(pairs, "&") {
			t.Errorf("query %q: got %q, want %q", rawQuery, got, strings.Join(pairs, "&"))
		}
	})
}

func encoded(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

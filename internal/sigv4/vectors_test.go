package sigv4

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secrets are those of the keys in testdata: AWS's published examples.
var secrets = map[string]string{
	"AKIDEXAMPLE":          "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
}

// A vector is a signed request as it is on the wire.
type vector struct{ name, wire string }

func vectors(t testing.TB) []vector {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split(string(text), "\n== ")[1:] {
			name, wire, _ := strings.Cut(c, "\n")
			all = append(all, vector{filepath.Base(file) + "/" + name, strings.TrimSuffix(wire, "\n") + "\n\n"})
		}
	}
	return all
}

// receive reads a request the way a server does, and hashes its body.
func receive(t testing.TB, wire string) (*http.Request, [sha256.Size]byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, sha256.Sum256(body)
}

// check is all that a server asks of a claim, at the time of its signature.
func check(c *Claim, r *http.Request, body [sha256.Size]byte) error {
	if err := c.CheckScope(c.Service, []string{"us-east-1", "eu-west-1"}); err != nil {
		return err
	}
	if err := c.CheckTime(c.Time); err != nil {
		return err
	}
	return c.Verify(r, DeriveKey(secrets[c.AccessKeyID], c.Date, c.Region, c.Service), body)
}

func TestVectorsVerify(t *testing.T) {
	all := vectors(t)
	if len(all) < 70 {
		t.Fatalf("%d vectors, want at least 70", len(all))
	}
	for _, v := range all {
		t.Run(v.name, func(t *testing.T) {
			r, body := receive(t, v.wire)
			c, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := check(c, r, body); err != nil {
				t.Error(err)
			}
			body[0] ^= 1
			if err := check(c, r, body); err == nil {
				t.Error("another body verifies too")
			}
		})
	}
}

// rawOnWire are the vectors with characters in the path that net/http, being
// the client, would write percent-encoded; a signature is of what is written.
var rawOnWire = map[string]bool{"aws.txt/get-utf8": true}

// What is signed again with the same key at the same time has the same
// signature.
func TestVectorsSign(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			r, body := receive(t, v.wire)
			c, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case rawOnWire[v.name], !c.signs("x-amz-security-token") && r.Header.Get("X-Amz-Security-Token") != "",
				r.Header.Get("Date") != "", c.signs("content-length"), c.Presigned:
				t.Skip("signed in a way that Sign does not")
			}
			want := r.Header.Get("Authorization")
			Sign(r, Credentials{c.AccessKeyID, secrets[c.AccessKeyID], c.Token}, c.Region, c.Service, body, c.Time)
			if got := r.Header.Get("Authorization"); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestVectorsPresign(t *testing.T) {
	seen := 0
	for _, v := range vectors(t) {
		r, body := receive(t, v.wire)
		c, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Presigned {
			continue
		}
		seen++
		want := r.URL.RawQuery
		r.URL.RawQuery, _, _ = strings.Cut(want, "&X-Amz-Algorithm=")
		Presign(r, Credentials{c.AccessKeyID, secrets[c.AccessKeyID], c.Token}, c.Region, c.Service, body, c.Time, c.Expires)
		if got := r.URL.RawQuery; got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", v.name, got, want)
		}
	}
	if seen < 5 {
		t.Errorf("%d presigned vectors, want 5", seen)
	}
}

// A request with a blank in its path cannot be sent, but AWS's suite has one.
func TestVectorGetSpace(t *testing.T) {
	r, body := receive(t, "GET / HTTP/1.1\nHost:example.amazonaws.com\nX-Amz-Date:20150830T123600Z\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "+
		"Signature=652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741\n\n")
	r.URL.Path, r.URL.RawPath = "/example space/", "/example space/"
	c, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := check(c, r, body); err != nil {
		t.Error(err)
	}
}

// The canonical requests whose hashes are known besides the signatures.
func TestCanonicalRequest(t *testing.T) {
	want := map[string]string{
		"own.txt/V1": "33053088652095eaa2b5d3823f2e7906370147f5c2b379ddb759456b33f474a6",
		"own.txt/V2": "903b5c84a9b4c658dc7b37474d3a5d0a8503fa55ad1b873042908e7e7866c419",
		"own.txt/V3": "d8ce67a668d202efe4a7b794a2fe77ee37620f66f4a89819f072547cee1713ab",
	}
	for _, v := range vectors(t) {
		if want[v.name] == "" {
			continue
		}
		r, body := receive(t, v.wire)
		c, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		canonical, ok := c.appendCanonicalRequest(nil, r, wirePath(r), body)
		if got := sha256.Sum256(canonical); !ok || hex.EncodeToString(got[:]) != want[v.name] {
			t.Errorf("%s: got %s for\n%s\nwant %s", v.name, hex.EncodeToString(got[:]), canonical, want[v.name])
		}
		delete(want, v.name)
	}
	if len(want) > 0 {
		t.Errorf("no vectors for %v", want)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, v := range vectors(b) {
		if v.name != "own.txt/V2" {
			continue
		}
		r, body := receive(b, v.wire)
		c, err := Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		key := DeriveKey(secrets[c.AccessKeyID], c.Date, c.Region, c.Service)
		now := c.Time.Add(time.Second)
		b.ReportAllocs()
		for b.Loop() {
			c, err := Parse(r)
			if err != nil {
				b.Fatal(err)
			}
			if err := c.CheckTime(now); err != nil {
				b.Fatal(err)
			}
			if err := c.Verify(r, key, body); err != nil {
				b.Fatal(err)
			}
		}
	}
}

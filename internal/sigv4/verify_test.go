package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }

var someCredentials = Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}

var someTime = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// drawRequest is a request with some of all that can be signed.
func drawRequest(t *rapid.T) *http.Request {
	word := rapid.StringMatching(`[a-z0-9 %&=+/.~é校-]{0,12}`)
	u := &url.URL{Scheme: "http", Host: "localhost:4584", Path: "/" + rapid.StringMatching(`[a-zé /.%~-]{0,20}`).Draw(t, "path")}
	query := url.Values{}
	for _, name := range rapid.SliceOfN(word, 0, 4).Draw(t, "names") {
		query.Add(name, word.Draw(t, "value"))
	}
	u.RawQuery = query.Encode()
	r := &http.Request{Method: rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method"), URL: u, Host: u.Host, Header: http.Header{}}
	for _, name := range rapid.SliceOfN(rapid.StringMatching(`[A-Za-z][a-z0-9-]{0,8}`), 0, 4).Draw(t, "headers") {
		r.Header.Add("X-"+name, rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "header"))
	}
	return r
}

// sent is r as the server has it.
func sent(t *rapid.T, r *http.Request) *http.Request {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	received, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return received
}

func verify(r *http.Request, creds Credentials, body [sha256.Size]byte) error {
	c, err := Parse(r)
	if err != nil {
		return err
	}
	if c.AccessKeyID != creds.AccessKeyID {
		return Refuse(UnknownKey)
	}
	return c.Verify(r, DeriveKey(creds.Secret, c.Date, c.Region, c.Service), body)
}

// signEither signs in one carrier or the other.
func signEither(t *rapid.T, r *http.Request, creds Credentials, body [sha256.Size]byte) {
	if rapid.Bool().Draw(t, "presigned") {
		Presign(r, creds, "us-east-1", "secretsmanager", body, someTime, time.Minute)
		return
	}
	Sign(r, creds, "us-east-1", "secretsmanager", body, someTime)
}

// Whatever is signed verifies, over the wire, and with one bit of one of its
// parts changed it does not.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		creds := someCredentials
		creds.Token = rapid.SampledFrom([]string{"", "FwoGZXIvYXdz=="}).Draw(t, "token")
		body := sha256.Sum256(rapid.SliceOf(rapid.Byte()).Draw(t, "body"))
		r := drawRequest(t)
		signEither(t, r, creds, body)
		received := sent(t, r)
		if err := verify(received, creds, body); err != nil {
			t.Fatalf("%s %s %v: %v", received.Method, received.URL, received.Header, err)
		}

		other := body
		other[rapid.IntRange(0, len(body)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if verify(received, creds, other) == nil {
			t.Error("verifies with another body")
		}
		if verify(received, Credentials{creds.AccessKeyID, flipped(t, creds.Secret), creds.Token}, body) == nil {
			t.Error("verifies with another secret")
		}
		part := tamper(t, received)
		if verify(received, creds, body) == nil {
			t.Errorf("verifies with another %s: %s %s %v", part, received.Method, received.URL, received.Header)
		}
	})
}

// flipped is s with one bit of one character changed.
func flipped(t *rapid.T, s string) string {
	b := []byte(s)
	b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 6).Draw(t, "flip")
	return string(b)
}

// tamper changes one signed part of a request, and says which.
func tamper(t *rapid.T, r *http.Request) string {
	parts := []string{"method", "host", "path", "query"}
	for name := range r.Header {
		if !slices.Contains(unsigned, strings.ToLower(name)) && strings.TrimSpace(r.Header.Get(name)) != "" {
			parts = append(parts, name)
		}
	}
	if r.Header.Get("Authorization") != "" {
		parts = append(parts, "Authorization")
	}
	slices.Sort(parts)
	part := rapid.SampledFrom(parts).Draw(t, "part")
	switch part {
	case "method":
		r.Method = flipped(t, r.Method)
	case "host":
		r.Host = flipped(t, r.Host)
	case "path":
		r.URL.RawPath = strings.TrimSuffix(wirePath(r), "/") + "/x"
	case "query":
		if r.URL.RawQuery == "" {
			r.URL.RawQuery = "x"
			break
		}
		before := canonicalQuery(r.URL.RawQuery)
		for canonicalQuery(r.URL.RawQuery) == before {
			r.URL.RawQuery = flipped(t, r.URL.RawQuery)
		}
	default:
		before := string(appendFolded(nil, r.Header.Get(part)))
		after := before
		for string(appendFolded(nil, after)) == before {
			after = flipped(t, before)
		}
		r.Header[part][0] = after
	}
	return part
}

func canonicalQuery(raw string) string {
	b, ok := appendQuery(nil, raw, false)
	if !ok {
		return "malformed"
	}
	return string(b)
}

func signedRequest(t *testing.T, headers ...string) (*http.Request, [sha256.Size]byte) {
	t.Helper()
	r, body := receive(t, "POST / HTTP/1.1\nHost: localhost:4584\n"+strings.Join(headers, "\n")+"\nContent-Length: 2\n\n{}")
	Sign(r, someCredentials, "us-east-1", "secretsmanager", body, someTime)
	return r, body
}

// resign signs r again with the given names as its signed headers.
func resign(t *testing.T, r *http.Request, body [sha256.Size]byte, names string) {
	t.Helper()
	c := newClaim(someCredentials, "us-east-1", "secretsmanager", someTime)
	c.signedHeaders = names
	r.Header.Set("Authorization", algorithm+" Credential="+c.credential()+", SignedHeaders="+names+", Signature="+c.sign(r, someCredentials.Secret, body))
}

func TestVerifyWantsHeadersSigned(t *testing.T) {
	r, body := signedRequest(t, "X-Amz-Target: secretsmanager.GetSecretValue")
	resign(t, r, body, "host;x-amz-date;x-amz-target")
	if err := verify(r, someCredentials, body); err != nil {
		t.Fatal(err)
	}
	resign(t, r, body, "x-amz-date;x-amz-target")
	wantError(t, "host", verify(r, someCredentials, body), Mismatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	resign(t, r, body, "host;x-amz-date")
	wantError(t, "target", verify(r, someCredentials, body), Mismatch, "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.")
}

func TestVerifyRefusesHeaderLists(t *testing.T) {
	for _, names := range []string{"x-amz-date;host", "host;host;x-amz-date", "host;;x-amz-date", ";host", "host;", "Host;host;x-amz-date", "host;x-absent"} {
		r, body := signedRequest(t)
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;x-amz-date", names, 1))
		if err := verify(r, someCredentials, body); err == nil {
			t.Errorf("%q verifies", names)
		}
	}
}

// A digest that is not of the body would let a signature hold for any body.
func TestVerifyChecksDeclaredBody(t *testing.T) {
	for _, declared := range []string{"UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hex64, "", strings.ToUpper("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")} {
		r, body := signedRequest(t, "X-Amz-Content-Sha256: "+declared)
		wantError(t, declared, verify(r, someCredentials, body), Mismatch, "does not match the signature you provided")
	}
	r, body := signedRequest(t, "X-Amz-Content-Sha256: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
	if err := verify(r, someCredentials, body); err != nil {
		t.Error(err)
	}
}

// net/http takes some headers out of the map.
func TestVerifyHeadersOutsideTheMap(t *testing.T) {
	r, body := signedRequest(t)
	resign(t, r, body, "content-length;host;x-amz-date")
	r.Header.Del("Content-Length")
	if err := verify(r, someCredentials, body); err != nil {
		t.Errorf("content-length: %v", err)
	}
	r.ContentLength = 3
	if err := verify(r, someCredentials, body); err == nil {
		t.Error("verifies with another content-length")
	}
	r.ContentLength = -1
	r.TransferEncoding = []string{"chunked"}
	resign(t, r, body, "host;transfer-encoding;x-amz-date")
	if err := verify(r, someCredentials, body); err != nil {
		t.Errorf("transfer-encoding: %v", err)
	}
	r.TransferEncoding = nil
	if err := verify(r, someCredentials, body); err == nil {
		t.Error("verifies without transfer-encoding")
	}
}

// The host is what the client sent, and no proxy's word for it.
func TestVerifyIgnoresForwardedHost(t *testing.T) {
	r, body := signedRequest(t)
	r.Header.Set("X-Forwarded-Host", "localhost:4584")
	r.Header.Set("Host", "localhost:4584")
	r.Host = "proxy"
	wantError(t, "host", verify(r, someCredentials, body), Mismatch, "does not match")
}

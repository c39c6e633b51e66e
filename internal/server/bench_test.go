package server

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"azekura/internal/sigv4"
)

// A bench calls the whole server but for the network, over a database file.
type bench struct {
	b     *testing.B
	s     *Server
	creds sigv4.Credentials
}

func newBench(b *testing.B) *bench {
	b.Helper()
	cfg := Defaults()
	cfg.DataDir, cfg.Listen = b.TempDir()+"/data", "127.0.0.1:0"
	cfg.RateLimits = []string{"off"}
	s, err := New(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	x := &bench{b: b, s: s}
	for _, v := range s.Environment() {
		switch v.Name {
		case "AWS_ACCESS_KEY_ID":
			x.creds.AccessKeyID = v.Value
		case "AWS_SECRET_ACCESS_KEY":
			x.creds.Secret = v.Value
		}
	}
	return x
}

func (x *bench) call(op, body string) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "secretsmanager."+op)
	sigv4.Sign(r, x.creds, "us-east-1", "secretsmanager", sha256.Sum256([]byte(body)), time.Now())
	w := httptest.NewRecorder()
	x.s.http.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		x.b.Fatal(w.Body)
	}
}

var value1K = strings.Repeat("0123456789abcdef", 64)

// A benchmark's time includes signing the request, some 10 µs.
func BenchmarkGetSecretValue(b *testing.B) {
	x := newBench(b)
	x.call("CreateSecret", fmt.Sprintf(`{"Name":"s","ClientRequestToken":"%032d","SecretString":%q}`, 0, value1K))
	b.ReportAllocs()
	for b.Loop() {
		x.call("GetSecretValue", `{"SecretId":"s"}`)
	}
}

func BenchmarkPutSecretValue(b *testing.B) {
	x := newBench(b)
	const versions = 90 // of a secret; the quota is 100
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		op, name := "PutSecretValue", "SecretId"
		if n%versions == 0 {
			op, name = "CreateSecret", "Name"
		}
		x.call(op, fmt.Sprintf(`{%q:"s%d","ClientRequestToken":"%032d","SecretString":%q}`, name, n/versions, n, value1K))
	}
}

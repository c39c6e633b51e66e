package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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

func (x *bench) call(op, body string) *httptest.ResponseRecorder {
	return x.callOf("secretsmanager", "secretsmanager."+op, body)
}

func (x *bench) callOf(service, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", target)
	sigv4.Sign(r, x.creds, "us-east-1", service, sha256.Sum256([]byte(body)), time.Now())
	w := httptest.NewRecorder()
	x.s.http.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		x.b.Fatal(w.Body)
	}
	return w
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

func BenchmarkKMS(b *testing.B) {
	x := newBench(b)
	var made struct{ KeyMetadata struct{ KeyId string } }
	if err := json.NewDecoder(x.callOf("kms", "TrentService.CreateKey", "{}").Body).Decode(&made); err != nil {
		b.Fatal(err)
	}
	encrypt := fmt.Sprintf(`{"KeyId":%q,"Plaintext":%q,"EncryptionContext":{"app":"bench"}}`, made.KeyMetadata.KeyId, base64.StdEncoding.EncodeToString([]byte(value1K)))
	var sealed struct{ CiphertextBlob string }
	if err := json.NewDecoder(x.callOf("kms", "TrentService.Encrypt", encrypt).Body).Decode(&sealed); err != nil {
		b.Fatal(err)
	}
	for op, body := range map[string]string{"Encrypt": encrypt, "Decrypt": fmt.Sprintf(`{"CiphertextBlob":%q,"EncryptionContext":{"app":"bench"}}`, sealed.CiphertextBlob)} {
		b.Run(op, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.callOf("kms", "TrentService."+op, body)
			}
		})
	}
}

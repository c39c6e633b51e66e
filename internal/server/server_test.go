package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
)

func TestHealth(t *testing.T) {
	s := servertest.New(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		res, err := s.HTTP.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || string(body) != "ok\n" {
			t.Errorf("%s: status %d, %q, %v", path, res.StatusCode, body, err)
		}
	}
}

func TestEverythingElseNeedsASignature(t *testing.T) {
	s := servertest.New(t)
	for _, path := range []string{"/", "//", "/healthz/", "/healthz/../", "/readyz?x", "/metrics", "/debug/pprof/"} {
		res, err := s.HTTP.Post(s.URL+path, "application/x-amz-json-1.1", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode < 400 || res.StatusCode >= 500 {
			t.Errorf("POST %s: status %d", path, res.StatusCode)
		}
	}
}

func TestSecretsSurviveRestart(t *testing.T) {
	s := servertest.New(t)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "a", "SecretString": "b"})
	s = s.Restart(t)
	if got := s.MustCall(t, "GetSecretValue", map[string]string{"SecretId": "a"})["SecretString"]; got != "b" {
		t.Error("the value is gone")
	}
}

func TestRegionsServed(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.Regions = []string{"eu-central-1", "eu-west-1"}
	s := servertest.Start(t, cfg)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "a", "SecretString": "central"})
	s.Region = "eu-west-1"
	if status, _ := s.Call(t, "GetSecretValue", map[string]string{"SecretId": "a"}); status != http.StatusBadRequest {
		t.Errorf("another region's secret: status %d, want 400", status)
	}
	s.Region = "us-east-1"
	if status, body := s.Call(t, "ListSecrets", map[string]string{}); status < 400 {
		t.Errorf("a region that is not served: status %d, %v", status, body)
	}
	// What is in no region with AWS is signed for this one.
	if status, body, err := s.Query(t.Context(), "iam", "ListUsers"); err != nil || status != http.StatusOK {
		t.Errorf("IAM: %d %v, %v", status, body, err)
	}
	if status, body, err := s.Organizations(t.Context(), "ListAccounts", map[string]string{}); err != nil || status != http.StatusOK {
		t.Errorf("Organizations: %d %v, %v", status, body, err)
	}
	s.Region = "us-west-2"
	if status, body, err := s.Query(t.Context(), "sts", "GetCallerIdentity"); err != nil || status != http.StatusForbidden {
		t.Errorf("STS in a region that is not served: %d %v, %v", status, body, err)
	}
}

func TestTLS(t *testing.T) {
	cfg := servertest.Config(t)
	var pool *x509.CertPool
	cfg.TLSCert, cfg.TLSKey, pool = servertest.Certificate(t, "first")
	s := servertest.Start(t, cfg)
	transport := s.HTTP.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "a", "SecretString": "b"})
	res, err := s.HTTP.Get(s.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 2 || res.TLS.Version != tls.VersionTLS13 {
		t.Errorf("negotiated %s over %s, want HTTP/2 over TLS 1.3", res.Proto, tls.VersionName(res.TLS.Version))
	}

	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(helloTLS11())
	answer, err := io.ReadAll(conn)
	if want := []byte{2, 70}; err != nil || !bytes.HasSuffix(answer, want) { // fatal, protocol_version
		t.Errorf("TLS 1.1: %x, %v, want an alert %x", answer, err, want)
	}
}

// helloTLS11 begins a connection of TLS 1.1 (RFC 4346 section 7.4.1.2), which
// a client of Go's cannot do in FIPS 140-3 mode.
func helloTLS11() []byte {
	hello := append([]byte{3, 2}, make([]byte, 32)...) // version, random
	hello = append(hello, 0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0)
	hello = append([]byte{1, 0, 0, byte(len(hello))}, hello...)
	return append([]byte{22, 3, 1, 0, byte(len(hello))}, hello...)
}

func TestCertificateReload(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.DataDir = ""
	cfg.TLSCert, cfg.TLSKey, _ = servertest.Certificate(t, "first")
	srv, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	presented := func() string {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(srv.Address(), "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := presented(); got != "first" {
		t.Errorf("presented %q", got)
	}
	cert, key, _ := servertest.Certificate(t, "second")
	replace(t, cfg.TLSCert, cert)
	if err := srv.ReloadCertificate(); err == nil {
		t.Error("a certificate without its key was taken")
	}
	if got := presented(); got != "first" {
		t.Errorf("after a reload that went wrong: presented %q", got)
	}
	replace(t, cfg.TLSKey, key)
	if err := srv.ReloadCertificate(); err != nil {
		t.Fatal(err)
	}
	if got := presented(); got != "second" {
		t.Errorf("after the reload: presented %q", got)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

func replace(t *testing.T, file, by string) {
	t.Helper()
	raw, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Who sends headers a byte at a time is not waited for.
func TestSlowHeadersAreCut(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.ReadHeaderTimeout, cfg.ReadTimeout = 20*time.Millisecond, time.Hour
	s := servertest.Start(t, cfg)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("cut with %v, want a plain end", err)
	}
}

func TestHeadersAreLimited(t *testing.T) {
	s := servertest.New(t)
	ask := func(size int) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/healthz?"+strings.Repeat("a", size), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := ask(32 << 10); got != http.StatusOK {
		t.Errorf("a query of 32 KiB: status %d", got)
	}
	if got := ask(128 << 10); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a query of 128 KiB: status %d", got)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	s := servertest.New(t)
	for i := range 5 {
		var reused bool
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused },
		})
		// An error answer must keep the connection as well as a good one.
		if _, _, err := s.Do(ctx, []string{"ListSecrets", "DescribeSecret"}[i%2], map[string]string{}); err != nil {
			t.Fatal(err)
		}
		if reused != (i > 0) {
			t.Errorf("request %d: connection reused: %t", i, reused)
		}
	}
}

func TestLogHasNoValue(t *testing.T) {
	read, write := io.Pipe()
	var lines []string
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for s := bufio.NewScanner(read); s.Scan(); {
			lines = append(lines, s.Text())
		}
	}()
	cfg := servertest.Config(t)
	cfg.Log = slog.New(slog.NewJSONHandler(write, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := servertest.Start(t, cfg)
	const value = "planted-value"
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "app/db", "SecretString": value})
	s.MustCall(t, "GetSecretValue", map[string]string{"SecretId": "app/db"})
	s.Call(t, "CreateSecret", map[string]string{"Name": "app/db", "SecretString": value})
	s.Call(t, "CreateSecret", map[string]any{"Name": 5, "SecretString": value})
	s.Call(t, "CreateSecret", map[string]any{"Name": "x", "SecretString": []string{value}})
	s.Stop(t)
	write.Close()
	<-drained
	log := strings.Join(lines, "\n")
	if !strings.Contains(log, "GetSecretValue") || !strings.Contains(log, "app/db") {
		t.Errorf("the log does not tell of the calls:\n%s", log)
	}
	for _, secret := range []string{value, s.Credentials.Secret} {
		if strings.Contains(log, secret) {
			t.Error("the log holds a secret")
		}
	}
}

package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
)

// until calls an operation until it is refused.
func until(t *testing.T, s *servertest.Server, op string, in any) (refusal http.Header, body string) {
	t.Helper()
	for range 200 {
		r, err := s.Request(t.Context(), op, in)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			return res.Header, fmt.Sprint(res.StatusCode, " ", string(text))
		}
	}
	t.Fatalf("%s: 200 calls passed", op)
	return nil, ""
}

func TestCallsBeyondAQuotaAreRefused(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.RateLimits = []string{"aws", "secretsmanager:GetSecretValue=1"}
	s := servertest.Start(t, cfg)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "s", "SecretString": "x"})
	header, body := until(t, s, "GetSecretValue", map[string]string{"SecretId": "s"})
	if body != `400 {"__type":"ThrottlingException","message":"Rate exceeded"}` || header.Get("Retry-After") != "1" {
		t.Errorf("refused with %s, Retry-After: %q", body, header.Get("Retry-After"))
	}
	s.MustCall(t, "DescribeSecret", map[string]string{"SecretId": "s"})
}

// Who cannot sign must not use up what others may call.
func TestStrangersUseUpNoQuota(t *testing.T) {
	cfg := servertest.Config(t)
	cfg.RateLimits = []string{"off", "secretsmanager:DescribeSecret=1"}
	s := servertest.Start(t, cfg)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "s", "SecretString": "x"})
	stranger := *s.Client
	stranger.Credentials.Secret += "x"
	for range 20 {
		if _, body, err := stranger.Do(t.Context(), "DescribeSecret", map[string]string{"SecretId": "s"}); err != nil || body["__type"] == "ThrottlingException" {
			t.Fatal(body, err)
		}
	}
	s.MustCall(t, "DescribeSecret", map[string]string{"SecretId": "s"})
}

func TestLimitsThatMakeNoSense(t *testing.T) {
	for _, test := range []struct {
		proxy, limit, want string
	}{
		{"", "fast", `rate-limit: rate limit "fast" is neither`},
		{"", "secretsmanager:GetSecretvalue=5", "there is no such operation"},
		{"", "nothing:GetSecretValue=5", "there is no such operation"},
		{"10.0.0.1/8", "aws", `trusted-proxy "10.0.0.1/8"`},
		{"proxy", "aws", `trusted-proxy "proxy"`},
		{"0.0.0.0/0", "aws", "could then name any address as its own"},
		{"fe80::1%eth0", "aws", "trusted-proxy"},
	} {
		cfg := servertest.Config(t)
		cfg.RateLimits = []string{test.limit}
		if test.proxy != "" {
			cfg.TrustedProxies = []string{test.proxy}
		}
		s, err := server.New(t.Context(), cfg)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"azekura/internal/server/servertest"
	"azekura/internal/sigv4"
)

const doorBody = `{"SecretId":"s"}`

// request is a signed GetSecretValue, before anybody has spoilt it.
func request(t *testing.T, s *servertest.Server, sign func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(doorBody))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	sign(r)
	return r
}

func replaceBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	r.GetBody = nil
}

// Who tries to get in without the key, or with somebody else's request.
func TestDoor(t *testing.T) {
	s := servertest.New(t)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "s", "SecretString": "inside"})
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "t", "SecretString": "inside"})
	now := time.Now()
	hash := sha256.Sum256([]byte(doorBody))
	signAs := func(creds sigv4.Credentials, region, service string, at time.Time) func(*http.Request) {
		return func(r *http.Request) { sigv4.Sign(r, creds, region, service, hash, at) }
	}
	valid := signAs(s.Credentials, s.Region, "secretsmanager", now)
	presign := func(at time.Time) func(*http.Request) {
		return func(r *http.Request) {
			sigv4.Presign(r, s.Credentials, s.Region, "secretsmanager", hash, at, time.Minute)
		}
	}
	wrong, unknown, session := s.Credentials, s.Credentials, s.Credentials
	wrong.Secret += "x"
	unknown.AccessKeyID = "AKIAIOSFODNN7EXAMPLE"
	session.Token = "FwoGZXIvYXdzEXAMPLETOKEN=="
	const (
		mismatch = "InvalidSignatureException: The request signature we calculated does not match the signature you provided."
		badToken = "UnrecognizedClientException: The security token included in the request is invalid."
	)
	for name, test := range map[string]struct {
		sign  func(*http.Request)
		spoil func(*http.Request)
		want  string // the beginning of the code and text; "" to get in
	}{
		"signed":                 {valid, nil, ""},
		"presigned":              {presign(now), nil, ""},
		"four minutes ago":       {signAs(s.Credentials, s.Region, "secretsmanager", now.Add(-4*time.Minute)), nil, ""},
		"unsigned":               {func(*http.Request) {}, nil, "MissingAuthenticationTokenException: Missing Authentication Token"},
		"basic":                  {func(r *http.Request) { r.SetBasicAuth("a", "b") }, nil, "IncompleteSignatureException: "},
		"wrong key":              {signAs(wrong, s.Region, "secretsmanager", now), nil, mismatch},
		"unknown key":            {signAs(unknown, s.Region, "secretsmanager", now), nil, badToken},
		"session":                {signAs(session, s.Region, "secretsmanager", now), nil, badToken},
		"six minutes ago":        {signAs(s.Credentials, s.Region, "secretsmanager", now.Add(-6*time.Minute)), nil, "InvalidSignatureException: Signature expired: "},
		"in six minutes":         {signAs(s.Credentials, s.Region, "secretsmanager", now.Add(6*time.Minute)), nil, "InvalidSignatureException: Signature not yet current: "},
		"presigned long ago":     {presign(now.Add(-2 * time.Minute)), nil, "InvalidSignatureException: Signature expired: "},
		"another region":         {signAs(s.Credentials, "eu-west-3", "secretsmanager", now), nil, "InvalidSignatureException: Credential should be scoped to a valid region"},
		"another service":        {signAs(s.Credentials, s.Region, "kms", now), nil, "InvalidSignatureException: Credential should be scoped to correct service: 'secretsmanager'."},
		"another body":           {valid, func(r *http.Request) { replaceBody(r, `{"SecretId":"t"}`) }, mismatch},
		"another host":           {valid, func(r *http.Request) { r.Host = "secretsmanager.us-east-1.amazonaws.com" }, mismatch},
		"another operation":      {valid, func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.DeleteSecret") }, mismatch},
		"another query":          {valid, func(r *http.Request) { r.URL.RawQuery = "a=b" }, mismatch},
		"both carriers":          {presign(now), func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a") }, "IncompleteSignatureException: "},
		"a proxy's host":         {valid, func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "elsewhere") }, ""},
		"unsigned target":        {func(r *http.Request) { withoutTarget(r, valid) }, nil, "InvalidSignatureException: 'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."},
		"two targets":            {valid, func(r *http.Request) { r.Header.Add("X-Amz-Target", "secretsmanager.DeleteSecret") }, "UnknownOperationException: "},
		"unknown operation":      {valid, func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.Reveal") }, "UnknownOperationException: "},
		"a hash that is no hash": {valid, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, "InvalidSignatureException: "},
		"a body too large":       {valid, func(r *http.Request) { replaceBody(r, strings.Repeat(" ", 1<<20+1)) }, "RequestEntityTooLargeException: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, s, test.sign)
			if test.spoil != nil {
				test.spoil(r)
			}
			if got := knock(t, s, r); test.want == "" && got != "200" || !strings.HasPrefix(got, test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// withoutTarget signs a request and adds the operation's name afterwards.
func withoutTarget(r *http.Request, sign func(*http.Request)) {
	target := r.Header.Get("X-Amz-Target")
	r.Header.Del("X-Amz-Target")
	sign(r)
	r.Header.Set("X-Amz-Target", target)
}

// knock sends a request and returns 200, or the error's code and text. What is
// inside must come out with 200 only.
func knock(t *testing.T, s *servertest.Server, r *http.Request) string {
	t.Helper()
	res, err := s.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("X-Amzn-Requestid") == "" || res.Header.Get("Date") == "" {
		t.Error("an answer without a request id or a date")
	}
	if res.StatusCode == http.StatusOK {
		return "200"
	}
	if bytes.Contains(body, []byte("inside")) {
		t.Error("a refusal tells the secret")
	}
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	return e.Type + ": " + e.Message
}

// A request that has been answered can be sent again within its five minutes,
// as at AWS; what it does is what was signed, and no more.
func TestReplay(t *testing.T) {
	s := servertest.New(t)
	s.MustCall(t, "CreateSecret", map[string]string{"Name": "s", "SecretString": "first"})
	const put = `{"SecretId":"s","ClientRequestToken":"00000000-0000-0000-0000-000000000002","SecretString":"second"}`
	for range 2 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(put))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "secretsmanager.PutSecretValue")
		sigv4.Sign(r, s.Credentials, s.Region, "secretsmanager", sha256.Sum256([]byte(put)), time.Now())
		if got := knock(t, s, r); got != "200" {
			t.Fatal(got)
		}
	}
	described := s.MustCall(t, "DescribeSecret", map[string]string{"SecretId": "s"})
	if n := len(described["VersionIdsToStages"].(map[string]any)); n != 2 {
		t.Errorf("%d versions after a replay, want 2", n)
	}
}

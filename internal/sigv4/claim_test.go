package sigv4

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	scope = "AKIAIOSFODNN7EXAMPLE/20260115/us-east-1/secretsmanager/aws4_request"
	hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	full  = "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host;x-amz-date, Signature=" + hex64
)

func wire(target string, headers ...string) string {
	return "POST " + target + " HTTP/1.1\nHost: localhost\n" + strings.Join(headers, "\n") + "\n\n"
}

func parse(t *testing.T, target string, headers ...string) (*Claim, error) {
	t.Helper()
	r, _ := receive(t, wire(target, headers...))
	return Parse(r)
}

func wantError(t *testing.T, name string, err error, kind Kind, message string) {
	t.Helper()
	got, ok := errors.AsType[*Error](err)
	if !ok || got.Kind != kind || !strings.Contains(got.Message, message) {
		t.Errorf("%s: got %v, want %v: %s", name, err, kind, message)
	}
}

func TestParseHeader(t *testing.T) {
	for _, header := range []string{
		full,
		strings.ReplaceAll(full, ", ", ","),
		"AWS4-HMAC-SHA256 Signature=" + hex64 + " , SignedHeaders=host;x-amz-date,  Credential=" + scope,
	} {
		c, err := parse(t, "/", "X-Amz-Date: 20260115T120000Z", "X-Amz-Security-Token: tok", "Authorization: "+header)
		if err != nil {
			t.Errorf("%q: %v", header, err)
			continue
		}
		if c.AccessKeyID != "AKIAIOSFODNN7EXAMPLE" || c.Date != "20260115" || c.Region != "us-east-1" || c.Service != "secretsmanager" ||
			c.Token != "tok" || c.Presigned || !c.Time.Equal(time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)) {
			t.Errorf("%q: got %#v", header, *c)
		}
	}
}

func TestParseRefusesHeaders(t *testing.T) {
	const date = "X-Amz-Date: 20260115T120000Z"
	for _, tt := range []struct {
		name    string
		headers []string
		kind    Kind
		message string
	}{
		{"nothing", []string{date}, Missing, "Missing Authentication Token"},
		{"twice", []string{date, "Authorization: " + full, "Authorization: " + full}, Incomplete, "signed once"},
		{"empty", []string{date, "Authorization: "}, Incomplete, "requires 'Credential' parameter. Authorization header requires 'Signature' parameter. "},
		{"no parts", []string{"Authorization: AWS4-HMAC-SHA256 X=1"}, Incomplete, "unknown"},
		{"no signature, no date", []string{"Authorization: AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host"}, Incomplete,
			"Authorization header requires 'Signature' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
				"Authorization=AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host"},
		{"no equal sign", []string{date, "Authorization: AWS4-HMAC-SHA256 Credential"}, Incomplete,
			"'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: 'AWS4-HMAC-SHA256 Credential'."},
		{"part twice", []string{date, "Authorization: " + full + ", Signature=" + hex64}, Incomplete, "given twice"},
		{"sigv4a", []string{date, "Authorization: " + strings.Replace(full, algorithm, "AWS4-ECDSA-P256-SHA256", 1)}, Incomplete, "requires 'Credential'"},
		{"short credential", []string{date, "Authorization: " + strings.Replace(full, "/us-east-1", "", 1)}, Incomplete, "5 slash-delimited"},
		{"long credential", []string{date, "Authorization: " + strings.Replace(full, "/us-east-1", "/a/b", 1)}, Incomplete, "5 slash-delimited"},
		{"no key id", []string{date, "Authorization: " + strings.Replace(full, "AKIAIOSFODNN7EXAMPLE", "", 1)}, Incomplete, "no access key id"},
		{"short signature", []string{date, "Authorization: " + full[:len(full)-1]}, Incomplete, "64 lower-case"},
		{"long signature", []string{date, "Authorization: " + full + "0"}, Incomplete, "64 lower-case"},
		{"upper-case signature", []string{date, "Authorization: " + strings.Replace(full, hex64, strings.ToUpper(hex64), 1)}, Incomplete, "64 lower-case"},
		{"two dates", []string{date, date, "Authorization: " + full}, Incomplete, "one 'X-Amz-Date'"},
		{"extended date", []string{"X-Amz-Date: 2026-01-15T12:00:00Z", "Authorization: " + full}, Incomplete, "ISO-8601 'basic format'. Got '2026-01-15T12:00:00Z'"},
		{"fraction", []string{"X-Amz-Date: 20260115T120000.5Z", "Authorization: " + full}, Incomplete, "basic format"},
		{"http date in x-amz-date", []string{"X-Amz-Date: Thu, 15 Jan 2026 12:00:00 GMT", "Authorization: " + full}, Incomplete, "basic format"},
		{"two tokens", []string{date, "X-Amz-Security-Token: a", "X-Amz-Security-Token: b", "Authorization: " + full}, Incomplete, "one 'X-Amz-Security-Token'"},
		{"long", []string{date, "Authorization: " + strings.Repeat("x", maxAuthorization+1)}, Incomplete, "too long"},
		{"long token", []string{date, "X-Amz-Security-Token: " + strings.Repeat("x", maxToken+1), "Authorization: " + full}, UnknownKey, "invalid"},
		{"many headers", []string{date, "Authorization: " + strings.Replace(full, "host;", "host;"+strings.Repeat("a;", maxSignedHeaders), 1)}, Incomplete, "too many"},
	} {
		_, err := parse(t, "/", tt.headers...)
		wantError(t, tt.name, err, tt.kind, tt.message)
	}
}

// What is no signature may be a password: it is told back as a hash only.
func TestParseDoesNotRepeatOtherCredentials(t *testing.T) {
	_, err := parse(t, "/", "X-Amz-Date: 20260115T120000Z", "Authorization: Bearer hunter2")
	wantError(t, "bearer", err, Incomplete, "(Hashed with SHA-256 and encoded with Base64) Authorization=")
	if strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

const presigned = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260115%2Fus-east-1%2Fsts%2Faws4_request" +
	"&X-Amz-Date=20260115T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + hex64

func TestParsePresigned(t *testing.T) {
	c, err := parse(t, presigned+"&X-Amz-Security-Token=a%2Bb")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Presigned || c.Expires != time.Minute || c.Token != "a+b" || c.Service != "sts" {
		t.Errorf("got %#v", *c)
	}
}

func TestParseRefusesPresigned(t *testing.T) {
	for _, tt := range []struct{ name, target, header, message string }{
		{"both carriers", presigned, "Authorization: " + full, "signed once"},
		{"signature only", "/?X-Amz-Signature=" + hex64, "", "must include 'X-Amz-Algorithm'"},
		{"no date", strings.Replace(presigned, "&X-Amz-Date=20260115T120000Z", "", 1), "X-Amz-Date: 20260115T120000Z", "must include 'X-Amz-Date'"},
		{"date twice", presigned + "&X-Amz-Date=20260115T120000Z", "", "must include 'X-Amz-Date'"},
		{"token twice", presigned + "&X-Amz-Security-Token=a&X-Amz-Security-Token=b", "", "X-Amz-Security-Token"},
		{"algorithm", strings.Replace(presigned, "HMAC", "ECDSA", 1), "", "X-Amz-Algorithm"},
		{"expires 0", strings.Replace(presigned, "Expires=60", "Expires=0", 1), "", "between 1 and 604800"},
		{"expires too late", strings.Replace(presigned, "Expires=60", "Expires=604801", 1), "", "between 1 and 604800"},
		{"expires negative", strings.Replace(presigned, "Expires=60", "Expires=-1", 1), "", "between 1 and 604800"},
		{"expires signed", strings.Replace(presigned, "Expires=60", "Expires=%2B60", 1), "", "between 1 and 604800"},
		{"bad escape", presigned + "&a=%zz", "", "malformed"},
		{"many parameters", presigned + strings.Repeat("&a", maxParameters), "", "too long"},
		{"long query", presigned + "&a=" + strings.Repeat("a", maxQuery), "", "too long"},
	} {
		_, err := parse(t, tt.target, tt.header)
		wantError(t, tt.name, err, Incomplete, tt.message)
	}
}

func TestCheckScope(t *testing.T) {
	signed := time.Date(2026, 1, 15, 23, 59, 59, 0, time.UTC)
	good := Claim{Date: "20260115", Region: "us-east-1", Service: "sts", terminator: "aws4_request", Time: signed}
	for _, tt := range []struct {
		name, message string
		change        func(*Claim)
	}{
		{"terminator", "Credential should be scoped with a valid terminator: 'aws4_request'", func(c *Claim) { c.terminator = "aws4" }},
		{"region", "Credential should be scoped to a valid region, not 'eu-west-9'. ", func(c *Claim) { c.Region = "eu-west-9" }},
		{"service", "Credential should be scoped to correct service: 'sts'. ", func(c *Claim) { c.Service = "iam" }},
		{"date", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260116' != '20260115', from '20260115T235959Z'.",
			func(c *Claim) { c.Date = "20260116" }},
		{"zero", "terminator", func(c *Claim) { *c = Claim{} }},
	} {
		c := good
		tt.change(&c)
		wantError(t, tt.name, c.CheckScope("sts", []string{"us-east-1"}), Mismatch, tt.message)
	}
	if err := good.CheckScope("sts", []string{"eu-west-1", "us-east-1"}); err != nil {
		t.Error(err)
	}
}

func TestCheckTime(t *testing.T) {
	signed := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	header := &Claim{Time: signed}
	url := &Claim{Time: signed, Presigned: true, Expires: time.Hour}
	iam, sts := &Claim{Time: signed, Service: "iam"}, &Claim{Time: signed, Service: "sts"}
	stsURL := &Claim{Time: signed, Service: "sts", Presigned: true, Expires: time.Minute}
	for _, tt := range []struct {
		name    string
		claim   *Claim
		after   time.Duration
		message string // "" if the claim holds
	}{
		{"now", header, 0, ""},
		{"old", header, 5 * time.Minute, ""},
		{"too old", header, 5*time.Minute + time.Second, "Signature expired: 20260115T120000Z is now earlier than 20260115T120001Z (20260115T120501Z - 5 min.)"},
		{"early", header, -5 * time.Minute, ""},
		{"too early", header, -5*time.Minute - time.Second, "Signature not yet current: 20260115T120000Z is still later than 20260115T115959Z (20260115T115459Z + 5 min.)"},
		{"presigned", url, time.Hour - time.Second, ""},
		{"presigned expired", url, time.Hour, "Signature expired: 20260115T120000Z is now earlier than 20260115T120000Z (20260115T130000Z - 3600 sec.)"},
		{"presigned early", url, -5 * time.Minute, ""},
		{"presigned too early", url, -6 * time.Minute, "Signature not yet current"},
		{"iam old", iam, 15 * time.Minute, ""},
		{"sts early", sts, -15 * time.Minute, ""},
		{"sts too old", sts, 15*time.Minute + time.Second, "Signature expired: 20260115T120000Z is now earlier than 20260115T120001Z (20260115T121501Z - 15 min.)"},
		{"iam too early", iam, -15*time.Minute - time.Second, "Signature not yet current: 20260115T120000Z is still later than 20260115T115959Z (20260115T114459Z + 15 min.)"},
		{"sts presigned for a minute", stsURL, 15 * time.Minute, ""},
		{"sts presigned too old", stsURL, 16 * time.Minute, "Signature expired: 20260115T120000Z is now earlier than 20260115T120100Z (20260115T121600Z - 15 min.)"},
	} {
		err := tt.claim.CheckTime(signed.Add(tt.after).In(time.FixedZone("", 3600)))
		if tt.message == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		wantError(t, tt.name, err, Mismatch, tt.message)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	key := DeriveKey("hunter2 hunter2", "20260115", "us-east-1", "sts")
	for _, v := range []any{
		key,
		&key,
		Credentials{"AKIA", "hunter2 hunter2", "hunter2 hunter2"},
		struct{ C Credentials }{Credentials{"AKIA", "hunter2 hunter2", "hunter2 hunter2"}},
		Claim{AccessKeyID: "AKIA", Token: "hunter2 hunter2"},
		&Claim{AccessKeyID: "AKIA", Token: "hunter2 hunter2"},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		shown := fmt.Sprintf("%v %+v %#v %s %q %x %s", v, v, v, v, v, v, text)
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		shown += log.String()
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, fmt.Sprintf("%x", [32]byte(key))) || strings.Contains(shown, fmt.Sprint([32]byte(key))) {
			t.Errorf("%T prints as %s", v, shown)
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add([]byte(v.wire))
	}
	f.Add([]byte(wire(presigned)))
	f.Add([]byte(wire("/../%2e/?a;b=%", "Authorization: "+full)))
	key := DeriveKey("a secret that signed nothing", "20260115", "us-east-1", "sts")
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(newReader(text))
		if err != nil {
			return
		}
		c, err := Parse(r)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || c != nil {
				t.Errorf("Parse: got %v, %v", c, err)
			}
			return
		}
		_ = c.CheckScope("sts", []string{"us-east-1"})
		_ = c.CheckTime(c.Time)
		if err := c.Verify(r, key, sha256.Sum256(nil)); err == nil {
			t.Error("verified with a key that signed nothing")
		}
	})
}

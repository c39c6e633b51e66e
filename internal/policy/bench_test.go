package policy

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"azekura/internal/sigv4"
)

const asked = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf"

// parsed is a document of statements that a benchmark or a test needs.
func parsed(t testing.TB, kind Kind, statements ...string) *Document {
	t.Helper()
	d, err := Parse(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`, kind)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tenPolicies is a set as an application's role has it: ten policies of twenty
// statements each, most of them about other services, some about other
// secrets, and the one that allows is the last. Some have conditions.
func tenPolicies(t testing.TB) *Set {
	actions := []string{
		`"s3:GetObject"`, `["sqs:SendMessage","sqs:ReceiveMessage","sqs:DeleteMessage"]`, `"dynamodb:*"`, `"logs:Put*"`, `"kms:Decrypt"`,
		`"ec2:Describe*"`, `"secretsmanager:DescribeSecret"`, `"secretsmanager:PutSecretValue"`, `"secretsmanager:List*"`, `"secretsmanager:*"`,
	}
	var policies []Policy
	for i := range 10 {
		var statements []string
		for j := range 20 {
			action := actions[(i+j)%len(actions)]
			resource := fmt.Sprintf("arn:aws:secretsmanager:*:111122223333:secret:team-%d/app-%d/*", i, j)
			condition := ""
			if j%5 == 0 {
				condition = `,"Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"},"Bool":{"aws:SecureTransport":"true"}}`
			}
			effect := "Allow"
			if j%7 == 0 {
				effect = "Deny"
			}
			if i == 9 && j == 19 {
				effect, action, condition, resource = "Allow", `"secretsmanager:GetSecretValue"`, "", "arn:aws:secretsmanager:*:111122223333:secret:prod/db-??????"
			}
			statements = append(statements, fmt.Sprintf(`{"Effect":%q,"Action":%s,"Resource":%q%s}`, effect, action, resource, condition))
		}
		policies = append(policies, Policy{fmt.Sprintf("p%d", i), parsed(t, Identity, statements...)})
	}
	return NewSet(policies...)
}

// session is a session of the role app.
func session(name string) *Principal {
	return &Principal{
		Kind: Role, Account: "111122223333", ID: "AROAAPPAPPAPPAPPAPP00",
		ARN:    "arn:aws:sts::111122223333:assumed-role/app/" + name,
		Entity: "arn:aws:iam::111122223333:role/app",
	}
}

type question struct {
	name     string
	set      *Set
	request  Request
	resource *Document
}

func questions(t testing.TB) []question {
	values := map[string][]string{
		"aws:securetransport": {"true"}, "aws:principaltag/team": {"red"}, "aws:resourcetag/team": {"red"},
		"aws:sourceip": {"10.1.2.3"}, "aws:currenttime": {"2026-03-14T15:09:26Z"}, "aws:principalarn": {"arn:aws:iam::111122223333:role/app"},
	}
	r := Request{
		Principal: session("i-1"), Action: "secretsmanager:GetSecretValue", Resource: asked,
		Keys: func(key string) ([]string, bool) { v, ok := values[key]; return v, ok },
	}
	ten := tenPolicies(t)
	everywhere := ten.
		WithBoundary(Policy{"boundary", parsed(t, Identity, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)}).
		WithSession(Policy{"session", parsed(t, Identity, `{"Effect":"Allow","Action":"secretsmanager:Get*","Resource":"arn:aws:secretsmanager:*:*:secret:prod/*","Condition":{
			"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/a*"}}}`)})
	resource := parsed(t, Resource,
		`{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`,
		`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/app"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	return []question{
		{"ten policies", ten, r, nil},
		{"and a boundary, a session policy, a resource policy", everywhere, r, resource},
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	for _, q := range questions(t) {
		if !q.set.Decide(q.request, q.resource).Allowed {
			t.Errorf("%s: denied", q.name)
		}
		if n := testing.AllocsPerRun(100, func() { q.set.Decide(q.request, q.resource) }); n != 0 {
			t.Errorf("%s: %v allocations", q.name, n)
		}
	}
}

// BenchmarkDecideAgainstVerify measures decisions and the verification of a
// signature in one run, turn by turn, and reports how much of the latter the
// former cost. The promise is a third for ten policies of twenty statements.
func BenchmarkDecideAgainstVerify(b *testing.B) {
	verify := signedRequest(b)
	for _, q := range questions(b) {
		b.Run(q.name, func(b *testing.B) {
			const turn = 1000
			var decided, verified time.Duration
			n := 0
			for b.Loop() {
				start := time.Now()
				for range turn {
					if !q.set.Decide(q.request, q.resource).Allowed {
						b.Fatal("denied")
					}
				}
				middle := time.Now()
				for range turn {
					verify()
				}
				decided += middle.Sub(start)
				verified += time.Since(middle)
				n += turn
			}
			b.ReportMetric(float64(decided.Nanoseconds())/float64(n), "ns/decision")
			b.ReportMetric(float64(verified.Nanoseconds())/float64(n), "ns/signature")
			b.ReportMetric(float64(decided)/float64(verified), "decision/signature")
		})
	}
}

// signedRequest makes a GetSecretValue as an SDK signs it, and returns what the
// server does to verify it, its signing key being known.
func signedRequest(b *testing.B) func() {
	const body = `{"SecretId":"prod/db"}`
	creds := sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:4584/", strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	hash := sha256.Sum256([]byte(body))
	sigv4.Sign(r, creds, "us-east-1", "secretsmanager", hash, now)
	r.RequestURI = "/"
	key := sigv4.DeriveKey(string(creds.Secret), now.Format("20060102"), "us-east-1", "secretsmanager")
	return func() {
		claim, err := sigv4.Parse(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := claim.CheckTime(now); err != nil {
			b.Fatal(err)
		}
		if err := claim.Verify(r, key, sha256.Sum256([]byte(body))); err != nil {
			b.Fatal(err)
		}
	}
}

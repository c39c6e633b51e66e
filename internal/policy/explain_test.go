package policy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The one place that AWS was seen to give: columns count from 2.
func TestStatements(t *testing.T) {
	const recorded = `{"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": ["iam:GetUser"], "Resource": "*"}}`
	const lines = "{\"Version\":\"2012-10-17\",\n \"Statement\":[\n  {\"Effect\":\"Allow\",\n\"Action\":\"*\",\"Resource\":\"*\"},{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"{}\"}]}"
	for text, want := range map[string][]Span{
		recorded: {{Place{1, 41}, Place{1, len(recorded)}}},
		lines:    {{Place{3, 4}, Place{4, 29}}, {Place{4, 31}, Place{4, 76}}},
	} {
		got, err := Statements(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	_, err := Statements(`{"Statement":`)
	if _, ok := errors.AsType[*SyntaxError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestContextKeys(t *testing.T) {
	const statement = `{"Effect":"Allow","Action":"*","Resource":["*","arn:aws:s3:::b/${aws:username}/${*}/${aws:PrincipalTag/Team, 'x'}"],
		"Condition":{"StringEquals":{"aws:ResourceTag/team":"${aws:principaltag/team}","AWS:Username":"x"},"Bool":{"aws:SecureTransport":"true"}}}`
	for version, want := range map[string][]string{
		"2012-10-17": {"aws:ResourceTag/team", "AWS:Username", "aws:SecureTransport", "aws:PrincipalTag/Team"},
		"2008-10-17": {"aws:ResourceTag/team", "AWS:Username", "aws:SecureTransport"},
	} {
		got, err := ContextKeys(`{"Version":"` + version + `","Statement":` + statement + `}`)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
}

// An explanation names every statement that bears on the request, and every
// key that was looked for in vain.
func TestExplain(t *testing.T) {
	set := NewSet(
		Policy{"own", parsed(t, Identity,
			`{"Sid":"A","Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`,
			`{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`,
			`{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"s3:not-asked":"x"}}}`)},
		Policy{"denies", parsed(t, Identity, `{"Effect":"Deny","Action":"secretsmanager:Get*","Resource":"arn:aws:secretsmanager:*:*:secret:${aws:PrincipalTag/team}/*"}`)},
	).WithBoundary(Policy{"boundary", parsed(t, Identity, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)}).
		WithOrganization([]Policy{{"scp", parsed(t, Identity, `{"Effect":"Allow","Action":"*","Resource":"*"}`)}})
	resource := parsed(t, Resource,
		`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`,
		`{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	got := set.Explain(Request{Principal: alice(), Action: "secretsmanager:GetSecretValue", Resource: asked}, resource)
	want := Explanation{
		Decision: Decision{Type: BoundaryPolicy},
		Matched: []Match{
			{OrganizationPolicy, "scp", 0, "#1", false},
			{IdentityPolicy, "own", 0, "A", false},
			{ResourcePolicy, "", 0, "#1", false},
		},
		Missing:      []string{"aws:MultiFactorAuthPresent", "aws:PrincipalTag/team"},
		Organization: true, Boundary: false,
		Identity: Decision{Allowed: true, Type: IdentityPolicy, By: "own", Statement: "A"},
		Resource: Decision{Allowed: true, Type: ResourcePolicy, Statement: "#1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGrants(t *testing.T) {
	for text, want := range map[string]bool{
		`"Effect":"Allow","Action":"iam:GetUser"`:          true,
		`"Effect":"Allow","Action":["s3:*","IAM:Get*"]`:    true,
		`"Effect":"Allow","Action":"*"`:                    true,
		`"Effect":"Allow","Action":"*:*"`:                  true,
		`"Effect":"Allow","Action":"iamx:GetUser"`:         false,
		`"Effect":"Deny","Action":"iam:*"`:                 false,
		`"Effect":"Allow","NotAction":"s3:*"`:              true,
		`"Effect":"Allow","NotAction":["s3:*","iam:Get*"]`: true,
		`"Effect":"Allow","NotAction":["s3:*","iam:*"]`:    false,
		`"Effect":"Deny","NotAction":"s3:*"`:               false,
		`"Effect":"Allow","Action":"s3:*"`:                 false,
	} {
		got, err := Grants(`{"Version":"2012-10-17","Statement":{`+text+`,"Resource":"*"}}`, []string{"none", "iam"})
		if err != nil || got[1] != want {
			t.Errorf("%s: %t, %v", text, got, err)
		}
	}
	if _, err := Grants("{", nil); err == nil {
		t.Error("a text that is no policy was taken")
	}
}

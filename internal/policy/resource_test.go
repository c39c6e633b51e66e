package policy

import "testing"

func TestPublic(t *testing.T) {
	const everyone = `"Principal":"*","Action":"*","Resource":"*"`
	for _, tt := range []struct {
		statement string
		want      bool
	}{
		{`{"Effect":"Allow",` + everyone + `}`, true},
		{`{"Effect":"Allow","Principal":{"AWS":["111122223333","*"]},"Action":"*","Resource":"*"}`, true},
		{`{"Effect":"Deny",` + everyone + `}`, false},
		{`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}`, false},
		{`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"*","Resource":"*"}`, false},
		{`{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}`, true},
		{`{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*"}`, false},
		{`{"Effect":"Allow","Principal":"*","NotAction":"iam:*","Resource":"*"}`, true},
		{`[{"Effect":"Deny",` + everyone + `},{"Effect":"Allow",` + everyone + `}]`, true},

		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEquals":{"AWS:sourceVPC":["vpc-1","vpc-2"]}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ForAnyValue:StringEquals":{"aws:SourceVpce":"vpce-1"}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringLike":{"aws:SourceVpce":"vpce-1"}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:111122223333:t"}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111122223333:*"}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::bucket*"}}}`, false},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:SourceVpc":"vpc-1"}}}`, false},

		{`{"Effect":"Allow",` + everyone + `,"Condition":{}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEquals":{"aws:SourceVpc":[]}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEquals":{"aws:SourceVpc":""}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringNotEquals":{"aws:SourceVpc":"vpc-1"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ForAllValues:StringEquals":{"aws:SourceVpc":"vpc-1"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringLike":{"aws:SourceVpc":["vpc-1","*"]}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringLike":{"aws:SourceAccount":"1*"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEquals":{"aws:SourceVpc":"${aws:SourceVpc}"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::*"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:*"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:*:us-east-1:111122223333:*"}}}`, true},
		{`{"Effect":"Allow",` + everyone + `,"Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/alice"}}}`, true},
	} {
		if got := resourcePolicy(t, tt.statement).Public(); got != tt.want {
			t.Errorf("%s: got %t", tt.statement, got)
		}
	}
}

func TestLocksOut(t *testing.T) {
	const (
		alice   = "arn:aws:iam::111122223333:user/alice"
		root    = "arn:aws:iam::111122223333:root"
		session = "arn:aws:sts::111122223333:assumed-role/app/i-1"
		put     = "secretsmanager:PutResourcePolicy"
	)
	deny := func(principal string) string {
		return `{"Effect":"Deny",` + principal + `,"Action":"secretsmanager:*","Resource":"*"}`
	}
	for _, tt := range []struct {
		statement, principal string
		want                 bool
	}{
		{deny(`"Principal":"*"`), alice, true},
		{deny(`"Principal":"*"`), root, true},
		{deny(`"Principal":{"AWS":"` + alice + `"}`), alice, true},
		{deny(`"Principal":{"AWS":"` + alice + `"}`), root, false},
		{deny(`"Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"}`), alice, false},
		{deny(`"Principal":{"AWS":"111122223333"}`), alice, true},
		{deny(`"Principal":{"AWS":"` + root + `"}`), session, true},
		{deny(`"Principal":{"AWS":"444455556666"}`), alice, false},
		{deny(`"Principal":{"AWS":"arn:aws:iam::111122223333:role/path/app"}`), session, true},
		{deny(`"Principal":{"AWS":"arn:aws:iam::444455556666:role/app"}`), session, false},
		{deny(`"Principal":{"AWS":"arn:aws:iam::111122223333:role/myapp"}`), session, false},
		{deny(`"Principal":{"AWS":"` + session + `"}`), session, true},
		{deny(`"Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/app/i-2"}`), session, false},
		{deny(`"Principal":{"Service":"lambda.amazonaws.com"}`), alice, false},
		{deny(`"NotPrincipal":{"AWS":"` + alice + `"}`), alice, true},
		{deny(`"NotPrincipal":{"AWS":["` + alice + `","` + root + `"]}`), alice, false},
		{deny(`"NotPrincipal":{"AWS":"` + root + `"}`), root, false},
		{deny(`"NotPrincipal":{"AWS":["arn:aws:iam::111122223333:role/path/app","` + root + `"]}`), session, true},
		{deny(`"NotPrincipal":{"AWS":["arn:aws:iam::111122223333:role/path/app","` + root + `","` + session + `"]}`), session, false},
		{deny(`"NotPrincipal":"*"`), alice, false},

		{`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`, alice, false},
		{`{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}`, alice, false},
		{`{"Effect":"Deny","Principal":"*","Action":"SecretsManager:putresource*","Resource":"*"}`, alice, true},
		{`{"Effect":"Deny","Principal":"*","NotAction":"secretsmanager:Get*","Resource":"*"}`, alice, true},
		{`{"Effect":"Deny","Principal":"*","NotAction":["kms:*","secretsmanager:Put*"],"Resource":"*"}`, alice, false},
		{`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, alice, false},
		{`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{}}`, alice, true},
	} {
		p := Principal{Kind: User, ARN: tt.principal, Account: "111122223333", Entity: tt.principal}
		switch tt.principal {
		case root:
			p.Kind = Root
		case session:
			p.Kind, p.Entity = Role, "arn:aws:iam::111122223333:role/path/app"
		}
		if got := resourcePolicy(t, tt.statement).LocksOut(&p, []string{"kms:Decrypt", put}); got != tt.want {
			t.Errorf("%s: %s: got %t", tt.statement, tt.principal, got)
		}
	}
}

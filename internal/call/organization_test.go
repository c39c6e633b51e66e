package call

import (
	"testing"

	"azekura/internal/policy"
)

// The condition keys about organizations: of the caller, and of who owns the
// resource.
func TestOrganizationKeys(t *testing.T) {
	const org, path = "o-aaaaaaaaaa", "o-aaaaaaaaaa/r-bbbb/"
	const secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:s-AbCdEf"
	for _, test := range []struct {
		condition string
		org, path string // the caller's
		target    Target
		want      bool
	}{
		{`"StringEquals":{"aws:PrincipalOrgID":"o-aaaaaaaaaa"}`, org, path, Target{ARN: secret}, true},
		{`"StringEquals":{"aws:PrincipalOrgID":"o-cccccccccc"}`, org, path, Target{ARN: secret}, false},
		{`"StringEquals":{"aws:PrincipalOrgID":"o-aaaaaaaaaa"}`, "", "", Target{ARN: secret}, false},
		{`"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-aaaaaaaaaa/r-bbbb/*"}`, org, path, Target{ARN: secret}, true},
		{`"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-aaaaaaaaaa/r-cccc/*"}`, org, path, Target{ARN: secret}, false},
		{`"StringEquals":{"aws:ResourceOrgID":"o-aaaaaaaaaa"}`, org, path, Target{ARN: secret}, true},
		{`"StringEquals":{"aws:ResourceOrgID":"${aws:PrincipalOrgID}"}`, org, path, Target{ARN: secret}, true},
		{`"StringEquals":{"aws:ResourceOrgID":"o-aaaaaaaaaa"}`, org, path, Target{ARN: "named", Account: "222222222222"}, true},
		{`"StringEquals":{"aws:ResourceOrgID":"o-cccccccccc"}`, org, path, Target{ARN: secret}, false},
		{`"Null":{"aws:ResourceOrgID":"true"}`, org, path, Target{ARN: "*"}, true},
		{`"Null":{"aws:ResourceOrgID":"true"}`, org, path, Target{ARN: "arn:aws:iam::aws:policy/AdministratorAccess"}, true},
		{`"Null":{"aws:ResourceOrgID":"true"}`, "", "", Target{ARN: secret}, true},
		{`"Null":{"aws:PrincipalOrgPaths":"true"}`, "", "", Target{ARN: secret}, true},
	} {
		document, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+test.condition+`}}}`, policy.Identity)
		if err != nil {
			t.Fatal(err)
		}
		ann := "arn:aws:iam::222222222222:user/ann"
		c := &Call{
			Principal: Principal{
				Principal:    policy.Principal{Kind: policy.User, ARN: ann, Account: "222222222222", Entity: ann, ID: "AIDAQAAAAAAAGMKEM7X5A"},
				Organization: test.org, OrganizationPath: test.path,
			},
			Policies: policy.NewSet(policy.Policy{Name: "p", Document: document}),
		}
		if got := c.Decide("secretsmanager:GetSecretValue", test.target); got.Allowed != test.want {
			t.Errorf("%s on %s by one of %q: %+v", test.condition, test.target.ARN, test.org, got)
		}
	}
}

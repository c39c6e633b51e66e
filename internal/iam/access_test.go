package iam

import (
	"testing"

	model "azekura/internal/api/iam"
	"azekura/internal/policy"
)

// AWS's sentences call what IAM keeps by its kind and name.
func TestDenialNames(t *testing.T) {
	w := peopled(t)
	w.policies = nil
	denied := func(op, resource string) string {
		return "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:" + op + " on resource: " + resource +
			" because no identity-based policy allows the iam:" + op + " action"
	}
	policyARN := new("arn:aws:iam::111111111111:policy/there")
	const code = "AccessDeniedException"
	refuse(w, w.GetUser, &model.GetUserInput{UserName: new("there")}, code, denied("GetUser", "user there"))
	refuse(w, w.GetUser, &model.GetUserInput{}, code, denied("GetUser", "user admin"))
	refuse(w, w.GetGroup, &model.GetGroupInput{GroupName: new("missing")}, code, denied("GetGroup", "group missing"))
	refuse(w, w.GetRolePolicy, &model.GetRolePolicyInput{RoleName: new("there"), PolicyName: new("p")}, code, denied("GetRolePolicy", "role there"))
	refuse(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: policyARN}, code, denied("GetPolicy", "policy "+*policyARN))
	refuse(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new("{}")}, code, denied("CreatePolicy", "policy p"))
	refuse(w, w.ListPolicies, &model.ListPoliciesInput{}, code, denied("ListPolicies", "policy path /"))
	refuse(w, w.ListUsers, &model.ListUsersInput{PathPrefix: new("/a/")}, code, denied("ListUsers", "arn:aws:iam::111111111111:user/a/"))
	refuse(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("there"), PolicyArn: policyARN}, code, denied("AttachUserPolicy", "user there"))
}

// What a policy says of resources and condition keys decides.
func TestConditions(t *testing.T) {
	w := peopled(t)
	all := w.policies
	const code = "AccessDeniedException"
	allow := func(action, resource, condition string) {
		t.Helper()
		statement := `{"Effect":"Allow","Action":[` + action + `],"Resource":"` + resource + `"`
		if condition != "" {
			statement += `,"Condition":` + condition
		}
		w.policies = allowing(t, statement+`}`)
	}
	denied := func(op, resource string) string {
		return "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:" + op + " on resource: " + resource +
			" because no identity-based policy allows the iam:" + op + " action"
	}
	attach := func(arn string) *model.AttachUserPolicyInput {
		return &model.AttachUserPolicyInput{UserName: new("there"), PolicyArn: &arn}
	}
	const mine, other, boundary = "arn:aws:iam::111111111111:policy/there", "arn:aws:iam::aws:policy/IAMFullAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess"

	allow(`"iam:AttachUserPolicy"`, "*", `{"ArnEquals":{"iam:PolicyARN":"`+mine+`"}}`)
	do(w, w.AttachUserPolicy, attach(mine))
	refuse(w, w.AttachUserPolicy, attach(other), code, denied("AttachUserPolicy", "user there"))

	// Delegation: users can be made and given policies only under a boundary.
	allow(`"iam:CreateUser","iam:AttachUserPolicy"`, "*", `{"StringEquals":{"iam:PermissionsBoundary":"`+boundary+`"}}`)
	refuse(w, w.CreateUser, &model.CreateUserInput{UserName: new("free")}, code, denied("CreateUser", "user free"))
	do(w, w.CreateUser, &model.CreateUserInput{UserName: new("bound"), PermissionsBoundary: new(boundary)})
	do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("bound"), PolicyArn: new(other)})
	refuse(w, w.AttachUserPolicy, attach(other), code, denied("AttachUserPolicy", "user there"))

	allow(`"iam:CreateUser"`, "arn:aws:iam::111111111111:user/eng/*", "")
	do(w, w.CreateUser, &model.CreateUserInput{UserName: new("engineer"), Path: new("/eng/")})
	refuse(w, w.CreateUser, &model.CreateUserInput{UserName: new("boss")}, code, denied("CreateUser", "user boss"))
	allow(`"iam:UpdateUser"`, "arn:aws:iam::111111111111:user/eng/*", "")
	do(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("engineer"), NewUserName: new("Engineer")})
	refuse(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("engineer"), NewPath: new("/")}, code, denied("UpdateUser", "user Engineer"))

	w.policies = all
	do(w, w.TagUser, &model.TagUserInput{UserName: new("there"), Tags: []model.Tag{{Key: new("Team"), Value: new("a")}}})
	allow(`"iam:GetUser"`, "*", `{"StringEquals":{"aws:ResourceTag/team":"a"}}`)
	do(w, w.GetUser, &model.GetUserInput{UserName: new("there")})
	refuse(w, w.GetUser, &model.GetUserInput{UserName: new("bound")}, code, denied("GetUser", "user bound"))
	allow(`"iam:GetUser"`, "*", `{"StringEquals":{"iam:ResourceTag/Team":"a"}}`)
	do(w, w.GetUser, &model.GetUserInput{UserName: new("there")})

	tagged := func(key, value string) *model.TagUserInput {
		return &model.TagUserInput{UserName: new("bound"), Tags: []model.Tag{{Key: &key, Value: &value}}}
	}
	allow(`"iam:TagUser"`, "*", `{"StringEquals":{"aws:RequestTag/team":"b"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}`)
	do(w, w.TagUser, tagged("team", "b"))
	refuse(w, w.TagUser, tagged("team", "a"), code, denied("TagUser", "user bound"))
	refuse(w, w.TagUser, tagged("other", "b"), code, denied("TagUser", "user bound"))
	allow(`"iam:UntagUser"`, "*", `{"ForAllValues:StringEquals":{"aws:TagKeys":["other"]}}`)
	refuse(w, w.UntagUser, &model.UntagUserInput{UserName: new("bound"), TagKeys: []string{"team"}}, code, denied("UntagUser", "user bound"))

	allow(`"iam:CreateUser"`, "*", "")
	withTag := &model.CreateUserInput{UserName: new("t"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}}
	refuse(w, w.CreateUser, withTag, code, denied("TagUser", "user t"))
	allow(`"iam:CreateUser","iam:TagUser"`, "*", "")
	do(w, w.CreateUser, withTag)
}

// Users of one account see nothing of another's, whoever lets them.
func TestAccountsAreApart(t *testing.T) {
	w := peopled(t)
	const theirs = "arn:aws:iam::222222222222:policy/there"
	refuse(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: new(theirs)}, "AccessDeniedException",
		"User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:GetPolicy on resource: policy "+theirs+
			" because no resource-based policy allows the iam:GetPolicy action")
	refuse(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("there"), PolicyArn: new(theirs)}, "NoSuchEntity",
		"Policy "+theirs+" does not exist or is not attachable.")
	stranger := userPrincipal("admin")
	stranger.Account = "222222222222"
	stranger.ARN = "arn:aws:iam::222222222222:user/admin"
	w.caller = stranger
	refuse(w, w.GetUser, &model.GetUserInput{UserName: new("there")}, "NoSuchEntity", "The user with name there cannot be found.")
	if users := do(w, w.ListUsers, &model.ListUsersInput{}).Users; len(users) != 0 {
		t.Errorf("another account's users: %v", users)
	}
	refuse(w, w.GetAccessKeyLastUsed, &model.GetAccessKeyLastUsedInput{AccessKeyId: &w.key.AccessKeyID}, "NoSuchEntity",
		"The Access Key with id "+w.key.AccessKeyID+" cannot be found.")
}

// AWS's own policies can be read and attached, and changed by nobody.
func TestAWSPolicies(t *testing.T) {
	w := peopled(t)
	for _, p := range awsPolicies() {
		if p.compiled() == nil || p.description == "" {
			t.Errorf("%s: the document cannot be read, or nothing says what it is for", p.arn())
		}
		arn := p.arn()
		got := do(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: &arn}).Policy
		v := do(w, w.GetPolicyVersion, &model.GetPolicyVersionInput{PolicyArn: &arn, VersionId: got.DefaultVersionId}).PolicyVersion
		if *got.PolicyName != p.name || len(*got.PolicyId) != 21 || *v.Document != *encoded(p.text) || !*v.IsDefaultVersion {
			t.Errorf("%s: %+v, %+v", arn, got, v)
		}
		if n := len(do(w, w.ListPolicyVersions, &model.ListPolicyVersionsInput{PolicyArn: &arn}).Versions); n != 1 {
			t.Errorf("%s: %d versions", arn, n)
		}
		denied := func(op string) string {
			return "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:" + op + " on resource: policy " + arn +
				" because no resource-based policy allows the iam:" + op + " action"
		}
		refuse(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyArn: &arn}, "AccessDeniedException", denied("DeletePolicy"))
		refuse(w, w.TagPolicy, &model.TagPolicyInput{PolicyArn: &arn}, "AccessDeniedException", denied("TagPolicy"))
		refuse(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new("{}")}, "AccessDeniedException", denied("CreatePolicyVersion"))
	}
}

// What AWS's own policies grant, and what they do not.
func TestWhatAWSPoliciesGrant(t *testing.T) {
	const secret = "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf"
	for name, test := range map[string]struct{ yes, no []string }{
		"AdministratorAccess":                      {[]string{"iam:CreateUser", "secretsmanager:GetSecretValue"}, nil},
		"PowerUserAccess":                          {[]string{"secretsmanager:GetSecretValue", "kms:Decrypt", "iam:ListRoles"}, []string{"iam:CreateUser", "organizations:CreateAccount"}},
		"ReadOnlyAccess":                           {[]string{"secretsmanager:ListSecrets", "iam:GetUser"}, []string{"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "kms:Decrypt", "iam:CreateUser"}},
		"job-function/ViewOnlyAccess":              {[]string{"secretsmanager:ListSecrets"}, []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}},
		"IAMFullAccess":                            {[]string{"iam:CreateUser"}, []string{"secretsmanager:GetSecretValue"}},
		"IAMReadOnlyAccess":                        {[]string{"iam:GetUser", "iam:ListRoles"}, []string{"iam:CreateUser", "iam:PutUserPolicy"}},
		"IAMUserChangePassword":                    {[]string{"iam:GetAccountPasswordPolicy"}, []string{"iam:GetUser"}},
		"SecretsManagerReadWrite":                  {[]string{"secretsmanager:GetSecretValue", "secretsmanager:DeleteSecret", "kms:ListKeys"}, []string{"kms:Decrypt", "iam:GetUser"}},
		"SecurityAudit":                            {[]string{"secretsmanager:DescribeSecret", "iam:ListUsers"}, []string{"secretsmanager:GetSecretValue", "iam:CreateUser"}},
		"AWSKeyManagementServicePowerUser":         {[]string{"kms:CreateKey", "kms:DescribeKey"}, []string{"kms:Decrypt", "kms:ScheduleKeyDeletion"}},
		"AWSCloudTrail_ReadOnlyAccess":             {[]string{"cloudtrail:LookupEvents"}, []string{"cloudtrail:DeleteTrail"}},
		"AWSCloudTrail_FullAccess":                 {[]string{"cloudtrail:DeleteTrail"}, []string{"iam:PassRole", "secretsmanager:GetSecretValue"}},
		"AWSOrganizationsFullAccess":               {[]string{"organizations:CreateAccount"}, []string{"iam:CreateServiceLinkedRole"}},
		"AWSOrganizationsReadOnlyAccess":           {[]string{"organizations:ListAccounts"}, []string{"organizations:CreateAccount"}},
		"service-role/AWSLambdaBasicExecutionRole": {[]string{"logs:PutLogEvents"}, []string{"logs:DeleteLogGroup"}},

		"aws-service-role/SecretsManagerRotationServiceRolePolicy":    {[]string{"secretsmanager:PutSecretValue", "lambda:InvokeFunction"}, []string{"secretsmanager:DeleteSecret"}},
		"aws-service-role/SecretsManagerReplicationServiceRolePolicy": {[]string{"secretsmanager:GetSecretValue"}, []string{"secretsmanager:PutSecretValue"}},
	} {
		p := awsManaged("arn:aws:iam::aws:policy/" + name)
		if p == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		set := policy.NewSet(policy.Policy{Name: name, Document: p.compiled()})
		caller := userPrincipal("ann")
		may := func(action string) bool {
			return set.Decide(policy.Request{Principal: &caller.Principal, Action: action, Resource: secret}, nil).Allowed
		}
		for _, action := range test.yes {
			if !may(action) {
				t.Errorf("%s does not grant %s", name, action)
			}
		}
		for _, action := range test.no {
			if may(action) {
				t.Errorf("%s grants %s", name, action)
			}
		}
	}
	if n := len(awsPolicies()); n != 17 {
		t.Errorf("%d policies, of which 17 are looked at", n)
	}
}

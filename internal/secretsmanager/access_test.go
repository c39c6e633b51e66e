package secretsmanager

import (
	"errors"
	"strings"
	"testing"

	iammodel "azekura/internal/api/iam"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

const otherAccount = "222222222222"

// user makes an IAM user in an account.
func (w *world) user(inAccount, name string) *call.Principal {
	w.t.Helper()
	s := iam.New(iam.Config{DB: w.db, Keyring: w.keyring})
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		return iam.AddMember(tx, iam.Member{ID: inAccount, Management: account, RoleName: "Enter"})
	})
	if err != nil && !errors.Is(err, store.ErrConflict) { // which it is for the second user
		w.t.Fatal(err)
	}
	c := w.call("CreateUser", nil)
	c.Service, c.Principal.Account, c.Policies = "iam", inAccount, everythingAllowed(w.t)
	out, err := s.CreateUser(w.t.Context(), c, &iammodel.CreateUserInput{UserName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	return &call.Principal{
		Principal: policy.Principal{Kind: policy.User, ARN: *out.User.Arn, Account: inAccount, Entity: *out.User.Arn, ID: *out.User.UserId},
		UserName:  name,
	}
}

// as makes all further calls those of a principal that has identity policies
// of these statements.
func (w *world) as(p *call.Principal, statements ...string) {
	w.t.Helper()
	w.caller, w.policies = p, nil
	for _, s := range statements {
		doc, err := policy.Parse(`{"Version":"2012-10-17","Statement":`+s+`}`, policy.Identity)
		if err != nil {
			w.t.Fatal(err)
		}
		w.policies = w.policies.With(policy.Policy{Name: "own", Document: doc})
	}
}

// admin makes all further calls the administrator's.
func (w *world) admin() { w.caller, w.policies = nil, everythingAllowed(w.t) }

// arnOf makes a secret, and is its ARN.
func (w *world) arnOf(name string) string {
	w.t.Helper()
	w.add(name)
	return *do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &name}).ARN
}

// policyOf sets a secret's policy to one statement, as the administrator, who
// the next caller is then.
func (w *world) policyOf(name, statement string) {
	w.t.Helper()
	w.admin()
	do(w, w.PutResourcePolicy, &model.PutResourcePolicyInput{
		SecretId: &name, ResourcePolicy: new(`{"Version":"2012-10-17","Statement":` + statement + `}`),
	})
}

func (w *world) denied(action, on, because string) string {
	return "User: " + w.caller.ARN + " is not authorized to perform: secretsmanager:" + action + " on resource: " + on + " " + because
}

const (
	allowGet       = `{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}`
	noIdentity     = "because no identity-based policy allows the secretsmanager:GetSecretValue action"
	noResource     = "because no resource-based policy allows the secretsmanager:GetSecretValue action"
	defaultKeyText = "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key."
	denyResource   = "with an explicit deny in a resource-based policy"
)

// Within an account the secret's policy lets in whom it names, and keeps out
// whom it denies.
func TestResourcePolicyIsEnforced(t *testing.T) {
	w := newWorld(t)
	arn := w.arnOf("s")
	bob := w.user(account, "bob")
	get := &model.GetSecretValueInput{SecretId: &arn}
	w.as(bob)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", w.denied("GetSecretValue", arn, noIdentity))

	w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+bob.ARN+`"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	w.as(bob)
	do(w, w.GetSecretValue, get)
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &arn}, "AccessDeniedException",
		w.denied("DescribeSecret", arn, strings.ReplaceAll(noIdentity, "GetSecretValue", "DescribeSecret")))

	w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	w.as(bob)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", w.denied("GetSecretValue", arn, noIdentity))
	w.as(bob, allowGet)
	do(w, w.GetSecretValue, get)

	w.policyOf("s", `{"Effect":"Deny","Principal":{"AWS":"`+bob.ARN+`"},"Action":"secretsmanager:*","Resource":"*"}`)
	w.as(bob, allowGet)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", w.denied("GetSecretValue", arn, denyResource))
	w.as(bob, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)
	batch := do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"s"}})
	if len(batch.SecretValues) != 0 || len(batch.Errors) != 1 || *batch.Errors[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("in a batch: %d values, errors %v", len(batch.SecretValues), batch.Errors)
	}
}

// Across accounts a secret is found by its ARN alone, and both sides have to
// allow.
func TestOtherAccounts(t *testing.T) {
	w := newWorld(t)
	arn := w.arnOf("s")
	eve := w.user(otherAccount, "eve")
	get := &model.GetSecretValueInput{SecretId: &arn}
	w.as(eve, allowGet)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", w.denied("GetSecretValue", arn, noResource))
	missing := strings.Replace(arn, ":s-", ":missing-", 1)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &missing}, "AccessDeniedException", w.denied("GetSecretValue", missing, noResource))

	const read = `"Action":["secretsmanager:GetSecretValue","secretsmanager:DescribeSecret"],"Resource":"*"`
	for name, principal := range map[string]string{"account": otherAccount, "user": eve.ARN} {
		w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+principal+`"},`+read+`}`)
		w.as(eve)
		refuse(w, w.GetSecretValue, get, "AccessDeniedException", w.denied("GetSecretValue", arn, noIdentity))
		w.as(eve, `{"Effect":"Allow",`+read+`}`)
		if got := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &arn}); *got.ARN != arn {
			t.Errorf("%s: found %s", name, *got.ARN)
		}
		refuse(w, w.GetSecretValue, get, "InvalidRequestException", defaultKeyText)
		refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}, "ResourceNotFoundException", notThere)
		w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+principal+`"},"Action":"secretsmanager:*","Resource":"*"}`)
		w.as(eve, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)
		refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("y"), ClientRequestToken: token("p")},
			"InvalidRequestException", defaultKeyText)
	}
	root := &call.Principal{Principal: policy.Principal{Kind: policy.Root, ARN: "arn:aws:iam::" + otherAccount + ":root", Account: otherAccount,
		Entity: "arn:aws:iam::" + otherAccount + ":root", ID: otherAccount}}
	w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+otherAccount+`"},`+read+`}`)
	w.as(root)
	do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &arn})
}

// Users in a policy are kept by their ids: who takes a name later gets nothing,
// and a user that does not exist is refused.
func TestPrincipalsAreKeptByID(t *testing.T) {
	w := newWorld(t)
	w.add("s")
	bob := w.user(account, "bob")
	w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+bob.ARN+`"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	if got := do(w, w.GetResourcePolicy, &model.GetResourcePolicyInput{SecretId: new("s")}); !strings.Contains(*got.ResourcePolicy, bob.ARN) {
		t.Errorf("shown as %s", *got.ResourcePolicy)
	}
	another := new(*bob)
	another.ID = "AIDAQAAAAAAAGMKEM7X5B"
	w.as(another)
	_, err := w.GetSecretValue(t.Context(), w.call("GetSecretValue", &model.GetSecretValueInput{}), &model.GetSecretValueInput{SecretId: new("s")})
	if err == nil {
		t.Error("another user of the name was let in")
	}
	w.admin()
	put := func(principal string) *model.PutResourcePolicyInput {
		return &model.PutResourcePolicyInput{SecretId: new("s"), ResourcePolicy: new(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":` + principal + `,"Action":"secretsmanager:GetSecretValue","Resource":"*"}}`)}
	}
	refuse(w, w.PutResourcePolicy, put(`{"AWS":"arn:aws:iam::111111111111:user/nobody"}`), "MalformedPolicyDocumentException",
		"This resource policy contains an unsupported principal.")
	refuse(w, w.PutResourcePolicy, put(`{"Service":"lambda"}`), "MalformedPolicyDocumentException",
		"This resource policy contains an unsupported service principal.")
	refuse(w, w.ValidateResourcePolicy, &model.ValidateResourcePolicyInput{ResourcePolicy: put(`{"AWS":"arn:aws:iam::111111111111:user/nobody"}`).ResourcePolicy},
		"MalformedPolicyDocumentException", "This resource policy contains an unsupported principal.")
}

// A policy that keeps out its author as the call comes is refused, too.
func TestLockOutUnderConditions(t *testing.T) {
	w := newWorld(t)
	w.add("s")
	put := func(condition string) *model.PutResourcePolicyInput {
		return &model.PutResourcePolicyInput{SecretId: new("s"), ResourcePolicy: new(
			`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*","Resource":"*","Condition":` + condition + `}}`)}
	}
	refuse(w, w.PutResourcePolicy, put(`{"StringNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:user/other"}}`), "InvalidRequestException", lockOutText)
	do(w, w.PutResourcePolicy, put(`{"StringNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:user/ann"}}`))
}

// What the secret and the request are decides, by condition keys.
func TestConditions(t *testing.T) {
	w := newWorld(t)
	arn := do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("c"), SecretString: secretText("x"),
		Tags: []model.Tag{{Key: new("team"), Value: new("red")}}}).ARN
	bob := w.user(account, "bob")
	bob.Tags = map[string]string{"team": "red"}
	when := func(condition string) string {
		return `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*","Condition":` + condition + `}`
	}
	denied := func(action string) string {
		return w.denied(action, *arn, strings.ReplaceAll(noIdentity, "GetSecretValue", action))
	}
	get := &model.GetSecretValueInput{SecretId: arn}

	w.as(bob, when(`{"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}}`))
	do(w, w.GetSecretValue, get)
	bob.Tags = map[string]string{"team": "blue"}
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", denied("GetSecretValue"))

	w.as(bob, when(`{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`))
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", denied("GetSecretValue"))
	do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: arn, VersionStage: new("AWSCURRENT")})

	w.as(bob, when(`{"StringEquals":{"aws:RequestTag/env":["dev","test"]},"ForAllValues:StringEquals":{"aws:TagKeys":["env"]}}`))
	tag := func(pairs ...string) *model.TagResourceInput {
		in := &model.TagResourceInput{SecretId: arn}
		for i := 0; i < len(pairs); i += 2 {
			in.Tags = append(in.Tags, model.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return in
	}
	do(w, w.TagResource, tag("env", "dev"))
	refuse(w, w.TagResource, tag("env", "prod"), "AccessDeniedException", denied("TagResource"))
	refuse(w, w.TagResource, tag("env", "dev", "owner", "bob"), "AccessDeniedException", denied("TagResource"))

	w.as(bob, when(`{"NumericGreaterThanEquals":{"secretsmanager:RecoveryWindowInDays":"14"}}`))
	refuse(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: arn, RecoveryWindowInDays: new(int64(7))}, "AccessDeniedException", denied("DeleteSecret"))

	w.as(bob, when(`{"StringEquals":{"aws:username":"bob"},"IpAddress":{"aws:SourceIp":"127.0.0.0/8"},"Bool":{"aws:SecureTransport":"false"}}`))
	do(w, w.GetSecretValue, get)
}

// Who may change another account's secret cannot seal it under a default key of
// their own, by whichever name: its owner could not read it any more.
func TestOtherAccountsDefaultKey(t *testing.T) {
	w := newWorld(t)
	arn := w.arnOf("s")
	eve := w.user(otherAccount, "eve")
	w.policyOf("s", `{"Effect":"Allow","Principal":{"AWS":"`+eve.ARN+`"},"Action":"secretsmanager:*","Resource":"*"}`)
	w.as(eve, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)
	for _, key := range []string{"", "alias/aws/secretsmanager", "arn:aws:kms:us-east-1:" + otherAccount + ":alias/aws/secretsmanager"} {
		refuse(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: &arn, SecretString: secretText("y"), KmsKeyId: &key, ClientRequestToken: token("p")},
			"InvalidRequestException", defaultKeyText)
	}
	w.admin()
	do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &arn})
}

// Of a request's tags that one condition key names, told apart by letter case
// alone, none hides behind another.
func TestTagsThatDifferInCase(t *testing.T) {
	w := newWorld(t)
	arn := w.arnOf("s")
	bob := w.user(account, "bob")
	const tagIt = `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`
	w.as(bob, tagIt, `{"Effect":"Deny","Action":"secretsmanager:TagResource","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/env":"prod"}}}`)
	tags := []model.Tag{{Key: new("env"), Value: new("dev")}, {Key: new("ENV"), Value: new("prod")}}
	refuse(w, w.TagResource, &model.TagResourceInput{SecretId: &arn, Tags: tags}, "AccessDeniedException",
		w.denied("TagResource", arn, "with an explicit deny in an identity-based policy"))
	refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("t"), ClientRequestToken: token("c"), Tags: tags}, "AccessDeniedException",
		w.denied("TagResource", "t", "with an explicit deny in an identity-based policy"))
}

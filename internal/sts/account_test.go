package sts

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"

	"azekura/internal/api"
	iammodel "azekura/internal/api/iam"
	orgmodel "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/sigv4"
)

// as calls an operation as an account's user root, who may do everything.
func as[In, Out any](t testing.TB, account string, serve func(context.Context, *call.Call, *In) (*Out, error), in *In) *Out {
	t.Helper()
	root := "arn:aws:iam::" + account + ":root"
	out, err := serve(t.Context(), &call.Call{
		Time: now, Input: in, Principal: call.Principal{Principal: policy.Principal{Kind: policy.Root, ARN: root, Account: account, Entity: root}},
	}, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A user of a member account is bound by the organization's policies, is known
// to be of it, and is shut out once the account is closed.
func TestAccountOfTheCaller(t *testing.T) {
	d := newDoor(t)
	member := *as(t, account, d.orgs.CreateAccount, &orgmodel.CreateAccountInput{
		AccountName: new(api.Sensitive("one")), Email: new(api.Sensitive("one@example.com")),
	}).CreateAccountStatus.AccountId
	as(t, member, d.iam.CreateUser, &iammodel.CreateUserInput{UserName: new("ann")})
	as(t, member, d.iam.AttachUserPolicy, &iammodel.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: new("arn:aws:iam::aws:policy/AdministratorAccess")})
	key := as(t, member, d.iam.CreateAccessKey, &iammodel.CreateAccessKeyInput{UserName: new("ann")}).AccessKey
	ann := sigv4.Credentials{AccessKeyID: *key.AccessKeyId, Secret: string(*key.SecretAccessKey)}
	authenticated := func(creds sigv4.Credentials) *call.Call {
		t.Helper()
		verify, err := d.Authenticate(signed(creds), service, netip.Addr{}, now, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := verify(sha256.Sum256([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	may := func(creds sigv4.Credentials) policy.Decision {
		t.Helper()
		return authenticated(creds).Decide("kms:CreateKey", call.Target{ARN: "*"})
	}
	c := authenticated(ann)
	if c.Principal.Organization == "" || !strings.HasPrefix(c.Principal.OrganizationPath, c.Principal.Organization+"/r-") {
		t.Errorf("the organization is %q, the path %q", c.Principal.Organization, c.Principal.OrganizationPath)
	}
	if admin := authenticated(d.creds).Principal; admin.Organization != c.Principal.Organization {
		t.Errorf("the administrator is of %q", admin.Organization)
	}
	if d := may(ann); !d.Allowed {
		t.Errorf("to begin with: %+v", d)
	}
	scp := as(t, account, d.orgs.CreatePolicy, &orgmodel.CreatePolicyInput{
		Name: new("no keys"), Description: new(""), Type: new("SERVICE_CONTROL_POLICY"),
		Content: new(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*"}}`),
	}).Policy.PolicySummary.Id
	root := as(t, account, d.orgs.ListRoots, &orgmodel.ListRootsInput{}).Roots[0].Id
	as(t, account, d.orgs.AttachPolicy, &orgmodel.AttachPolicyInput{PolicyId: scp, TargetId: root})
	if d := may(ann); d.Allowed || d.Type != policy.OrganizationPolicy || !d.Explicit {
		t.Errorf("under the policy: %+v", d)
	}
	if d := may(d.creds); !d.Allowed {
		t.Errorf("the management account: %+v", d)
	}
	as(t, account, d.orgs.CloseAccount, &orgmodel.CloseAccountInput{AccountId: &member})
	_, err := d.Authenticate(signed(ann), service, netip.Addr{}, now, nil)
	if kind := kindOf(t, err); kind != sigv4.Closed {
		t.Errorf("of a closed account: %v", err)
	}
	authenticated(d.creds)
}

// The organization's policies and the state of the account bear on a session as
// they do on a user.
func TestAccountOfASession(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", allow("sts:AssumeRole", "*"))
	w.role(other, "r", trustRoot, allow("*", "*"))
	as(t, account, w.orgs.AttachPolicy, &orgmodel.AttachPolicyInput{PolicyId: new("p-FullAWSAccess"), TargetId: new(other)})
	s := w.assume(ann, roleARN(other, "r"), nil)
	may := func() policy.Decision {
		t.Helper()
		c, err := w.enter(s, "kms")
		if err != nil {
			t.Fatal(err)
		}
		if c.Principal.Organization == "" || !strings.HasPrefix(c.Principal.OrganizationPath, c.Principal.Organization+"/r-") {
			t.Errorf("the organization is %q, the path %q", c.Principal.Organization, c.Principal.OrganizationPath)
		}
		return c.Decide("kms:CreateKey", call.Target{ARN: "*"})
	}
	if d := may(); !d.Allowed {
		t.Errorf("to begin with: %+v", d)
	}
	scp := as(t, account, w.orgs.CreatePolicy, &orgmodel.CreatePolicyInput{
		Name: new("no keys"), Description: new(""), Type: new("SERVICE_CONTROL_POLICY"),
		Content: new(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*"}}`),
	}).Policy.PolicySummary.Id
	as(t, account, w.orgs.AttachPolicy, &orgmodel.AttachPolicyInput{PolicyId: scp, TargetId: new(other)})
	if d := may(); d.Allowed || d.Type != policy.OrganizationPolicy || !d.Explicit {
		t.Errorf("under the policy: %+v", d)
	}
	as(t, account, w.orgs.CloseAccount, &orgmodel.CloseAccountInput{AccountId: new(other)})
	if got := w.who(s); got != "closed account" {
		t.Errorf("of a closed account: %s", got)
	}
}

// An organization's policies bind the sessions of an account's roles, but for
// those of service-linked ones.
func TestServiceLinkedRolesAreNotBound(t *testing.T) {
	d := newDoor(t)
	member := *as(t, account, d.orgs.CreateAccount, &orgmodel.CreateAccountInput{
		AccountName: new(api.Sensitive("one")), Email: new(api.Sensitive("one@example.com")),
	}).CreateAccountStatus.AccountId
	scp := as(t, account, d.orgs.CreatePolicy, &orgmodel.CreatePolicyInput{
		Name: new("nothing"), Description: new(""), Type: new("SERVICE_CONTROL_POLICY"), Content: new(statements(`{"Effect":"Deny","Action":"*","Resource":"*"}`)),
	}).Policy.PolicySummary.Id
	as(t, account, d.orgs.AttachPolicy, &orgmodel.AttachPolicyInput{PolicyId: scp, TargetId: &member})
	bounds, err := d.orgs.Account(t.Context(), nil, member)
	if err != nil {
		t.Fatal(err)
	}
	everything, err := policy.Parse(statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/": false, "/aws-service-role": false, "/aws-service-role/x.amazonaws.com/": true} {
		role := &iam.Identity{ID: "AROAQAAAAAAAGMKEM7X5A", Account: member, Path: path, Name: "r", Policies: policy.NewSet(policy.Policy{Name: "all", Document: everything})}
		session := &opened{claims: &claims{kind: roleSession, account: member, id: role.ID, name: "s"}}
		made, err := d.compose(t.Context(), nil, session, role, bounds)
		if err != nil {
			t.Fatal(err)
		}
		got := made.policies.Decide(policy.Request{Principal: &made.principal.Principal, Action: "kms:CreateKey", Resource: "*"}, nil)
		if got.Allowed != want {
			t.Errorf("of the path %s: %+v", path, got)
		}
	}
}

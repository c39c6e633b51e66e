package organizations

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"azekura/internal/api"
	"azekura/internal/api/apitest"
	model "azekura/internal/api/organizations"
	"azekura/internal/policy"
	"azekura/internal/store/storetest"
)

// notServed are the operations of the model that are refused as unknown.
var notServed = []string{
	// Organizational units: all accounts are directly under the root.
	"CreateOrganizationalUnit", "DeleteOrganizationalUnit", "DescribeOrganizationalUnit", "MoveAccount", "UpdateOrganizationalUnit",
	// Accounts of others, and the end of the organization: it is the deployment.
	"AcceptHandshake", "CancelHandshake", "CreateGovCloudAccount", "DeclineHandshake", "DeleteOrganization", "DescribeHandshake",
	"EnableAllFeatures", "InviteAccountToOrganization", "LeaveOrganization", "ListHandshakesForAccount",
	"ListHandshakesForOrganization", "RemoveAccountFromOrganization",
	// Delegation, and other services' part in the organization.
	"DeleteResourcePolicy", "DeregisterDelegatedAdministrator", "DescribeResourcePolicy", "DisableAWSServiceAccess",
	"EnableAWSServiceAccess", "ListDelegatedAdministrators",
	"ListDelegatedServicesForAccount", "PutResourcePolicy", "RegisterDelegatedAdministrator",
	// Other types of policies, which are merged.
	"DescribeEffectivePolicy", "ListAccountsWithInvalidEffectivePolicy", "ListEffectivePolicyValidationErrors",
	// Billing.
	"DescribeResponsibilityTransfer", "InviteOrganizationToTransferResponsibility", "ListInboundResponsibilityTransfers",
	"ListOutboundResponsibilityTransfers", "TerminateResponsibilityTransfer", "UpdateResponsibilityTransfer",
}

// Every operation of the model is served or on the list of those that are not.
func TestComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Clone(notServed)
	for _, op := range (&Service{}).API().Ops {
		got = append(got, op.Name)
		if !regexp.MustCompile(`\b` + op.Name + `\b`).Match(page) {
			t.Errorf("docs/api.md does not name %s", op.Name)
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(model.Operations)); !slices.Equal(got, want) {
		t.Errorf("served or refused: %v\nthe model has %v", got, want)
	}
}

// setIDs names an account, and a policy and the root where those are asked for.
func setIDs(in any, account, scp, root string) {
	switch in := in.(type) {
	case *model.AttachPolicyInput:
		in.PolicyId, in.TargetId = &scp, &account
	case *model.DetachPolicyInput:
		in.PolicyId, in.TargetId = &scp, &account
	case *model.CloseAccountInput:
		in.AccountId = &account
	case *model.DescribeAccountInput:
		in.AccountId = &account
	case *model.DescribePolicyInput:
		in.PolicyId = &scp
	case *model.DeletePolicyInput:
		in.PolicyId = &scp
	case *model.UpdatePolicyInput:
		in.PolicyId, in.Content = &scp, new(`{}`)
	case *model.ListTargetsForPolicyInput:
		in.PolicyId = &scp
	case *model.ListPoliciesForTargetInput:
		in.TargetId = &root
	case *model.ListAccountsForParentInput:
		in.ParentId = &root
	case *model.ListParentsInput:
		in.ChildId = &account
	case *model.TagResourceInput:
		in.ResourceId = &account
	case *model.UntagResourceInput:
		in.ResourceId = &account
	}
}

// No operation serves a caller without permission, and none tells such a
// caller what exists. One of a member account is not served whatever its
// policies allow, but for what every account may ask.
func TestDenied(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	member := w.member("one")
	scp := w.policy("none", `{"Effect":"Deny","Action":"*","Resource":"*"}`)
	all := w.policies
	for _, as := range []struct {
		account  string
		policies *policy.Set
		want     string
	}{
		{management, nil, "is not authorized to perform: organizations:"},
		{management, &policy.Set{}, "is not authorized to perform: organizations:"},
		{member, all, "You don't have permissions to access this resource."},
	} {
		w.account, w.policies = as.account, as.policies
		for _, op := range w.API().Ops {
			for _, there := range []bool{true, false} {
				in := op.New()
				apitest.Smallest(in)
				if there {
					setIDs(in, member, scp, w.root)
				}
				_, err := op.Run(t.Context(), w.call(op.Name, in), in)
				e, ok := errors.AsType[*api.Error](err)
				if as.account == member && (op.Name == "DescribeOrganization" && err == nil ||
					op.Name == "CreateOrganization" && ok && e.Code == "AlreadyInOrganizationException") {
					continue
				}
				if !ok || e.Code != "AccessDeniedException" || !strings.Contains(e.Message, as.want) {
					t.Errorf("%s as %s: got %v", op.Name, as.account, err)
				}
			}
		}
	}
	w.account, w.policies = management, all
	if got := do(w, w.DescribeAccount, &model.DescribeAccountInput{AccountId: &member}); *got.Account.State != "ACTIVE" {
		t.Error("the refused calls changed the account")
	}
	if got := do(w, w.DescribePolicy, &model.DescribePolicyInput{PolicyId: &scp}); *got.Policy.PolicySummary.Name != "none" {
		t.Error("the refused calls changed the policy")
	}
}

// Permissions are for what a call names: all of it.
func TestPermissionsOnResources(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	one, two := w.member("one"), w.member("two")
	scp := w.policy("some", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	do(w, w.TagResource, &model.TagResourceInput{ResourceId: &one, Tags: []model.Tag{{Key: new("team"), Value: new("blue")}}})
	org := *do(w, w.DescribeOrganization, &model.DescribeOrganizationInput{}).Organization.Id
	prefix := "arn:aws:organizations::111111111111:"
	onPolicy, onOne := `"`+prefix+`policy/`+org+`/service_control_policy/`+scp+`"`, `"`+prefix+`account/`+org+`/`+one+`"`

	attachTo := func(id string) error {
		in := &model.AttachPolicyInput{PolicyId: &scp, TargetId: &id}
		_, err := w.AttachPolicy(t.Context(), w.call("AttachPolicy", in), in)
		return err
	}
	describe := func(id string) error {
		in := &model.DescribeAccountInput{AccountId: &id}
		_, err := w.DescribeAccount(t.Context(), w.call("DescribeAccount", in), in)
		return err
	}
	create := func(tags ...model.Tag) error {
		in := &model.CreatePolicyInput{Name: new("p" + newID("", 8)), Description: new(""), Type: new(serviceControl),
			Content: new(document(`{"Effect":"Allow","Action":"*","Resource":"*"}`)), Tags: tags}
		_, err := w.CreatePolicy(t.Context(), w.call("CreatePolicy", in), in)
		return err
	}
	colored := func(color string) model.Tag { return model.Tag{Key: new("Team"), Value: &color} }
	for _, test := range []struct {
		statement string
		try       func() error
		want      string // the code of the error, "" for none
	}{
		{`{"Effect":"Allow","Action":"*","Resource":` + onPolicy + `}`, func() error { return attachTo(two) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":` + onOne + `}`, func() error { return attachTo(one) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":[` + onOne + `,` + onPolicy + `]}`, func() error { return attachTo(two) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":[` + onOne + `,` + onPolicy + `]}`, func() error { return attachTo(w.root) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":[` + onOne + `,` + onPolicy + `]}`, func() error { return attachTo(one) }, ""},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}`, func() error { return describe(one) }, ""},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}`, func() error { return describe(two) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":"*"}`, func() error { return describe("999999999999") }, "AccountNotFoundException"},
		{`{"Effect":"Allow","Action":"organizations:CreatePolicy","Resource":"*"}`, func() error { return create() }, ""},
		{`{"Effect":"Allow","Action":"organizations:CreatePolicy","Resource":"*"}`, func() error { return create(colored("red")) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"red"}}}`, func() error { return create(colored("red")) }, ""},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"red"}}}`, func() error { return create(colored("blue")) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/team":"blue"}}}`,
			func() error { return create(model.Tag{Key: new("team"), Value: new("red")}, colored("blue")) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"x"}}}`, func() error { return create(colored("red")) }, "AccessDeniedException"},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"organizations:PolicyType":"SERVICE_CONTROL_POLICY"}}}`, func() error { return create() }, ""},
		{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"organizations:PolicyType":"TAG_POLICY"}}}`, func() error { return create() }, "AccessDeniedException"},
	} {
		w.policies = granting(t, test.statement)
		err := test.try()
		if e, _ := errors.AsType[*api.Error](err); (err != nil || test.want != "") && (e == nil || e.Code != test.want) {
			t.Errorf("under %s: got %v, want %q", test.statement, err, test.want)
		}
	}
}

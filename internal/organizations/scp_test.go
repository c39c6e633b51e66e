package organizations

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	model "azekura/internal/api/organizations"
	"azekura/internal/policy"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const anything = `{"Effect":"Allow","Action":"*","Resource":"*"}`

func TestPolicies(t *testing.T) {
	each(t, func(w *world) {
		org := *do(w, w.DescribeOrganization, &model.DescribeOrganizationInput{}).Organization.Id
		content := document(anything)
		made := do(w, w.CreatePolicy, &model.CreatePolicyInput{Name: new("no keys"), Description: new("d"), Type: new(serviceControl), Content: &content}).Policy
		id := *made.PolicySummary.Id
		want := &model.Policy{Content: &content, PolicySummary: &model.PolicySummary{
			Id: &id, Arn: new("arn:aws:organizations::111111111111:policy/" + org + "/service_control_policy/" + id),
			Name: new("no keys"), Description: new("d"), Type: new(serviceControl), AwsManaged: new(false),
		}}
		if diff := cmp.Diff(want, made); diff != "" || len(id) != 10 {
			w.t.Errorf("made (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, do(w, w.DescribePolicy, &model.DescribePolicyInput{PolicyId: &id}).Policy); diff != "" {
			w.t.Errorf("described (-want +got):\n%s", diff)
		}
		changed := document(`{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)
		want.Content, want.PolicySummary.Name, want.PolicySummary.Description = &changed, new("keys"), new("")
		got := do(w, w.UpdatePolicy, &model.UpdatePolicyInput{PolicyId: &id, Name: new("keys"), Description: new(""), Content: &changed}).Policy
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("updated (-want +got):\n%s", diff)
		}
		do(w, w.UpdatePolicy, &model.UpdatePolicyInput{PolicyId: &id})
		if diff := cmp.Diff(want, do(w, w.DescribePolicy, &model.DescribePolicyInput{PolicyId: &id}).Policy); diff != "" {
			w.t.Errorf("described (-want +got):\n%s", diff)
		}
		aws := do(w, w.DescribePolicy, &model.DescribePolicyInput{PolicyId: new(fullAccessID)}).Policy.PolicySummary
		if *aws.Arn != "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess" || !*aws.AwsManaged {
			w.t.Errorf("AWS's own: %s", *aws.Arn)
		}
		do(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyId: &id})
		refuse(w, w.DescribePolicy, &model.DescribePolicyInput{PolicyId: &id}, "PolicyNotFoundException", "You specified a policy that doesn't exist.")
	})
}

func TestPoliciesThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		id, other := w.policy("held", anything), w.policy("other", anything)
		const (
			malformed = "The provided policy document does not meet the requirements of the specified policy type."
			twice     = "A policy with the same name already exists."
			aws       = "You specified a policy that is managed by AWS and can't be modified."
		)
		for _, test := range []struct{ name, kind, content, code, says string }{
			{"held", serviceControl, document(anything), "DuplicatePolicyException", twice},
			{"FullAWSAccess", serviceControl, document(anything), "DuplicatePolicyException", twice},
			{"x", "TAG_POLICY", `{}`, "PolicyTypeNotAvailableForOrganizationException",
				"You can't use the specified policy type with the feature set currently enabled for this organization."},
			{"x", serviceControl, `{}`, "MalformedPolicyDocumentException", malformed},
			{"x", serviceControl, `nothing`, "MalformedPolicyDocumentException", malformed},
			{"x", serviceControl, document(`{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}`), "MalformedPolicyDocumentException", malformed},
			{"x", serviceControl, document(anything) + strings.Repeat(" ", maxContent), "ConstraintViolationException",
				"You attempted to create a policy that is larger than the maximum size."},
		} {
			refuse(w, w.CreatePolicy, &model.CreatePolicyInput{Name: &test.name, Description: new(""), Type: &test.kind, Content: &test.content}, test.code, test.says)
			if test.kind == serviceControl {
				refuse(w, w.UpdatePolicy, &model.UpdatePolicyInput{PolicyId: &other, Name: &test.name, Content: &test.content}, test.code, test.says)
			}
		}
		refuse(w, w.UpdatePolicy, &model.UpdatePolicyInput{PolicyId: new(fullAccessID), Description: new("x")}, "InvalidInputException", aws)
		refuse(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyId: new(fullAccessID)}, "InvalidInputException", aws)
		longest := document(anything)
		longest += strings.Repeat("\n", maxContent-len(longest))
		do(w, w.UpdatePolicy, &model.UpdatePolicyInput{PolicyId: &other, Name: new("other"), Content: &longest})

		w.attach(id, w.root)
		refuse(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyId: &id}, "PolicyInUseException",
			"The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
	})
}

func TestAttachments(t *testing.T) {
	each(t, func(w *world) {
		member, id := w.member("one"), w.policy("p0", anything)
		const noTarget = "You specified a target that doesn't exist."
		attach := func(policy, target string) *model.AttachPolicyInput {
			return &model.AttachPolicyInput{PolicyId: &policy, TargetId: &target}
		}
		detach := func(policy, target string) *model.DetachPolicyInput {
			return &model.DetachPolicyInput{PolicyId: &policy, TargetId: &target}
		}
		refuse(w, w.AttachPolicy, attach("p-00000000", member), "PolicyNotFoundException", "You specified a policy that doesn't exist.")
		for _, none := range []string{"999999999999", "r-zzzz", "ou-abcd-12345678", id} {
			refuse(w, w.AttachPolicy, attach(id, none), "TargetNotFoundException", noTarget)
		}
		refuse(w, w.DetachPolicy, detach(id, member), "PolicyNotAttachedException", "The policy isn't attached to the specified target in the specified root.")
		w.attach(id, member)
		refuse(w, w.AttachPolicy, attach(id, member), "DuplicatePolicyAttachmentException", "The selected policy is already attached to the specified target.")
		w.detach(fullAccessID, member)
		refuse(w, w.DetachPolicy, detach(id, member), "ConstraintViolationException",
			"You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
		want := []string{id}
		for i := 1; i < maxAttached; i++ {
			next := w.policy(fmt.Sprint("p", i), anything)
			w.attach(next, member)
			want = append(want, next)
		}
		refuse(w, w.AttachPolicy, attach(fullAccessID, member), "ConstraintViolationException", "You have attached the maximum number of policies to the specified target.")
		slices.Sort(want)
		for size := int64(1); size <= 6; size++ {
			var got []string
			var token *string
			for more := true; more; more = token != nil {
				out := do(w, w.ListPoliciesForTarget, &model.ListPoliciesForTargetInput{TargetId: &member, Filter: new(serviceControl), MaxResults: &size, NextToken: token})
				for _, p := range out.Policies {
					got = append(got, *p.Id)
				}
				token = out.NextToken
			}
			var listed []string
			for more := true; more; more = token != nil {
				out := do(w, w.ListPolicies, &model.ListPoliciesInput{Filter: new(serviceControl), MaxResults: &size, NextToken: token})
				for _, p := range out.Policies {
					listed = append(listed, *p.Id)
				}
				token = out.NextToken
			}
			if !slices.Equal(got, want) || !slices.Equal(listed, append([]string{fullAccessID}, want...)) {
				w.t.Errorf("pages of %d: on the account %v, in all %v; want %v", size, got, listed, want)
			}
		}
		if out := do(w, w.ListPolicies, &model.ListPoliciesInput{Filter: new("TAG_POLICY")}); len(out.Policies) != 0 {
			w.t.Errorf("tag policies: %v", out.Policies)
		}
		targets := do(w, w.ListTargetsForPolicy, &model.ListTargetsForPolicyInput{PolicyId: new(fullAccessID)}).Targets
		org := *do(w, w.DescribeOrganization, &model.DescribeOrganizationInput{}).Organization.Id
		if diff := cmp.Diff([]model.PolicyTargetSummary{
			{TargetId: new(management), Arn: new("arn:aws:organizations::111111111111:account/" + org + "/" + management), Name: new("management"), Type: new("ACCOUNT")},
			{TargetId: &w.root, Arn: new("arn:aws:organizations::111111111111:root/" + org + "/" + w.root), Name: new("Root"), Type: new("ROOT")},
		}, targets); diff != "" {
			w.t.Errorf("targets (-want +got):\n%s", diff)
		}
	})
}

// What service control policies make of decisions: each level has to allow, a
// denial wins, the root user is bound, the management account is not; and each
// change is obeyed at once, by every process.
func TestServiceControlPoliciesDecide(t *testing.T) {
	each(t, func(w *world) {
		one, two := w.member("one"), w.member("two")
		nodes := []*Service{w.Service}
		if strings.HasSuffix(w.t.Name(), "postgres") { // the only engine of several processes
			nodes = append(nodes, w.again())
		}
		root := policy.Principal{Kind: policy.Root, ARN: "arn:aws:iam::" + one + ":root", Account: one, Entity: "arn:aws:iam::" + one + ":root"}
		admin := granting(w.t, anything)
		expect := func(when string, who policy.Principal, action string, allowed, explicit bool) {
			w.t.Helper()
			for i, node := range nodes {
				a, err := node.Account(w.t.Context(), nil, who.Account)
				if err != nil {
					w.t.Fatal(err)
				}
				d := a.Bind(admin).Decide(policy.Request{Principal: &who, Action: action, Resource: "*"}, nil)
				if d.Allowed != allowed || d.Explicit != explicit || !allowed && d.Type != policy.OrganizationPolicy {
					w.t.Errorf("%s: %s by %s on node %d: %+v", when, action, who.ARN, i, d)
				}
			}
		}
		free := func(when string) {
			w.t.Helper()
			for _, who := range []policy.Principal{userOf(one), root, userOf(two), userOf(management)} {
				expect(when, who, "kms:CreateKey", true, false)
				expect(when, who, "iam:CreateUser", true, false)
			}
		}
		free("to begin with")
		noKeys := w.policy("no keys", `{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)
		onlyKeys := w.policy("only keys", `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`)
		free("not attached")

		w.attach(noKeys, one)
		for _, who := range []policy.Principal{userOf(one), root} {
			expect("on the account", who, "kms:CreateKey", false, true)
			expect("on the account", who, "iam:CreateUser", true, false)
		}
		expect("on the other", userOf(two), "kms:CreateKey", true, false)
		do(w, w.UpdatePolicy, &model.UpdatePolicyInput{PolicyId: &noKeys, Content: new(document(`{"Effect":"Deny","Action":"iam:*","Resource":"*"}`))})
		expect("updated", userOf(one), "kms:CreateKey", true, false)
		expect("updated", userOf(one), "iam:CreateUser", false, true)
		w.detach(noKeys, one)
		free("detached")

		w.attach(onlyKeys, w.root)
		free("beside the one that allows all")
		w.detach(fullAccessID, w.root)
		for _, who := range []policy.Principal{userOf(one), root, userOf(two)} {
			expect("on the root", who, "kms:CreateKey", true, false)
			expect("on the root", who, "iam:CreateUser", false, false)
		}
		three := w.member("three")
		expect("a new account", userOf(three), "iam:CreateUser", false, false)
		expect("the management account", userOf(management), "iam:CreateUser", true, false)

		root2 := do(w, w.DisablePolicyType, &model.DisablePolicyTypeInput{RootId: &w.root, PolicyType: new(serviceControl)}).Root
		if len(root2.PolicyTypes) != 0 {
			w.t.Errorf("disabled, but %v", root2.PolicyTypes)
		}
		free("disabled")
		refuse(w, w.AttachPolicy, &model.AttachPolicyInput{PolicyId: &noKeys, TargetId: &one}, "PolicyTypeNotEnabledException",
			"The specified policy type isn't currently enabled in this root.")
		refuse(w, w.DisablePolicyType, &model.DisablePolicyTypeInput{RootId: &w.root, PolicyType: new(serviceControl)}, "PolicyTypeNotEnabledException",
			"The specified policy type isn't currently enabled in this root.")
		four := w.member("four")
		do(w, w.EnablePolicyType, &model.EnablePolicyTypeInput{RootId: &w.root, PolicyType: new(serviceControl)})
		free("enabled again")
		expect("an account of meanwhile", userOf(four), "iam:CreateUser", true, false)
		refuse(w, w.EnablePolicyType, &model.EnablePolicyTypeInput{RootId: &w.root, PolicyType: new(serviceControl)}, "PolicyTypeAlreadyEnabledException",
			"The specified policy type is already enabled.")
		refuse(w, w.EnablePolicyType, &model.EnablePolicyTypeInput{RootId: new("r-zzzz"), PolicyType: new(serviceControl)}, "RootNotFoundException",
			"You specified a root that doesn't exist.")
		refuse(w, w.EnablePolicyType, &model.EnablePolicyTypeInput{RootId: &w.root, PolicyType: new("TAG_POLICY")}, "PolicyTypeNotAvailableForOrganizationException",
			"You can't use the specified policy type with the feature set currently enabled for this organization.")
	})
}

// A policy that cannot be read denies.
func TestAPolicyThatCannotBeReadDenies(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	one, id := w.member("one"), w.policy("p", anything)
	w.attach(id, one)
	broken := scp{id: id, name: "p", content: "{"}
	if err := w.db.Update(t.Context(), func(tx *store.Tx) error { return updatePolicy(tx, &broken) }); err != nil {
		t.Fatal(err)
	}
	a, err := w.again().Account(t.Context(), nil, one)
	if err != nil {
		t.Fatal(err)
	}
	ann := userOf(one)
	if d := a.Bind(granting(t, anything)).Decide(policy.Request{Principal: &ann, Action: "kms:CreateKey", Resource: "*"}, nil); d.Allowed || !d.Explicit {
		t.Errorf("got %+v", d)
	}
}

// The policies of the management account are left as they are; accounts under
// the same policies share them.
func TestBindCostsLittle(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	set := granting(t, anything)
	if a, err := w.Account(t.Context(), nil, management); err != nil || a.Bind(set) != set {
		t.Errorf("the management account's set is another, %v", err)
	}
	for i := range 10 {
		if _, err := w.Account(t.Context(), nil, w.member(fmt.Sprint("m", i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.documents.Len(); n != 1 {
		t.Errorf("%d documents are held, want one", n)
	}
}

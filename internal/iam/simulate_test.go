package iam

import (
	"context"
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	model "azekura/internal/api/iam"
	"azekura/internal/policy"
)

// told is a result in a line: the action, the resource, the decision and the
// policies that made it.
func told(r model.EvaluationResult) string {
	line := *r.EvalActionName + " " + *r.EvalResourceName + " " + *r.EvalDecision
	for _, s := range r.MatchedStatements {
		line += fmt.Sprintf(" %s:%s@%d:%d-%d:%d", strings.Fields(*s.SourcePolicyType)[0], *s.SourcePolicyId,
			*s.StartPosition.Line, *s.StartPosition.Column, *s.EndPosition.Line, *s.EndPosition.Column)
	}
	if len(r.MissingContextValues) > 0 {
		line += " missing " + strings.Join(r.MissingContextValues, ",")
	}
	if d := r.PermissionsBoundaryDecisionDetail; d != nil {
		line += fmt.Sprint(" boundary ", *d.AllowedByPermissionsBoundary)
	}
	if d := r.OrganizationsDecisionDetail; d != nil {
		line += fmt.Sprint(" organization ", *d.AllowedByOrganizations)
	}
	if d := r.EvalDecisionDetails; d != nil {
		line += fmt.Sprintf(" identity %s, resource %s", d["IAM Policy"], d["Resource Policy"])
	}
	return line
}

func entry(name, kind string, values ...string) model.ContextEntry {
	return model.ContextEntry{ContextKeyName: &name, ContextKeyType: &kind, ContextKeyValues: values}
}

func TestSimulateCustomPolicy(t *testing.T) {
	w := newWorld(t)
	const (
		allowGet = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`
		denyPut  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}]}`
		allowS3  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
		mine     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}]}`
		bucket   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:user/bob"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`
	)
	bob := new("arn:aws:iam::222222222222:user/bob")
	for name, test := range map[string]struct {
		in   model.SimulateCustomPolicyInput
		want []string
	}{
		"AWS's own positions": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{`{"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}`},
				ActionNames:     []string{"s3:GetObject"},
			},
			[]string{"s3:GetObject * allowed IAM:PolicyInputList.1@1:41-1:113"},
		},
		"each action": {
			model.SimulateCustomPolicyInput{PolicyInputList: []string{allowGet, denyPut}, ActionNames: []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}},
			[]string{
				"s3:GetObject * allowed IAM:PolicyInputList.1@1:39-1:90",
				"s3:PutObject * explicitDeny IAM:PolicyInputList.2@1:39-1:94",
				"s3:DeleteObject * implicitDeny",
			},
		},
		"each resource, and lines": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{"{\"Version\":\"2012-10-17\",\n\"Statement\":\n{\"Effect\":\"Allow\",\n\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::b/*\"\n}}"},
				ActionNames:     []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::b/x", "arn:aws:s3:::c/x"},
			},
			[]string{"s3:GetObject arn:aws:s3:::b/x allowed IAM:PolicyInputList.1@3:2-5:2", "s3:GetObject arn:aws:s3:::c/x implicitDeny"},
		},
		"context": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{mine}, ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::ann/x", "arn:aws:s3:::bob/x"},
				ContextEntries: []model.ContextEntry{entry("AWS:UserName", "string", "ann"), entry("aws:SecureTransport", "boolean", "true")},
			},
			[]string{"s3:GetObject arn:aws:s3:::ann/x allowed IAM:PolicyInputList.1@1:39-1:168", "s3:GetObject arn:aws:s3:::bob/x implicitDeny"},
		},
		"context that is missing": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{mine}, ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::ann/x"},
				ContextEntries: []model.ContextEntry{entry("aws:username", "string", "ann")},
			},
			[]string{"s3:GetObject arn:aws:s3:::ann/x implicitDeny missing aws:SecureTransport"},
		},
		"a boundary": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{allowS3}, PermissionsBoundaryPolicyInputList: []string{allowGet}, ActionNames: []string{"s3:GetObject", "s3:ListBucket"},
			},
			[]string{"s3:GetObject * allowed IAM:PolicyInputList.1@1:39-1:87 boundary true", "s3:ListBucket * implicitDeny boundary false"},
		},
		"a boundary that denies": {
			model.SimulateCustomPolicyInput{PolicyInputList: []string{allowS3}, PermissionsBoundaryPolicyInputList: []string{denyPut}, ActionNames: []string{"s3:PutObject"}},
			[]string{"s3:PutObject * explicitDeny Permissions:PermissionsBoundaryPolicyInputList.1@1:39-1:94 boundary false"},
		},
		"an organization": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{allowS3}, ActionNames: []string{"s3:GetObject", "s3:ListBucket"},
				OrderedOrganizationPolicyInputList: []model.OrderedOrganizationPolicyType{{ServiceControlPolicyInputList: []string{allowS3}}, {ServiceControlPolicyInputList: []string{allowGet}}},
			},
			[]string{"s3:GetObject * allowed IAM:PolicyInputList.1@1:39-1:87 organization true", "s3:ListBucket * implicitDeny organization false"},
		},
		"a resource's policy alone": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{denyPut}, ResourcePolicy: new(bucket), CallerArn: bob, ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::b/x"},
			},
			[]string{"s3:GetObject arn:aws:s3:::b/x allowed Resource:ResourcePolicy@1:39-1:167"},
		},
		"another's resource without a policy": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{allowGet}, ResourceOwner: new("222222222222"), ActionNames: []string{"s3:GetObject"}, ResourceArns: []string{"arn:aws:s3:::b/x"},
			},
			[]string{"s3:GetObject arn:aws:s3:::b/x allowed IAM:PolicyInputList.1@1:39-1:90"},
		},
		"across accounts": {
			model.SimulateCustomPolicyInput{
				PolicyInputList: []string{allowGet}, ResourcePolicy: new(bucket), CallerArn: bob, ResourceOwner: new("arn:aws:iam::111111111111:root"),
				ActionNames: []string{"s3:GetObject", "s3:PutObject"}, ResourceArns: []string{"arn:aws:s3:::b/x"},
			},
			[]string{
				"s3:GetObject arn:aws:s3:::b/x allowed IAM:PolicyInputList.1@1:39-1:90 Resource:ResourcePolicy@1:39-1:167 identity allowed, resource allowed",
				"s3:PutObject arn:aws:s3:::b/x implicitDeny identity implicitDeny, resource implicitDeny",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			out := do(w, w.SimulateCustomPolicy, &test.in)
			var got []string
			for _, r := range out.EvaluationResults {
				got = append(got, told(r))
				if (r.ResourceSpecificResults != nil) != (test.in.ResourceArns != nil) {
					t.Errorf("results of resources: %+v", r.ResourceSpecificResults)
				}
			}
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSimulationsThatCannotBe(t *testing.T) {
	w := peopled(t)
	const invalid = "InvalidInput"
	allow := document(allowAll)
	for text, in := range map[string]model.SimulateCustomPolicyInput{
		"Syntax errors in policy.":                                            {PolicyInputList: []string{"{}"}},
		"Invalid action name: s3:Get*":                                        {ActionNames: []string{"s3:Get*"}},
		"Invalid action name: GetObject":                                      {ActionNames: []string{"GetObject"}},
		"Invalid action name: s3:":                                            {ActionNames: []string{"s3:"}},
		"Invalid resource owner: me":                                          {ResourceOwner: new("me")},
		"Missing required field Principal":                                    {ResourcePolicy: &allow, CallerArn: new("arn:aws:iam::111111111111:user/ann")},
		"Invalid Entity Arn: * does not clearly define entity type and name.": {CallerArn: new("*")},
		"Invalid Entity Arn: arn:aws:iam::111111111111:role/r does not clearly define entity type and name.": {CallerArn: new("arn:aws:iam::111111111111:role/r")},
		"Only one permissions boundary policy can be simulated.":                                             {PermissionsBoundaryPolicyInputList: []string{allow, allow}},
		"A context entry needs a name and a type.":                                                           {ContextEntries: []model.ContextEntry{{}}},
	} {
		refuse(w, w.SimulateCustomPolicy, &in, invalid, text)
	}
	for given, want := range map[string][2]string{
		"arn:aws:iam::111111111111:user/missing":            {"NoSuchEntity", "The user with name missing cannot be found."},
		"arn:aws:iam::111111111111:role/x/there":            {"NoSuchEntity", "The role with name there cannot be found."},
		"arn:aws:iam::111111111111:policy/there":            {invalid, "Invalid Entity Arn: arn:aws:iam::111111111111:policy/there does not clearly define entity type and name."},
		"arn:aws:sts::111111111111:assumed-role/there/name": {invalid, "Invalid Entity Arn: arn:aws:sts::111111111111:assumed-role/there/name does not clearly define entity type and name."},
	} {
		refuse(w, w.SimulatePrincipalPolicy, &model.SimulatePrincipalPolicyInput{PolicySourceArn: &given, ActionNames: []string{"s3:GetObject"}}, want[0], want[1])
		refuse(w, w.GetContextKeysForPrincipalPolicy, &model.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: &given}, want[0], want[1])
	}
	const foreign = "arn:aws:iam::222222222222:user/there"
	refuse(w, w.SimulatePrincipalPolicy, &model.SimulatePrincipalPolicyInput{PolicySourceArn: new(foreign), ActionNames: []string{"s3:GetObject"}}, "AccessDeniedException",
		"User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:SimulatePrincipalPolicy on resource: "+foreign+
			" because no resource-based policy allows the iam:SimulatePrincipalPolicy action")
	refuse(w, w.SimulatePrincipalPolicy, &model.SimulatePrincipalPolicyInput{
		PolicySourceArn: new("arn:aws:iam::111111111111:role/there"), ActionNames: []string{"s3:GetObject"}, ResourcePolicy: &allow,
	}, invalid, "Invalid caller - Caller cannot be null or empty.")
	refuse(w, w.GetContextKeysForCustomPolicy, &model.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{"{"}}, invalid, "Syntax errors in policy.")
}

// A principal's own policies count, with those of its groups and its boundary;
// the request may leave some out, add some, and replace the boundary.
func TestSimulatePrincipalPolicy(t *testing.T) {
	each(t, func(w *world) {
		about := func(action string) *string {
			return new(document(`{"Effect":"Allow","Action":"` + action + `","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`))
		}
		user := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("ann"), PermissionsBoundary: new("arn:aws:iam::aws:policy/PowerUserAccess")}).User
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("g")})
		do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: new("g"), UserName: new("ann")})
		do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("own"), PolicyDocument: about("kms:Encrypt")})
		do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: new("g"), PolicyName: new("shared"), PolicyDocument: about("kms:Decrypt")})
		p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: about("kms:Sign")}).Policy
		do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: new("g"), PolicyArn: p.Arn})
		do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: p.Arn})
		do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: new("arn:aws:iam::aws:policy/IAMFullAccess")})
		ask := func(change func(*model.SimulatePrincipalPolicyInput)) string {
			w.t.Helper()
			in := &model.SimulatePrincipalPolicyInput{
				PolicySourceArn: user.Arn, ActionNames: []string{"kms:Encrypt", "kms:Decrypt", "kms:Sign", "iam:GetUser", "kms:Verify"},
				ContextEntries: []model.ContextEntry{entry("aws:SecureTransport", "boolean", "true")},
			}
			change(in)
			var lines []string
			for _, r := range do(w, w.SimulatePrincipalPolicy, in).EvaluationResults {
				line := *r.EvalDecision
				for _, s := range r.MatchedStatements {
					line += " " + *s.SourcePolicyId
				}
				lines = append(lines, line)
			}
			return strings.Join(lines, ", ")
		}
		expect := func(what, want string, change func(*model.SimulatePrincipalPolicyInput)) {
			w.t.Helper()
			if got := ask(change); got != want {
				w.t.Errorf("%s: %s\nwant %s", what, got, want)
			}
		}
		const all = "allowed user_ann_own, allowed group_g_shared, allowed p, implicitDeny, implicitDeny"
		expect("a user", all, func(*model.SimulatePrincipalPolicyInput) {})
		expect("under another boundary", "implicitDeny, implicitDeny, implicitDeny, allowed IAMFullAccess, implicitDeny", func(in *model.SimulatePrincipalPolicyInput) {
			in.PermissionsBoundaryPolicyInputList = []string{document(`{"Effect":"Allow","Action":"iam:*","Resource":"*"}`)}
		})
		expect("with a policy more", strings.Replace(all, "implicitDeny, implicitDeny", "implicitDeny, allowed PolicyInputList.1", 1), func(in *model.SimulatePrincipalPolicyInput) {
			in.PolicyInputList = []string{*about("kms:Verify")}
		})
		expect("without some", "implicitDeny, allowed group_g_shared, implicitDeny, allowed IAMFullAccess, implicitDeny", func(in *model.SimulatePrincipalPolicyInput) {
			in.PolicyExclusionList = []model.PolicyIdentifier{
				{PolicyType: new("inline"), InlinePolicyIdentifier: &model.InlinePolicyIdentifierType{PolicyName: new("own"), AttachmentType: new("user"), AttachmentName: new("ann")}},
				{PolicyType: new("inline"), InlinePolicyIdentifier: &model.InlinePolicyIdentifierType{PolicyName: new("shared"), AttachmentType: new("user"), AttachmentName: new("g")}},
				{PolicyType: new("user-managed"), PolicyArn: p.Arn},
				{PolicyType: new("permission-boundary"), PolicyArn: new("arn:aws:iam::aws:policy/PowerUserAccess")},
			}
		})
		expect("a group", "implicitDeny, allowed group_g_shared, allowed p, implicitDeny, implicitDeny", func(in *model.SimulatePrincipalPolicyInput) {
			in.PolicySourceArn = new("arn:aws:iam::111111111111:group/g")
		})
		r := w.role("r", "/")
		do(w, w.PutRolePolicy, &model.PutRolePolicyInput{RoleName: &r.name, PolicyName: new("x"), PolicyDocument: about("kms:Verify")})
		expect("a role", "implicitDeny, implicitDeny, implicitDeny, implicitDeny, allowed role_r_x", func(in *model.SimulatePrincipalPolicyInput) {
			in.PolicySourceArn = new(r.arn())
		})
		expect("without context", "implicitDeny, implicitDeny, implicitDeny, implicitDeny, implicitDeny", func(in *model.SimulatePrincipalPolicyInput) { in.ContextEntries = nil })

		keys := do(w, w.GetContextKeysForPrincipalPolicy, &model.GetContextKeysForPrincipalPolicyInput{
			PolicySourceArn: user.Arn, PolicyInputList: []string{document(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}","Condition":{"Bool":{"AWS:securetransport":"true"}}}`)},
		}).ContextKeyNames
		if diff := gocmp.Diff([]string{"AWS:securetransport", "aws:username"}, keys); diff != "" {
			w.t.Errorf("context keys (-want +got):\n%s", diff)
		}
		grants := do(w, w.ListPoliciesGrantingServiceAccess, &model.ListPoliciesGrantingServiceAccessInput{Arn: user.Arn, ServiceNamespaces: []string{"kms", "iam", "s3"}})
		want := []model.ListPoliciesGrantingServiceAccessEntry{
			{ServiceNamespace: new("kms"), Policies: []model.PolicyGrantingServiceAccess{
				{PolicyName: new("own"), PolicyType: new("INLINE"), EntityType: new("USER"), EntityName: new("ann")},
				{PolicyName: new("shared"), PolicyType: new("INLINE"), EntityType: new("GROUP"), EntityName: new("g")},
				{PolicyName: new("p"), PolicyType: new("MANAGED"), PolicyArn: p.Arn},
			}},
			{ServiceNamespace: new("iam"), Policies: []model.PolicyGrantingServiceAccess{
				{PolicyName: new("IAMFullAccess"), PolicyType: new("MANAGED"), PolicyArn: new("arn:aws:iam::aws:policy/IAMFullAccess")},
			}},
			{ServiceNamespace: new("s3"), Policies: []model.PolicyGrantingServiceAccess{}},
		}
		if diff := gocmp.Diff(want, grants.PoliciesGrantingServiceAccess); diff != "" {
			w.t.Errorf("granting (-want +got):\n%s", diff)
		}
	})
}

func TestSimulationsInPages(t *testing.T) {
	w := newWorld(t)
	in := &model.SimulateCustomPolicyInput{
		PolicyInputList: []string{document(allowAll)}, ActionNames: []string{"s3:a", "s3:b", "s3:c"}, ResourceArns: []string{"arn:aws:s3:::1", "arn:aws:s3:::2"}, MaxItems: new(int64(4)),
	}
	var got []string
	for pages := 0; ; pages++ {
		out := do(w, w.SimulateCustomPolicy, in)
		for _, r := range out.EvaluationResults {
			got = append(got, *r.EvalActionName+(*r.EvalResourceName)[13:])
		}
		if in.Marker = out.Marker; in.Marker == nil {
			if pages != 1 || *out.IsTruncated {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if strings.Join(got, " ") != "s3:a1 s3:a2 s3:b1 s3:b2 s3:c1 s3:c2" {
		t.Errorf("%v", got)
	}
}

// However much there is to decide, an answer does not take long.
func TestSimulationsAreBounded(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("*a", 1000)
	in := &model.SimulateCustomPolicyInput{MaxItems: new(int64(1000)), ActionNames: []string{"s3:GetObject"}}
	for range 20 {
		in.PolicyInputList = append(in.PolicyInputList, document(`{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::`+long+`b","arn:aws:s3:::`+long+`c"]}`))
	}
	for range 30 {
		in.ResourceArns = append(in.ResourceArns, "arn:aws:s3:::"+strings.Repeat("a", 2000))
	}
	seen, pages := 0, 0
	for ; ; pages++ {
		out := do(w, w.SimulateCustomPolicy, in)
		seen += len(out.EvaluationResults)
		if in.Marker = out.Marker; in.Marker == nil {
			break
		}
	}
	if pages < 1 || seen != 30 {
		t.Errorf("%d results in %d pages", seen, pages+1)
	}
}

// The service control policies of a principal's account count.
func TestSimulationsAreBound(t *testing.T) {
	w := peopled(t)
	scp, err := policy.Parse(document(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	w.bind = func(_ context.Context, of string, set *policy.Set) (*policy.Set, error) {
		if of != account {
			t.Errorf("account %s", of)
		}
		return set.WithOrganization([]policy.Policy{{Name: "scp", Document: scp}}), nil
	}
	out := do(w, w.SimulatePrincipalPolicy, &model.SimulatePrincipalPolicyInput{
		PolicySourceArn: new("arn:aws:iam::111111111111:user/admin"), ActionNames: []string{"s3:GetObject", "kms:Decrypt"},
	})
	for i, want := range []string{"s3:GetObject * allowed IAM:AdministratorAccess@4:6-4:56 organization true", "kms:Decrypt * implicitDeny organization false"} {
		if got := told(out.EvaluationResults[i]); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

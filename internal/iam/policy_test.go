package iam

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/policy"
)

const (
	allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	readOnly = "arn:aws:iam::aws:policy/ReadOnlyAccess"
)

// padded is a policy of a number of characters, white space aside.
func padded(size int) string {
	head, tail := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::`, `"}}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail + " \t\r\n"
}

func TestPolicies(t *testing.T) {
	each(t, func(w *world) {
		text := " {\n\t\"Version\": \"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::a+b%3A/*\"}] }\n"
		made := do(w, w.CreatePolicy, &model.CreatePolicyInput{
			PolicyName: new("Mine"), Path: new("/a/b/"), Description: new("what it is for"), PolicyDocument: &text, Tags: []model.Tag{{Key: new("k"), Value: new("v")}},
		}).Policy
		now := api.At(w.now)
		want := &model.Policy{
			PolicyName: new("Mine"), PolicyId: made.PolicyId, Arn: new("arn:aws:iam::111111111111:policy/a/b/Mine"), Path: new("/a/b/"), DefaultVersionId: new("v1"),
			AttachmentCount: new(int64(0)), PermissionsBoundaryUsageCount: new(int64(0)), IsAttachable: new(true), CreateDate: &now, UpdateDate: &now,
			Tags: []model.Tag{{Key: new("k"), Value: new("v")}},
		}
		if diff := gocmp.Diff(want, made); diff != "" || !strings.HasPrefix(*made.PolicyId, "ANPA") {
			w.t.Errorf("made (-want +got):\n%s", diff)
		}
		want.Description = new("what it is for")
		if diff := gocmp.Diff(want, do(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: made.Arn}).Policy); diff != "" {
			w.t.Errorf("got (-want +got):\n%s", diff)
		}
		v := do(w, w.GetPolicyVersion, &model.GetPolicyVersionInput{PolicyArn: made.Arn, VersionId: new("v1")}).PolicyVersion
		if back, err := url.QueryUnescape(*v.Document); err != nil || back != text || strings.ContainsAny(*v.Document, "+ /") {
			w.t.Errorf("the document comes back as %q", *v.Document)
		}
		refuse(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("mine"), PolicyDocument: &text}, "EntityAlreadyExists",
			"A policy called mine already exists. Duplicate names are not allowed.")
		for _, bad := range []string{"arn:aws:iam::111111111111:policy/Mine", "arn:aws:iam::111111111111:policy/a/b/mine", "arn:aws:iam::111111111111:policy/"} {
			refuse(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: &bad}, "NoSuchEntity", "Policy "+bad+" was not found.")
			refuse(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyArn: &bad}, "NoSuchEntity", "Policy "+bad+" was not found.")
		}
		for bad, message := range map[string]string{
			"not-an-arn-at-all-xxxx":                "Invalid ARN:  Could not be parsed!",
			"arn:aws:iam::111111111111:user/Mine":   "ARN arn:aws:iam::111111111111:user/Mine is not valid.",
			"arn:aws:s3::111111111111:policy/a/b/x": "ARN arn:aws:s3::111111111111:policy/a/b/x is not valid.",
		} {
			refuse(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: &bad}, "ValidationError", message)
			refuse(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("admin"), PolicyArn: &bad}, "ValidationError", message)
			refuse(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: new("admin"), PermissionsBoundary: &bad}, "ValidationError",
				"Value ("+bad+") for parameter PermissionsBoundary is invalid.")
		}
		refuse(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: new("{")}, "MalformedPolicyDocument", "Syntax errors in policy.")
		do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("fits"), PolicyDocument: new(padded(maxPolicySize))})
		refuse(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: new(padded(maxPolicySize + 1))}, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
	})
}

func TestPolicyVersions(t *testing.T) {
	each(t, func(w *world) {
		arn := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(document(allowAll))}).Policy.Arn
		versions := func() (all []string) {
			w.t.Helper()
			for _, v := range do(w, w.ListPolicyVersions, &model.ListPolicyVersionsInput{PolicyArn: arn}).Versions {
				name := *v.VersionId
				if *v.IsDefaultVersion {
					name += " default"
				}
				if v.Document != nil {
					w.t.Errorf("a list shows the document of %s", name)
				}
				all = append(all, name)
			}
			return all
		}
		add := func(isDefault bool) *model.PolicyVersion {
			w.t.Helper()
			return do(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: new(document(allowAll)), SetAsDefault: &isDefault}).PolicyVersion
		}
		if v := add(false); *v.VersionId != "v2" || *v.IsDefaultVersion || *v.CreateDate != api.At(w.now) {
			w.t.Errorf("made %+v", v)
		}
		if v := add(true); *v.VersionId != "v3" || !*v.IsDefaultVersion {
			w.t.Errorf("made %+v", v)
		}
		updated := api.At(w.now)
		add(false)
		add(false)
		refuse(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: new(document(allowAll))}, "LimitExceeded",
			"A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.")
		if diff := gocmp.Diff([]string{"v5", "v4", "v3 default", "v2", "v1"}, versions()); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		if p := do(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: arn}).Policy; *p.UpdateDate != updated || *p.DefaultVersionId != "v3" {
			w.t.Errorf("the policy: %+v", p)
		}
		do(w, w.DeletePolicyVersion, &model.DeletePolicyVersionInput{PolicyArn: arn, VersionId: new("v5")})
		if v := add(false); *v.VersionId != "v6" {
			w.t.Errorf("a number was used again: %s", *v.VersionId)
		}
		refuse(w, w.DeletePolicyVersion, &model.DeletePolicyVersionInput{PolicyArn: arn, VersionId: new("v3")}, "DeleteConflict", "Cannot delete the default version of a policy.")
		for _, id := range []string{"v5", "v99999999999999999999", "v1.a"} {
			missing := "Policy " + *arn + " version " + id + " does not exist or is not attachable."
			refuse(w, w.DeletePolicyVersion, &model.DeletePolicyVersionInput{PolicyArn: arn, VersionId: &id}, "NoSuchEntity", missing)
			refuse(w, w.SetDefaultPolicyVersion, &model.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: &id}, "NoSuchEntity", missing)
			refuse(w, w.GetPolicyVersion, &model.GetPolicyVersionInput{PolicyArn: arn, VersionId: &id}, "NoSuchEntity", missing)
		}
		do(w, w.SetDefaultPolicyVersion, &model.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: new("v1")})
		first := do(w, w.ListPolicyVersions, &model.ListPolicyVersionsInput{PolicyArn: arn, MaxItems: new(int64(3))})
		rest := do(w, w.ListPolicyVersions, &model.ListPolicyVersionsInput{PolicyArn: arn, Marker: first.Marker})
		if len(first.Versions) != 3 || *first.Versions[2].VersionId != "v3" || len(rest.Versions) != 2 || *rest.Versions[1].VersionId != "v1" {
			w.t.Errorf("pages %+v, %+v", first, rest)
		}
		refuse(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyArn: arn}, "DeleteConflict",
			"This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		for _, id := range []string{"v2", "v3", "v4", "v6"} {
			do(w, w.DeletePolicyVersion, &model.DeletePolicyVersionInput{PolicyArn: arn, VersionId: &id})
		}
		for _, hold := range []func(){
			func() {
				do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("admin"), PolicyArn: arn})
			},
			func() {
				do(w, w.DetachUserPolicy, &model.DetachUserPolicyInput{UserName: new("admin"), PolicyArn: arn})
				do(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: new("admin"), PermissionsBoundary: arn})
			},
		} {
			hold()
			refuse(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyArn: arn}, "DeleteConflict", "Cannot delete a policy attached to entities.")
		}
		do(w, w.DeleteUserPermissionsBoundary, &model.DeleteUserPermissionsBoundaryInput{UserName: new("admin")})
		do(w, w.DeletePolicy, &model.DeletePolicyInput{PolicyArn: arn})
		refuse(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: arn}, "NoSuchEntity", "Policy "+*arn+" was not found.")
	})
}

// An attacher is what attaches to one kind of entity.
type attacher struct {
	attach, detach func(arn string)
	refuse         func(arn, code, text string) // of attach
	refuseDetach   func(arn, code, text string)
	list           func(path *string) []model.AttachedPolicy
}

func attachers(w *world, name string) map[string]attacher {
	return map[string]attacher{
		"User": {
			func(arn string) {
				do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: &name, PolicyArn: &arn})
			},
			func(arn string) {
				do(w, w.DetachUserPolicy, &model.DetachUserPolicyInput{UserName: &name, PolicyArn: &arn})
			},
			func(arn, code, text string) {
				refuse(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: &name, PolicyArn: &arn}, code, text)
			},
			func(arn, code, text string) {
				refuse(w, w.DetachUserPolicy, &model.DetachUserPolicyInput{UserName: &name, PolicyArn: &arn}, code, text)
			},
			func(path *string) []model.AttachedPolicy {
				return do(w, w.ListAttachedUserPolicies, &model.ListAttachedUserPoliciesInput{UserName: &name, PathPrefix: path}).AttachedPolicies
			},
		},
		"Group": {
			func(arn string) {
				do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: &name, PolicyArn: &arn})
			},
			func(arn string) {
				do(w, w.DetachGroupPolicy, &model.DetachGroupPolicyInput{GroupName: &name, PolicyArn: &arn})
			},
			func(arn, code, text string) {
				refuse(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: &name, PolicyArn: &arn}, code, text)
			},
			func(arn, code, text string) {
				refuse(w, w.DetachGroupPolicy, &model.DetachGroupPolicyInput{GroupName: &name, PolicyArn: &arn}, code, text)
			},
			func(path *string) []model.AttachedPolicy {
				return do(w, w.ListAttachedGroupPolicies, &model.ListAttachedGroupPoliciesInput{GroupName: &name, PathPrefix: path}).AttachedPolicies
			},
		},
		"Role": {
			func(arn string) {
				do(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: &name, PolicyArn: &arn})
			},
			func(arn string) {
				do(w, w.DetachRolePolicy, &model.DetachRolePolicyInput{RoleName: &name, PolicyArn: &arn})
			},
			func(arn, code, text string) {
				refuse(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: &name, PolicyArn: &arn}, code, text)
			},
			func(arn, code, text string) {
				refuse(w, w.DetachRolePolicy, &model.DetachRolePolicyInput{RoleName: &name, PolicyArn: &arn}, code, text)
			},
			func(path *string) []model.AttachedPolicy {
				return do(w, w.ListAttachedRolePolicies, &model.ListAttachedRolePoliciesInput{RoleName: &name, PathPrefix: path}).AttachedPolicies
			},
		},
	}
}

func peopleOver(w *world, name string) {
	do(w, w.CreateUser, &model.CreateUserInput{UserName: &name})
	do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: &name})
	w.role(name, "/")
}

func TestAttachments(t *testing.T) {
	each(t, func(w *world) {
		peopleOver(w, "x")
		var arns []string
		for n := range maxAttached {
			made := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new(fmt.Sprint("p", n)), Path: new([]string{"/", "/a/"}[n%2]), PolicyDocument: new(document(allowAll))})
			arns = append(arns, *made.Policy.Arn)
		}
		const missing = "arn:aws:iam::111111111111:policy/none"
		for title, of := range attachers(w, "x") {
			if len(of.list(nil)) != 0 {
				w.t.Errorf("%s: something is attached at first", title)
			}
			of.refuse(missing, "NoSuchEntity", "Policy "+missing+" does not exist or is not attachable.")
			of.refuse("arn:aws:iam::aws:policy/none", "NoSuchEntity", "Policy arn:aws:iam::aws:policy/none does not exist or is not attachable.")
			of.refuseDetach(arns[0], "NoSuchEntity", "Policy "+arns[0]+" was not found.")
			of.attach(readOnly)
			for _, arn := range arns[1:] {
				of.attach(arn)
				of.attach(arn) // twice does no harm
			}
			of.refuse(arns[0], "LimitExceeded", "Cannot exceed quota for PoliciesPer"+title+": 10")
			of.attach(arns[1]) // not one more
			var names []string
			for _, p := range of.list(nil) {
				names = append(names, *p.PolicyName)
			}
			if want := []string{"p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "ReadOnlyAccess"}; !slices.Equal(names, want) {
				w.t.Errorf("%s has %v", title, names)
			}
			if under := of.list(new("/a/")); len(under) != 5 || *under[0].PolicyArn != "arn:aws:iam::111111111111:policy/a/p1" {
				w.t.Errorf("%s, under /a/: %v", title, under)
			}
			of.detach(arns[2])
			of.refuseDetach(arns[2], "NoSuchEntity", "Policy "+arns[2]+" was not found.")
			of.attach(arns[0])
		}
		if p := do(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: &arns[1]}).Policy; *p.AttachmentCount != 3 || *p.PermissionsBoundaryUsageCount != 0 {
			w.t.Errorf("attached to three: %+v", p)
		}
		if p := do(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: new(readOnly)}).Policy; *p.AttachmentCount != 3 {
			w.t.Errorf("AWS's own: %+v", p)
		}
		name := "eve"
		for title, of := range attachers(w, name) {
			of.refuse(readOnly, "NoSuchEntity", "The "+strings.ToLower(title)+" with name eve cannot be found.")
		}
	})
}

func TestBoundaries(t *testing.T) {
	each(t, func(w *world) {
		peopleOver(w, "x")
		x, other := new("x"), "arn:aws:iam::aws:policy/IAMFullAccess"
		put := func(arn string) {
			do(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: x, PermissionsBoundary: &arn})
			do(w, w.PutRolePermissionsBoundary, &model.PutRolePermissionsBoundaryInput{RoleName: x, PermissionsBoundary: &arn})
		}
		has := func(want string) {
			w.t.Helper()
			got := do(w, w.GetUser, &model.GetUserInput{UserName: x}).User.PermissionsBoundary
			if (got == nil) != (want == "") || got != nil && *got.PermissionsBoundaryArn != want {
				w.t.Errorf("the boundary is %v, want %q", got, want)
			}
		}
		put(readOnly)
		has(readOnly)
		put(other)
		has(other)
		if p := do(w, w.GetPolicy, &model.GetPolicyInput{PolicyArn: &other}).Policy; *p.PermissionsBoundaryUsageCount != 2 || *p.AttachmentCount != 0 {
			w.t.Errorf("used as a boundary: %+v", p)
		}
		const missing = "arn:aws:iam::111111111111:policy/none"
		refuse(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: x, PermissionsBoundary: new(missing)}, "NoSuchEntity",
			"Policy "+missing+" does not exist or is not attachable.")
		refuse(w, w.CreateUser, &model.CreateUserInput{UserName: new("y"), PermissionsBoundary: new(missing)}, "NoSuchEntity",
			"Policy "+missing+" does not exist or is not attachable.")
		refuse(w, w.GetUser, &model.GetUserInput{UserName: new("y")}, "NoSuchEntity", "The user with name y cannot be found.")
		for range 2 { // one that is not there can be deleted
			do(w, w.DeleteUserPermissionsBoundary, &model.DeleteUserPermissionsBoundaryInput{UserName: x})
			do(w, w.DeleteRolePermissionsBoundary, &model.DeleteRolePermissionsBoundaryInput{RoleName: x})
			has("")
		}
	})
}

func TestInlinePolicies(t *testing.T) {
	each(t, func(w *world) {
		peopleOver(w, "x")
		x := new("x")
		for _, of := range []struct {
			noun string
			max  int
			put  func(name, text string)
			fail func(name, text, code, message string)
			get  func(name string) string
			none func(name, message string)
			del  func(name string)
			list func() []string
		}{
			{"user", 2048,
				func(name, text string) {
					do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: x, PolicyName: &name, PolicyDocument: &text})
				},
				func(name, text, code, message string) {
					refuse(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: x, PolicyName: &name, PolicyDocument: &text}, code, message)
				},
				func(name string) string {
					return *do(w, w.GetUserPolicy, &model.GetUserPolicyInput{UserName: x, PolicyName: &name}).PolicyDocument
				},
				func(name, message string) {
					refuse(w, w.GetUserPolicy, &model.GetUserPolicyInput{UserName: x, PolicyName: &name}, "NoSuchEntity", message)
					refuse(w, w.DeleteUserPolicy, &model.DeleteUserPolicyInput{UserName: x, PolicyName: &name}, "NoSuchEntity", message)
				},
				func(name string) {
					do(w, w.DeleteUserPolicy, &model.DeleteUserPolicyInput{UserName: x, PolicyName: &name})
				},
				func() []string {
					return do(w, w.ListUserPolicies, &model.ListUserPoliciesInput{UserName: x}).PolicyNames
				},
			},
			{"group", 5120,
				func(name, text string) {
					do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: x, PolicyName: &name, PolicyDocument: &text})
				},
				func(name, text, code, message string) {
					refuse(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: x, PolicyName: &name, PolicyDocument: &text}, code, message)
				},
				func(name string) string {
					return *do(w, w.GetGroupPolicy, &model.GetGroupPolicyInput{GroupName: x, PolicyName: &name}).PolicyDocument
				},
				func(name, message string) {
					refuse(w, w.GetGroupPolicy, &model.GetGroupPolicyInput{GroupName: x, PolicyName: &name}, "NoSuchEntity", message)
					refuse(w, w.DeleteGroupPolicy, &model.DeleteGroupPolicyInput{GroupName: x, PolicyName: &name}, "NoSuchEntity", message)
				},
				func(name string) {
					do(w, w.DeleteGroupPolicy, &model.DeleteGroupPolicyInput{GroupName: x, PolicyName: &name})
				},
				func() []string {
					return do(w, w.ListGroupPolicies, &model.ListGroupPoliciesInput{GroupName: x}).PolicyNames
				},
			},
			{"role", 10240,
				func(name, text string) {
					do(w, w.PutRolePolicy, &model.PutRolePolicyInput{RoleName: x, PolicyName: &name, PolicyDocument: &text})
				},
				func(name, text, code, message string) {
					refuse(w, w.PutRolePolicy, &model.PutRolePolicyInput{RoleName: x, PolicyName: &name, PolicyDocument: &text}, code, message)
				},
				func(name string) string {
					return *do(w, w.GetRolePolicy, &model.GetRolePolicyInput{RoleName: x, PolicyName: &name}).PolicyDocument
				},
				func(name, message string) {
					refuse(w, w.GetRolePolicy, &model.GetRolePolicyInput{RoleName: x, PolicyName: &name}, "NoSuchEntity", message)
					refuse(w, w.DeleteRolePolicy, &model.DeleteRolePolicyInput{RoleName: x, PolicyName: &name}, "NoSuchEntity", message)
				},
				func(name string) {
					do(w, w.DeleteRolePolicy, &model.DeleteRolePolicyInput{RoleName: x, PolicyName: &name})
				},
				func() []string {
					return do(w, w.ListRolePolicies, &model.ListRolePoliciesInput{RoleName: x}).PolicyNames
				},
			},
		} {
			if names := of.list(); names == nil || len(names) != 0 {
				w.t.Errorf("%s: %v at first", of.noun, names)
			}
			of.none("p", "The "+of.noun+" policy with name p cannot be found.")
			text := document(allowAll)
			of.put("p", text)
			of.put("a", "\n "+text+" ")
			if got := of.get("a"); got != *encoded("\n " + text + " ") {
				w.t.Errorf("%s: %s", of.noun, got)
			}
			of.put("a", padded(of.max-len(text)))
			of.fail("a", padded(of.max-len(text)+1), "LimitExceeded", fmt.Sprintf("Maximum policy size of %d bytes exceeded for %s x", of.max, of.noun))
			of.fail("q", text, "LimitExceeded", fmt.Sprintf("Maximum policy size of %d bytes exceeded for %s x", of.max, of.noun))
			of.fail("q", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`,
				"MalformedPolicyDocument", "Policy document should not specify a principal.")
			if names := of.list(); !slices.Equal(names, []string{"a", "p"}) {
				w.t.Errorf("%s: %v", of.noun, names)
			}
			of.del("a")
			of.none("a", "The "+of.noun+" policy with name a cannot be found.")
		}
	})
}

// Roles that belong to a service are changed by nobody else.
func TestServiceLinkedRoles(t *testing.T) {
	w := newWorld(t)
	w.role("AWSServiceRoleForX", "/aws-service-role/x.amazonaws.com/")
	name := new("AWSServiceRoleForX")
	const code, message = "UnmodifiableEntity", "Cannot perform the operation on the protected role 'AWSServiceRoleForX' - this role is only modifiable by AWS"
	refuse(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: name, PolicyArn: new(readOnly)}, code, message)
	refuse(w, w.DetachRolePolicy, &model.DetachRolePolicyInput{RoleName: name, PolicyArn: new(readOnly)}, code, message)
	refuse(w, w.PutRolePolicy, &model.PutRolePolicyInput{RoleName: name, PolicyName: new("p"), PolicyDocument: new(document(allowAll))}, code, message)
	refuse(w, w.DeleteRolePolicy, &model.DeleteRolePolicyInput{RoleName: name, PolicyName: new("p")}, code, message)
	refuse(w, w.PutRolePermissionsBoundary, &model.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: new(readOnly)}, code, message)
	refuse(w, w.DeleteRolePermissionsBoundary, &model.DeleteRolePermissionsBoundaryInput{RoleName: name}, code, message)
	refuse(w, w.TagRole, &model.TagRoleInput{RoleName: name}, code, message)
	refuse(w, w.UntagRole, &model.UntagRoleInput{RoleName: name}, code, message)
}

// While members come and go, the policies of their group and the versions of
// its policies change. In the end every node sees for every user what stands in
// the database.
func TestChangesThatMeet(t *testing.T) {
	each(t, func(w *world) {
		const users = 3
		g := new("g")
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: g})
		none := document(`{"Effect":"Allow","Action":"sns:*","Resource":"*"}`)
		arn := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(document(allowAll))}).Policy.Arn
		do(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: &none})
		var ids []string
		for n := range users {
			ids = append(ids, *do(w, w.CreateUser, &model.CreateUserInput{UserName: new(fmt.Sprint("u", n))}).User.UserId)
		}
		nodes := []*world{w, w.otherNode()}
		run := func(s *Service, op string, in any) {
			for _, o := range s.API().Ops {
				if o.Name != op {
					continue
				}
				if _, err := o.Run(w.t.Context(), w.call(op, in), in); err != nil && !isAnswer(err) {
					w.t.Errorf("%s: %v", op, err)
				}
			}
		}
		for round := range 4 {
			var all sync.WaitGroup
			for n := range users {
				name := new(fmt.Sprint("u", n))
				all.Go(func() {
					run(nodes[n%2].Service, "AddUserToGroup", &model.AddUserToGroupInput{GroupName: g, UserName: name})
					nodes[n%2].may(ids[n], "kms:ListKeys")
				})
			}
			all.Go(func() {
				run(nodes[0].Service, "AttachGroupPolicy", &model.AttachGroupPolicyInput{GroupName: g, PolicyArn: arn})
				run(nodes[1].Service, "SetDefaultPolicyVersion", &model.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: new([]string{"v1", "v2"}[round%2])})
			})
			all.Go(func() {
				run(nodes[1].Service, "PutGroupPolicy", &model.PutGroupPolicyInput{GroupName: g, PolicyName: new("i"), PolicyDocument: &none})
			})
			all.Wait()
			for n, id := range ids {
				fresh := &world{Service: again(w.Service), t: w.t}
				want := fresh.may(id, "kms:ListKeys")
				if want != (round%2 == 0) {
					w.t.Errorf("round %d: u%d may is %t", round, n, want)
				}
				for _, node := range nodes {
					if node.may(id, "kms:ListKeys") != want {
						w.t.Errorf("round %d: a node sees something else for u%d", round, n)
					}
				}
				run(w.Service, "RemoveUserFromGroup", &model.RemoveUserFromGroupInput{GroupName: g, UserName: new(fmt.Sprint("u", n))})
			}
			run(w.Service, "DetachGroupPolicy", &model.DetachGroupPolicyInput{GroupName: g, PolicyArn: arn})
		}
	})
}

func TestPoliciesAreChecked(t *testing.T) {
	for _, kind := range []policy.Kind{policy.Identity, policy.Trust} {
		if _, err := parse("no JSON", kind); !isAnswer(err) {
			t.Errorf("kind %v: %v", kind, err)
		}
	}
}

package iam

import (
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	model "azekura/internal/api/iam"
)

func TestListPolicies(t *testing.T) {
	each(t, func(w *world) {
		peopleOver(w, "x")
		create := func(name, path string) string {
			return *do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: &name, Path: &path, PolicyDocument: new(document(allowAll))}).Policy.Arn
		}
		attached, bounding := create("b", "/"), create("C", "/p/")
		create("a", "/p/")
		create("readonlyaccess", "/")
		do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: new("x"), PolicyArn: &attached})
		do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: new("x"), PolicyArn: new(readOnly)})
		do(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: new("x"), PermissionsBoundary: &bounding})
		list := func(in model.ListPoliciesInput) (names []string) {
			w.t.Helper()
			for {
				out := do(w, w.ListPolicies, &in)
				for _, p := range out.Policies {
					if p.Description != nil || p.Tags != nil {
						w.t.Errorf("a list shows %+v", p)
					}
					names = append(names, accountOfARN(*p.Arn)[:3]+" "+*p.PolicyName)
				}
				if in.Marker = out.Marker; in.Marker == nil {
					return names
				}
			}
		}
		own := []string{"111 a", "111 b", "111 C", "111 readonlyaccess"}
		whole := slices.Clone(own)
		for _, p := range awsPolicies() {
			whole = append(whole, "aws "+p.name)
		}
		slices.SortStableFunc(whole, func(a, b string) int { return strings.Compare(fold(a[4:]), fold(b[4:])) })
		for size := range int64(21) {
			in := model.ListPoliciesInput{MaxItems: new(size + 1)}
			if diff := gocmp.Diff(whole, list(in)); diff != "" {
				w.t.Errorf("by %d (-want +got):\n%s", size+1, diff)
			}
		}
		for _, test := range []struct {
			in   model.ListPoliciesInput
			want []string
		}{
			{model.ListPoliciesInput{Scope: new("Local")}, own},
			{model.ListPoliciesInput{Scope: new("All"), PathPrefix: new("/p/")}, []string{"111 a", "111 C"}},
			{model.ListPoliciesInput{Scope: new("AWS"), PathPrefix: new("/service-role/")}, []string{"aws AWSLambdaBasicExecutionRole"}},
			{model.ListPoliciesInput{OnlyAttached: new(true)}, []string{"aws AdministratorAccess", "111 b", "111 C", "aws ReadOnlyAccess"}},
			{model.ListPoliciesInput{Scope: new("Local"), PolicyUsageFilter: new("PermissionsPolicy")}, []string{"111 b"}},
			{model.ListPoliciesInput{PolicyUsageFilter: new("PermissionsBoundary")}, []string{"111 C"}},
		} {
			if diff := gocmp.Diff(test.want, list(test.in)); diff != "" {
				w.t.Errorf("%+v (-want +got):\n%s", test.in, diff)
			}
		}
	})
}

func TestListEntitiesForPolicy(t *testing.T) {
	each(t, func(w *world) {
		for _, name := range []string{"a", "b", "c"} {
			peopleOver(w, name)
			for _, of := range attachers(w, name) {
				of.attach(readOnly)
			}
		}
		do(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: new("a"), PermissionsBoundary: new(readOnly)})
		do(w, w.PutUserPermissionsBoundary, &model.PutUserPermissionsBoundaryInput{UserName: new("admin"), PermissionsBoundary: new(readOnly)})
		list := func(in model.ListEntitiesForPolicyInput) (names []string) {
			w.t.Helper()
			in.PolicyArn = new(readOnly)
			for {
				out := do(w, w.ListEntitiesForPolicy, &in)
				for _, g := range out.PolicyGroups {
					names = append(names, "group "+*g.GroupName)
				}
				for _, u := range out.PolicyUsers {
					names = append(names, "user "+*u.UserName)
				}
				for _, r := range out.PolicyRoles {
					names = append(names, "role "+*r.RoleName)
				}
				if in.Marker = out.Marker; in.Marker == nil {
					slices.Sort(names)
					return names
				}
			}
		}
		whole := []string{"group a", "group b", "group c", "role a", "role b", "role c", "user a", "user admin", "user b", "user c"}
		for size := range int64(11) {
			if diff := gocmp.Diff(whole, list(model.ListEntitiesForPolicyInput{MaxItems: new(size + 1)})); diff != "" {
				w.t.Errorf("by %d (-want +got):\n%s", size+1, diff)
			}
		}
		for _, test := range []struct {
			in   model.ListEntitiesForPolicyInput
			want []string
		}{
			{model.ListEntitiesForPolicyInput{EntityFilter: new("Role")}, []string{"role a", "role b", "role c"}},
			{model.ListEntitiesForPolicyInput{EntityFilter: new("LocalManagedPolicy")}, nil},
			{model.ListEntitiesForPolicyInput{PolicyUsageFilter: new("PermissionsBoundary")}, []string{"user a", "user admin"}},
			{model.ListEntitiesForPolicyInput{PathPrefix: new("/x/")}, nil},
		} {
			if diff := gocmp.Diff(test.want, list(test.in)); diff != "" {
				w.t.Errorf("%+v (-want +got):\n%s", test.in, diff)
			}
		}
	})
}

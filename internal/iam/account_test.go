package iam

import (
	"encoding/csv"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/api/shape"
	"azekura/internal/store"
)

func TestAccountAlias(t *testing.T) {
	each(t, func(w *world) {
		err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
			return AddMember(tx, Member{ID: "222222222222", Management: account, RoleName: "r"})
		})
		if err != nil {
			w.t.Fatal(err)
		}
		expect := func(want ...string) {
			w.t.Helper()
			out := do(w, w.ListAccountAliases, &model.ListAccountAliasesInput{})
			if !slices.Equal(out.AccountAliases, want) || out.AccountAliases == nil || *out.IsTruncated {
				w.t.Errorf("aliases %+v, want %v", out, want)
			}
		}
		create := func(alias string) *model.CreateAccountAliasInput {
			return &model.CreateAccountAliasInput{AccountAlias: &alias}
		}
		remove := func(alias string) *model.DeleteAccountAliasInput {
			return &model.DeleteAccountAliasInput{AccountAlias: &alias}
		}
		expect()
		do(w, w.CreateAccountAlias, create("first"))
		do(w, w.CreateAccountAlias, create("second"))
		do(w, w.CreateAccountAlias, create("second"))
		expect("second")
		refuse(w, w.CreateAccountAlias, create("222222222222"), "InvalidInput", "The account alias 222222222222 has the form of an account ID.")
		ours := w.caller
		w.caller.Account = "222222222222"
		refuse(w, w.CreateAccountAlias, create("second"), "EntityAlreadyExists", "The account alias second already exists.")
		refuse(w, w.DeleteAccountAlias, remove("second"), "NoSuchEntity", "The account alias with name second cannot be found.")
		do(w, w.CreateAccountAlias, create("first"))
		w.caller = ours
		refuse(w, w.DeleteAccountAlias, remove("first"), "NoSuchEntity", "The account alias with name first cannot be found.")
		do(w, w.DeleteAccountAlias, remove("second"))
		expect()
	})
}

func TestAccountSummary(t *testing.T) {
	each(t, func(w *world) {
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("g")})
		w.role("r", "/")
		p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(document(allowAll))}).Policy
		do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: new("g"), PolicyArn: p.Arn})
		serial, seed := w.device("a")
		w.device("b")
		w.enable("admin", serial, seed)
		do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://a")})
		got := do(w, w.GetAccountSummary, &model.GetAccountSummaryInput{}).SummaryMap
		for key, want := range map[string]int64{
			"Users": 1, "Groups": 1, "Roles": 1, "Policies": 1, "PolicyVersionsInUse": 2, "MFADevices": 2, "MFADevicesInUse": 1, "Providers": 1,
			"UsersQuota": 5000, "RolePolicySizeQuota": 10240, "AssumeRolePolicySizeQuota": 2048, "AttachedPoliciesPerUserQuota": 10, "GlobalEndpointTokenVersion": 1,
			"AccountMFAEnabled": 0,
		} {
			if n, ok := got[key]; !ok || n != want {
				w.t.Errorf("%s is %d, want %d", key, n, want)
			}
		}
		member, _ := reflect.TypeFor[model.GetAccountSummaryOutput]().FieldByName("SummaryMap")
		rules, err := shape.Parse(member.Tag, shape.Member.Key())
		if err != nil {
			w.t.Fatal(err)
		}
		if diff := gocmp.Diff(slices.Sorted(slices.Values(rules.Enum)), slices.Sorted(maps.Keys(got))); diff != "" {
			w.t.Errorf("keys (-AWS's +ours):\n%s", diff)
		}
	})
}

// detailed is a world with two of everything.
func detailed(w *world) {
	for _, n := range []string{"1", "2"} {
		user, group := new("user"+n), new("group"+n)
		do(w, w.CreateUser, &model.CreateUserInput{UserName: user, Path: new("/a/"), PermissionsBoundary: new(readOnly), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}})
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: group})
		do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: group, UserName: new("user1")})
		p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("policy" + n), PolicyDocument: new(document(allowAll))}).Policy
		do(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: new(document(allowAll))})
		do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: user, PolicyArn: p.Arn})
		do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: user, PolicyName: new("inline"), PolicyDocument: new(document(allowAll))})
		do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: group, PolicyName: new("inline"), PolicyDocument: new(document(allowAll))})
		do(w, w.CreateRole, &model.CreateRoleInput{RoleName: new("role" + n), AssumeRolePolicyDocument: new(trusting("arn:aws:iam::111111111111:user/a/user1"))})
		do(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: new("role" + n), PolicyArn: new(readOnly)})
	}
}

// names are what a page of details has, in its order.
func names(out *model.GetAccountAuthorizationDetailsOutput) (all []string) {
	for _, u := range out.UserDetailList {
		all = append(all, *u.UserName)
	}
	for _, g := range out.GroupDetailList {
		all = append(all, *g.GroupName)
	}
	for _, r := range out.RoleDetailList {
		all = append(all, *r.RoleName)
	}
	for _, p := range out.Policies {
		all = append(all, *p.PolicyName)
	}
	return all
}

func TestAuthorizationDetails(t *testing.T) {
	each(t, func(w *world) {
		detailed(w)
		all := do(w, w.GetAccountAuthorizationDetails, &model.GetAccountAuthorizationDetailsInput{})
		want := strings.Fields("admin user1 user2 group1 group2 role1 role2 policy1 policy2 AdministratorAccess ReadOnlyAccess")
		if got := names(all); !slices.Equal(got, want) || *all.IsTruncated || all.Marker != nil {
			w.t.Errorf("all: %v, truncated %t", got, *all.IsTruncated)
		}
		user, encodedAll := all.UserDetailList[1], encoded(document(allowAll))
		wantUser := model.UserDetail{
			Path: new("/a/"), UserName: new("user1"), UserId: user.UserId, Arn: new("arn:aws:iam::111111111111:user/a/user1"), CreateDate: user.CreateDate,
			UserPolicyList: []model.PolicyDetail{{PolicyName: new("inline"), PolicyDocument: encodedAll}}, GroupList: []string{"group1", "group2"},
			AttachedManagedPolicies: []model.AttachedPolicy{{PolicyName: new("policy1"), PolicyArn: new("arn:aws:iam::111111111111:policy/policy1")}},
			PermissionsBoundary:     boundaryModel(readOnly), Tags: []model.Tag{{Key: new("k"), Value: new("v")}},
		}
		if diff := gocmp.Diff(wantUser, user); diff != "" {
			w.t.Errorf("user1 (-want +got):\n%s", diff)
		}
		role := all.RoleDetailList[0]
		wantRole := model.RoleDetail{
			Path: new("/"), RoleName: new("role1"), RoleId: role.RoleId, Arn: new("arn:aws:iam::111111111111:role/role1"), CreateDate: role.CreateDate,
			AssumeRolePolicyDocument: encoded(trusting("arn:aws:iam::111111111111:user/a/user1")), InstanceProfileList: []model.InstanceProfile{},
			RolePolicyList: []model.PolicyDetail{}, AttachedManagedPolicies: []model.AttachedPolicy{{PolicyName: new("ReadOnlyAccess"), PolicyArn: new(readOnly)}},
			RoleLastUsed: &model.RoleLastUsed{},
		}
		if diff := gocmp.Diff(wantRole, role); diff != "" {
			w.t.Errorf("role1 (-want +got):\n%s", diff)
		}
		if p := all.Policies[0]; len(p.PolicyVersionList) != 2 || *p.PolicyVersionList[0].VersionId != "v2" || *p.PolicyVersionList[0].IsDefaultVersion ||
			*p.PolicyVersionList[1].Document != *encodedAll || *p.AttachmentCount != 1 || *p.DefaultVersionId != "v1" {
			w.t.Errorf("policy1: %+v", p)
		}
		if p := all.Policies[3]; *p.AttachmentCount != 2 || *p.PermissionsBoundaryUsageCount != 2 || len(p.PolicyVersionList) != 1 {
			w.t.Errorf("ReadOnlyAccess: %+v", p)
		}
		for size := range 12 {
			var got []string
			for marker := (*string)(nil); ; {
				out := do(w, w.GetAccountAuthorizationDetails, &model.GetAccountAuthorizationDetailsInput{MaxItems: new(int64(size + 1)), Marker: marker})
				page := names(out)
				if got = append(got, page...); len(page) > size+1 || *out.IsTruncated != (out.Marker != nil) {
					w.t.Fatalf("a page of %d: %v", size+1, page)
				}
				if marker = out.Marker; marker == nil {
					break
				}
			}
			if !slices.Equal(got, want) {
				w.t.Errorf("in pages of %d: %v", size+1, got)
			}
		}
		some := do(w, w.GetAccountAuthorizationDetails, &model.GetAccountAuthorizationDetailsInput{Filter: []string{"AWSManagedPolicy", "Group"}})
		if got := strings.Join(names(some), " "); got != "group1 group2 AdministratorAccess ReadOnlyAccess" {
			w.t.Errorf("filtered: %s", got)
		}
		refuse(w, w.GetAccountAuthorizationDetails, &model.GetAccountAuthorizationDetailsInput{Marker: new("x")}, "ValidationError", "Invalid Marker.")
	})
}

// However large the documents are, an answer is not.
func TestAuthorizationDetailsAreBounded(t *testing.T) {
	w := newWorld(t)
	long := document(`{"Effect":"Allow","Action":"*","Resource":"*"}` + strings.Repeat(" ", 100_000))
	for n := range 30 {
		do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new(fmt.Sprintf("p%02d", n)), PolicyDocument: &long})
	}
	for n := range 30 {
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new(fmt.Sprintf("g%02d", n))})
		do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: new(fmt.Sprintf("g%02d", n)), PolicyName: new("p"), PolicyDocument: &long})
	}
	for _, kind := range []string{"LocalManagedPolicy", "Group"} {
		pages, seen := 0, 0
		for marker := (*string)(nil); ; {
			out := do(w, w.GetAccountAuthorizationDetails, &model.GetAccountAuthorizationDetailsInput{MaxItems: new(int64(1000)), Marker: marker, Filter: []string{kind}})
			n := len(names(out))
			if pages, seen = pages+1, seen+n; n > 12 {
				t.Errorf("a page with %d documents of 100 kB", n)
			}
			if marker = out.Marker; marker == nil {
				break
			}
		}
		if pages < 3 || seen != 30 {
			t.Errorf("%s: %d in %d pages", kind, seen, pages)
		}
	}
}

func TestCredentialReport(t *testing.T) {
	each(t, func(w *world) {
		made := w.now
		err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
			for _, table := range []string{"iam_accounts", "iam_users", "iam_access_keys"} {
				if _, err := tx.Exec(`UPDATE `+table+` SET created_at = $1`, api.At(made)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		refuse(w, w.GetCredentialReport, &model.GetCredentialReportInput{}, "ReportNotPresent", "No report exists.")
		do(w, w.CreateUser, &model.CreateUserInput{UserName: new("a,b"), Path: new("/x/")})
		do(w, w.UpdateAccountPasswordPolicy, &model.UpdateAccountPasswordPolicyInput{MaxPasswordAge: new(int64(90))})
		do(w, w.CreateLoginProfile, &model.CreateLoginProfileInput{UserName: new("a,b"), Password: secret("Password-1")})
		second := do(w, w.CreateAccessKey, &model.CreateAccessKeyInput{UserName: new("admin")}).AccessKey
		do(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{UserName: new("admin"), AccessKeyId: second.AccessKeyId, Status: new("Inactive")})
		serial, seed := w.device("d")
		w.enable("admin", serial, seed)
		c, err := w.Credential(w.t.Context(), nil, w.key.AccessKeyID)
		if err != nil {
			w.t.Fatal(err)
		}
		w.Used(c, "secretsmanager", "us-west-2", made)
		if err := w.writeUses(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if out := do(w, w.GenerateCredentialReport, &model.GenerateCredentialReportInput{}); *out.State != "STARTED" || *out.Description != "No report exists. Starting a new report generation task" {
			w.t.Errorf("generated: %+v", out)
		}
		generated := w.now
		if out := do(w, w.GenerateCredentialReport, &model.GenerateCredentialReportInput{}); *out.State != "COMPLETE" || out.Description != nil {
			w.t.Errorf("generated again: %+v", out)
		}
		out := do(w, w.GetCredentialReport, &model.GetCredentialReportInput{})
		if *out.ReportFormat != "text/csv" || !out.GeneratedTime.Time().Equal(generated) {
			w.t.Errorf("got %s of %v", *out.ReportFormat, out.GeneratedTime.Time())
		}
		lines, err := csv.NewReader(strings.NewReader(string(out.Content))).ReadAll()
		if err != nil || len(lines) != 4 {
			w.t.Fatalf("%v\n%s", err, out.Content)
		}
		at := func(seconds int) string {
			return made.Add(time.Duration(seconds) * time.Second).Format("2006-01-02T15:04:05+00:00")
		}
		want := [][]string{
			reportColumns,
			{"<root_account>", "arn:aws:iam::111111111111:root", at(0), "not_supported", "no_information", "not_supported", "not_supported", "false",
				"false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "false", "N/A"},
			{"a,b", "arn:aws:iam::111111111111:user/x/a,b", at(2), "true", "no_information", at(4), made.Add(4*time.Second).AddDate(0, 0, 90).Format("2006-01-02T15:04:05+00:00"), "false",
				"false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "N/A", "N/A", "N/A", "false", "N/A", "false", "N/A"},
			{"admin", "arn:aws:iam::111111111111:user/admin", at(0), "false", "N/A", "N/A", "N/A", "true",
				"true", at(0), at(0), "us-west-2", "secretsmanager", "false", at(5), "N/A", "N/A", "N/A", "false", "N/A", "false", "N/A"},
		}
		if diff := gocmp.Diff(want, lines); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		w.now = generated.Add(reportAge - time.Second)
		refuse(w, w.GetCredentialReport, &model.GetCredentialReportInput{}, "ReportExpired", "The most recent report has expired.")
		if out := do(w, w.GenerateCredentialReport, &model.GenerateCredentialReportInput{}); *out.State != "STARTED" {
			w.t.Errorf("generated after four hours: %+v", out)
		}
		do(w, w.GetCredentialReport, &model.GetCredentialReportInput{})
	})
}

// A report has every user, however many are read at a time.
func TestCredentialReportOfMany(t *testing.T) {
	w := newWorld(t)
	const users = reportChunk + 2
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		for n := range users {
			if _, err := insertUser(tx, &entity{kind: userKind, id: newID("AIDA"), account: account, path: "/", name: fmt.Sprintf("u%04d", n)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	do(w, w.GenerateCredentialReport, &model.GenerateCredentialReportInput{})
	text := string(do(w, w.GetCredentialReport, &model.GetCredentialReportInput{}).Content)
	if n := strings.Count(text, "\n"); n != users+3 {
		t.Errorf("%d lines, want %d", n, users+3)
	}
}

package iam

import (
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
)

// trusting is a trust policy that names a principal.
func trusting(principal string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}}`
}

// shown is a document as an answer carries it, decoded.
func shown(t *testing.T, document *string) string {
	t.Helper()
	text, err := url.PathUnescape(*document)
	if err != nil || strings.ContainsAny(*document, `+"{ /`) {
		t.Fatalf("%s: %v", *document, err)
	}
	return text
}

func TestRoleLife(t *testing.T) {
	each(t, func(w *world) {
		trust := " " + trusting(account) + "\n"
		made := do(w, w.CreateRole, &model.CreateRoleInput{
			RoleName: new("App"), Path: new("/ci/"), AssumeRolePolicyDocument: &trust, Description: new("for tests"), MaxSessionDuration: new(int64(7200)),
			PermissionsBoundary: new("arn:aws:iam::aws:policy/ReadOnlyAccess"), Tags: []model.Tag{{Key: new("team"), Value: new("a")}},
		}).Role
		now := api.At(w.now)
		want := model.Role{
			Path: new("/ci/"), RoleName: new("App"), RoleId: made.RoleId, Arn: new("arn:aws:iam::111111111111:role/ci/App"), CreateDate: &now,
			AssumeRolePolicyDocument: made.AssumeRolePolicyDocument, Tags: []model.Tag{{Key: new("team"), Value: new("a")}},
			PermissionsBoundary: boundaryModel("arn:aws:iam::aws:policy/ReadOnlyAccess"),
		}
		if diff := gocmp.Diff(want, *made); diff != "" {
			w.t.Errorf("made (-want +got):\n%s", diff)
		}
		if id := *made.RoleId; !strings.HasPrefix(id, "AROA") || len(id) != 21 || shown(w.t, made.AssumeRolePolicyDocument) != trust {
			w.t.Errorf("id %s, trust %s", id, *made.AssumeRolePolicyDocument)
		}
		want.Description, want.MaxSessionDuration, want.RoleLastUsed = new("for tests"), new(int64(7200)), &model.RoleLastUsed{}
		get := func() model.Role {
			w.t.Helper()
			return *do(w, w.GetRole, &model.GetRoleInput{RoleName: new("app")}).Role
		}
		if diff := gocmp.Diff(want, get()); diff != "" {
			w.t.Errorf("got (-want +got):\n%s", diff)
		}
		listed := do(w, w.ListRoles, &model.ListRolesInput{PathPrefix: new("/ci/")}).Roles
		inList := want
		inList.PermissionsBoundary, inList.Tags, inList.RoleLastUsed = nil, nil, nil
		if diff := gocmp.Diff([]model.Role{inList}, listed); diff != "" {
			w.t.Errorf("listed (-want +got):\n%s", diff)
		}

		// What UpdateRole does not say of a session's length is an hour.
		do(w, w.UpdateRole, &model.UpdateRoleInput{RoleName: new("App")})
		if r := get(); *r.MaxSessionDuration != 3600 || *r.Description != "for tests" {
			w.t.Errorf("updated with nothing: %d, %s", *r.MaxSessionDuration, *r.Description)
		}
		do(w, w.UpdateRole, &model.UpdateRoleInput{RoleName: new("App"), Description: new("d"), MaxSessionDuration: new(int64(43200))})
		if r := get(); *r.MaxSessionDuration != 43200 || *r.Description != "d" {
			w.t.Errorf("updated: %d, %s", *r.MaxSessionDuration, *r.Description)
		}
		if r := do(w, w.UpdateRoleDescription, &model.UpdateRoleDescriptionInput{RoleName: new("App"), Description: new("")}).Role; r.Description != nil || *r.MaxSessionDuration != 43200 {
			w.t.Errorf("described: %+v", r)
		}
		if i, err := w.Role(w.t.Context(), nil, account, "App"); err != nil || i.MaxSession != 12*time.Hour {
			w.t.Errorf("as decisions see it: %+v, %v", i, err)
		}

		do(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: new("App"), PolicyArn: new(administratorAccess)})
		refuse(w, w.DeleteRole, &model.DeleteRoleInput{RoleName: new("App")}, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
		do(w, w.DetachRolePolicy, &model.DetachRolePolicyInput{RoleName: new("App"), PolicyArn: new(administratorAccess)})
		do(w, w.PutRolePolicy, &model.PutRolePolicyInput{RoleName: new("App"), PolicyName: new("p"), PolicyDocument: new(document(`{"Effect":"Allow","Action":"*","Resource":"*"}`))})
		refuse(w, w.DeleteRole, &model.DeleteRoleInput{RoleName: new("App")}, "DeleteConflict", "Cannot delete entity, must delete policies first.")
		do(w, w.DeleteRolePolicy, &model.DeleteRolePolicyInput{RoleName: new("App"), PolicyName: new("p")})
		do(w, w.DeleteRole, &model.DeleteRoleInput{RoleName: new("App")})
		refuse(w, w.GetRole, &model.GetRoleInput{RoleName: new("App")}, "NoSuchEntity", "The role with name App cannot be found.")
	})
}

func TestRolesThatCannotBeMade(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateRole, &model.CreateRoleInput{RoleName: new("there"), AssumeRolePolicyDocument: new(trusting(account))})
	const malformed = "MalformedPolicyDocument"
	for name, test := range map[string]struct{ role, path, trust, code, text string }{
		"exists":           {"THERE", "/", trusting(account), "EntityAlreadyExists", "Role with name THERE already exists."},
		"no JSON":          {"r", "/", "{", malformed, "This policy contains invalid Json"},
		"an identity's":    {"r", "/", document(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`), malformed, "Has prohibited field Resource."},
		"nobody":           {"r", "/", trusting("arn:aws:iam::111111111111:user/nobody"), malformed, `Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:user/nobody"`},
		"itself":           {"r", "/", trusting("arn:aws:iam::111111111111:role/r"), malformed, `Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:role/r"`},
		"another's case":   {"r", "/", trusting("arn:aws:iam::111111111111:role/There"), malformed, `Invalid principal in policy: "AWS":"arn:aws:iam::111111111111:role/There"`},
		"an id of nobody":  {"r", "/", trusting("AIDAAAAAAAAAAAAAAAAAA"), malformed, `Invalid principal in policy: "AWS":"AIDAAAAAAAAAAAAAAAAAA"`},
		"too long":         {"r", "/", `{"Id":"` + strings.Repeat("x", 2048) + `",` + trusting(account)[1:], "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048"},
		"a service's path": {"r", "/aws-service-role/x/", trusting(account), "InvalidInput", "The path /aws-service-role/x/ is for the roles of services, which CreateServiceLinkedRole makes."},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(w, w.CreateRole, &model.CreateRoleInput{RoleName: &test.role, Path: &test.path, AssumeRolePolicyDocument: &test.trust}, test.code, test.text)
		})
	}
	if n := len(do(w, w.ListRoles, &model.ListRolesInput{}).Roles); n != 1 {
		t.Errorf("%d roles, want 1", n)
	}
	const code, text = "NoSuchEntity", "The role with name missing cannot be found."
	name := new("missing")
	refuse(w, w.UpdateRole, &model.UpdateRoleInput{RoleName: name}, code, text)
	refuse(w, w.UpdateRoleDescription, &model.UpdateRoleDescriptionInput{RoleName: name, Description: new("")}, code, text)
	refuse(w, w.UpdateAssumeRolePolicy, &model.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: new(trusting(account))}, code, text)
	refuse(w, w.DeleteRole, &model.DeleteRoleInput{RoleName: name}, code, text)
	refuse(w, w.ListInstanceProfilesForRole, &model.ListInstanceProfilesForRoleInput{RoleName: name}, code, text)
}

// A trust policy follows a user through a new name, and does not trust who
// takes the name of one who is gone.
func TestTrustFollowsWhoItNames(t *testing.T) {
	each(t, func(w *world) {
		ann := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("ann")}).User
		do(w, w.CreateRole, &model.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: new(trusting(account))})
		update := func(principal string) {
			w.t.Helper()
			do(w, w.UpdateAssumeRolePolicy, &model.UpdateAssumeRolePolicyInput{RoleName: new("r"), PolicyDocument: new(trusting(principal))})
		}
		expect := func(what, principal string) {
			w.t.Helper()
			got := shown(w.t, do(w, w.GetRole, &model.GetRoleInput{RoleName: new("r")}).Role.AssumeRolePolicyDocument)
			list := shown(w.t, do(w, w.ListRoles, &model.ListRolesInput{}).Roles[0].AssumeRolePolicyDocument)
			if got != trusting(principal) || list != got {
				w.t.Errorf("%s: %s, listed as %s", what, got, list)
			}
		}
		expect("an account", account)
		update(*ann.Arn)
		expect("a user", *ann.Arn)
		do(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("ann"), NewUserName: new("anna"), NewPath: new("/eng/")})
		expect("renamed", "arn:aws:iam::111111111111:user/eng/anna")
		do(w, w.DeleteUser, &model.DeleteUserInput{UserName: new("anna")})
		expect("gone", *ann.UserId)
		do(w, w.CreateUser, &model.CreateUserInput{UserName: new("anna"), Path: new("/eng/")})
		expect("made again", *ann.UserId)
		update("arn:aws:iam::111111111111:role/r")
		expect("itself", "arn:aws:iam::111111111111:role/r")
	})
}

func TestRolesInPages(t *testing.T) {
	w := newWorld(t)
	names := []string{"a", "B", "c", "D", "e"}
	for _, name := range names {
		do(w, w.CreateRole, &model.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(trusting(account))})
	}
	var got []string
	for marker, pages := (*string)(nil), 0; ; pages++ {
		out := do(w, w.ListRoles, &model.ListRolesInput{MaxItems: new(int64(2)), Marker: marker})
		for _, r := range out.Roles {
			got = append(got, *r.RoleName)
		}
		if marker = out.Marker; marker == nil {
			if pages != 2 || *out.IsTruncated {
				t.Errorf("%d pages, truncated %t", pages+1, *out.IsTruncated)
			}
			break
		}
	}
	if diff := gocmp.Diff(names, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	refuse(w, w.ListRoles, &model.ListRolesInput{Marker: new("x")}, "ValidationError", "Invalid Marker.")
}

func TestRolesOfServices(t *testing.T) {
	each(t, func(w *world) {
		const service, name = "rotation.secretsmanager.amazonaws.com", "AWSServiceRoleForSecretsManagerRotation"
		refuse(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new("x.amazonaws.com")},
			"InvalidInput", "Cannot find Service Linked Role template for x.amazonaws.com")
		refuse(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new(service), CustomSuffix: new("x")},
			"InvalidInput", "Custom suffix is not allowed for "+service)
		made := do(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new(service)}).Role
		if *made.Arn != "arn:aws:iam::111111111111:role/aws-service-role/"+service+"/"+name ||
			shown(w.t, made.AssumeRolePolicyDocument) != `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["`+service+`"]},"Action":["sts:AssumeRole"]}]}` {
			w.t.Errorf("made: %+v", made)
		}
		if r := do(w, w.GetRole, &model.GetRoleInput{RoleName: new(name)}).Role; r.Description != nil || *r.MaxSessionDuration != 3600 {
			w.t.Errorf("got: %+v", r)
		}
		refuse(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new(service)},
			"InvalidInput", "Service role name "+name+" has been taken in this account, please try a different suffix.")
		do(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new("replication.secretsmanager.amazonaws.com"), Description: new("mine")})
		for role, action := range map[string]string{name: "secretsmanager:PutSecretValue", "AWSServiceRoleForSecretsManagerReplication": "secretsmanager:GetSecretValue"} {
			i, err := w.Role(w.t.Context(), nil, account, role)
			if err != nil || !w.may(i.ID, action) || w.may(i.ID, "secretsmanager:DeleteSecret") {
				w.t.Errorf("%s may not what it is for, or more: %v", role, err)
			}
		}

		// Nobody but its service changes it.
		const fault, text = "UnmodifiableEntity", "Cannot perform the operation on the protected role '" + name + "' - this role is only modifiable by AWS"
		role, policyARN := new(name), new(administratorAccess)
		refuse(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: role, PolicyArn: policyARN}, fault, text)
		refuse(w, w.UpdateAssumeRolePolicy, &model.UpdateAssumeRolePolicyInput{RoleName: role, PolicyDocument: new(trusting(account))}, fault, text)
		refuse(w, w.UpdateRole, &model.UpdateRoleInput{RoleName: role, MaxSessionDuration: new(int64(7200))}, fault, text)
		refuse(w, w.DeleteRole, &model.DeleteRoleInput{RoleName: role}, fault, text)
		if r := do(w, w.UpdateRoleDescription, &model.UpdateRoleDescriptionInput{RoleName: role, Description: new("ours")}).Role; *r.Description != "ours" {
			w.t.Errorf("described as %s", *r.Description)
		}
		refuse(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: &w.role("r", "/").name, PolicyArn: new("arn:aws:iam::aws:policy/aws-service-role/SecretsManagerRotationServiceRolePolicy")},
			"PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")

		refuse(w, w.DeleteServiceLinkedRole, &model.DeleteServiceLinkedRoleInput{RoleName: new("r")}, "NoSuchEntity", "The role with name r cannot be found.")
		task := do(w, w.DeleteServiceLinkedRole, &model.DeleteServiceLinkedRoleInput{RoleName: role}).DeletionTaskId
		if !strings.HasPrefix(*task, "task/aws-service-role/"+service+"/"+name+"/") {
			w.t.Errorf("task %s", *task)
		}
		if status := do(w, w.GetServiceLinkedRoleDeletionStatus, &model.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: task}).Status; *status != "SUCCEEDED" {
			w.t.Errorf("status %s", *status)
		}
		refuse(w, w.GetRole, &model.GetRoleInput{RoleName: role}, "NoSuchEntity", "The role with name "+name+" cannot be found.")
		for _, id := range []string{"x", "task/", (*task)[:len(*task)-1], strings.Replace(*task, "Rotation", "Other", 1)} {
			refuse(w, w.GetServiceLinkedRoleDeletionStatus, &model.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: &id},
				"NoSuchEntity", "The deletion task with id "+id+" cannot be found.")
		}
		do(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new(service)})
	})
}

// Lists of what nobody has are empty, of users and roles that exist.
func TestNothing(t *testing.T) {
	w := peopled(t)
	name := new("there")
	if out := do(w, w.ListInstanceProfiles, &model.ListInstanceProfilesInput{}); out.InstanceProfiles == nil || len(out.InstanceProfiles) != 0 || *out.IsTruncated {
		t.Error(out)
	}
	if out := do(w, w.ListInstanceProfilesForRole, &model.ListInstanceProfilesForRoleInput{RoleName: name}); out.InstanceProfiles == nil || *out.IsTruncated {
		t.Error(out)
	}
	if out := do(w, w.ListSSHPublicKeys, &model.ListSSHPublicKeysInput{UserName: name}); out.SSHPublicKeys == nil || *out.IsTruncated {
		t.Error(out)
	}
	if out := do(w, w.ListSigningCertificates, &model.ListSigningCertificatesInput{}); out.Certificates == nil || *out.IsTruncated {
		t.Error(out)
	}
	if out := do(w, w.ListServiceSpecificCredentials, &model.ListServiceSpecificCredentialsInput{UserName: name}); out.ServiceSpecificCredentials == nil {
		t.Error(out)
	}
	do(w, w.ListServiceSpecificCredentials, &model.ListServiceSpecificCredentialsInput{AllUsers: new(true)})
	if out := do(w, w.ListServerCertificates, &model.ListServerCertificatesInput{}); out.ServerCertificateMetadataList == nil || *out.IsTruncated {
		t.Error(out)
	}
	if out := do(w, w.ListSAMLProviders, &model.ListSAMLProvidersInput{}); out.SAMLProviderList == nil {
		t.Error(out)
	}
	missing, text := new("missing"), "The user with name missing cannot be found."
	refuse(w, w.ListSSHPublicKeys, &model.ListSSHPublicKeysInput{UserName: missing}, "NoSuchEntity", text)
	refuse(w, w.ListSigningCertificates, &model.ListSigningCertificatesInput{UserName: missing}, "NoSuchEntity", text)
	refuse(w, w.ListServiceSpecificCredentials, &model.ListServiceSpecificCredentialsInput{UserName: missing}, "NoSuchEntity", text)
	refuse(w, w.ListInstanceProfiles, &model.ListInstanceProfilesInput{Marker: new("x")}, "ValidationError", "Invalid Marker.")
}

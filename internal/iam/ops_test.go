package iam

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"azekura/internal/api"
	"azekura/internal/api/apitest"
	model "azekura/internal/api/iam"
	"azekura/internal/policy"
)

// notServed are the operations of the model that are refused as unknown.
var notServed = []string{
	"AcceptDelegationRequest",
	"AcquireRole",
	"AddRoleToInstanceProfile",
	"AssociateDelegationRequest",
	"CreateDelegationRequest",
	"CreateInstanceProfile",
	"CreateSAMLProvider",
	"CreateServiceSpecificCredential",
	"DeleteInstanceProfile",
	"DeleteSAMLProvider",
	"DeleteSSHPublicKey",
	"DeleteServerCertificate",
	"DeleteServiceSpecificCredential",
	"DeleteSigningCertificate",
	"DisableOrganizationsRootCredentialsManagement",
	"DisableOrganizationsRootSessions",
	"DisableOutboundWebIdentityFederation",
	"EnableOrganizationsRootCredentialsManagement",
	"EnableOrganizationsRootSessions",
	"EnableOutboundWebIdentityFederation",
	"GenerateOrganizationsAccessReport",
	"GenerateServiceLastAccessedDetails",
	"GetAccountProperties",
	"GetDelegationRequest",
	"GetHumanReadableSummary",
	"GetInstanceProfile",
	"GetOrganizationsAccessReport",
	"GetOutboundWebIdentityFederationInfo",
	"GetRoleTemplateVersion",
	"GetSAMLProvider",
	"GetSSHPublicKey",
	"GetServerCertificate",
	"GetServiceLastAccessedDetails",
	"GetServiceLastAccessedDetailsWithEntities",
	"ListDelegationRequests",
	"ListInstanceProfileTags",
	"ListOrganizationsFeatures",
	"ListSAMLProviderTags",
	"ListServerCertificateTags",
	"PutAccountProperties",
	"RejectDelegationRequest",
	"RemoveRoleFromInstanceProfile",
	"ResetServiceSpecificCredential",
	"SendDelegationToken",
	"SetSecurityTokenServicePreferences",
	"TagInstanceProfile",
	"TagSAMLProvider",
	"TagServerCertificate",
	"UntagInstanceProfile",
	"UntagSAMLProvider",
	"UntagServerCertificate",
	"UpdateDelegationRequest",
	"UpdateSAMLProvider",
	"UpdateSSHPublicKey",
	"UpdateServerCertificate",
	"UpdateServiceSpecificCredential",
	"UpdateSigningCertificate",
	"UploadSSHPublicKey",
	"UploadServerCertificate",
	"UploadSigningCertificate",
}

// Every operation of the model is served or on the list of those that are not.
func TestComplete(t *testing.T) {
	got := slices.Clone(notServed)
	for _, op := range (&Service{}).API().Ops {
		got = append(got, op.Name)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(model.Operations)); !slices.Equal(got, want) {
		t.Errorf("served or refused: %v\nthe model has %v", got, want)
	}
}

// smallest is the least input that an operation accepts, about what has a name.
func smallest(in any, name string) any {
	apitest.Smallest(in)
	for member, value := range map[string]string{
		"UserName": name, "GroupName": name, "RoleName": name, "PolicyName": name,
		"PolicyArn": "arn:aws:iam::" + account + ":policy/" + name, "PermissionsBoundary": "arn:aws:iam::" + account + ":policy/" + name,
		"PolicyDocument":           document(`{"Effect":"Allow","Action":"*","Resource":"*"}`),
		"AssumeRolePolicyDocument": trusting(account),
		"OpenIDConnectProviderArn": "arn:aws:iam::" + account + ":oidc-provider/" + name, "Url": "https://" + name,
		"SerialNumber": "arn:aws:iam::" + account + ":mfa/" + name, "VirtualMFADeviceName": name,
		"DeletionTaskId": "task/aws-service-role/s/" + name + "/x", "AWSServiceName": name,
		"PolicySourceArn": "arn:aws:iam::" + account + ":user/" + name, "Arn": "arn:aws:iam::" + account + ":group/" + name,
	} {
		if f := reflect.ValueOf(in).Elem().FieldByName(member); f.IsValid() {
			f.Set(reflect.ValueOf(&value))
		}
	}
	return in
}

// peopled is a world with a user, a group, a role, a managed policy, an identity
// provider and an MFA device named there.
func peopled(t *testing.T) *world {
	w := newWorld(t)
	do(w, w.CreateUser, &model.CreateUserInput{UserName: new("there")})
	do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("there")})
	do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("there"), PolicyDocument: new(document(`{"Effect":"Allow","Action":"*","Resource":"*"}`))})
	w.role("there", "/")
	do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://there")})
	do(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new("there")})
	return w
}

// No operation serves a caller without permission, and none tells such a
// caller whether what it names exists.
func TestDenied(t *testing.T) {
	w := peopled(t)
	for _, policies := range []*policy.Set{nil, {}} {
		w.policies = policies
		for _, op := range w.API().Ops {
			var told []string
			for _, name := range []string{"there", "missing"} {
				in := smallest(op.New(), name)
				_, err := op.Run(t.Context(), w.call(op.Name, in), in)
				e, ok := errors.AsType[*api.Error](err)
				if !ok || e.Code != "AccessDeniedException" || !strings.Contains(e.Message, "is not authorized to perform: iam:"+op.Name+" ") {
					t.Errorf("%s of %s: got %v, want AccessDenied", op.Name, name, err)
					continue
				}
				told = append(told, strings.ReplaceAll(e.Message, "missing", "there"))
			}
			if len(told) == 2 && told[0] != told[1] {
				t.Errorf("%s tells apart what exists and what does not: %q", op.Name, told)
			}
		}
	}
}

// A caller who may do all but one thing may not do that one.
func TestEachOperationHasItsOwnPermission(t *testing.T) {
	w := peopled(t)
	for _, op := range w.API().Ops {
		w.policies = allowing(t, `{"Effect":"Allow","NotAction":"iam:`+op.Name+`","Resource":"*"}`)
		in := smallest(op.New(), "there")
		_, err := op.Run(t.Context(), w.call(op.Name, in), in)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "AccessDeniedException" {
			t.Errorf("%s: got %v, want AccessDenied", op.Name, err)
		}
	}
}

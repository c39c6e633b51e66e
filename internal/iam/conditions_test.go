package iam

import (
	"testing"

	model "azekura/internal/api/iam"
)

// What policies say of tags, services and boundaries decides on roles, identity
// providers and devices, too.
func TestConditionsOnRolesProvidersAndDevices(t *testing.T) {
	w := peopled(t)
	all := w.policies
	tags := []model.Tag{{Key: new("Team"), Value: new("a")}}
	allow := func(actions, resource, condition string) {
		t.Helper()
		w.policies = allowing(t, `{"Effect":"Allow","Action":[`+actions+`],"Resource":"`+resource+`","Condition":`+condition+`}`)
	}
	denied := func(op, resource string) (code, text string) {
		return "AccessDeniedException", "User: arn:aws:iam::111111111111:user/admin is not authorized to perform: iam:" + op + " on resource: " + resource +
			" because no identity-based policy allows the iam:" + op + " action"
	}
	provider, device := new("arn:aws:iam::111111111111:oidc-provider/there"), new("arn:aws:iam::111111111111:mfa/there")

	allow(`"iam:CreateServiceLinkedRole"`, "*", `{"StringEquals":{"iam:AWSServiceName":"rotation.secretsmanager.amazonaws.com"}}`)
	do(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new("rotation.secretsmanager.amazonaws.com")})
	code, text := denied("CreateServiceLinkedRole", "role AWSServiceRoleForSecretsManagerReplication")
	refuse(w, w.CreateServiceLinkedRole, &model.CreateServiceLinkedRoleInput{AWSServiceName: new("replication.secretsmanager.amazonaws.com")}, code, text)

	const tagged = `{"StringEquals":{"aws:RequestTag/team":"a"},"ForAllValues:StringEquals":{"aws:TagKeys":["Team"]}}`
	allow(`"iam:CreateRole","iam:TagRole"`, "arn:aws:iam::111111111111:role/apps/*", tagged)
	role := func(path string, tags []model.Tag) *model.CreateRoleInput {
		return &model.CreateRoleInput{RoleName: new("app"), Path: &path, AssumeRolePolicyDocument: new(trusting(account)), Tags: tags}
	}
	code, text = denied("CreateRole", "role app")
	refuse(w, w.CreateRole, role("/apps/", nil), code, text)
	refuse(w, w.CreateRole, role("/", tags), code, text)
	refuse(w, w.CreateRole, role("/apps/", append(tags, model.Tag{Key: new("x"), Value: new("y")})), code, text)
	do(w, w.CreateRole, role("/apps/", tags))
	allow(`"iam:CreateRole"`, "*", tagged)
	code, text = denied("TagRole", "role app")
	refuse(w, w.CreateRole, role("/", tags), code, text)
	allow(`"iam:CreateRole"`, "*", `{"ArnEquals":{"iam:PermissionsBoundary":"`+readOnly+`"}}`)
	bounded := role("/", nil)
	code, text = denied("CreateRole", "role app")
	refuse(w, w.CreateRole, bounded, code, text)

	allow(`"iam:CreateOpenIDConnectProvider","iam:TagOpenIDConnectProvider","iam:CreateVirtualMFADevice","iam:TagMFADevice"`, "*", tagged)
	code, text = denied("CreateOpenIDConnectProvider", "arn:aws:iam::111111111111:oidc-provider/other")
	refuse(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://other")}, code, text)
	do(w, w.CreateOpenIDConnectProvider, &model.CreateOpenIDConnectProviderInput{Url: new("https://other"), Tags: tags})
	do(w, w.TagOpenIDConnectProvider, &model.TagOpenIDConnectProviderInput{OpenIDConnectProviderArn: provider, Tags: tags})
	code, text = denied("CreateVirtualMFADevice", "arn:aws:iam::111111111111:mfa/other")
	refuse(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new("other")}, code, text)
	do(w, w.CreateVirtualMFADevice, &model.CreateVirtualMFADeviceInput{VirtualMFADeviceName: new("other"), Tags: tags})
	do(w, w.TagMFADevice, &model.TagMFADeviceInput{SerialNumber: device, Tags: tags})

	allow(`"iam:GetRole","iam:GetOpenIDConnectProvider","iam:ListMFADeviceTags"`, "*", `{"StringEquals":{"aws:ResourceTag/team":"a"}}`)
	do(w, w.GetRole, &model.GetRoleInput{RoleName: new("app")})
	do(w, w.GetOpenIDConnectProvider, &model.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: provider})
	do(w, w.ListMFADeviceTags, &model.ListMFADeviceTagsInput{SerialNumber: device})
	code, text = denied("GetRole", "role there")
	refuse(w, w.GetRole, &model.GetRoleInput{RoleName: new("there")}, code, text)

	w.policies = all
	do(w, w.UntagOpenIDConnectProvider, &model.UntagOpenIDConnectProviderInput{OpenIDConnectProviderArn: provider, TagKeys: []string{"team"}})
	allow(`"iam:GetOpenIDConnectProvider"`, "*", `{"StringEquals":{"iam:ResourceTag/team":"a"}}`)
	code, text = denied("GetOpenIDConnectProvider", *provider)
	refuse(w, w.GetOpenIDConnectProvider, &model.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: provider}, code, text)
}

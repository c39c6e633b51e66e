package iam

import (
	"slices"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
)

// API is the service as the wire serves it: one line an operation, by what it
// is about.
func (s *Service) API() call.Service {
	return call.Service{
		Name: "iam", Version: model.Version, Namespace: model.Namespace, Discreet: true,
		Ops: slices.Concat(s.userOps(), s.roleOps(), s.policyOps(), s.credentialOps(), s.accountOps()),
	}
}

// userOps are the operations of users and groups.
func (s *Service) userOps() []call.Op {
	return []call.Op{
		call.Bind("AddUserToGroup", s.AddUserToGroup),
		call.Bind("CreateGroup", s.CreateGroup),
		call.Bind("CreateUser", s.CreateUser),
		call.Bind("DeleteGroup", s.DeleteGroup),
		call.Bind("DeleteUser", s.DeleteUser),
		call.Bind("GetGroup", s.GetGroup),
		call.Bind("GetUser", s.GetUser),
		call.Bind("ListGroups", s.ListGroups),
		call.Bind("ListGroupsForUser", s.ListGroupsForUser),
		call.Bind("ListUserTags", s.ListUserTags),
		call.Bind("ListUsers", s.ListUsers),
		call.Bind("RemoveUserFromGroup", s.RemoveUserFromGroup),
		call.Bind("TagUser", s.TagUser),
		call.Bind("UntagUser", s.UntagUser),
		call.Bind("UpdateGroup", s.UpdateGroup),
		call.Bind("UpdateUser", s.UpdateUser),
	}
}

// roleOps are the operations of roles, and of the identity providers that they
// may trust.
func (s *Service) roleOps() []call.Op {
	return []call.Op{
		call.Bind("AddClientIDToOpenIDConnectProvider", s.AddClientIDToOpenIDConnectProvider),
		call.Bind("CreateOpenIDConnectProvider", s.CreateOpenIDConnectProvider),
		call.Bind("CreateRole", s.CreateRole),
		call.Bind("CreateServiceLinkedRole", s.CreateServiceLinkedRole),
		call.Bind("DeleteOpenIDConnectProvider", s.DeleteOpenIDConnectProvider),
		call.Bind("DeleteRole", s.DeleteRole),
		call.Bind("DeleteServiceLinkedRole", s.DeleteServiceLinkedRole),
		call.Bind("GetOpenIDConnectProvider", s.GetOpenIDConnectProvider),
		call.Bind("GetRole", s.GetRole),
		call.Bind("GetServiceLinkedRoleDeletionStatus", s.GetServiceLinkedRoleDeletionStatus),
		call.Bind("ListInstanceProfiles", s.ListInstanceProfiles),
		call.Bind("ListInstanceProfilesForRole", s.ListInstanceProfilesForRole),
		call.Bind("ListOpenIDConnectProviderTags", s.ListOpenIDConnectProviderTags),
		call.Bind("ListOpenIDConnectProviders", s.ListOpenIDConnectProviders),
		call.Bind("ListRoleTags", s.ListRoleTags),
		call.Bind("ListRoles", s.ListRoles),
		call.Bind("ListSAMLProviders", s.ListSAMLProviders),
		call.Bind("RemoveClientIDFromOpenIDConnectProvider", s.RemoveClientIDFromOpenIDConnectProvider),
		call.Bind("TagOpenIDConnectProvider", s.TagOpenIDConnectProvider),
		call.Bind("TagRole", s.TagRole),
		call.Bind("UntagOpenIDConnectProvider", s.UntagOpenIDConnectProvider),
		call.Bind("UntagRole", s.UntagRole),
		call.Bind("UpdateAssumeRolePolicy", s.UpdateAssumeRolePolicy),
		call.Bind("UpdateOpenIDConnectProviderThumbprint", s.UpdateOpenIDConnectProviderThumbprint),
		call.Bind("UpdateRole", s.UpdateRole),
		call.Bind("UpdateRoleDescription", s.UpdateRoleDescription),
	}
}

// policyOps are the operations of policies, and of what they are attached to.
func (s *Service) policyOps() []call.Op {
	return []call.Op{
		call.Bind("AttachGroupPolicy", s.AttachGroupPolicy),
		call.Bind("AttachRolePolicy", s.AttachRolePolicy),
		call.Bind("AttachUserPolicy", s.AttachUserPolicy),
		call.Bind("CreatePolicy", s.CreatePolicy),
		call.Bind("CreatePolicyVersion", s.CreatePolicyVersion),
		call.Bind("DeleteGroupPolicy", s.DeleteGroupPolicy),
		call.Bind("DeletePolicy", s.DeletePolicy),
		call.Bind("DeletePolicyVersion", s.DeletePolicyVersion),
		call.Bind("DeleteRolePermissionsBoundary", s.DeleteRolePermissionsBoundary),
		call.Bind("DeleteRolePolicy", s.DeleteRolePolicy),
		call.Bind("DeleteUserPermissionsBoundary", s.DeleteUserPermissionsBoundary),
		call.Bind("DeleteUserPolicy", s.DeleteUserPolicy),
		call.Bind("DetachGroupPolicy", s.DetachGroupPolicy),
		call.Bind("DetachRolePolicy", s.DetachRolePolicy),
		call.Bind("DetachUserPolicy", s.DetachUserPolicy),
		call.Bind("GetGroupPolicy", s.GetGroupPolicy),
		call.Bind("GetPolicy", s.GetPolicy),
		call.Bind("GetPolicyVersion", s.GetPolicyVersion),
		call.Bind("GetRolePolicy", s.GetRolePolicy),
		call.Bind("GetUserPolicy", s.GetUserPolicy),
		call.Bind("ListAttachedGroupPolicies", s.ListAttachedGroupPolicies),
		call.Bind("ListAttachedRolePolicies", s.ListAttachedRolePolicies),
		call.Bind("ListAttachedUserPolicies", s.ListAttachedUserPolicies),
		call.Bind("ListEntitiesForPolicy", s.ListEntitiesForPolicy),
		call.Bind("ListGroupPolicies", s.ListGroupPolicies),
		call.Bind("ListPolicies", s.ListPolicies),
		call.Bind("ListPoliciesGrantingServiceAccess", s.ListPoliciesGrantingServiceAccess),
		call.Bind("ListPolicyTags", s.ListPolicyTags),
		call.Bind("ListPolicyVersions", s.ListPolicyVersions),
		call.Bind("ListRolePolicies", s.ListRolePolicies),
		call.Bind("ListUserPolicies", s.ListUserPolicies),
		call.Bind("PutGroupPolicy", s.PutGroupPolicy),
		call.Bind("PutRolePermissionsBoundary", s.PutRolePermissionsBoundary),
		call.Bind("PutRolePolicy", s.PutRolePolicy),
		call.Bind("PutUserPermissionsBoundary", s.PutUserPermissionsBoundary),
		call.Bind("PutUserPolicy", s.PutUserPolicy),
		call.Bind("SetDefaultPolicyVersion", s.SetDefaultPolicyVersion),
		call.Bind("TagPolicy", s.TagPolicy),
		call.Bind("UntagPolicy", s.UntagPolicy),
	}
}

// credentialOps are the operations of what users prove with who they are.
func (s *Service) credentialOps() []call.Op {
	return []call.Op{
		call.Bind("ChangePassword", s.ChangePassword),
		call.Bind("CreateAccessKey", s.CreateAccessKey),
		call.Bind("CreateLoginProfile", s.CreateLoginProfile),
		call.Bind("CreateVirtualMFADevice", s.CreateVirtualMFADevice),
		call.Bind("DeactivateMFADevice", s.DeactivateMFADevice),
		call.Bind("DeleteAccessKey", s.DeleteAccessKey),
		call.Bind("DeleteAccountPasswordPolicy", s.DeleteAccountPasswordPolicy),
		call.Bind("DeleteLoginProfile", s.DeleteLoginProfile),
		call.Bind("DeleteVirtualMFADevice", s.DeleteVirtualMFADevice),
		call.Bind("EnableMFADevice", s.EnableMFADevice),
		call.Bind("GetAccessKeyLastUsed", s.GetAccessKeyLastUsed),
		call.Bind("GetAccountPasswordPolicy", s.GetAccountPasswordPolicy),
		call.Bind("GetLoginProfile", s.GetLoginProfile),
		call.Bind("GetMFADevice", s.GetMFADevice),
		call.Bind("ListAccessKeys", s.ListAccessKeys),
		call.Bind("ListMFADeviceTags", s.ListMFADeviceTags),
		call.Bind("ListMFADevices", s.ListMFADevices),
		call.Bind("ListSSHPublicKeys", s.ListSSHPublicKeys),
		call.Bind("ListServerCertificates", s.ListServerCertificates),
		call.Bind("ListServiceSpecificCredentials", s.ListServiceSpecificCredentials),
		call.Bind("ListSigningCertificates", s.ListSigningCertificates),
		call.Bind("ListVirtualMFADevices", s.ListVirtualMFADevices),
		call.Bind("ResyncMFADevice", s.ResyncMFADevice),
		call.Bind("TagMFADevice", s.TagMFADevice),
		call.Bind("UntagMFADevice", s.UntagMFADevice),
		call.Bind("UpdateAccessKey", s.UpdateAccessKey),
		call.Bind("UpdateAccountPasswordPolicy", s.UpdateAccountPasswordPolicy),
		call.Bind("UpdateLoginProfile", s.UpdateLoginProfile),
	}
}

// accountOps are the operations of an account as a whole, and of what its
// policies come to.
func (s *Service) accountOps() []call.Op {
	return []call.Op{
		call.Bind("CreateAccountAlias", s.CreateAccountAlias),
		call.Bind("DeleteAccountAlias", s.DeleteAccountAlias),
		call.Bind("GenerateCredentialReport", s.GenerateCredentialReport),
		call.Bind("GetAccountAuthorizationDetails", s.GetAccountAuthorizationDetails),
		call.Bind("GetAccountSummary", s.GetAccountSummary),
		call.Bind("GetContextKeysForCustomPolicy", s.GetContextKeysForCustomPolicy),
		call.Bind("GetContextKeysForPrincipalPolicy", s.GetContextKeysForPrincipalPolicy),
		call.Bind("GetCredentialReport", s.GetCredentialReport),
		call.Bind("ListAccountAliases", s.ListAccountAliases),
		call.Bind("SimulateCustomPolicy", s.SimulateCustomPolicy),
		call.Bind("SimulatePrincipalPolicy", s.SimulatePrincipalPolicy),
	}
}

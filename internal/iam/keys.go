package iam

import (
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// conditionKeys are the condition keys of IAM for a call on a resource with
// tags. boundary is the policy of iam:PermissionsBoundary, "" if the key is not
// there.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
func conditionKeys(c *call.Call, held tags, boundary string) policy.Keys {
	return func(key string) ([]string, bool) {
		switch key {
		case "aws:tagkeys":
			return requestTagKeys(c.Input)
		case "iam:policyarn":
			return c.ValueIfAny(attachedPolicy(c.Input))
		case "iam:permissionsboundary":
			return c.ValueIfAny(boundary)
		case "iam:awsservicename":
			if in, ok := c.Input.(*model.CreateServiceLinkedRoleInput); ok {
				return c.ValueIfAny(*in.AWSServiceName)
			}
			return nil, false
		}
		if name, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
			return requestTag(c, name)
		}
		for _, prefix := range []string{"aws:resourcetag/", "iam:resourcetag/"} {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				return held.find(c, name)
			}
		}
		return nil, false
	}
}

// boundaryFor is what iam:PermissionsBoundary is for a call on an entity: the
// boundary that it asks for, or, where it changes what the entity may, the one
// that the entity has.
func boundaryFor(tx *store.Tx, c *call.Call, e *entity) (string, error) {
	switch in := c.Input.(type) {
	case *model.PutUserPermissionsBoundaryInput:
		return *in.PermissionsBoundary, nil
	case *model.PutRolePermissionsBoundaryInput:
		return *in.PermissionsBoundary, nil
	case *model.AttachUserPolicyInput, *model.DetachUserPolicyInput, *model.PutUserPolicyInput, *model.DeleteUserPolicyInput,
		*model.AttachRolePolicyInput, *model.DetachRolePolicyInput, *model.PutRolePolicyInput, *model.DeleteRolePolicyInput,
		*model.DeleteUserPermissionsBoundaryInput, *model.DeleteRolePermissionsBoundaryInput:
		if e.id == "" {
			return "", nil
		}
		return selectBoundary(tx, e.id)
	}
	return "", nil
}

// attachedPolicy is the ARN of the policy that a request attaches or detaches.
func attachedPolicy(in any) string {
	switch in := in.(type) {
	case *model.AttachUserPolicyInput:
		return *in.PolicyArn
	case *model.AttachGroupPolicyInput:
		return *in.PolicyArn
	case *model.AttachRolePolicyInput:
		return *in.PolicyArn
	case *model.DetachUserPolicyInput:
		return *in.PolicyArn
	case *model.DetachGroupPolicyInput:
		return *in.PolicyArn
	case *model.DetachRolePolicyInput:
		return *in.PolicyArn
	}
	return ""
}

func requestTag(c *call.Call, key string) ([]string, bool) {
	for _, t := range requestTags(c.Input) {
		if strings.EqualFold(*t.Key, key) {
			return c.Value(*t.Value)
		}
	}
	return nil, false
}

func requestTags(in any) []model.Tag {
	switch in := in.(type) {
	case *model.CreateUserInput:
		return in.Tags
	case *model.CreateRoleInput:
		return in.Tags
	case *model.CreatePolicyInput:
		return in.Tags
	case *model.CreateOpenIDConnectProviderInput:
		return in.Tags
	case *model.CreateVirtualMFADeviceInput:
		return in.Tags
	case *model.TagUserInput:
		return in.Tags
	case *model.TagRoleInput:
		return in.Tags
	case *model.TagPolicyInput:
		return in.Tags
	case *model.TagOpenIDConnectProviderInput:
		return in.Tags
	case *model.TagMFADeviceInput:
		return in.Tags
	}
	return nil
}

func requestTagKeys(in any) ([]string, bool) {
	var keys []string
	switch in := in.(type) {
	case *model.UntagUserInput:
		keys = in.TagKeys
	case *model.UntagRoleInput:
		keys = in.TagKeys
	case *model.UntagPolicyInput:
		keys = in.TagKeys
	case *model.UntagOpenIDConnectProviderInput:
		keys = in.TagKeys
	case *model.UntagMFADeviceInput:
		keys = in.TagKeys
	default:
		for _, t := range requestTags(in) {
			keys = append(keys, *t.Key)
		}
	}
	return keys, len(keys) > 0
}

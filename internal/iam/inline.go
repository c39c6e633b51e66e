package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// encoded is a document as answers carry it: percent-encoded, with %20 for a
// blank, so that whoever decodes it once has what was put.
func encoded(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// PutUserPolicy sets an inline policy of a user, in the place of the one that
// had the name.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html
func (s *Service) PutUserPolicy(ctx context.Context, c *call.Call, in *model.PutUserPolicyInput) (*model.PutUserPolicyOutput, error) {
	return nil, s.putInline(ctx, c, userKind, *in.UserName, inline{name: *in.PolicyName, document: *in.PolicyDocument})
}

// PutGroupPolicy sets an inline policy of a group.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutGroupPolicy.html
func (s *Service) PutGroupPolicy(ctx context.Context, c *call.Call, in *model.PutGroupPolicyInput) (*model.PutGroupPolicyOutput, error) {
	return nil, s.putInline(ctx, c, groupKind, *in.GroupName, inline{name: *in.PolicyName, document: *in.PolicyDocument})
}

// PutRolePolicy sets an inline policy of a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
func (s *Service) PutRolePolicy(ctx context.Context, c *call.Call, in *model.PutRolePolicyInput) (*model.PutRolePolicyOutput, error) {
	return nil, s.putInline(ctx, c, roleKind, *in.RoleName, inline{name: *in.PolicyName, document: *in.PolicyDocument})
}

func (s *Service) putInline(ctx context.Context, c *call.Call, k *kind, name string, p inline) error {
	return s.change(ctx, c, k, name, func(tx *store.Tx, e *entity) error {
		if err := e.modifiable(); err != nil {
			return err
		}
		if _, err := parse(p.document, policy.Identity); err != nil {
			return err
		}
		held, err := selectInline(tx, e.id)
		if err != nil {
			return err
		}
		total := written(p.document)
		for _, other := range held {
			if other.name != p.name {
				total += written(other.document)
			}
		}
		if total > k.inlineMax {
			return model.LimitExceeded("Maximum policy size of %d bytes exceeded for %s %s", k.inlineMax, k.noun, e.name)
		}
		p.identityID = e.id
		return putInline(tx, p)
	})
}

// GetUserPolicy shows an inline policy of a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUserPolicy.html
func (s *Service) GetUserPolicy(ctx context.Context, c *call.Call, in *model.GetUserPolicyInput) (*model.GetUserPolicyOutput, error) {
	e, p, err := s.getInline(ctx, c, userKind, *in.UserName, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &model.GetUserPolicyOutput{UserName: &e.name, PolicyName: &p.name, PolicyDocument: encoded(p.document)}, nil
}

// GetGroupPolicy shows an inline policy of a group.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetGroupPolicy.html
func (s *Service) GetGroupPolicy(ctx context.Context, c *call.Call, in *model.GetGroupPolicyInput) (*model.GetGroupPolicyOutput, error) {
	e, p, err := s.getInline(ctx, c, groupKind, *in.GroupName, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &model.GetGroupPolicyOutput{GroupName: &e.name, PolicyName: &p.name, PolicyDocument: encoded(p.document)}, nil
}

// GetRolePolicy shows an inline policy of a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html
func (s *Service) GetRolePolicy(ctx context.Context, c *call.Call, in *model.GetRolePolicyInput) (*model.GetRolePolicyOutput, error) {
	e, p, err := s.getInline(ctx, c, roleKind, *in.RoleName, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &model.GetRolePolicyOutput{RoleName: &e.name, PolicyName: &p.name, PolicyDocument: encoded(p.document)}, nil
}

func (s *Service) getInline(ctx context.Context, c *call.Call, k *kind, name, policyName string) (e *entity, p inline, err error) {
	e, err = s.look(ctx, c, k, name, func(tx *store.Tx, e *entity) error {
		held, err := selectInline(tx, e.id)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(held, func(p inline) bool { return p.name == policyName })
		if i < 0 {
			return k.noInline(policyName)
		}
		p = held[i]
		return nil
	})
	return e, p, err
}

func (k *kind) noInline(policyName string) error {
	return model.NoSuchEntity("The %s policy with name %s cannot be found.", k.noun, policyName)
}

// DeleteUserPolicy deletes an inline policy of a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUserPolicy.html
func (s *Service) DeleteUserPolicy(ctx context.Context, c *call.Call, in *model.DeleteUserPolicyInput) (*model.DeleteUserPolicyOutput, error) {
	return nil, s.deleteInline(ctx, c, userKind, *in.UserName, *in.PolicyName)
}

// DeleteGroupPolicy deletes an inline policy of a group.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroupPolicy.html
func (s *Service) DeleteGroupPolicy(ctx context.Context, c *call.Call, in *model.DeleteGroupPolicyInput) (*model.DeleteGroupPolicyOutput, error) {
	return nil, s.deleteInline(ctx, c, groupKind, *in.GroupName, *in.PolicyName)
}

// DeleteRolePolicy deletes an inline policy of a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRolePolicy.html
func (s *Service) DeleteRolePolicy(ctx context.Context, c *call.Call, in *model.DeleteRolePolicyInput) (*model.DeleteRolePolicyOutput, error) {
	return nil, s.deleteInline(ctx, c, roleKind, *in.RoleName, *in.PolicyName)
}

func (s *Service) deleteInline(ctx context.Context, c *call.Call, k *kind, name, policyName string) error {
	return s.change(ctx, c, k, name, func(tx *store.Tx, e *entity) error {
		if err := e.modifiable(); err != nil {
			return err
		}
		was, err := deleteInline(tx, e.id, policyName)
		if err == nil && !was {
			err = k.noInline(policyName)
		}
		return err
	})
}

// ListUserPolicies lists the names of a user's inline policies.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUserPolicies.html
func (s *Service) ListUserPolicies(ctx context.Context, c *call.Call, in *model.ListUserPoliciesInput) (*model.ListUserPoliciesOutput, error) {
	page, next, err := s.listInline(ctx, c, userKind, *in.UserName, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListUserPoliciesOutput{PolicyNames: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// ListGroupPolicies lists the names of a group's inline policies.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroupPolicies.html
func (s *Service) ListGroupPolicies(ctx context.Context, c *call.Call, in *model.ListGroupPoliciesInput) (*model.ListGroupPoliciesOutput, error) {
	page, next, err := s.listInline(ctx, c, groupKind, *in.GroupName, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListGroupPoliciesOutput{PolicyNames: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// ListRolePolicies lists the names of a role's inline policies.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRolePolicies.html
func (s *Service) ListRolePolicies(ctx context.Context, c *call.Call, in *model.ListRolePoliciesInput) (*model.ListRolePoliciesOutput, error) {
	page, next, err := s.listInline(ctx, c, roleKind, *in.RoleName, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListRolePoliciesOutput{PolicyNames: page, IsTruncated: new(next != nil), Marker: next}, nil
}

func (s *Service) listInline(ctx context.Context, c *call.Call, k *kind, name string, marker *string, maxItems *int64) (page []string, next *string, err error) {
	names := []string{}
	_, err = s.look(ctx, c, k, name, func(tx *store.Tx, e *entity) error {
		held, err := selectInline(tx, e.id)
		names = names[:0]
		for _, p := range held {
			names = append(names, p.name)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return pageOf(s, c, maxItems, marker, names, func(name string) string { return name })
}

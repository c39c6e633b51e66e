package iam

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/store"
)

const maxAttached = 10 // managed policies on one user, group or role

// AttachUserPolicy attaches a managed policy to a user, if it is not.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html
func (s *Service) AttachUserPolicy(ctx context.Context, c *call.Call, in *model.AttachUserPolicyInput) (*model.AttachUserPolicyOutput, error) {
	return nil, s.attach(ctx, c, userKind, *in.UserName, *in.PolicyArn)
}

// AttachGroupPolicy attaches a managed policy to a group, if it is not.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachGroupPolicy.html
func (s *Service) AttachGroupPolicy(ctx context.Context, c *call.Call, in *model.AttachGroupPolicyInput) (*model.AttachGroupPolicyOutput, error) {
	return nil, s.attach(ctx, c, groupKind, *in.GroupName, *in.PolicyArn)
}

// AttachRolePolicy attaches a managed policy to a role, if it is not.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html
func (s *Service) AttachRolePolicy(ctx context.Context, c *call.Call, in *model.AttachRolePolicyInput) (*model.AttachRolePolicyOutput, error) {
	return nil, s.attach(ctx, c, roleKind, *in.RoleName, *in.PolicyArn)
}

// attach locks the policy before the entity, as everybody does: see
// lockUnderPolicy. Whether there is such a policy is told only to who may
// attach it.
func (s *Service) attach(ctx context.Context, c *call.Call, k *kind, name, policyARN string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		fault := attachable(tx, c, policyARN)
		if fault != nil && !isAnswer(fault) {
			return fault
		}
		e, err := s.permitted(tx, c, k, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := cmp.Or(fault, e.modifiable()); err != nil {
			return err
		}
		if err := insertAttached(tx, attachment{e.id, policyARN, forPermissions}, e.account, api.At(c.Time)); err != nil {
			return err
		}
		held, err := selectAttached(tx, e.id)
		if err != nil {
			return err
		}
		if len(held) > maxAttached {
			return exceeds("PoliciesPer"+k.title, maxAttached)
		}
		return s.touch(tx, e)
	})
}

// isAnswer says whether an error is meant for the caller.
func isAnswer(err error) bool {
	_, ok := errors.AsType[*api.Error](err)
	return ok
}

// attachable finds the policy that is to be attached, and locks it: AWS's own,
// or one of the caller's account.
func attachable(tx *store.Tx, c *call.Call, policyARN string) error {
	if p := awsManaged(policyARN); p != nil {
		if isServiceLinked(p.path) {
			return model.PolicyNotAttachable("Cannot attach a Service Role Policy to a Customer Role.")
		}
		return nil
	}
	if err := checkPolicyARN(policyARN); err != nil {
		return err
	}
	p, err := findPolicy(tx, policyARN, tx.ForUpdate())
	if errors.Is(err, store.ErrNotFound) || err == nil && p.account != c.Principal.Account {
		return model.NoSuchEntity("Policy %s does not exist or is not attachable.", policyARN)
	}
	return err
}

// checkPolicyARN refuses what cannot be the ARN of a managed policy.
func checkPolicyARN(policyARN string) error {
	a, err := arn.Parse(policyARN)
	if err != nil {
		return validation("Invalid ARN:  Could not be parsed!")
	}
	if a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
		return validation("ARN %s is not valid.", policyARN)
	}
	return nil
}

// findPolicy finds the managed policy of an account that has an ARN, compared
// with regard to case; store.ErrNotFound if there is none.
func findPolicy(tx *store.Tx, policyARN, lock string) (*managed, error) {
	a, err := arn.Parse(policyARN)
	if err != nil {
		return &managed{}, store.ErrNotFound
	}
	p, err := selectPolicy(tx, a.Account, policyName(policyARN), lock)
	if err == nil && p.arn() != policyARN {
		return &managed{}, store.ErrNotFound
	}
	return p, err
}

// DetachUserPolicy detaches a managed policy from a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachUserPolicy.html
func (s *Service) DetachUserPolicy(ctx context.Context, c *call.Call, in *model.DetachUserPolicyInput) (*model.DetachUserPolicyOutput, error) {
	return nil, s.detach(ctx, c, userKind, *in.UserName, *in.PolicyArn)
}

// DetachGroupPolicy detaches a managed policy from a group.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachGroupPolicy.html
func (s *Service) DetachGroupPolicy(ctx context.Context, c *call.Call, in *model.DetachGroupPolicyInput) (*model.DetachGroupPolicyOutput, error) {
	return nil, s.detach(ctx, c, groupKind, *in.GroupName, *in.PolicyArn)
}

// DetachRolePolicy detaches a managed policy from a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DetachRolePolicy.html
func (s *Service) DetachRolePolicy(ctx context.Context, c *call.Call, in *model.DetachRolePolicyInput) (*model.DetachRolePolicyOutput, error) {
	return nil, s.detach(ctx, c, roleKind, *in.RoleName, *in.PolicyArn)
}

func (s *Service) detach(ctx context.Context, c *call.Call, k *kind, name, policyARN string) error {
	return s.change(ctx, c, k, name, func(tx *store.Tx, e *entity) error {
		if err := e.modifiable(); err != nil {
			return err
		}
		if err := checkPolicyARN(policyARN); err != nil {
			return err
		}
		was, err := deleteAttached(tx, attachment{e.id, policyARN, forPermissions})
		if err == nil && !was {
			err = model.NoSuchEntity("Policy %s was not found.", policyARN)
		}
		return err
	})
}

// ListAttachedUserPolicies lists the managed policies of a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAttachedUserPolicies.html
func (s *Service) ListAttachedUserPolicies(ctx context.Context, c *call.Call, in *model.ListAttachedUserPoliciesInput) (*model.ListAttachedUserPoliciesOutput, error) {
	page, next, err := s.listAttached(ctx, c, userKind, *in.UserName, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListAttachedUserPoliciesOutput{AttachedPolicies: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// ListAttachedGroupPolicies lists the managed policies of a group.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAttachedGroupPolicies.html
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, c *call.Call, in *model.ListAttachedGroupPoliciesInput) (*model.ListAttachedGroupPoliciesOutput, error) {
	page, next, err := s.listAttached(ctx, c, groupKind, *in.GroupName, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListAttachedGroupPoliciesOutput{AttachedPolicies: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// ListAttachedRolePolicies lists the managed policies of a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAttachedRolePolicies.html
func (s *Service) ListAttachedRolePolicies(ctx context.Context, c *call.Call, in *model.ListAttachedRolePoliciesInput) (*model.ListAttachedRolePoliciesOutput, error) {
	page, next, err := s.listAttached(ctx, c, roleKind, *in.RoleName, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListAttachedRolePoliciesOutput{AttachedPolicies: page, IsTruncated: new(next != nil), Marker: next}, nil
}

func (s *Service) listAttached(ctx context.Context, c *call.Call, k *kind, name string, pathPrefix, marker *string, maxItems *int64) (page []model.AttachedPolicy, next *string, err error) {
	var held []string
	_, err = s.look(ctx, c, k, name, func(tx *store.Tx, e *entity) (err error) {
		held, err = selectAttached(tx, e.id)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return pageOf(s, c, maxItems, marker, attachedPolicies(held, deref(pathPrefix)), func(p model.AttachedPolicy) string {
		return fold(*p.PolicyName) + " " + accountOfARN(*p.PolicyArn)
	})
}

// attachedPolicies are the policies under a path as answers show them, in the
// order of their names; of two of one name AWS's own comes last.
func attachedPolicies(arns []string, pathPrefix string) []model.AttachedPolicy {
	all := []model.AttachedPolicy{}
	for i := range arns {
		if strings.HasPrefix(policyPath(arns[i]), pathPrefix) {
			all = append(all, model.AttachedPolicy{PolicyName: new(policyName(arns[i])), PolicyArn: &arns[i]})
		}
	}
	sortByName(all, func(p model.AttachedPolicy) string { return fold(*p.PolicyName) + " " + accountOfARN(*p.PolicyArn) })
	return all
}

// policyPath is the path in a managed policy's ARN.
func policyPath(policyARN string) string {
	_, resource, _ := strings.Cut(policyARN, ":policy")
	return resource[:strings.LastIndexByte(resource, '/')+1]
}

func accountOfARN(s string) string {
	a, err := arn.Parse(s)
	if err != nil {
		return ""
	}
	return a.Account
}

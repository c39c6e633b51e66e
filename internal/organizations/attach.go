package organizations

import (
	"context"
	"slices"

	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/store"
)

const typeAccount = "ACCOUNT"

// A target is what a policy is attached to: the root, or an account.
type target struct{ id, name string }

func (t *target) key() string { return t.id }

func (t *target) model(org *organization) model.PolicyTargetSummary {
	shown := model.PolicyTargetSummary{TargetId: &t.id, Arn: new(arnOf(org, t.id)), Name: &t.name, Type: new(typeAccount)}
	if t.id == org.root {
		shown.Name, shown.Type = new(rootName), new("ROOT")
	}
	return shown
}

// AttachPolicy puts an account, or by the root all accounts, under a policy,
// from the next call on. On the management account it has no effect.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html
func (s *Service) AttachPolicy(ctx context.Context, c *call.Call, in *model.AttachPolicyInput) (*model.AttachPolicyOutput, error) {
	return nil, s.rehang(ctx, c, *in.PolicyId, *in.TargetId, func(tx *store.Tx, org *organization, held []scp) error {
		if !org.guarded {
			return errNotEnabled()
		}
		if hangs(held, *in.PolicyId) {
			return model.DuplicatePolicyAttachment("The selected policy is already attached to the specified target.")
		}
		if len(held) >= maxAttached {
			return model.ConstraintViolation("You have attached the maximum number of policies to the specified target.")
		}
		return attach(tx, *in.TargetId, *in.PolicyId)
	})
}

// DetachPolicy takes a policy from an account or the root, from the next call
// on. The last one has to stay: without any, nothing would be allowed.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DetachPolicy.html
func (s *Service) DetachPolicy(ctx context.Context, c *call.Call, in *model.DetachPolicyInput) (*model.DetachPolicyOutput, error) {
	return nil, s.rehang(ctx, c, *in.PolicyId, *in.TargetId, func(tx *store.Tx, _ *organization, held []scp) error {
		if !hangs(held, *in.PolicyId) {
			return model.PolicyNotAttached("The policy isn't attached to the specified target in the specified root.")
		}
		if len(held) == 1 {
			return model.ConstraintViolation("You cannot remove the last policy attached to the specified target. You must have at least one attached at all times.")
		}
		return detach(tx, *in.TargetId, *in.PolicyId)
	})
}

// rehang changes which policies, besides those held, are on a target.
func (s *Service) rehang(ctx context.Context, c *call.Call, policyID, targetID string, fn func(*store.Tx, *organization, []scp) error) error {
	wants := []want{{policyID, errPolicy()}, {targetID, errTarget()}}
	return s.change(ctx, c, wants, func(tx *store.Tx, org *organization, found []resource) error {
		if found[1].policy != nil {
			return errTarget()
		}
		held, err := selectAttached(tx, targetID)
		if err != nil {
			return err
		}
		if err := fn(tx, org, held); err != nil {
			return err
		}
		return s.touch(tx, org, targetID)
	})
}

func hangs(held []scp, id string) bool {
	return slices.ContainsFunc(held, func(p scp) bool { return p.id == id })
}

// ListTargetsForPolicy lists what a policy is attached to, in the order of ids.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListTargetsForPolicy.html
func (s *Service) ListTargetsForPolicy(ctx context.Context, c *call.Call, in *model.ListTargetsForPolicyInput) (*model.ListTargetsForPolicyOutput, error) {
	p, err := s.page(c, in.NextToken, in.MaxResults, *in.PolicyId)
	if err != nil {
		return nil, err
	}
	out := &model.ListTargetsForPolicyOutput{Targets: []model.PolicyTargetSummary{}}
	err = s.look(ctx, c, []want{{*in.PolicyId, errPolicy()}}, func(tx *store.Tx, org *organization, _ []resource) error {
		all, err := selectTargets(tx, *in.PolicyId, p.after, p.size+1)
		if err != nil {
			return err
		}
		all, out.NextToken = cut(p, all, (*target).key)
		out.Targets = out.Targets[:0]
		for i := range all {
			out.Targets = append(out.Targets, all[i].model(org))
		}
		return nil
	})
	return out, err
}

// ListPoliciesForTarget lists the policies of a type that are on the root or on
// an account itself, in the order of ids.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListPoliciesForTarget.html
func (s *Service) ListPoliciesForTarget(ctx context.Context, c *call.Call, in *model.ListPoliciesForTargetInput) (*model.ListPoliciesForTargetOutput, error) {
	p, err := s.page(c, in.NextToken, in.MaxResults, *in.TargetId, *in.Filter)
	if err != nil {
		return nil, err
	}
	out := &model.ListPoliciesForTargetOutput{Policies: []model.PolicySummary{}}
	err = s.look(ctx, c, []want{{*in.TargetId, errTarget()}}, func(tx *store.Tx, org *organization, found []resource) error {
		if found[0].policy != nil {
			return errTarget()
		}
		if *in.Filter != serviceControl {
			return nil
		}
		all, err := selectAttached(tx, *in.TargetId)
		if err != nil {
			return err
		}
		all, out.NextToken = cutAll(p, all, (*scp).key)
		out.Policies = summaries(org, all)
		return nil
	})
	return out, err
}

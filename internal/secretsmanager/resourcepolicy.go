package secretsmanager

import (
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// PutResourcePolicy sets a secret's resource policy, in the place of the one
// it had.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
func (s *Service) PutResourcePolicy(ctx context.Context, c *call.Call, in *model.PutResourcePolicyInput) (*model.PutResourcePolicyOutput, error) {
	sec, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		doc, err := parsePolicy(*in.ResourcePolicy)
		if err != nil {
			return err
		}
		if in.BlockPublicPolicy != nil && *in.BlockPublicPolicy && doc.Public() {
			return model.PublicPolicy("%s", publicText)
		}
		if locksOut(c, doc) {
			return model.InvalidRequest("%s", lockOutText)
		}
		sec.policyText = *in.ResourcePolicy
		sec.changed = api.At(c.Time)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.PutResourcePolicyOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

// AWS's own texts for these two were never recorded; these are its
// documentation's and its console's.
const (
	publicText  = "You can't attach a resource-based policy that allows broad access to the secret."
	lockOutText = "Your requested changes will not allow you to manage this secret in the future."
)

func parsePolicy(text string) (*policy.Document, error) {
	doc, err := policy.Parse(text, policy.Resource)
	if err == nil {
		return doc, nil
	}
	e := model.MalformedPolicyDocument("This resource policy contains a syntax error.")
	if fault, ok := errors.AsType[*policy.SyntaxError](err); ok && fault.Principal != "" {
		e.Message = "This resource policy contains an unsupported principal."
	}
	e.Err = err
	return nil, e
}

// locksOut says whether a policy would take from its author the right to
// change it again.
func locksOut(c *call.Call, doc *policy.Document) bool {
	return doc.LocksOut(&c.Principal.Principal, []string{"secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy"})
}

// GetResourcePolicy shows a secret's resource policy as it was put; the member
// is absent if there is none.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetResourcePolicy.html
func (s *Service) GetResourcePolicy(ctx context.Context, c *call.Call, in *model.GetResourcePolicyInput) (*model.GetResourcePolicyOutput, error) {
	sec, err := s.authorized(ctx, c, *in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := sec.alive(); err != nil {
		return nil, err
	}
	return &model.GetResourcePolicyOutput{ARN: new(sec.arn()), Name: &sec.name, ResourcePolicy: unlessZero(&sec.policyText)}, nil
}

// DeleteResourcePolicy removes a secret's resource policy, if it has one.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteResourcePolicy.html
func (s *Service) DeleteResourcePolicy(ctx context.Context, c *call.Call, in *model.DeleteResourcePolicyInput) (*model.DeleteResourcePolicyOutput, error) {
	sec, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		sec.policyText = ""
		sec.changed = api.At(c.Time)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.DeleteResourcePolicyOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

// ValidateResourcePolicy says whether a policy could be put, and changes
// nothing. A syntax error is an error of the call, the rest are entries.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ValidateResourcePolicy.html
func (s *Service) ValidateResourcePolicy(ctx context.Context, c *call.Call, in *model.ValidateResourcePolicyInput) (*model.ValidateResourcePolicyOutput, error) {
	if err := s.mayValidate(ctx, c, in.SecretId); err != nil {
		return nil, err
	}
	doc, err := parsePolicy(*in.ResourcePolicy)
	if err != nil {
		return nil, err
	}
	found := []model.ValidationErrorsEntry{}
	if doc.Public() {
		found = append(found, model.ValidationErrorsEntry{CheckName: new("BlockPublicPolicyCheck"), ErrorMessage: new(publicText)})
	}
	if locksOut(c, doc) {
		found = append(found, model.ValidationErrorsEntry{CheckName: new("LockOutCheck"), ErrorMessage: new(lockOutText)})
	}
	return &model.ValidateResourcePolicyOutput{PolicyValidationPassed: new(len(found) == 0), ValidationErrors: found}, nil
}

// mayValidate decides about a ValidateResourcePolicy, which needs the right to
// put the policy, too, whether or not it names a secret.
func (s *Service) mayValidate(ctx context.Context, c *call.Call, secretID *string) error {
	target := everything(c)
	if secretID != nil {
		sec, err := s.authorized(ctx, c, *secretID)
		if err != nil {
			return err
		}
		if err := sec.alive(); err != nil {
			return err
		}
		target = sec.target(c)
	} else if err := c.Allow(target); err != nil {
		return err
	}
	return c.AllowAction("secretsmanager:PutResourcePolicy", target)
}

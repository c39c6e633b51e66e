package secretsmanager

import (
	"context"
	"errors"
	"slices"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// PutResourcePolicy sets a secret's resource policy, in the place of the one
// it had.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutResourcePolicy.html
func (s *Service) PutResourcePolicy(ctx context.Context, c *call.Call, in *model.PutResourcePolicyInput) (*model.PutResourcePolicyOutput, error) {
	sec, err := s.update(ctx, c, *in.SecretId, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		doc, stored, err := readPolicy(tx, *in.ResourcePolicy)
		if err != nil {
			return err
		}
		if in.BlockPublicPolicy != nil && *in.BlockPublicPolicy && doc.Public() {
			return model.PublicPolicy("%s", publicText)
		}
		if locksOut(c, sec.target(c), doc) {
			return model.InvalidRequest("%s", lockOutText)
		}
		sec.policyText = stored
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

// readPolicy checks a resource policy, and returns it as it is stored, too:
// with unique ids in the place of users and roles, who have to exist.
func readPolicy(tx *store.Tx, text string) (doc *policy.Document, stored string, err error) {
	if doc, err = policy.Parse(text, policy.Resource); err == nil {
		stored, err = iam.StorePrincipals(tx, text)
	}
	fault, ok := errors.AsType[*policy.SyntaxError](err)
	if !ok {
		return doc, stored, err
	}
	e := model.MalformedPolicyDocument("This resource policy contains a syntax error.")
	switch {
	case fault.Principal == "":
	case fault.PrincipalType == "Service":
		e.Message = "This resource policy contains an unsupported service principal."
	default:
		e.Message = "This resource policy contains an unsupported principal."
	}
	e.Err = err
	return nil, "", e
}

// locksOut says whether a policy would take from its author the right to
// change it again: in a call like this one, or in any.
func locksOut(c *call.Call, target call.Target, doc *policy.Document) bool {
	actions := []string{"secretsmanager:PutResourcePolicy", "secretsmanager:DeleteResourcePolicy"}
	if doc.LocksOut(&c.Principal.Principal, actions) {
		return true
	}
	target.Policy = doc
	return slices.ContainsFunc(actions, func(action string) bool {
		d := c.Would(action, target)
		return d.Explicit && d.Type == policy.ResourcePolicy
	})
}

// GetResourcePolicy shows a secret's resource policy as it was put, but for the
// users and roles in it: they go by the names that they have now, and by their
// unique ids if they are gone. The member is absent if there is no policy.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetResourcePolicy.html
func (s *Service) GetResourcePolicy(ctx context.Context, c *call.Call, in *model.GetResourcePolicyInput) (*model.GetResourcePolicyOutput, error) {
	sec, err := s.authorized(ctx, c, *in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := sec.alive(); err != nil {
		return nil, err
	}
	shown := sec.policyText
	if shown != "" {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			shown, err = iam.ShowPrincipals(tx, sec.policyText)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return &model.GetResourcePolicyOutput{ARN: new(sec.arn()), Name: &sec.name, ResourcePolicy: unlessZero(&shown)}, nil
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
	target, err := s.mayValidate(ctx, c, in.SecretId)
	if err != nil {
		return nil, err
	}
	var doc *policy.Document
	err = s.db.View(ctx, func(tx *store.Tx) error {
		doc, _, err = readPolicy(tx, *in.ResourcePolicy)
		return err
	})
	if err != nil {
		return nil, err
	}
	found := []model.ValidationErrorsEntry{}
	if doc.Public() {
		found = append(found, model.ValidationErrorsEntry{CheckName: new("BlockPublicPolicyCheck"), ErrorMessage: new(publicText)})
	}
	if locksOut(c, target, doc) {
		found = append(found, model.ValidationErrorsEntry{CheckName: new("LockOutCheck"), ErrorMessage: new(lockOutText)})
	}
	return &model.ValidateResourcePolicyOutput{PolicyValidationPassed: new(len(found) == 0), ValidationErrors: found}, nil
}

// mayValidate decides about a ValidateResourcePolicy, which needs the right to
// put the policy, too, whether or not it names a secret.
func (s *Service) mayValidate(ctx context.Context, c *call.Call, secretID *string) (call.Target, error) {
	target := everything(c)
	if secretID != nil {
		sec, err := s.authorized(ctx, c, *secretID)
		if err != nil {
			return target, err
		}
		if err := sec.alive(); err != nil {
			return target, err
		}
		target = sec.target(c)
	} else if err := c.Allow(target); err != nil {
		return target, err
	}
	return target, c.AllowAction("secretsmanager:PutResourcePolicy", target)
}

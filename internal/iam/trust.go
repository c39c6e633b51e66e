package iam

import (
	"context"
	"errors"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxTrust is the size of a trust policy, white space aside.
const maxTrust = 2048

// storedTrust checks a trust policy, and is the text that stands for it in the
// database.
func storedTrust(tx *store.Tx, document string) (string, error) {
	if _, err := parse(document, policy.Trust); err != nil {
		return "", err
	}
	if written(document) > maxTrust {
		return "", exceeds("ACLSizePerRole", maxTrust)
	}
	stored, err := StorePrincipals(tx, document)
	if fault, ok := errors.AsType[*policy.SyntaxError](err); ok {
		return "", model.MalformedPolicyDocument("%s", fault.Message)
	}
	return stored, err
}

// UpdateAssumeRolePolicy sets who may assume a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, c *call.Call, in *model.UpdateAssumeRolePolicyInput) (*model.UpdateAssumeRolePolicyOutput, error) {
	return nil, s.change(ctx, c, roleKind, *in.RoleName, func(tx *store.Tx, e *entity) (err error) {
		if err := e.modifiable(); err != nil {
			return err
		}
		e.trust, err = storedTrust(tx, *in.PolicyDocument)
		return err
	})
}

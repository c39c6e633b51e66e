package iam

import (
	"cmp"
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// checkBoundary finds the policy that is to be a boundary, and locks it.
func checkBoundary(tx *store.Tx, c *call.Call, policyARN string) error {
	if err := checkPolicyARN(policyARN); err != nil {
		return validation("Value (%s) for parameter PermissionsBoundary is invalid.", policyARN)
	}
	return attachable(tx, c, policyARN)
}

// PutUserPermissionsBoundary puts a user under a boundary, in the place of the
// one it had.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, c *call.Call, in *model.PutUserPermissionsBoundaryInput) (*model.PutUserPermissionsBoundaryOutput, error) {
	return nil, s.putBoundary(ctx, c, userKind, *in.UserName, *in.PermissionsBoundary)
}

// PutRolePermissionsBoundary puts a role under a boundary.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, c *call.Call, in *model.PutRolePermissionsBoundaryInput) (*model.PutRolePermissionsBoundaryOutput, error) {
	return nil, s.putBoundary(ctx, c, roleKind, *in.RoleName, *in.PermissionsBoundary)
}

// putBoundary locks the policy before the entity, like attach.
func (s *Service) putBoundary(ctx context.Context, c *call.Call, k *kind, name, policyARN string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		fault := checkBoundary(tx, c, policyARN)
		if _, answer := errors.AsType[*api.Error](fault); fault != nil && !answer {
			return fault
		}
		e, err := s.permitted(tx, c, k, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := cmp.Or(fault, e.modifiable()); err != nil {
			return err
		}
		if err := deleteBoundary(tx, e.id); err != nil {
			return err
		}
		if err := insertAttached(tx, attachment{e.id, policyARN, forBoundary}, e.account, api.At(c.Time)); err != nil {
			return err
		}
		return s.touch(tx, e)
	})
}

// DeleteUserPermissionsBoundary takes the boundary from a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUserPermissionsBoundary.html
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, c *call.Call, in *model.DeleteUserPermissionsBoundaryInput) (*model.DeleteUserPermissionsBoundaryOutput, error) {
	return nil, s.deleteBoundary(ctx, c, userKind, *in.UserName)
}

// DeleteRolePermissionsBoundary takes the boundary from a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRolePermissionsBoundary.html
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, c *call.Call, in *model.DeleteRolePermissionsBoundaryInput) (*model.DeleteRolePermissionsBoundaryOutput, error) {
	return nil, s.deleteBoundary(ctx, c, roleKind, *in.RoleName)
}

func (s *Service) deleteBoundary(ctx context.Context, c *call.Call, k *kind, name string) error {
	return s.change(ctx, c, k, name, func(tx *store.Tx, e *entity) error {
		if err := e.modifiable(); err != nil {
			return err
		}
		return deleteBoundary(tx, e.id)
	})
}

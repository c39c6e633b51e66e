package iam

import (
	"context"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// defaultSession is how long sessions of a role may be unless it says
// otherwise, in seconds.
const defaultSession = 3600

// CreateRole makes a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
func (s *Service) CreateRole(ctx context.Context, c *call.Call, in *model.CreateRoleInput) (*model.CreateRoleOutput, error) {
	e := newEntity(c, roleKind, in.Path, *in.RoleName)
	e.description, e.maxSession = deref(in.Description), defaultSession
	if in.MaxSessionDuration != nil {
		e.maxSession = *in.MaxSessionDuration
	}
	boundary := deref(in.PermissionsBoundary)
	err := s.create(ctx, c, e, in.Tags, boundary, func(tx *store.Tx, e *entity) (added bool, err error) {
		if isServiceLinked(e.path) {
			return false, model.InvalidInput("The path %s is for the roles of services, which CreateServiceLinkedRole makes.", e.path)
		}
		if e.trust, err = storedTrust(tx, *in.AssumeRolePolicyDocument); err != nil {
			return false, err
		}
		return insertRole(tx, e)
	})
	if err != nil {
		return nil, err
	}
	made := e.madeRole(*in.AssumeRolePolicyDocument)
	made.PermissionsBoundary, made.Tags = boundaryModel(boundary), e.tags.model()
	return &model.CreateRoleOutput{Role: &made}, nil
}

// madeRole is a role as the answer that it was made shows it. trust is its
// trust policy as readers see it.
func (e *entity) madeRole(trust string) model.Role {
	return model.Role{
		Path: &e.path, RoleName: &e.name, RoleId: &e.id, Arn: new(e.arn()), CreateDate: &e.created,
		AssumeRolePolicyDocument: encoded(trust),
	}
}

// listedRole is a role as lists show it.
func (e *entity) listedRole(trust string) model.Role {
	r := e.madeRole(trust)
	r.MaxSessionDuration = &e.maxSession
	if e.description != "" {
		r.Description = &e.description
	}
	return r
}

// role is a role as answers show it that are about one.
func (e *entity) role(trust, boundary string) *model.Role {
	r := e.listedRole(trust)
	r.PermissionsBoundary, r.Tags, r.RoleLastUsed = boundaryModel(boundary), e.tags.model(), e.lastUsed()
	return &r
}

// lastUsed is there, and empty, of a role that was never used.
func (e *entity) lastUsed() *model.RoleLastUsed {
	if e.used == 0 {
		return &model.RoleLastUsed{}
	}
	return &model.RoleLastUsed{LastUsedDate: &e.used, Region: &e.usedRegion}
}

// GetRole shows a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
func (s *Service) GetRole(ctx context.Context, c *call.Call, in *model.GetRoleInput) (*model.GetRoleOutput, error) {
	r, err := s.showRole(ctx, c, *in.RoleName)
	if err != nil {
		return nil, err
	}
	return &model.GetRoleOutput{Role: r}, nil
}

func (s *Service) showRole(ctx context.Context, c *call.Call, name string) (*model.Role, error) {
	var trust, boundary string
	e, err := s.look(ctx, c, roleKind, name, func(tx *store.Tx, e *entity) (err error) {
		if trust, err = ShowPrincipals(tx, e.trust); err != nil {
			return err
		}
		boundary, err = selectBoundary(tx, e.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e.role(trust, boundary), nil
}

// ListRoles lists the roles under a path, in the order of their names.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html
func (s *Service) ListRoles(ctx context.Context, c *call.Call, in *model.ListRolesInput) (*model.ListRolesOutput, error) {
	page, next, err := s.list(ctx, c, roleKind, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	var trusts []string
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		trusts, err = showAll(tx, trustsOf(page))
		return err
	})
	if err != nil {
		return nil, err
	}
	roles := make([]model.Role, len(page))
	for i, e := range page {
		roles[i] = e.listedRole(trusts[i])
	}
	return &model.ListRolesOutput{Roles: roles, IsTruncated: new(next != nil), Marker: next}, nil
}

// trustsOf are the trust policies of roles, as they are stored.
func trustsOf(roles []*entity) []string {
	all := make([]string, len(roles))
	for i, e := range roles {
		all[i] = e.trust
	}
	return all
}

// UpdateRole sets the description of a role, and how long its sessions may be:
// an hour, if the request does not say. A description that it does not give
// stays: Terraform, which sets the two apart, counts on that.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
func (s *Service) UpdateRole(ctx context.Context, c *call.Call, in *model.UpdateRoleInput) (*model.UpdateRoleOutput, error) {
	err := s.change(ctx, c, roleKind, *in.RoleName, func(_ *store.Tx, e *entity) error {
		length := int64(defaultSession)
		if in.MaxSessionDuration != nil {
			length = *in.MaxSessionDuration
		}
		if length != e.maxSession {
			if err := e.modifiable(); err != nil {
				return err
			}
		}
		e.maxSession = length
		if in.Description != nil {
			e.description = *in.Description
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.UpdateRoleOutput{}, nil
}

// UpdateRoleDescription sets the description of a role. It is all that may be
// changed of a service's.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRoleDescription.html
func (s *Service) UpdateRoleDescription(ctx context.Context, c *call.Call, in *model.UpdateRoleDescriptionInput) (*model.UpdateRoleDescriptionOutput, error) {
	var trust, boundary string
	var changed *entity
	err := s.change(ctx, c, roleKind, *in.RoleName, func(tx *store.Tx, e *entity) (err error) {
		changed, e.description = e, *in.Description
		if trust, err = ShowPrincipals(tx, e.trust); err != nil {
			return err
		}
		boundary, err = selectBoundary(tx, e.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.UpdateRoleDescriptionOutput{Role: changed.role(trust, boundary)}, nil
}

// DeleteRole deletes a role that has no policies any more.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
func (s *Service) DeleteRole(ctx context.Context, c *call.Call, in *model.DeleteRoleInput) (*model.DeleteRoleOutput, error) {
	return nil, s.remove(ctx, c, roleKind, *in.RoleName, func(*store.Tx, *entity) error { return nil })
}

package iam

import (
	"cmp"
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// callerName is the name of the user that an operation is about: the one given,
// or the caller's own.
func callerName(c *call.Call, given *string) (string, error) {
	if given != nil {
		return *given, nil
	}
	if c.Principal.Kind != policy.User {
		return "", validation("Must specify userName when calling with non-User credentials")
	}
	return c.Principal.UserName, nil
}

// CreateUser makes a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html
func (s *Service) CreateUser(ctx context.Context, c *call.Call, in *model.CreateUserInput) (*model.CreateUserOutput, error) {
	e := newEntity(c, userKind, in.Path, *in.UserName)
	err := s.create(ctx, c, e, in.Tags, deref(in.PermissionsBoundary), insertUser)
	if err != nil {
		return nil, err
	}
	return &model.CreateUserOutput{User: e.user(deref(in.PermissionsBoundary))}, nil
}

func newEntity(c *call.Call, k *kind, path *string, name string) *entity {
	return &entity{
		kind: k, id: newID(k.prefix), account: c.Principal.Account, path: cmp.Or(deref(path), "/"), name: name, created: api.At(c.Time),
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// create adds an entity with tags and under a boundary, "" for none, if the
// call may make it, and, where it has tags, may tag it.
func (s *Service) create(ctx context.Context, c *call.Call, e *entity, given []model.Tag, boundary string, insert func(*store.Tx, *entity) (bool, error)) error {
	target := e.target(c, boundary)
	if err := c.Allow(target); err != nil {
		return err
	}
	if len(given) > 0 {
		if err := c.AllowAction("iam:Tag"+e.kind.title, target); err != nil {
			return err
		}
	}
	set, err := tagsOf(given)
	if err != nil {
		return err
	}
	e.tags = set
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if boundary != "" {
			if err := checkBoundary(tx, c, boundary); err != nil {
				return err
			}
		}
		n, err := countEntities(tx, e.kind, e.account, e.kind.quota)
		if err != nil {
			return err
		}
		if n >= e.kind.quota {
			return exceeds(e.kind.title+"sPerAccount", e.kind.quota)
		}
		added, err := insert(tx, e)
		if err != nil {
			return err
		}
		if !added {
			return e.kind.exists(e.name)
		}
		if boundary == "" {
			return nil
		}
		return insertAttached(tx, attachment{e.id, boundary, forBoundary}, e.account, e.created)
	})
}

func (k *kind) exists(name string) error {
	return model.EntityAlreadyExists("%s with name %s already exists.", k.title, name)
}

func exceeds(quota string, most int) error {
	return model.LimitExceeded("Cannot exceed quota for %s: %d", quota, most)
}

// user is a user as answers show it, with its boundary and tags.
func (e *entity) user(boundary string) *model.User {
	u := e.listedUser()
	u.PermissionsBoundary, u.Tags = boundaryModel(boundary), e.tags.model()
	return &u
}

// listedUser is a user as lists show it.
func (e *entity) listedUser() model.User {
	u := model.User{Path: &e.path, UserName: &e.name, UserId: &e.id, Arn: new(e.arn()), CreateDate: &e.created}
	if e.used != 0 {
		u.PasswordLastUsed = &e.used
	}
	return u
}

// GetUser shows a user, the caller unless another is named.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html
func (s *Service) GetUser(ctx context.Context, c *call.Call, in *model.GetUserInput) (*model.GetUserOutput, error) {
	if in.UserName == nil && c.Principal.Kind == policy.Root {
		return s.getRoot(ctx, c)
	}
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var boundary string
	e, err := s.look(ctx, c, userKind, name, func(tx *store.Tx, e *entity) (err error) {
		boundary, err = selectBoundary(tx, e.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.GetUserOutput{User: e.user(boundary)}, nil
}

// getRoot shows the root user, which has no name: its id is the account's.
func (s *Service) getRoot(ctx context.Context, c *call.Call) (*model.GetUserOutput, error) {
	root := "arn:aws:iam::" + c.Principal.Account + ":root"
	if err := c.Allow(call.Target{ARN: root, Keys: conditionKeys(c, nil, "")}); err != nil {
		return nil, err
	}
	var made api.Timestamp
	err := s.db.Look(ctx, func(tx *store.Tx) (err error) {
		made, err = selectAccountCreated(tx, c.Principal.Account)
		return err
	})
	return &model.GetUserOutput{User: &model.User{UserId: &c.Principal.Account, Arn: &root, CreateDate: &made}}, err
}

// UpdateUser renames a user, or moves it to another path. Its keys, policies
// and groups stay; documents that name it keep their meaning.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html
func (s *Service) UpdateUser(ctx context.Context, c *call.Call, in *model.UpdateUserInput) (*model.UpdateUserOutput, error) {
	return nil, s.rename(ctx, c, userKind, *in.UserName, in.NewPath, in.NewUserName)
}

// rename asks for permission on the entity as it is and as it is to be.
func (s *Service) rename(ctx context.Context, c *call.Call, k *kind, name string, newPath, newName *string) error {
	err := s.change(ctx, c, k, name, func(_ *store.Tx, e *entity) error {
		e.path, e.name = cmp.Or(deref(newPath), e.path), cmp.Or(deref(newName), e.name)
		return c.Allow(e.target(c, ""))
	})
	if errors.Is(err, store.ErrConflict) {
		return k.exists(deref(newName))
	}
	return err
}

// DeleteUser deletes a user that nothing hangs on any more.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html
func (s *Service) DeleteUser(ctx context.Context, c *call.Call, in *model.DeleteUserInput) (*model.DeleteUserOutput, error) {
	return nil, s.remove(ctx, c, userKind, *in.UserName, func(tx *store.Tx, e *entity) error {
		keys, err := selectAccessKeys(tx, e.id)
		if err != nil {
			return err
		}
		groups, err := selectGroupsOf(tx, e.id)
		if err != nil {
			return err
		}
		profile, err := hasLoginProfile(tx, e.id)
		if err != nil {
			return err
		}
		devices, err := hasMFADevice(tx, e.id)
		switch {
		case err != nil:
			return err
		case len(keys) > 0:
			return conflict("delete access keys")
		case profile:
			return conflict("delete login profile")
		case devices:
			return conflict("delete MFA device")
		case len(groups) > 0:
			return conflict("remove users from group")
		}
		return nil
	})
}

func conflict(first string) error {
	return model.DeleteConflict("Cannot delete entity, must %s first.", first)
}

// remove deletes an entity, if the call may, nothing but its boundary is
// attached to it and check finds nothing else that hangs on it.
func (s *Service) remove(ctx context.Context, c *call.Call, k *kind, name string, check func(*store.Tx, *entity) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		e, err := s.permitted(tx, c, k, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := e.modifiable(); err != nil {
			return err
		}
		if err := check(tx, e); err != nil {
			return err
		}
		if err := unburdened(tx, e); err != nil {
			return err
		}
		s.identities.Changed(tx, e.id)
		if err := deleteBoundary(tx, e.id); err != nil {
			return err
		}
		return deleteEntity(tx, k, e.id)
	})
}

// unburdened refuses an entity that has policies.
func unburdened(tx *store.Tx, e *entity) error {
	attached, err := selectAttached(tx, e.id)
	if err != nil {
		return err
	}
	inlines, err := selectInline(tx, e.id)
	switch {
	case err != nil:
		return err
	case len(inlines) > 0:
		return conflict("delete policies")
	case len(attached) > 0:
		return conflict("detach all policies")
	}
	return nil
}

// modifiable refuses roles that belong to a service.
func (e *entity) modifiable() error {
	if e.kind == roleKind && isServiceLinked(e.path) {
		return model.UnmodifiableEntity("Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", e.name)
	}
	return nil
}

// ListUsers lists the users under a path, in the order of their names.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
func (s *Service) ListUsers(ctx context.Context, c *call.Call, in *model.ListUsersInput) (*model.ListUsersOutput, error) {
	page, next, err := s.list(ctx, c, userKind, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	users := make([]model.User, len(page))
	for i, e := range page {
		users[i] = e.listedUser()
	}
	return &model.ListUsersOutput{Users: users, IsTruncated: new(next != nil), Marker: next}, nil
}

// list is a page of the entities under a path.
func (s *Service) list(ctx context.Context, c *call.Call, k *kind, pathPrefix, marker *string, maxItems *int64) (page []*entity, next *string, err error) {
	prefix := cmp.Or(deref(pathPrefix), "/")
	target := call.Target{ARN: arnOf(c.Principal.Account, k.noun, prefix, ""), Keys: conditionKeys(c, nil, "")}
	if err := c.Allow(target); err != nil {
		return nil, nil, err
	}
	after, err := s.readMarker(c, marker)
	if err != nil {
		return nil, nil, err
	}
	size := sizeOf(maxItems)
	err = s.db.Look(ctx, func(tx *store.Tx) (err error) {
		page, err = selectEntities(tx, k, c.Principal.Account, prefix, after, size+1)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	page, next = cut(s, c, page, size, (*entity).folded)
	return page, next, nil
}

func (e *entity) folded() string { return fold(e.name) }

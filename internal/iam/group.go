package iam

import (
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

const maxGroups = 10 // of a user

// CreateGroup makes a group.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html
func (s *Service) CreateGroup(ctx context.Context, c *call.Call, in *model.CreateGroupInput) (*model.CreateGroupOutput, error) {
	e := newEntity(c, groupKind, in.Path, *in.GroupName)
	if err := s.create(ctx, c, e, nil, "", insertGroup); err != nil {
		return nil, err
	}
	return &model.CreateGroupOutput{Group: new(e.group())}, nil
}

func (e *entity) group() model.Group {
	return model.Group{Path: &e.path, GroupName: &e.name, GroupId: &e.id, Arn: new(e.arn()), CreateDate: &e.created}
}

// GetGroup shows a group and a page of its members.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetGroup.html
func (s *Service) GetGroup(ctx context.Context, c *call.Call, in *model.GetGroupInput) (*model.GetGroupOutput, error) {
	after, err := s.readMarker(c, in.Marker)
	if err != nil {
		return nil, err
	}
	size := sizeOf(in.MaxItems)
	var members []*entity
	e, err := s.look(ctx, c, groupKind, *in.GroupName, func(tx *store.Tx, e *entity) (err error) {
		members, err = selectMembers(tx, e.id, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := cut(s, c, members, size, (*entity).folded)
	out := &model.GetGroupOutput{Group: new(e.group()), Users: []model.User{}, IsTruncated: new(next != nil), Marker: next}
	for _, m := range page {
		out.Users = append(out.Users, m.listedUser())
	}
	return out, nil
}

// UpdateGroup renames a group, or moves it to another path.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateGroup.html
func (s *Service) UpdateGroup(ctx context.Context, c *call.Call, in *model.UpdateGroupInput) (*model.UpdateGroupOutput, error) {
	return nil, s.rename(ctx, c, groupKind, *in.GroupName, in.NewPath, in.NewGroupName)
}

// DeleteGroup deletes a group without members and policies.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroup.html
func (s *Service) DeleteGroup(ctx context.Context, c *call.Call, in *model.DeleteGroupInput) (*model.DeleteGroupOutput, error) {
	return nil, s.remove(ctx, c, groupKind, *in.GroupName, func(tx *store.Tx, e *entity) error {
		members, err := selectMembers(tx, e.id, "", 1)
		if err == nil && len(members) > 0 {
			err = conflict("remove users from group")
		}
		return err
	})
}

// ListGroups lists the groups under a path, in the order of their names.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroups.html
func (s *Service) ListGroups(ctx context.Context, c *call.Call, in *model.ListGroupsInput) (*model.ListGroupsOutput, error) {
	page, next, err := s.list(ctx, c, groupKind, in.PathPrefix, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &model.ListGroupsOutput{Groups: groups(page), IsTruncated: new(next != nil), Marker: next}, nil
}

func groups(page []*entity) []model.Group {
	all := make([]model.Group, len(page))
	for i, e := range page {
		all[i] = e.group()
	}
	return all
}

// ListGroupsForUser lists the groups of a user, in the order of their names.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroupsForUser.html
func (s *Service) ListGroupsForUser(ctx context.Context, c *call.Call, in *model.ListGroupsForUserInput) (*model.ListGroupsForUserOutput, error) {
	var of []*entity
	_, err := s.look(ctx, c, userKind, *in.UserName, func(tx *store.Tx, e *entity) (err error) {
		of, err = selectGroupsOf(tx, e.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, of, (*entity).folded)
	if err != nil {
		return nil, err
	}
	return &model.ListGroupsForUserOutput{Groups: groups(page), IsTruncated: new(next != nil), Marker: next}, nil
}

// AddUserToGroup makes a user a member of a group, if it is not.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddUserToGroup.html
func (s *Service) AddUserToGroup(ctx context.Context, c *call.Call, in *model.AddUserToGroupInput) (*model.AddUserToGroupOutput, error) {
	return nil, s.member(ctx, c, *in.GroupName, *in.UserName, func(tx *store.Tx, group, user *entity) error {
		if err := insertMember(tx, group.id, user.id, api.At(c.Time)); err != nil {
			return err
		}
		of, err := selectGroupsOf(tx, user.id)
		if err == nil && len(of) > maxGroups {
			err = exceeds("GroupsPerUser", maxGroups)
		}
		return err
	})
}

// RemoveUserFromGroup ends a membership.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveUserFromGroup.html
func (s *Service) RemoveUserFromGroup(ctx context.Context, c *call.Call, in *model.RemoveUserFromGroupInput) (*model.RemoveUserFromGroupOutput, error) {
	return nil, s.member(ctx, c, *in.GroupName, *in.UserName, func(tx *store.Tx, group, user *entity) error {
		was, err := deleteMember(tx, group.id, user.id)
		if err == nil && !was {
			err = userKind.notFound(user.name)
		}
		return err
	})
}

// member changes whether a user is in a group. The call needs permission on
// the group alone. The group's row is locked before the user's, as everybody
// does; only the user is touched: for the other members nothing changes.
func (s *Service) member(ctx context.Context, c *call.Call, groupName, userName string, fn func(tx *store.Tx, group, user *entity) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		group, err := s.permitted(tx, c, groupKind, groupName, tx.ForUpdate())
		if err != nil {
			return err
		}
		user, err := selectEntity(tx, userKind, group.account, userName, tx.ForUpdate())
		if errors.Is(err, store.ErrNotFound) {
			return userKind.notFound(userName)
		}
		if err != nil {
			return err
		}
		if err := fn(tx, group, user); err != nil {
			return err
		}
		return s.touch(tx, user)
	})
}

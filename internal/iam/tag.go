package iam

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxTags is AWS's quota of tags on what IAM keeps.
const maxTags = 50

// A Tag is a key and a value. Keys are compared without regard to case, and
// kept as they were first given.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// tags are a resource's, each key once, in the order in which they were first
// set.
type tags []Tag

// Value is the tags as the database keeps them, a JSON list.
func (t tags) Value() (driver.Value, error) { return store.JSONList([]Tag(t)) }

// Scan reads what Value wrote.
func (t *tags) Scan(column any) error { return store.ScanJSON(column, (*[]Tag)(t)) }

// find is the value of the tag that a condition key names.
func (t tags) find(c *call.Call, key string) ([]string, bool) {
	if i := t.index(key); i >= 0 {
		return c.Value(t[i].Value)
	}
	return nil, false
}

func (t tags) index(key string) int {
	return slices.IndexFunc(t, func(held Tag) bool { return strings.EqualFold(held.Key, key) })
}

// with is the tags with others set: a key that is there keeps its place and
// gets the new value.
func (t tags) with(set tags) (tags, error) {
	all := slices.Clone(t)
	for _, tag := range set {
		if i := all.index(tag.Key); i >= 0 {
			all[i] = tag
		} else {
			all = append(all, tag)
		}
	}
	if len(all) > maxTags {
		return nil, model.LimitExceeded("The number of tags has reached the maximum limit.")
	}
	return all, nil
}

// without is the tags but for those with the keys.
func (t tags) without(keys []string) tags {
	return slices.DeleteFunc(slices.Clone(t), func(held Tag) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(held.Key, key) })
	})
}

// tagsOf reads tags out of a request, and refuses what may not be one.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
func tagsOf(given []model.Tag) (tags, error) {
	set := make(tags, 0, len(given))
	for _, t := range given {
		if strings.HasPrefix(policy.FoldKey(*t.Key), "aws:") {
			return nil, model.InvalidInput("Caller is an end user and not allowed to mutate system tags.")
		}
		if set.index(*t.Key) >= 0 {
			return set, model.InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		set = append(set, Tag{*t.Key, *t.Value})
	}
	return set, nil
}

// model is the tags as answers show them; nil for none.
func (t tags) model() []model.Tag {
	var all []model.Tag
	for i := range t {
		all = append(all, model.Tag{Key: &t[i].Key, Value: &t[i].Value})
	}
	return all
}

// TagUser sets tags of a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagUser.html
func (s *Service) TagUser(ctx context.Context, c *call.Call, in *model.TagUserInput) (*model.TagUserOutput, error) {
	return nil, s.tag(ctx, c, userKind, *in.UserName, in.Tags)
}

// TagRole sets tags of a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagRole.html
func (s *Service) TagRole(ctx context.Context, c *call.Call, in *model.TagRoleInput) (*model.TagRoleOutput, error) {
	return nil, s.tag(ctx, c, roleKind, *in.RoleName, in.Tags)
}

func (s *Service) tag(ctx context.Context, c *call.Call, k *kind, name string, given []model.Tag) error {
	return s.change(ctx, c, k, name, func(_ *store.Tx, e *entity) error {
		if err := e.modifiable(); err != nil {
			return err
		}
		set, err := tagsOf(given)
		if err != nil {
			return err
		}
		e.tags, err = e.tags.with(set)
		return err
	})
}

// UntagUser removes tags of a user by their keys; keys that are not there are
// ignored.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagUser.html
func (s *Service) UntagUser(ctx context.Context, c *call.Call, in *model.UntagUserInput) (*model.UntagUserOutput, error) {
	return nil, s.untag(ctx, c, userKind, *in.UserName, in.TagKeys)
}

// UntagRole removes tags of a role by their keys; keys that are not there are
// ignored.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagRole.html
func (s *Service) UntagRole(ctx context.Context, c *call.Call, in *model.UntagRoleInput) (*model.UntagRoleOutput, error) {
	return nil, s.untag(ctx, c, roleKind, *in.RoleName, in.TagKeys)
}

func (s *Service) untag(ctx context.Context, c *call.Call, k *kind, name string, keys []string) error {
	return s.change(ctx, c, k, name, func(_ *store.Tx, e *entity) error {
		if err := e.modifiable(); err != nil {
			return err
		}
		e.tags = e.tags.without(keys)
		return nil
	})
}

// ListUserTags lists the tags of a user.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUserTags.html
func (s *Service) ListUserTags(ctx context.Context, c *call.Call, in *model.ListUserTagsInput) (*model.ListUserTagsOutput, error) {
	e, err := s.look(ctx, c, userKind, *in.UserName, nil)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, e.tags.sorted(), tagName)
	if err != nil {
		return nil, err
	}
	return &model.ListUserTagsOutput{Tags: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// ListRoleTags lists the tags of a role.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoleTags.html
func (s *Service) ListRoleTags(ctx context.Context, c *call.Call, in *model.ListRoleTagsInput) (*model.ListRoleTagsOutput, error) {
	e, err := s.look(ctx, c, roleKind, *in.RoleName, nil)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, e.tags.sorted(), tagName)
	if err != nil {
		return nil, err
	}
	return &model.ListRoleTagsOutput{Tags: page, IsTruncated: new(next != nil), Marker: next}, nil
}

func tagName(t model.Tag) string { return *t.Key }

// sorted is the tags as lists show them, in the order of their keys.
func (t tags) sorted() []model.Tag {
	all := t.model()
	slices.SortFunc(all, func(a, b model.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return all
}

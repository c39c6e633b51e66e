package organizations

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxTags is AWS's quota of tags on an account, a policy or the root.
const maxTags = 50

// A tag is a key and a value.
type tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// tags are a resource's, each key once, in the order in which they were first
// set. They are shared and must not be changed.
type tags []tag

// Value is the tags as the database keeps them, a JSON list.
func (t tags) Value() (driver.Value, error) { return store.JSONList([]tag(t)) }

// Scan reads what Value wrote.
func (t *tags) Scan(column any) error { return store.ScanJSON(column, (*[]tag)(t)) }

// with is the tags with others set: a key that is there keeps its place and
// gets the new value. It refuses what may not be a tag, and too many.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_tagging.html
func (t tags) with(set []model.Tag) (tags, error) {
	all := slices.Clone(t)
	seen := map[string]bool{}
	for _, given := range set {
		key := *given.Key
		if strings.HasPrefix(policy.FoldKey(key), "aws:") {
			return nil, model.InvalidInput("You specified a tag key that is a system tag. You can't add, edit, or delete system tag keys because they're reserved for AWS use.")
		}
		if seen[key] {
			return nil, model.InvalidInput("Tag keys must be unique among the tags attached to the same entity.")
		}
		seen[key] = true
		if i := slices.IndexFunc(all, func(held tag) bool { return held.Key == key }); i >= 0 {
			all[i].Value = *given.Value
		} else {
			all = append(all, tag{key, *given.Value})
		}
	}
	if len(all) > maxTags {
		return nil, model.ConstraintViolation("You have exceeded the number of tags allowed on this resource.")
	}
	return all, nil
}

// without is the tags but for those with the keys.
func (t tags) without(keys []string) tags {
	return slices.DeleteFunc(slices.Clone(t), func(held tag) bool { return slices.Contains(keys, held.Key) })
}

// allowTagging decides whether a call that makes something may give it tags.
func allowTagging(c *call.Call, set []model.Tag) error {
	if len(set) == 0 {
		return nil
	}
	return c.AllowAction("organizations:TagResource", everything(c))
}

// TagResource sets tags of an account, a policy or the root.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_TagResource.html
func (s *Service) TagResource(ctx context.Context, c *call.Call, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	return nil, s.retag(ctx, c, *in.ResourceId, func(held tags) (tags, error) { return held.with(in.Tags) })
}

// UntagResource removes tags by their keys; keys that are not there are
// ignored.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_UntagResource.html
func (s *Service) UntagResource(ctx context.Context, c *call.Call, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	return nil, s.retag(ctx, c, *in.ResourceId, func(held tags) (tags, error) { return held.without(in.TagKeys), nil })
}

func (s *Service) retag(ctx context.Context, c *call.Call, id string, edit func(tags) (tags, error)) error {
	return s.change(ctx, c, []want{{id, errTarget()}}, func(tx *store.Tx, org *organization, found []resource) (err error) {
		switch r := found[0]; {
		case r.root:
			if org.tags, err = edit(org.tags); err != nil {
				return err
			}
			return updateOrganization(tx, org)
		case r.policy != nil:
			if err := r.policy.changeable(); err != nil {
				return err
			}
			if r.policy.tags, err = edit(r.policy.tags); err != nil {
				return err
			}
			return updatePolicy(tx, r.policy)
		default:
			if r.account.tags, err = edit(r.account.tags); err != nil {
				return err
			}
			return s.updateAccount(tx, r.account)
		}
	})
}

// ListTagsForResource lists the tags of an account, a policy or the root, in
// one page: there are no more than fit.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListTagsForResource.html
func (s *Service) ListTagsForResource(ctx context.Context, c *call.Call, in *model.ListTagsForResourceInput) (*model.ListTagsForResourceOutput, error) {
	if in.NextToken != nil {
		return nil, errToken()
	}
	var held tags
	err := s.look(ctx, c, []want{{*in.ResourceId, errTarget()}}, func(_ *store.Tx, org *organization, found []resource) error {
		switch r := found[0]; {
		case r.root:
			held = org.tags
		case r.policy != nil:
			held = r.policy.tags
		default:
			held = r.account.tags
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListTagsForResourceOutput{Tags: []model.Tag{}}
	for _, t := range held {
		out.Tags = append(out.Tags, model.Tag{Key: &t.Key, Value: &t.Value})
	}
	return out, nil
}

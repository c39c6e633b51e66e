package secretsmanager

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxTags is AWS's quota of tags on a secret.
const maxTags = 50

// TagResource sets tags; a key that is there already gets the new value.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_TagResource.html
func (s *Service) TagResource(ctx context.Context, c *call.Call, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	_, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		sec.tags = sec.tags.with(in.Tags)
		if len(sec.tags) > maxTags {
			return errTooManyTags()
		}
		sec.tagged = sec.tagged || len(in.Tags) > 0
		sec.changed = api.At(c.Time)
		return nil
	})
	return nil, err
}

// UntagResource removes tags by their keys; keys that are not there are
// ignored.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UntagResource.html
func (s *Service) UntagResource(ctx context.Context, c *call.Call, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	_, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		sec.tags = sec.tags.without(in.TagKeys)
		sec.changed = api.At(c.Time)
		return nil
	})
	return nil, err
}

// Tags are a secret's, each key once, in the order in which they were first
// set. They are shared and must not be changed.
type tags []model.Tag

// with is the tags with others set: a key that is there keeps its place and
// gets the new value.
func (t tags) with(set []model.Tag) tags {
	all := slices.Clone(t)
	for _, tag := range set {
		tag.Value = new(tagValue(tag))
		if at := slices.IndexFunc(all, func(held model.Tag) bool { return *held.Key == *tag.Key }); at >= 0 {
			all[at] = tag
		} else {
			all = append(all, tag)
		}
	}
	return all
}

// without is the tags but for those with the keys.
func (t tags) without(keys []string) tags {
	return slices.DeleteFunc(slices.Clone(t), func(held model.Tag) bool { return slices.Contains(keys, *held.Key) })
}

// checkTags refuses what may not be a tag: AWS's own prefix, signs outside its
// set, a key given twice, too many.
// https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
func checkTags(tags []model.Tag) error {
	if len(tags) > maxTags {
		return errTooManyTags()
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key := deref(t.Key)
		switch {
		case key == "":
			return model.InvalidParameter("A tag must have a key.")
		case strings.HasPrefix(policy.FoldKey(key), "aws:"):
			return model.InvalidParameter("Tag keys that begin with aws: are reserved for AWS use.")
		case seen[key]:
			return model.InvalidParameter("Tag keys must be unique: %s is given more than once.", key)
		case !isTagText(key) || !isTagText(tagValue(t)):
			return model.InvalidParameter("Tag keys and values can only hold letters, digits, spaces and _ . : / = + - @")
		}
		seen[key] = true
	}
	return nil
}

func errTooManyTags() error {
	return model.InvalidParameter("A secret can have at most %d tags.", maxTags)
}

func isTagText(s string) bool {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Zs, r) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return true
}

// tagValue is a tag's value; a tag without one has the empty value.
func tagValue(t model.Tag) string { return deref(t.Value) }

package secretsmanager

import (
	"context"
	"strings"
	"unicode"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
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
	_, err := s.update(ctx, c, *in.SecretId, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		if err := writeTags(tx, sec.id, in.Tags); err != nil {
			return err
		}
		tags, err := selectTags(tx, sec.id)
		if err != nil {
			return err
		}
		if len(tags) > maxTags {
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
	_, err := s.update(ctx, c, *in.SecretId, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		sec.changed = api.At(c.Time)
		return deleteTags(tx, sec.id, in.TagKeys)
	})
	return nil, err
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
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
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

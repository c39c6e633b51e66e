package kms

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxTags is AWS's quota of tags on a key.
const maxTags = 50

// A tag is a key and a value.
type tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// tags are a key's, each once, in the order in which they were first set. They
// are shared and must not be changed.
type tags []tag

// Value is the tags as the database keeps them, a JSON list.
func (t tags) Value() (driver.Value, error) { return store.JSONList([]tag(t)) }

// Scan reads what Value wrote.
func (t *tags) Scan(column any) error { return store.ScanJSON(column, (*[]tag)(t)) }

// with is the tags with others set: a key that is there keeps its place and
// gets the new value. It refuses what may not be a tag, and too many.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Tag.html
func (t tags) with(set []model.Tag) (tags, error) {
	all := slices.Clone(t)
	seen := map[string]bool{}
	for _, given := range set {
		key := *given.TagKey
		if strings.HasPrefix(policy.FoldKey(key), "aws:") {
			return nil, model.TagException("Tags beginning with aws: are reserved")
		}
		if seen[key] {
			return nil, model.TagException("Duplicate tag keys")
		}
		seen[key] = true
		if i := slices.IndexFunc(all, func(held tag) bool { return held.Key == key }); i >= 0 {
			all[i].Value = *given.TagValue
		} else {
			all = append(all, tag{key, *given.TagValue})
		}
	}
	if len(all) > maxTags {
		return nil, model.TagException("Too many tags")
	}
	return all, nil
}

// without is the tags but for those with the keys.
func (t tags) without(keys []string) tags {
	return slices.DeleteFunc(slices.Clone(t), func(held tag) bool { return slices.Contains(keys, held.Key) })
}

func requestTags(in any) []model.Tag {
	switch in := in.(type) {
	case *model.CreateKeyInput:
		return in.Tags
	case *model.ReplicateKeyInput:
		return in.Tags
	case *model.TagResourceInput:
		return in.Tags
	}
	return nil
}

func requestTagKeys(in any) ([]string, bool) {
	var keys []string
	if in, ok := in.(*model.UntagResourceInput); ok {
		keys = in.TagKeys
	}
	for _, t := range requestTags(in) {
		keys = append(keys, *t.TagKey)
	}
	return keys, len(keys) > 0
}

// tagValues are the values of a request's tags that a condition key names: of
// several that differ in letter case alone none hides another.
func tagValues(set []model.Tag, key string) (values []string, present bool) {
	for _, t := range set {
		if strings.EqualFold(*t.TagKey, key) {
			values = append(values, *t.TagValue)
		}
	}
	return values, len(values) > 0
}

// shown is the tags as answers show them.
func (t tags) shown() []model.Tag {
	shown := []model.Tag{}
	for _, held := range t {
		shown = append(shown, model.Tag{TagKey: &held.Key, TagValue: &held.Value})
	}
	return shown
}

// TagResource sets tags; a key that is there already gets the new value.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_TagResource.html
func (s *Service) TagResource(ctx context.Context, c *call.Call, in *model.TagResourceInput) (*model.TagResourceOutput, error) {
	_, err := s.change(ctx, c, *in.KeyId, func(_ *store.Tx, k *Key) (err error) {
		k.tags, err = k.tags.with(in.Tags)
		return err
	})
	return nil, err
}

// UntagResource removes tags by their keys; keys that are not there are
// ignored.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UntagResource.html
func (s *Service) UntagResource(ctx context.Context, c *call.Call, in *model.UntagResourceInput) (*model.UntagResourceOutput, error) {
	_, err := s.change(ctx, c, *in.KeyId, func(_ *store.Tx, k *Key) error {
		k.tags = k.tags.without(in.TagKeys)
		return nil
	})
	return nil, err
}

// ListResourceTags lists the tags of a key, in the order in which they were
// first set.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListResourceTags.html
func (s *Service) ListResourceTags(ctx context.Context, c *call.Call, in *model.ListResourceTagsInput) (*model.ListResourceTagsOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	p, err := s.page(c, in.Marker, in.Limit, pageLimits{usual: maxTags, most: maxTags}, k.ARN)
	if err != nil {
		return nil, err
	}
	shown := k.tags.shown()
	if at := slices.IndexFunc(shown, func(t model.Tag) bool { return *t.TagKey == p.after }); at >= 0 {
		shown = shown[at+1:]
	}
	out := new(model.ListResourceTagsOutput)
	out.Tags, out.NextMarker = cut(p, shown, func(t *model.Tag) string { return *t.TagKey })
	out.Truncated = new(out.NextMarker != nil)
	return out, nil
}

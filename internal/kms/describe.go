package kms

import (
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/store"
)

// DescribeKey shows all of a key but its policy, its tags and its material. The
// caller's own default key is made if it is asked for by its alias, as AWS's is.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
func (s *Service) DescribeKey(ctx context.Context, c *call.Call, in *model.DescribeKeyInput) (*model.DescribeKeyOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == "NotFoundException" && s.isOwnDefault(c, *in.KeyId) {
		if err := c.Confirm(ctx); err != nil {
			return nil, err
		}
		if _, err := s.createManaged(ctx, c.Principal.Account, c.Region, api.At(c.Time)); err != nil {
			return nil, err
		}
		k, err = s.look(ctx, c, *in.KeyId)
	}
	if err != nil {
		return nil, err
	}
	return &model.DescribeKeyOutput{KeyMetadata: k.metadata()}, nil
}

// isOwnDefault says whether a KeyId is the alias of the caller's own default key.
func (s *Service) isOwnDefault(c *call.Call, keyID string) bool {
	return keyID == DefaultAlias || keyID == aliasARN(c.Principal.Account, c.Region, DefaultAlias)
}

// ListKeys lists the ids and ARNs of the account's keys in the region, in the
// order of their ids.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeys.html
func (s *Service) ListKeys(ctx context.Context, c *call.Call, in *model.ListKeysInput) (*model.ListKeysOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	p, err := s.page(c, in.Marker, in.Limit, pageLimits{usual: 100, most: 1000})
	if err != nil {
		return nil, err
	}
	var ids []string
	err = s.db.View(ctx, func(tx *store.Tx) error {
		ids, err = selectKeyIDs(tx, c.Principal.Account, c.Region, p.after, c.Time.UnixMilli(), p.size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListKeysOutput{Keys: []model.KeyListEntry{}}
	ids, out.NextMarker = cut(p, ids, func(id *string) string { return *id })
	out.Truncated = new(out.NextMarker != nil)
	for _, id := range ids {
		out.Keys = append(out.Keys, model.KeyListEntry{KeyId: &id, KeyArn: new(keyARN(c.Principal.Account, c.Region, id))})
	}
	return out, nil
}

package iam

import (
	"context"
	"errors"
	"slices"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// statusActive is the status of access keys that authenticate.
const (
	statusActive   = "Active"
	statusInactive = "Inactive"
)

const maxAccessKeys = 2 // of a user

// CreateAccessKey gives a user, the caller unless another is named, an access
// key. It is the only answer that ever shows the secret.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html
func (s *Service) CreateAccessKey(ctx context.Context, c *call.Call, in *model.CreateAccessKeyInput) (*model.CreateAccessKeyOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	id, err := NewAccessKeyID(PrefixAccessKey, c.Principal.Account)
	if err != nil {
		return nil, err
	}
	key, now := AccessKey{id, api.Sensitive(newSecret())}, api.At(c.Time)
	err = s.change(ctx, c, userKind, name, func(tx *store.Tx, e *entity) error {
		held, err := selectAccessKeys(tx, e.id)
		if err != nil {
			return err
		}
		if len(held) >= maxAccessKeys {
			return exceeds("AccessKeysPerUser", maxAccessKeys)
		}
		name = e.name
		return s.insertKey(tx, e, key, now)
	})
	if err != nil {
		return nil, err
	}
	return &model.CreateAccessKeyOutput{AccessKey: &model.AccessKey{
		UserName: &name, AccessKeyId: &key.AccessKeyID, Status: new(statusActive), SecretAccessKey: &key.Secret, CreateDate: &now,
	}}, nil
}

// ListAccessKeys lists the access keys of a user, the caller unless another is
// named, without their secrets.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html
func (s *Service) ListAccessKeys(ctx context.Context, c *call.Call, in *model.ListAccessKeysInput) (*model.ListAccessKeysOutput, error) {
	name, err := callerName(c, in.UserName)
	if err != nil {
		return nil, err
	}
	var keys []keyRow
	e, err := s.look(ctx, c, userKind, name, func(tx *store.Tx, e *entity) (err error) {
		keys, err = selectAccessKeys(tx, e.id)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(keys, func(a, b keyRow) int { return slices.Compare([]string{a.id}, []string{b.id}) })
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, keys, func(k keyRow) string { return k.id })
	if err != nil {
		return nil, err
	}
	out := &model.ListAccessKeysOutput{AccessKeyMetadata: []model.AccessKeyMetadata{}, IsTruncated: new(next != nil), Marker: next}
	for i := range page {
		k := &page[i]
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, model.AccessKeyMetadata{
			UserName: &e.name, AccessKeyId: &k.id, Status: &k.status, CreateDate: &k.created,
		})
	}
	return out, nil
}

// UpdateAccessKey makes an access key active or inactive. An inactive one does
// not authenticate.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html
func (s *Service) UpdateAccessKey(ctx context.Context, c *call.Call, in *model.UpdateAccessKeyInput) (*model.UpdateAccessKeyOutput, error) {
	return nil, s.changeKey(ctx, c, in.UserName, *in.AccessKeyId, func(tx *store.Tx) error {
		if *in.Status != statusActive && *in.Status != statusInactive {
			return validation("1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum value set")
		}
		return updateAccessKey(tx, *in.AccessKeyId, *in.Status)
	})
}

// DeleteAccessKey deletes an access key.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html
func (s *Service) DeleteAccessKey(ctx context.Context, c *call.Call, in *model.DeleteAccessKeyInput) (*model.DeleteAccessKeyOutput, error) {
	return nil, s.changeKey(ctx, c, in.UserName, *in.AccessKeyId, func(tx *store.Tx) error {
		return deleteAccessKey(tx, *in.AccessKeyId)
	})
}

// changeKey changes an access key of a user, the caller unless another is
// named. Another user's key is not found.
func (s *Service) changeKey(ctx context.Context, c *call.Call, userName *string, id string, change func(*store.Tx) error) error {
	name, err := callerName(c, userName)
	if err != nil {
		return err
	}
	return s.change(ctx, c, userKind, name, func(tx *store.Tx, e *entity) error {
		key, err := selectAccessKey(tx, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && key.userID != e.id {
			return noKey(id)
		}
		if err != nil {
			return err
		}
		s.credentials.Changed(tx, id)
		return change(tx)
	})
}

func noKey(id string) error {
	return model.NoSuchEntity("The Access Key with id %s cannot be found.", id)
}

// GetAccessKeyLastUsed says when an access key of the account was last used,
// to a quarter of an hour.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html
func (s *Service) GetAccessKeyLastUsed(ctx context.Context, c *call.Call, in *model.GetAccessKeyLastUsedInput) (*model.GetAccessKeyLastUsedOutput, error) {
	var key keyRow
	var e *entity
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if key, err = selectAccessKey(tx, *in.AccessKeyId); err != nil {
			return err
		}
		e, err = selectEntityByID(tx, userKind, key.userID)
		return err
	})
	missing := errors.Is(err, store.ErrNotFound) || err == nil && e.account != c.Principal.Account
	if err != nil && !missing {
		return nil, err
	}
	target := everything(c)
	if !missing {
		target = e.target(c, "")
	}
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if missing {
		return nil, noKey(*in.AccessKeyId)
	}
	used := &model.AccessKeyLastUsed{ServiceName: new("N/A"), Region: new("N/A")}
	if key.used != 0 {
		used = &model.AccessKeyLastUsed{ServiceName: &key.usedService, Region: &key.usedRegion, LastUsedDate: &key.used}
	}
	return &model.GetAccessKeyLastUsedOutput{UserName: &e.name, AccessKeyLastUsed: used}, nil
}

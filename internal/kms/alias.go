package kms

import (
	"context"
	"errors"
	"slices"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/store"
)

// maxAliases is AWS's quota of aliases on a key.
const maxAliases = 50

// reservedPrefix begins the aliases of the keys that services make.
const reservedPrefix = aliasPrefix + "aws/"

// An alias is another name of a key, which can move to another key.
type alias struct {
	name, keyARN     string
	created, updated api.Timestamp
}

func aliasARN(account, region, name string) string {
	return "arn:aws:kms:" + region + ":" + account + ":" + name
}

// mayAlias decides about the alias of a call that makes, moves or removes one.
// It needs permission on the key, too; which keys that are is told only to who
// may have the alias.
// https://docs.aws.amazon.com/kms/latest/developerguide/alias-access.html
func mayAlias(c *call.Call, name string) error {
	target := call.Target{ARN: aliasARN(c.Principal.Account, c.Region, name), Keys: conditionKeys(c, nil)}
	if err := c.Allow(target); err != nil {
		return err
	}
	switch {
	case !strings.HasPrefix(name, aliasPrefix) || name == aliasPrefix:
		return invalid(`Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
	case strings.HasPrefix(name, reservedPrefix):
		return &api.Error{Code: "NotAuthorizedException", Status: 400}
	}
	return nil
}

// isAlias says whether a KeyId is an alias where only a key will do.
func isAlias(keyID string) bool {
	return strings.HasPrefix(keyID, aliasPrefix) || strings.HasPrefix(keyID, "arn:") && strings.Contains(keyID, ":"+aliasPrefix)
}

// CreateAlias gives a key of the caller's account another name.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
func (s *Service) CreateAlias(ctx context.Context, c *call.Call, in *model.CreateAliasInput) (*model.CreateAliasOutput, error) {
	name := *in.AliasName
	if err := mayAlias(c, name); err != nil {
		return nil, err
	}
	if isAlias(*in.TargetKeyId) {
		return nil, errAliasOfAlias()
	}
	_, err := s.change(ctx, c, *in.TargetKeyId, func(tx *store.Tx, k *Key) error {
		if len(k.aliases) >= maxAliases {
			return errManyAliases(k)
		}
		at := aliasKey(k.account, k.region, name)
		s.aliases.Changed(tx, at)
		_, err := selectAlias(tx, at)
		if err == nil {
			return errAliasExists(k, name)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return insertAlias(tx, k, name, api.At(c.Time))
	})
	if errors.Is(err, store.ErrConflict) { // on an engine with several writers
		err = errAliasExists(&Key{account: c.Principal.Account, region: c.Region}, name)
	}
	return nil, err
}

func errAliasOfAlias() error { return invalid("Aliases must refer to keys. Not aliases") }

func errManyAliases(k *Key) error {
	return model.LimitExceeded("The key %s has %d aliases, which is the limit.", k.ARN, maxAliases)
}

func errAliasExists(k *Key, name string) error {
	return model.AlreadyExists("An alias with the name %s already exists", aliasARN(k.account, k.region, name))
}

// UpdateAlias moves an alias to another key of the same kind, so that what is
// encrypted through it goes on being encrypted.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateAlias.html
func (s *Service) UpdateAlias(ctx context.Context, c *call.Call, in *model.UpdateAliasInput) (*model.UpdateAliasOutput, error) {
	name := *in.AliasName
	if err := mayAlias(c, name); err != nil {
		return nil, err
	}
	if isAlias(*in.TargetKeyId) {
		return nil, errAliasOfAlias()
	}
	_, err := s.change(ctx, c, *in.TargetKeyId, func(tx *store.Tx, k *Key) error {
		from, err := s.aliased(tx, c, name)
		switch {
		case err != nil:
			return err
		case from.spec.IsPair() != k.spec.IsPair() || from.usage != k.usage:
			return invalid("The alias %s cannot be moved to %s: both keys must be of the same type and key usage.", name, k.ARN)
		case from.ID == k.ID:
			return moveAlias(tx, k, name, api.At(c.Time))
		case len(k.aliases) >= maxAliases:
			return errManyAliases(k)
		}
		s.aliases.Changed(tx, aliasKey(k.account, k.region, name))
		if err := s.update(tx, from); err != nil {
			return err
		}
		return moveAlias(tx, k, name, api.At(c.Time))
	})
	return nil, err
}

// DeleteAlias takes a name from a key. The key stays.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteAlias.html
func (s *Service) DeleteAlias(ctx context.Context, c *call.Call, in *model.DeleteAliasInput) (*model.DeleteAliasOutput, error) {
	name := *in.AliasName
	if err := mayAlias(c, name); err != nil {
		return nil, err
	}
	return nil, s.db.Update(ctx, func(tx *store.Tx) error {
		k, err := s.aliased(tx, c, name)
		if err != nil {
			return err
		}
		s.aliases.Changed(tx, aliasKey(k.account, k.region, name))
		if err := deleteAlias(tx, k, name); err != nil {
			return err
		}
		return s.update(tx, k)
	})
}

// aliased is the key that has an alias now, if the call may take it from it.
func (s *Service) aliased(tx *store.Tx, c *call.Call, alias string) (*Key, error) {
	missing := model.NotFound("Alias %s is not found.", aliasARN(c.Principal.Account, c.Region, alias))
	arn, err := selectAlias(tx, aliasKey(c.Principal.Account, c.Region, alias))
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	k, err := s.loadRow(tx, c.Region, idOf(arn), tx.ForUpdate())
	if err != nil {
		return nil, err
	}
	as := *c
	as.Op = "DeleteAlias" // also to be moved, a key in any state lets it go
	n := name{account: k.account, region: k.region, id: k.ID, shown: arn, missing: missing}
	k, _, err = s.permitted(&as, "kms:"+c.Op, n, k, nil, within(tx))
	c.Resource, c.Decision = as.Resource, as.Decision
	return k, err
}

// ListAliases lists the aliases of the account in the region, or of one key, in
// the order of their names.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListAliases.html
func (s *Service) ListAliases(ctx context.Context, c *call.Call, in *model.ListAliasesInput) (*model.ListAliasesOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	of := ""
	if in.KeyId != nil {
		k, err := s.look(ctx, c, *in.KeyId)
		if err != nil {
			return nil, err
		}
		of = k.ARN
	}
	p, err := s.page(c, in.Marker, in.Limit, pageLimits{usual: 50, most: 100}, of)
	if err != nil {
		return nil, err
	}
	all := []alias{}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		all, err = selectAliases(tx, c.Principal.Account, c.Region, of, p.after, p.size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListAliasesOutput{Aliases: []model.AliasListEntry{}}
	if in.KeyId == nil {
		all = withDefault(all, p)
	}
	all, out.NextMarker = cut(p, all, func(a *alias) string { return a.name })
	out.Truncated = new(out.NextMarker != nil)
	for i := range all {
		out.Aliases = append(out.Aliases, all[i].entry(c))
	}
	return out, nil
}

// withDefault adds the alias of the default key to a page of aliases where it
// belongs, if it is not there: AWS lists it before there is a key, too.
func withDefault(all []alias, p *page) []alias {
	at, there := slices.BinarySearchFunc(all, DefaultAlias, func(a alias, name string) int { return strings.Compare(a.name, name) })
	if there || DefaultAlias <= p.after || at > p.size {
		return all
	}
	return slices.Insert(all, at, alias{name: DefaultAlias})
}

func (a *alias) entry(c *call.Call) model.AliasListEntry {
	e := model.AliasListEntry{AliasName: &a.name, AliasArn: new(aliasARN(c.Principal.Account, c.Region, a.name))}
	if a.keyARN != "" {
		e.TargetKeyId, e.CreationDate, e.LastUpdatedDate = new(idOf(a.keyARN)), &a.created, &a.updated
	}
	return e
}

package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/store"
)

// look finds the key that a KeyId means, for a call that uses or shows it, and
// says whether the call may.
func (s *Service) look(ctx context.Context, c *call.Call, keyID string) (*Key, error) {
	return s.lookTo(ctx, c, "kms:"+c.Op, keyID)
}

// lookTo is look for a call that needs another action than the one it is named
// after.
func (s *Service) lookTo(ctx context.Context, c *call.Call, action, keyID string) (*Key, error) {
	n, err := s.named(ctx, c, keyID)
	if err != nil {
		return nil, err
	}
	return s.lookAt(ctx, c, action, n)
}

func (s *Service) lookAt(ctx context.Context, c *call.Call, action string, n name) (*Key, error) {
	var k *Key
	err := error(store.ErrNotFound)
	if n.id != "" {
		k, err = s.keys.Get(ctx, c.Reads, cacheKey(n.region, n.id))
	}
	k, _, err = s.permitted(c, action, n, k, err, s.cached(ctx, c))
	return k, err
}

// holder finds the key of an id that a ciphertext names, whoever owns it, for a
// call that needs an action on it; missing is the error if there is none.
func (s *Service) holder(ctx context.Context, c *call.Call, action, id string, missing *api.Error) (*Key, error) {
	k, err := s.keys.Get(ctx, c.Reads, cacheKey(c.Region, id))
	n := name{account: c.Principal.Account, region: c.Region, id: id, missing: missing}
	switch {
	case err == nil:
		n.account, n.shown = k.account, k.ARN
	case errors.Is(err, store.ErrNotFound):
		n.shown = keyARN(n.account, n.region, id)
	default:
		return nil, fmt.Errorf("load the key %s: %w", id, err)
	}
	k, _, err = s.permitted(c, action, n, k, err, s.cached(ctx, c))
	return k, err
}

// change changes the key that a KeyId means, if the call may and the key's
// state lets it: in one transaction that loads the key, runs edit on it and
// writes it back. edit may run twice, and starts from the same key each time.
func (s *Service) change(ctx context.Context, c *call.Call, keyID string, edit func(*store.Tx, *Key) error) (*Key, error) {
	return s.changeBy(ctx, c, keyID, func(tx *store.Tx, k *Key, _ *grant) error { return edit(tx, k) })
}

// changeBy is change for who has to know by which grant the call may, nil if it
// may without one.
func (s *Service) changeBy(ctx context.Context, c *call.Call, keyID string, edit func(*store.Tx, *Key, *grant) error) (*Key, error) {
	n, err := s.named(ctx, c, keyID)
	if err != nil {
		return nil, err
	}
	var k *Key
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		loaded, err := (*Key)(nil), error(store.ErrNotFound)
		if n.id != "" {
			loaded, err = s.loadRow(tx, n.region, n.id, tx.ForUpdate())
		}
		var by *grant
		if k, by, err = s.permitted(c, "kms:"+c.Op, n, loaded, err, within(tx)); err != nil {
			return err
		}
		if err := edit(tx, k, by); err != nil {
			return err
		}
		return s.update(tx, k)
	})
	return k, err
}

// update writes a key back, and tells the caches and other nodes.
func (s *Service) update(tx *store.Tx, k *Key) error {
	s.keys.Changed(tx, cacheKey(k.region, k.ID))
	return updateKey(tx, k)
}

// permitted decides whether the call may have what was found under a name,
// which is nothing if err is store.ErrNotFound, and then whether the key's
// state lets it. Who may neither have nor describe the key is not told whether
// it exists: the denial is the one that there would be if it did not. by is the
// grant by which the call may, nil if it may without one.
func (s *Service) permitted(c *call.Call, action string, n name, k *Key, err error, grants granter) (_ *Key, by *grant, _ error) {
	switch {
	case errors.Is(err, store.ErrNotFound):
		k = nil
	case err != nil:
		return nil, nil, err
	case k.gone(api.At(c.Time)), k.account != n.account, k.account != c.Principal.Account && !acrossAccounts[c.Op]:
		k = nil
	}
	if k == nil {
		if err := c.AllowAction(action, n.target(c)); err != nil {
			return nil, nil, err
		}
		return nil, nil, n.missing
	}
	if k.expired(api.At(c.Time)) {
		k = k.withoutMaterial()
	}
	by, err = s.allow(c, action, k, grants)
	if _, denied := errors.AsType[*api.Error](err); denied && !c.Would("kms:DescribeKey", k.target(c)).Allowed {
		blind := *c // the call itself keeps the decision that was made, for the log
		return nil, nil, cmp.Or(blind.AllowAction(action, n.target(c)), err)
	}
	if err != nil {
		return nil, nil, err
	}
	if refused := k.ready(c.Op); refused != nil {
		return nil, nil, refused
	}
	return k, by, nil
}

// target is the key as policies see it.
func (k *Key) target(c *call.Call) call.Target {
	return call.Target{ARN: k.ARN, Account: k.account, Policy: k.policy, Keys: conditionKeys(c, k), MustAllow: true, Granted: k.serves(c)}
}

// serves says whether the key is the default key of the service through which
// its own account calls. Whoever may use the service may use that key: AWS asks
// for no permission on KMS, so boundaries and session policies that speak of
// the service alone must not be in the way either.
func (k *Key) serves(c *call.Call) bool {
	return k.Managed && k.account == c.Principal.Account && viaService(c) == "secretsmanager."+c.Region+".amazonaws.com"
}

// target is what a name stands for, as policies see it if there is no such key:
// one of another account consents to nobody.
func (n name) target(c *call.Call) call.Target {
	return call.Target{ARN: n.shown, Account: n.account, Keys: conditionKeys(c, nil)}
}

// everything is the target of the operations that act on no key of their own.
func everything(c *call.Call) call.Target {
	return call.Target{ARN: "*", Keys: conditionKeys(c, nil)}
}

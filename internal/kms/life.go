package kms

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/store"
)

// EnableKey lets a key be used again.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKey.html
func (s *Service) EnableKey(ctx context.Context, c *call.Call, in *model.EnableKeyInput) (*model.EnableKeyOutput, error) {
	return nil, s.setState(ctx, c, *in.KeyId, stateEnabled)
}

// DisableKey keeps a key from being used, from the next call on.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKey.html
func (s *Service) DisableKey(ctx context.Context, c *call.Call, in *model.DisableKeyInput) (*model.DisableKeyOutput, error) {
	return nil, s.setState(ctx, c, *in.KeyId, stateDisabled)
}

func (s *Service) setState(ctx context.Context, c *call.Call, keyID, state string) error {
	_, err := s.change(ctx, c, keyID, func(_ *store.Tx, k *Key) error {
		k.state = state
		return nil
	})
	return err
}

// UpdateKeyDescription sets the description of a key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateKeyDescription.html
func (s *Service) UpdateKeyDescription(ctx context.Context, c *call.Call, in *model.UpdateKeyDescriptionInput) (*model.UpdateKeyDescriptionOutput, error) {
	_, err := s.change(ctx, c, *in.KeyId, func(_ *store.Tx, k *Key) error {
		k.description = *in.Description
		return nil
	})
	return nil, err
}

const dayMillis = 24 * 3600 * 1000

// The waiting period before a key is deleted, in days.
const (
	minWindow   = 7
	maxWindow   = 30
	usualWindow = 30
)

// ScheduleKeyDeletion ends the use of a key at once, and the key after a
// waiting period; what it has encrypted is lost then. The waiting period of a
// multi-Region primary key begins when its last replica is gone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
func (s *Service) ScheduleKeyDeletion(ctx context.Context, c *call.Call, in *model.ScheduleKeyDeletionInput) (*model.ScheduleKeyDeletionOutput, error) {
	window := int64(usualWindow)
	if in.PendingWindowInDays != nil {
		window = *in.PendingWindowInDays
	}
	k, err := s.change(ctx, c, *in.KeyId, func(_ *store.Tx, k *Key) error {
		if window < minWindow || window > maxWindow {
			return invalid("The PendingWindowInDays parameter must be a number from %d to %d, inclusive.", minWindow, maxWindow)
		}
		k.windowDays = window
		if k.primary == k.region && len(k.regions) > 1 {
			k.state = statePendingReplicaDeletion
			return nil
		}
		k.await(api.At(c.Time))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &model.ScheduleKeyDeletionOutput{KeyId: &k.ARN, KeyState: &k.state, PendingWindowInDays: &k.windowDays}
	if k.state == statePendingDeletion {
		out.DeletionDate = &k.deleteAt
	}
	return out, nil
}

// await begins a key's waiting period.
func (k *Key) await(now api.Timestamp) {
	k.state, k.deleteAt = statePendingDeletion, now+api.Timestamp(k.windowDays*dayMillis)
}

// CancelKeyDeletion calls a deletion off. The key is then disabled.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html
func (s *Service) CancelKeyDeletion(ctx context.Context, c *call.Call, in *model.CancelKeyDeletionInput) (*model.CancelKeyDeletionOutput, error) {
	k, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) error {
		material, err := selectMaterial(tx, k.ID)
		if err != nil {
			return err
		}
		k.state, k.deleteAt, k.windowDays = stateDisabled, 0, 0
		if len(material) == 0 {
			k.state = statePendingImport
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.CancelKeyDeletionOutput{KeyId: &k.ARN}, nil
}

// workLease is for how long a node that has begun to rotate or to purge keys,
// and is then not heard of, keeps the others from it.
const workLease = 30 * time.Second

// Purge deletes for good the keys whose waiting period is over, and says how
// many. It may run at any time and on several nodes: one of them purges, for
// the others there is nothing to do.
func (s *Service) Purge(ctx context.Context, now time.Time) (purged int, err error) {
	return s.work(ctx, "purge KMS keys", now, selectDueDeletions, s.purge)
}

// work does what is due, key by key, on one node at a time.
func (s *Service) work(ctx context.Context, lease string, now time.Time, due func(*store.Tx, api.Timestamp, int) ([]string, error),
	do func(*store.Tx, *Key, api.Timestamp) error) (done int, err error) {
	const batch = 100
	at := api.At(now)
	next := func() (keys []string, err error) {
		err = s.db.View(ctx, func(tx *store.Tx) error {
			keys, err = due(tx, at, batch)
			return err
		})
		return keys, err
	}
	keys, err := next()
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	held, err := s.db.Acquire(ctx, lease, workLease)
	if errors.Is(err, store.ErrHeld) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for len(keys) > 0 {
		for _, key := range keys {
			if err := s.workOn(ctx, held, key, at, do); err != nil {
				return done, err
			}
			done++
		}
		if keys, err = next(); err != nil {
			return done, err
		}
	}
	return done, s.db.Release(ctx, held)
}

// workOn does what is due of one key, if it still is.
func (s *Service) workOn(ctx context.Context, held store.Lease, key string, now api.Timestamp, do func(*store.Tx, *Key, api.Timestamp) error) error {
	region, id, _ := strings.Cut(key, "/")
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Fence(held); err != nil {
			return err
		}
		k, err := s.loadRow(tx, region, id, tx.ForUpdate())
		if err != nil {
			return err
		}
		return do(tx, k, now)
	})
}

// purge deletes a key. The last replica of a primary that waits for that lets
// the primary's own waiting period begin.
func (s *Service) purge(tx *store.Tx, k *Key, now api.Timestamp) error {
	if !k.gone(now) { // somebody has called it off meanwhile
		return nil
	}
	for _, name := range k.aliases {
		s.aliases.Changed(tx, aliasKey(k.account, k.region, name))
	}
	s.related(tx, k)
	if err := deleteKey(tx, k); err != nil {
		return err
	}
	if !k.multiRegion() || k.region == k.primary {
		return nil
	}
	primary, err := s.loadRow(tx, k.primary, k.ID, tx.ForUpdate())
	if err != nil {
		return err
	}
	if primary.state == statePendingReplicaDeletion && slices.Equal(primary.regions, []string{primary.region}) {
		primary.await(now)
	}
	if err := s.update(tx, primary); err != nil {
		return err
	}
	return updateRelated(tx, primary)
}

// related tells the caches that a key has changed in all of its regions.
func (s *Service) related(tx *store.Tx, k *Key) {
	for _, region := range k.regions {
		s.keys.Changed(tx, cacheKey(region, k.ID))
	}
	if !slices.Contains(k.regions, k.region) {
		s.keys.Changed(tx, cacheKey(k.region, k.ID))
	}
}

// A Doomed is a key that is scheduled for deletion.
type Doomed struct {
	ARN  string
	Ends api.Timestamp // 0 for a primary key that waits for its replicas to be gone
}

// Doomed lists the keys of all accounts and regions that are scheduled for
// deletion, in the order of their ARNs.
func (s *Service) Doomed(ctx context.Context, now time.Time) (doomed []Doomed, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		doomed, err = selectDoomed(tx, api.At(now))
		return err
	})
	return doomed, err
}

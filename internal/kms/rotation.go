package kms

import (
	"context"
	"fmt"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/material"
	"azekura/internal/store"
)

const (
	rotatedAutomatically = "AUTOMATIC"
	rotatedOnDemand      = "ON_DEMAND"

	usualPeriod  = 365 // days
	maxOnDemand  = 25  // rotations on demand of a key
	rotationTime = 20 * 60 * 1000
)

// rotatable refuses a key whose material KMS does not rotate by itself.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
func (k *Key) rotatable() error {
	switch {
	case k.origin == originExternal:
		return model.UnsupportedOperation("%s origin is EXTERNAL which is not valid for this operation.", k.ARN)
	case k.spec != material.SymmetricDefault:
		return model.UnsupportedOperation("")
	case k.multiRegion() && k.region != k.primary:
		return model.UnsupportedOperation("%s is not a multi-region primary key.", k.ARN)
	}
	return nil
}

// EnableKeyRotation has a key get new material every so many days, 365 unless
// said otherwise, counted from now.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html
func (s *Service) EnableKeyRotation(ctx context.Context, c *call.Call, in *model.EnableKeyRotationInput) (*model.EnableKeyRotationOutput, error) {
	return nil, s.schedule(ctx, c, *in.KeyId, func(k *Key) {
		if in.RotationPeriodInDays != nil {
			k.rotationDays = *in.RotationPeriodInDays
		} else if k.rotationDays == 0 {
			k.rotationDays = usualPeriod
		}
		k.rotateAt = api.At(c.Time) + api.Timestamp(k.rotationDays*dayMillis)
	})
}

// DisableKeyRotation ends automatic rotation. Old material stays.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKeyRotation.html
func (s *Service) DisableKeyRotation(ctx context.Context, c *call.Call, in *model.DisableKeyRotationInput) (*model.DisableKeyRotationOutput, error) {
	return nil, s.schedule(ctx, c, *in.KeyId, func(k *Key) { k.rotationDays, k.rotateAt = 0, 0 })
}

func (s *Service) schedule(ctx context.Context, c *call.Call, keyID string, set func(*Key)) error {
	_, err := s.change(ctx, c, keyID, func(tx *store.Tx, k *Key) error {
		if err := k.rotatable(); err != nil {
			return err
		}
		set(k)
		s.related(tx, k)
		return updateRelated(tx, k)
	})
	return err
}

// GetKeyRotationStatus says whether and when a key is rotated automatically.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html
func (s *Service) GetKeyRotationStatus(ctx context.Context, c *call.Call, in *model.GetKeyRotationStatusInput) (*model.GetKeyRotationStatusOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	out := &model.GetKeyRotationStatusOutput{KeyId: &k.ARN, KeyRotationEnabled: new(k.rotationDays > 0 && k.deleteAt == 0)}
	if *out.KeyRotationEnabled {
		out.RotationPeriodInDays, out.NextRotationDate = &k.rotationDays, &k.rotateAt
	}
	return out, nil
}

// RotateKeyOnDemand gives a key new material now. What the old encrypted still
// opens, and is not touched: it costs the same however much that is.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
func (s *Service) RotateKeyOnDemand(ctx context.Context, c *call.Call, in *model.RotateKeyOnDemandInput) (*model.RotateKeyOnDemandOutput, error) {
	k, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) error {
		if k.origin == originExternal && k.spec == material.SymmetricDefault {
			return model.KMSInvalidState("No available key material pending rotation for the key: %s.", k.ARN)
		}
		if err := k.rotatable(); err != nil {
			return err
		}
		now := api.At(c.Time)
		if k.rotateAt != 0 && k.rotateAt-now < rotationTime {
			return model.Conflict("An automatic rotation of the key %s is in progress, or due within 20 minutes.", k.ARN)
		}
		rows, err := selectMaterial(tx, k.ID)
		if err != nil {
			return err
		}
		before := 0
		for _, row := range rows {
			if row.rotation == rotatedOnDemand {
				before++
			}
		}
		if before >= maxOnDemand {
			return model.LimitExceeded("The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: %s", k.ARN)
		}
		return s.rotate(tx, k, rotatedOnDemand, now)
	})
	if err != nil {
		return nil, err
	}
	return &model.RotateKeyOnDemandOutput{KeyId: &k.ARN}, nil
}

// rotate adds new material to a key, for all of its regions.
func (s *Service) rotate(tx *store.Tx, k *Key, how string, now api.Timestamp) error {
	number, err := newestMaterial(tx, k.ID)
	if err != nil {
		return err
	}
	sealed, err := s.newMaterial(k.spec, k.ID, number+1)
	if err != nil {
		return fmt.Errorf("make key material: %w", err)
	}
	if err := insertMaterial(tx, k.ID, materialRow{number: number + 1, sealed: sealed, rotation: how, created: now}); err != nil {
		return err
	}
	s.related(tx, k)
	return updateRelated(tx, k)
}

// Rotate rotates the keys whose automatic rotation is due, and says how many.
// It may run at any time and on several nodes, see Purge.
func (s *Service) Rotate(ctx context.Context, now time.Time) (rotated int, err error) {
	return s.work(ctx, "rotate KMS keys", now, selectDueRotations, func(tx *store.Tx, k *Key, now api.Timestamp) error {
		if k.rotateAt == 0 || k.rotateAt > now || k.state != stateEnabled { // somebody was quicker
			return nil
		}
		period := api.Timestamp(k.rotationDays * dayMillis)
		k.rotateAt += (1 + (now-k.rotateAt)/period) * period // a server that was off for years rotates once
		return s.rotate(tx, k, rotatedAutomatically, now)
	})
}

// ListKeyRotations lists the rotations of a key, oldest first, or all of its
// materials.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyRotations.html
func (s *Service) ListKeyRotations(ctx context.Context, c *call.Call, in *model.ListKeyRotationsInput) (*model.ListKeyRotationsOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	if k.spec != material.SymmetricDefault {
		return nil, model.UnsupportedOperation("")
	}
	whole := deref(in.IncludeKeyMaterial, "ROTATIONS_ONLY") == "ALL_KEY_MATERIAL"
	p, err := s.page(c, in.Marker, in.Limit, pageLimits{usual: 100, most: 1000}, k.ARN, fmt.Sprint(whole))
	if err != nil {
		return nil, err
	}
	var all []version
	for _, v := range k.versions {
		if (whole || v.rotation != "") && v.sortKey() > p.after {
			all = append(all, v)
		}
	}
	out := &model.ListKeyRotationsOutput{Rotations: []model.RotationsListEntry{}}
	all, out.NextMarker = cut(p, all, (*version).sortKey)
	out.Truncated = new(out.NextMarker != nil)
	for i := range all {
		out.Rotations = append(out.Rotations, k.rotationEntry(&all[i]))
	}
	return out, nil
}

func (v *version) sortKey() string { return fmt.Sprintf("%010d", v.number) }

func (k *Key) rotationEntry(v *version) model.RotationsListEntry {
	e := model.RotationsListEntry{KeyId: &k.ID, KeyMaterialId: &v.id, KeyMaterialState: new("NON_CURRENT")}
	if v.number == k.newest().number {
		e.KeyMaterialState = new("CURRENT")
	}
	if v.rotation != "" {
		e.RotationDate, e.RotationType = &v.created, &v.rotation
	}
	return e
}

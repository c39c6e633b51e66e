package kms

import (
	"context"
	"errors"
	"slices"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/store"
)

// ReplicateKey makes a replica of a multi-Region primary key in another region
// of the deployment: a key of its own, with the same id and material.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html
func (s *Service) ReplicateKey(ctx context.Context, c *call.Call, in *model.ReplicateKeyInput) (*model.ReplicateKeyOutput, error) {
	there := *c
	there.Region = *in.ReplicaRegion
	var replica *Key
	_, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) (err error) {
		if k.region != k.primary {
			return model.UnsupportedOperation("%s is not a multi-region primary key.", k.ARN)
		}
		if err := there.AllowAction("kms:CreateKey", everything(&there)); err != nil {
			return err
		}
		if !slices.Contains(s.regions, there.Region) {
			return invalid("The Region %s is not served.", there.Region)
		}
		replica = k.in(there.Region, api.At(c.Time))
		if slices.Contains(k.regions, there.Region) {
			return model.AlreadyExists("The key %s already exists.", replica.ARN)
		}
		if len(in.Tags) > 0 {
			if err := there.AllowAction("kms:TagResource", call.Target{ARN: replica.ARN, Account: k.account, Keys: conditionKeys(&there, nil)}); err != nil {
				return err
			}
		}
		replica.description = deref(in.Description, "")
		if replica.tags, err = replica.tags.with(in.Tags); err != nil {
			return err
		}
		given := deref(in.Policy, defaultPolicy(k.account))
		if replica.policyText, err = readPolicy(tx, &there, replica.target(&there), given, isTrue(in.BypassPolicyLockoutSafetyCheck)); err != nil {
			return err
		}
		replica.regions = append(slices.Clone(k.regions), there.Region)
		slices.Sort(replica.regions)
		s.related(tx, replica)
		return errors.Join(insertKey(tx, replica, nil), updateRelated(tx, k))
	})
	if err != nil {
		return nil, err
	}
	shown := replica.metadata()
	// It can be used at once; AWS's cannot, and clients wait for the state to change.
	shown.KeyState, shown.Enabled = new("Creating"), new(false)
	return &model.ReplicateKeyOutput{
		ReplicaKeyMetadata: shown, ReplicaPolicy: new(deref(in.Policy, defaultPolicy(replica.account))), ReplicaTags: replica.tags.shown(),
	}, nil
}

// in is a new replica of a multi-Region key, without what each region has its
// own of.
func (k *Key) in(region string, now api.Timestamp) *Key {
	return &Key{
		ID: k.ID, ARN: keyARN(k.account, region, k.ID), account: k.account, region: region, spec: k.spec, usage: k.usage, origin: k.origin,
		state: stateEnabled, primary: k.primary, rotationDays: k.rotationDays, rotateAt: k.rotateAt, created: now,
	}
}

// UpdatePrimaryRegion makes a replica the primary key, and the primary a
// replica.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html
func (s *Service) UpdatePrimaryRegion(ctx context.Context, c *call.Call, in *model.UpdatePrimaryRegionInput) (*model.UpdatePrimaryRegionOutput, error) {
	there := *c
	there.Region = *in.PrimaryRegion
	_, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) error {
		if k.region != k.primary {
			return model.UnsupportedOperation("%s is not a multi-region primary key.", k.ARN)
		}
		n := name{account: k.account, region: there.Region, id: k.ID, shown: keyARN(k.account, there.Region, k.ID)}
		n.missing = model.NotFound("Key '%s' does not exist", n.shown)
		replica, err := s.loadRow(tx, n.region, n.id, tx.ForUpdate())
		if replica, _, err = s.permitted(&there, "kms:"+c.Op, n, replica, err, within(tx)); err != nil {
			return err
		}
		k.primary = replica.region
		s.related(tx, k)
		return updateRelated(tx, k)
	})
	return nil, err
}

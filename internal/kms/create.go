package kms

import (
	"context"
	"fmt"
	"slices"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/material"
	"azekura/internal/store"
)

// maxKeys is AWS's quota of keys in an account and region.
const maxKeys = 100_000

const (
	originKMS      = "AWS_KMS"
	originExternal = "EXTERNAL"
)

// CreateKey makes a key. One of external origin has no material yet.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
func (s *Service) CreateKey(ctx context.Context, c *call.Call, in *model.CreateKeyInput) (*model.CreateKeyOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	k, err := blank(c, in)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.AllowAction("kms:TagResource", call.Target{ARN: k.ARN, Account: k.account, Keys: conditionKeys(c, nil)}); err != nil {
			return nil, err
		}
	}
	var sealed []byte
	if k.origin == originKMS {
		if sealed, err = s.newMaterial(k.spec, k.ID, 1); err != nil {
			return nil, fmt.Errorf("make key material: %w", err)
		}
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		held, err := countKeys(tx, k.account, k.region)
		if err != nil {
			return err
		}
		if held >= maxKeys {
			return model.LimitExceeded("The number of KMS keys in this account and Region is at its limit of %d.", maxKeys)
		}
		given := deref(in.Policy, defaultPolicy(k.account))
		if k.policyText, err = readPolicy(tx, c, k.target(c), given, isTrue(in.BypassPolicyLockoutSafetyCheck)); err != nil {
			return err
		}
		s.keys.Changed(tx, cacheKey(k.region, k.ID))
		return insertKey(tx, k, sealed)
	})
	if err != nil {
		return nil, err
	}
	if sealed != nil {
		k.versions = []version{{number: 1, id: materialID(k.ID, 1), created: k.created}}
	}
	return &model.CreateKeyOutput{KeyMetadata: k.metadata()}, nil
}

// blank is the key that a request describes, without policy and material.
func blank(c *call.Call, in *model.CreateKeyInput) (*Key, error) {
	if in.KeySpec != nil && in.CustomerMasterKeySpec != nil {
		return nil, invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.")
	}
	k := &Key{
		account: c.Principal.Account, region: c.Region, spec: specOf(in), usage: usageOf(in), origin: originOf(in),
		state: stateEnabled, description: deref(in.Description, ""), created: api.At(c.Time), ID: newID(isTrue(in.MultiRegion)),
	}
	k.ARN = keyARN(k.account, k.region, k.ID)
	if isTrue(in.MultiRegion) {
		k.primary, k.regions = k.region, []string{k.region}
	}
	usages := k.spec.Usages()
	switch {
	case in.CustomKeyStoreId != nil, in.XksKeyId != nil, k.origin != originKMS && k.origin != originExternal, usages == nil:
		return nil, model.UnsupportedOperation("")
	case k.usage == "":
		return nil, invalid("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.")
	case !slices.Contains(usages, k.usage):
		return nil, invalid("KeyUsage %s is not compatible with KeySpec %s", k.usage, k.spec)
	}
	if k.origin == originExternal {
		k.state = statePendingImport
	}
	var err error
	k.tags, err = k.tags.with(in.Tags)
	return k, err
}

func specOf(in *model.CreateKeyInput) material.Spec {
	return material.Spec(deref(in.KeySpec, deref(in.CustomerMasterKeySpec, string(material.SymmetricDefault))))
}

// usageOf is the usage that a request asks for, "" if it has to ask for one and
// does not.
func usageOf(in *model.CreateKeyInput) material.Usage {
	if in.KeyUsage == nil && specOf(in) == material.SymmetricDefault {
		return material.EncryptDecrypt
	}
	return material.Usage(deref(in.KeyUsage, ""))
}

func originOf(in *model.CreateKeyInput) string { return deref(in.Origin, originKMS) }

func deref(member *string, absent string) string {
	if member == nil {
		return absent
	}
	return *member
}

// invalid is AWS's ValidationException, which its models leave out.
func invalid(format string, args ...any) *api.Error {
	return &api.Error{Code: "ValidationException", Status: 400, Message: fmt.Sprintf(format, args...)}
}

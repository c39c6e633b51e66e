package kms

import (
	"context"
	"errors"
	"fmt"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/material"
	"azekura/internal/store"
)

// DefaultAlias names the key that Secrets Manager uses unless told otherwise.
// There is one an account and region, made on first use.
const DefaultAlias = "alias/aws/secretsmanager"

// Resolve finds the key that a KmsKeyId means, for another wing that is going
// to use it for its caller c: an id, an alias, the ARN of either, or "" for the
// caller's own default key, which is made if it is not there yet. It says
// nothing about what the caller may; an *api.Error with NotFoundException says
// that there is no such key.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
func (s *Service) Resolve(ctx context.Context, c *call.Call, keyID string) (*Key, error) {
	if keyID == "" {
		keyID = DefaultAlias
	}
	n, err := s.named(ctx, c.Onward("kms", "GenerateDataKey", nil), keyID)
	if err != nil {
		return nil, err
	}
	if n.id == "" && n.account == c.Principal.Account && n.shown == aliasARN(n.account, n.region, DefaultAlias) {
		arn, err := s.createManaged(ctx, n.account, n.region, api.At(c.Time))
		if err != nil {
			return nil, err
		}
		n.id = idOf(arn)
	}
	if n.id == "" {
		return nil, n.missing
	}
	k, err := s.keys.Get(ctx, c.Reads, cacheKey(n.region, n.id))
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && (k.account != n.account || k.gone(api.At(c.Time))):
		return nil, n.missing
	case err != nil:
		return nil, fmt.Errorf("load the key %s: %w", n.id, err)
	}
	return k, nil
}

// NewDataKey makes a data key for another wing's caller c, who has to be allowed
// kms:GenerateDataKey through that wing: in the clear for use now, and encrypted under
// the key to be kept. The ciphertext opens with the same context only. Errors
// are those of GenerateDataKey.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (s *Service) NewDataKey(ctx context.Context, c *call.Call, key *Key, ec Context) (envelope.Key, []byte, error) {
	on := c.Onward("kms", "GenerateDataKey", &model.GenerateDataKeyInput{KeyId: &key.ARN, EncryptionContext: ec, KeySpec: new("AES_256")})
	k, err := s.lookTo(ctx, on, "kms:GenerateDataKey", key.ARN)
	if err != nil {
		return envelope.Key{}, nil, err
	}
	if err := k.symmetric(on.Op); err != nil {
		return envelope.Key{}, nil, err
	}
	dataKey := envelope.NewKey()
	return dataKey, k.seal(dataKey[:], ec), nil
}

// DecryptDataKey opens a data key that NewDataKey encrypted, for another wing's
// caller c, who has to be allowed kms:Decrypt through that wing. Errors are
// those of Decrypt: InvalidCiphertextException says that it does not open, since
// it was changed, or made in another context.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) DecryptDataKey(ctx context.Context, c *call.Call, ciphertext []byte, ec Context) (envelope.Key, error) {
	id, _, ok := keyIn(ciphertext)
	if !ok {
		return envelope.Key{}, invalidCiphertext()
	}
	on := c.Onward("kms", "Decrypt", &model.DecryptInput{CiphertextBlob: ciphertext, EncryptionContext: ec})
	k, err := s.holder(ctx, on, "kms:Decrypt", id, invalidCiphertext())
	if err != nil {
		return envelope.Key{}, err
	}
	raw, _, err := k.unseal(ciphertext, ec)
	if err != nil {
		return envelope.Key{}, err
	}
	defer clear(raw)
	if len(raw) != envelope.KeySize {
		return envelope.Key{}, invalidCiphertext()
	}
	return envelope.Key(raw), nil
}

// createManaged makes an account's default key, and returns its ARN. Of several
// that come at the same time one makes it and all get it.
func (s *Service) createManaged(ctx context.Context, account, region string, now api.Timestamp) (string, error) {
	k := &Key{
		ID: newID(false), Managed: true, account: account, region: region, spec: material.SymmetricDefault, usage: material.EncryptDecrypt,
		origin: originKMS, state: stateEnabled, rotationDays: usualPeriod, rotateAt: now + usualPeriod*dayMillis, created: now,
		description: "Default key that protects my Secrets Manager data when no other key is defined",
	}
	k.ARN = keyARN(account, region, k.ID)
	sealed, err := s.newMaterial(k.spec, k.ID, 1)
	if err != nil {
		return "", fmt.Errorf("make key material: %w", err)
	}
	at, found := aliasKey(account, region, DefaultAlias), k.ARN
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		there, err := selectAlias(tx, at)
		if err == nil {
			found = there
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		found = k.ARN
		s.aliases.Changed(tx, at)
		s.keys.Changed(tx, cacheKey(region, k.ID))
		if err := insertKey(tx, k, sealed); err != nil {
			return err
		}
		return insertAlias(tx, k, DefaultAlias, now)
	})
	if errors.Is(err, store.ErrConflict) { // on an engine with several writers
		return s.aliases.Get(ctx, nil, at)
	}
	return found, err
}

package kms

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/material"
	"azekura/internal/store"
)

const (
	tokenLife   = 24 * 3600 * 1000 // milliseconds
	maxValidity = 365 * dayMillis

	expires       = "KEY_MATERIAL_EXPIRES"
	doesNotExpire = "KEY_MATERIAL_DOES_NOT_EXPIRE"
)

// An imported is what is known of the material of a key of external origin.
type imported struct {
	fingerprint []byte        // sealed
	expires     api.Timestamp // 0: never
	description string
}

// A wrapping is what an import token holds: the private half of the key that
// material is wrapped with, and for how long. The token is all there is of it,
// sealed: nothing has to be kept, and a token serves until it expires.
type wrapping struct {
	Algorithm string        `json:"a"`
	Spec      material.Spec `json:"s"`
	Until     int64         `json:"u"` // milliseconds since 1970
	Private   []byte        `json:"p"`
}

func tokenAAD(k *Key) []byte { return envelope.AAD("kms import token", k.ARN) }

// external refuses a key whose material is not the customer's.
func (k *Key) external() error {
	if k.origin != originExternal {
		return model.UnsupportedOperation("%s origin is %s which is not valid for this operation.", k.ARN, k.origin)
	}
	return nil
}

// GetParametersForImport makes a key to wrap material with, good for a day: its
// public half, and a token to be given with what it has wrapped.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetParametersForImport.html
func (s *Service) GetParametersForImport(ctx context.Context, c *call.Call, in *model.GetParametersForImportInput) (*model.GetParametersForImportOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.external(); err != nil {
		return nil, err
	}
	w := wrapping{Algorithm: *in.WrappingAlgorithm, Spec: material.Spec(*in.WrappingKeySpec), Until: int64(api.At(c.Time)) + tokenLife}
	if !material.IsWrapping(w.Algorithm) || w.Spec.Usages() == nil {
		return nil, model.UnsupportedOperation("")
	}
	private, public, err := material.GeneratePair(w.Spec)
	if err != nil {
		return nil, fmt.Errorf("make a wrapping key: %w", err)
	}
	defer clear(private)
	w.Private = private
	text, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return &model.GetParametersForImportOutput{
		KeyId: &k.ARN, ImportToken: s.keyring.Seal(text, tokenAAD(k)), PublicKey: public, ParametersValidTo: new(api.Timestamp(w.Until)),
	}, nil
}

// ImportKeyMaterial gives a key of external origin its material. The same may
// be imported again, no other.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ImportKeyMaterial.html
func (s *Service) ImportKeyMaterial(ctx context.Context, c *call.Call, in *model.ImportKeyMaterialInput) (*model.ImportKeyMaterialOutput, error) {
	now := api.At(c.Time)
	k, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) error {
		if err := k.external(); err != nil {
			return err
		}
		until, err := validity(in, now)
		if err != nil {
			return err
		}
		raw, err := s.unwrap(k, in, now)
		if err != nil {
			return err
		}
		defer clear(raw)
		before, err := selectImport(tx, k.ID)
		known := err == nil
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := s.importable(k, in, before, known, raw); err != nil {
			return err
		}
		sum := fingerprint(raw)
		fresh := imported{s.keyring.Seal(sum[:], fingerprintAAD(k)), until, deref(in.KeyMaterialDescription, before.description)}
		if err := putImport(tx, k.ID, fresh); err != nil {
			return err
		}
		if err := putMaterial(tx, k.ID, materialRow{number: 1, sealed: s.keyring.Seal(raw, materialAAD(k.ID, 1)), created: now}); err != nil {
			return err
		}
		if k.state == statePendingImport {
			k.state = stateEnabled
		}
		s.related(tx, k)
		return receiveMaterial(tx, k.ID)
	})
	if err != nil {
		return nil, err
	}
	return &model.ImportKeyMaterialOutput{KeyId: &k.ARN, KeyMaterialId: new(materialID(k.ID, 1))}, nil
}

// validity is until when a request's material is to be good, 0 for ever.
func validity(in *model.ImportKeyMaterialInput, now api.Timestamp) (api.Timestamp, error) {
	if deref(in.ExpirationModel, expires) == doesNotExpire {
		if in.ValidTo != nil {
			return 0, invalid("ValidTo must not be set if the expiration model is %s.", doesNotExpire)
		}
		return 0, nil
	}
	switch {
	case in.ValidTo == nil:
		return 0, invalid("ValidTo must be set if the expiration model is %s.", expires)
	case *in.ValidTo <= now, *in.ValidTo > now+maxValidity:
		return 0, invalid("ValidTo must be in the future, and within 365 days.")
	}
	return *in.ValidTo, nil
}

// unwrap is the material of a request, which is the caller's, checked to be of
// the key's spec.
func (s *Service) unwrap(k *Key, in *model.ImportKeyMaterialInput, now api.Timestamp) ([]byte, error) {
	text, err := s.keyring.Open(in.ImportToken, tokenAAD(k))
	if err != nil {
		return nil, model.InvalidImportToken("")
	}
	defer clear(text)
	var w wrapping
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, model.InvalidImportToken("")
	}
	defer clear(w.Private)
	if w.Until <= int64(now) {
		return nil, model.ExpiredImportToken("")
	}
	key, err := material.Parse(w.Spec, w.Private)
	if err != nil {
		return nil, fmt.Errorf("read the wrapping key of an import token: %w", err)
	}
	raw, err := key.Unwrap(w.Algorithm, in.EncryptedKeyMaterial)
	if err != nil {
		return nil, invalidCiphertext()
	}
	if k.spec == material.SymmetricDefault && len(raw) == envelope.KeySize {
		return raw, nil
	}
	if _, err := material.Parse(k.spec, raw); err != nil {
		clear(raw)
		return nil, model.IncorrectKeyMaterial("")
	}
	return raw, nil
}

// importable refuses other material than what a key has had.
func (s *Service) importable(k *Key, in *model.ImportKeyMaterialInput, before imported, known bool, raw []byte) error {
	if in.KeyMaterialId != nil && *in.KeyMaterialId != materialID(k.ID, 1) {
		return model.IncorrectKeyMaterial("")
	}
	if !known {
		return nil
	}
	if deref(in.ImportType, "EXISTING_KEY_MATERIAL") == "NEW_KEY_MATERIAL" {
		return model.UnsupportedOperation("%s has key material: further material cannot be imported.", k.ARN)
	}
	held, err := s.keyring.Open(before.fingerprint, fingerprintAAD(k))
	if err != nil {
		return fmt.Errorf("open the fingerprint of what was imported into %s: %w", k.ARN, err)
	}
	if sum := fingerprint(raw); subtle.ConstantTimeCompare(held, sum[:]) != 1 {
		return model.IncorrectKeyMaterial("")
	}
	return nil
}

func fingerprint(raw []byte) [sha256.Size]byte { return sha256.Sum256(raw) }

func fingerprintAAD(k *Key) []byte { return envelope.AAD("kms import fingerprint", k.ID) }

// DeleteImportedKeyMaterial takes from a key what was imported into it. The key
// stays, and cannot be used before the same is imported again.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteImportedKeyMaterial.html
func (s *Service) DeleteImportedKeyMaterial(ctx context.Context, c *call.Call, in *model.DeleteImportedKeyMaterialInput) (*model.DeleteImportedKeyMaterialOutput, error) {
	k, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) error {
		if err := k.external(); err != nil {
			return err
		}
		if in.KeyMaterialId != nil && *in.KeyMaterialId != materialID(k.ID, 1) {
			return model.NotFound("The key %s has no key material %s.", k.ARN, *in.KeyMaterialId)
		}
		return s.loseMaterial(tx, k)
	})
	if err != nil {
		return nil, err
	}
	return &model.DeleteImportedKeyMaterialOutput{KeyId: &k.ARN, KeyMaterialId: new(materialID(k.ID, 1))}, nil
}

// loseMaterial deletes a key's material, in all of its regions.
func (s *Service) loseMaterial(tx *store.Tx, k *Key) error {
	if k.state == stateEnabled || k.state == stateDisabled {
		k.state = statePendingImport
	}
	s.related(tx, k)
	return deleteMaterial(tx, k.ID)
}

// Expire deletes imported material that has expired, and says of how many keys.
// It may run at any time and on several nodes, see Purge. Expired material is
// not used, whether or not this has come by.
func (s *Service) Expire(ctx context.Context, now time.Time) (expired int, err error) {
	return s.work(ctx, "expire KMS key material", now, selectDueExpiries, func(tx *store.Tx, k *Key, now api.Timestamp) error {
		if !k.expired(now) { // it was imported again meanwhile
			return nil
		}
		if err := s.loseMaterial(tx, k); err != nil {
			return err
		}
		if err := endExpiry(tx, k.ID); err != nil {
			return err
		}
		return s.update(tx, k)
	})
}

// expired says whether the key's material was imported, and is not good any
// more.
func (k *Key) expired(now api.Timestamp) bool {
	return k.imported.expires != 0 && k.imported.expires <= now
}

// withoutMaterial is a key as it is once its material has expired.
func (k *Key) withoutMaterial() *Key {
	bare := *k
	bare.versions = nil
	if bare.state == stateEnabled || bare.state == stateDisabled {
		bare.state = statePendingImport
	}
	return &bare
}

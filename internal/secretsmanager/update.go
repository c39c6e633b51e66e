package secretsmanager

import (
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/store"
)

// UpdateSecret changes a secret's description or key, and adds a version that
// becomes AWSCURRENT if it is given a value. An empty description or key
// stands for none, and for aws/secretsmanager. Versions that follow the secret
// to another key are encrypted anew, see reencrypt.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
func (s *Service) UpdateSecret(ctx context.Context, c *call.Call, in *model.UpdateSecretInput) (*model.UpdateSecretOutput, error) {
	if err := needToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := checkType(in.Type); err != nil {
		return nil, err
	}
	value, err := valueOf(c, in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	s.learnKey(ctx, c, in.KmsKeyId)
	if value == nil {
		return s.updateMetadata(ctx, c, in)
	}
	sec, v, err := s.addVersion(ctx, c, *in.SecretId, newVersion{
		id: *in.ClientRequestToken, value: value, stages: []string{current}, keyID: in.KmsKeyId, description: in.Description,
	})
	if err != nil {
		return nil, err
	}
	return &model.UpdateSecretOutput{ARN: new(sec.arn()), Name: &sec.name, VersionId: &v.id}, nil
}

func (s *Service) updateMetadata(ctx context.Context, c *call.Call, in *model.UpdateSecretInput) (*model.UpdateSecretOutput, error) {
	const tries = 20 // of a secret that others change, too
	var sec *secret
	err := errMoved
	for try := 0; try < tries && errors.Is(err, errMoved); try++ {
		sec, err = s.tryUpdate(ctx, c, in)
	}
	if err != nil {
		return nil, err
	}
	return &model.UpdateSecretOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

// tryUpdate changes what a request without a value asks for. A new key seals
// the versions that follow the secret to it before the transaction, and these
// are stored if the secret is still what it was.
func (s *Service) tryUpdate(ctx context.Context, c *call.Call, in *model.UpdateSecretInput) (*secret, error) {
	find := s.glance
	if in.KmsKeyId != nil {
		find = s.authorized // with its versions
	}
	seen, err := find(ctx, c, *in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := seen.alive(); err != nil {
		return nil, err
	}
	var keyID *string
	var fresh []version
	if in.KmsKeyId != nil {
		key, err := s.keyFor(ctx, c, seen, in.KmsKeyId)
		if err != nil {
			return nil, err
		}
		if fresh, err = s.rekey(ctx, c, seen, key); err != nil {
			return nil, err
		}
		keyID = new(storedKeyID(*in.KmsKeyId, key))
	}
	return s.update(ctx, c, *in.SecretId, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		if keyID != nil {
			if sec.id != seen.id || sec.rev != seen.rev {
				return errMoved
			}
			sec.kmsKeyID = *keyID
		}
		if in.Description != nil {
			sec.description = *in.Description
		}
		sec.changed = api.At(c.Time)
		return putFresh(tx, sec.id, fresh)
	})
}

package secretsmanager

import (
	"context"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/store"
)

// UpdateSecret changes a secret's description or key, and adds a version that
// becomes AWSCURRENT if it is given a value. An empty description or key
// stands for none, and for aws/secretsmanager.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
func (s *Service) UpdateSecret(ctx context.Context, c *call.Call, in *model.UpdateSecretInput) (*model.UpdateSecretOutput, error) {
	if err := needToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := checkType(in.Type); err != nil {
		return nil, err
	}
	value, err := valueOf(in.SecretString, in.SecretBinary)
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
	if _, err := s.glance(ctx, c, *in.SecretId); err != nil {
		return nil, err
	}
	var keyID *string
	if in.KmsKeyId != nil {
		key, err := s.resolveKey(ctx, c, *in.KmsKeyId)
		if err != nil {
			return nil, err
		}
		keyID = new(storedKeyID(*in.KmsKeyId, key))
	}
	sec, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		if keyID != nil {
			sec.kmsKeyID = *keyID
		}
		if in.Description != nil {
			sec.description = *in.Description
		}
		sec.changed = api.At(c.Time)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.UpdateSecretOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

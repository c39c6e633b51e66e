package secretsmanager

import (
	"context"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/store"
)

// The recovery window, in days.
const (
	minRecovery     = 7
	maxRecovery     = 30
	defaultRecovery = 30
)

// DeleteSecret schedules a secret for deletion at the end of a recovery
// window, or deletes it at once with ForceDeleteWithoutRecovery. Forced, it
// also succeeds for a secret that does not exist, as AWS does so that scripts
// may repeat it.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
func (s *Service) DeleteSecret(ctx context.Context, c *call.Call, in *model.DeleteSecretInput) (*model.DeleteSecretOutput, error) {
	force := in.ForceDeleteWithoutRecovery != nil && *in.ForceDeleteWithoutRecovery
	days := int64(defaultRecovery)
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	if days < minRecovery || days > maxRecovery {
		return nil, model.InvalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	if force && in.RecoveryWindowInDays != nil {
		return nil, model.InvalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	}
	if force {
		return s.deleteNow(ctx, c, *in.SecretId)
	}
	at := api.At(c.Time.Add(time.Duration(days) * 24 * time.Hour))
	sec, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		sec.deleted = &at
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.DeleteSecretOutput{ARN: new(sec.arn()), Name: &sec.name, DeletionDate: &at}, nil
}

func (s *Service) deleteNow(ctx context.Context, c *call.Call, secretID string) (*model.DeleteSecretOutput, error) {
	now := api.At(c.Time)
	sec, err := s.update(ctx, c, secretID, func(tx *store.Tx, sec *secret) error { return s.remove(tx, sec) })
	if isNotFound(err) {
		id, err := parseID(c, secretID)
		if err != nil {
			return nil, err
		}
		// It may be gone because this is a repeat of a call that got no answer.
		if err := s.db.Settle(ctx); err != nil {
			return nil, err
		}
		madeUp := arnOf(c.Principal.Account, c.Region, id.name, newSuffix())
		return &model.DeleteSecretOutput{ARN: &madeUp, Name: &secretID, DeletionDate: &now}, nil
	}
	if err != nil {
		return nil, err
	}
	return &model.DeleteSecretOutput{ARN: new(sec.arn()), Name: &sec.name, DeletionDate: &now}, nil
}

// RestoreSecret takes a secret back that is scheduled for deletion. One that
// is not scheduled is left as it is.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html
func (s *Service) RestoreSecret(ctx context.Context, c *call.Call, in *model.RestoreSecretInput) (*model.RestoreSecretOutput, error) {
	sec, err := s.update(ctx, c, *in.SecretId, func(_ *store.Tx, sec *secret) error {
		sec.deleted = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.RestoreSecretOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

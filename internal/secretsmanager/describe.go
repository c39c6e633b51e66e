package secretsmanager

import (
	"context"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
)

// DescribeSecret tells all of a secret but its values; it answers for a secret
// that is scheduled for deletion, too.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func (s *Service) DescribeSecret(ctx context.Context, c *call.Call, in *model.DescribeSecretInput) (*model.DescribeSecretOutput, error) {
	sec, err := s.authorized(ctx, c, *in.SecretId)
	if err != nil {
		return nil, err
	}
	e := sec.entry()
	return &model.DescribeSecretOutput{
		ARN: e.ARN, Name: e.Name, Description: e.Description, KmsKeyId: e.KmsKeyId, Tags: e.Tags,
		CreatedDate: e.CreatedDate, LastChangedDate: e.LastChangedDate, LastAccessedDate: e.LastAccessedDate,
		DeletedDate: e.DeletedDate, VersionIdsToStages: e.SecretVersionsToStages,
	}, nil
}

// entry is the secret as ListSecrets shows it. Members that were never set are
// absent, as in AWS's answers.
func (s *secret) entry() model.SecretListEntry {
	e := model.SecretListEntry{
		ARN: new(s.arn()), Name: &s.name, Description: unlessZero(&s.description), KmsKeyId: unlessZero(&s.kmsKeyID),
		CreatedDate: &s.created, LastChangedDate: &s.changed, LastAccessedDate: unlessZero(&s.accessed),
		DeletedDate: s.deleted,
	}
	if s.tagged {
		e.Tags = append([]model.Tag{}, s.tags...)
	}
	stages := s.placed()
	if len(stages) > 0 {
		e.SecretVersionsToStages = map[string][]string{}
	}
	for _, id := range stages {
		e.SecretVersionsToStages[id] = stages.of(id)
	}
	return e
}

// unlessZero is p, or nil if it points to a zero value.
func unlessZero[T string | api.Timestamp](p *T) *T {
	var zero T
	if *p == zero {
		return nil
	}
	return p
}

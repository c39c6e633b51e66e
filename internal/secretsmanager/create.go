package secretsmanager

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/kms"
	"azekura/internal/store"
)

// CreateSecret makes a secret, with its first version if it is given a value.
// A token that already stands for a version of the secret with the same value
// makes it a repeat, which is answered like the first.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func (s *Service) CreateSecret(ctx context.Context, c *call.Call, in *model.CreateSecretInput) (*model.CreateSecretOutput, error) {
	value, err := checkCreate(c, in)
	if err != nil {
		return nil, err
	}
	s.learnKey(ctx, c, in.KmsKeyId)
	target := call.Target{ARN: arnOf(c.Principal.Account, c.Region, *in.Name, "??????"), Named: *in.Name, Account: c.Principal.Account, Keys: requestKeys(c, nil)}
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.AllowAction("secretsmanager:TagResource", target); err != nil {
			return nil, err
		}
	}
	key, err := s.resolveKey(ctx, c, deref(in.KmsKeyId))
	if err != nil {
		return nil, err
	}
	sec := blank(c, in, key)
	sec.fullARN = sec.arn()
	c.Resource = sec.arn()
	if err := s.probe(ctx, c, key, sec.arn()); err != nil {
		return nil, err
	}
	var v *version
	if value != nil {
		sealed, err := s.seal(ctx, c, key, sec.arn(), *in.ClientRequestToken, value)
		if err != nil {
			return nil, err
		}
		v = &sealed
		sec.held = 1
		if err := sec.receive(v, newVersion{keyID: &sec.kmsKeyID}); err != nil {
			return nil, err
		}
	}
	there, err := s.create(ctx, sec, v, in)
	if err != nil {
		return nil, err
	}
	if there != nil {
		return s.repeatCreate(ctx, c, there, *in.ClientRequestToken, value)
	}
	return created(sec, v), nil
}

func created(sec *secret, v *version) *model.CreateSecretOutput {
	out := &model.CreateSecretOutput{ARN: new(sec.arn()), Name: &sec.name}
	if v != nil {
		out.VersionId = &v.id
	}
	return out
}

// checkCreate makes the checks that need no look-up, and takes the value out.
func checkCreate(c *call.Call, in *model.CreateSecretInput) (*plaintext, error) {
	if err := needToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := checkName(*in.Name); err != nil {
		return nil, err
	}
	if len(in.AddReplicaRegions) > 0 {
		return nil, model.InvalidParameter("AddReplicaRegions can't be used: this server doesn't replicate secrets.")
	}
	if err := checkType(in.Type); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return valueOf(c, in.SecretString, in.SecretBinary)
}

// checkType refuses the types of AWS's managed external secrets, whose
// rotation runs at partners of AWS and nowhere else.
func checkType(kind *string) error {
	if kind != nil && *kind != "" {
		return model.InvalidParameter("Type can't be used: this server has no managed external secrets.")
	}
	return nil
}

// blank is the row of a secret that is to be created.
func blank(c *call.Call, in *model.CreateSecretInput, key *kms.Key) *secret {
	now := api.At(c.Time)
	return &secret{
		id:      uuid.Must(uuid.NewV7()).String(),
		account: c.Principal.Account, region: c.Region, name: *in.Name,
		suffix:      newSuffix(),
		rev:         1,
		description: deref(in.Description),
		kmsKeyID:    storedKeyID(deref(in.KmsKeyId), key),
		stages:      labels{},
		tags:        tags{}.with(in.Tags),
		tagged:      len(in.Tags) > 0,
		created:     now, changed: now,
	}
}

// create stores a secret with its first version, v, unless it is nil. If one
// of the name is there already it stores nothing and returns that one, with
// the version that has the request's token, if any, in the place of its
// versions.
func (s *Service) create(ctx context.Context, sec *secret, v *version, in *model.CreateSecretInput) (there *secret, err error) {
	whole := *sec
	if v != nil {
		whole.versions = []version{*v}
	}
	after := whole.keep()
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if there, err = s.vacate(tx, sec, *in.ClientRequestToken); err != nil || there != nil {
			return err
		}
		s.cache.Became(tx, sec.key(), after)
		if err := insertSecret(tx, sec); err != nil {
			return err
		}
		if v == nil {
			return nil
		}
		_, err = insertVersion(tx, sec.id, v)
		return err
	})
	return there, err
}

// vacate makes sure that the name of sec is free, and returns who has it if it
// is not. A secret past its recovery window is removed, one within it keeps
// its name blocked.
func (s *Service) vacate(tx *store.Tx, sec *secret, token string) (*secret, error) {
	there, err := selectSecret(tx, sec.account, sec.region, sec.name, tx.ForUpdate())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case there.gone(sec.created):
		return nil, s.remove(tx, there)
	case there.deleted != nil:
		return nil, model.InvalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	v, err := versionByID(tx, there, token)
	if v != nil {
		there.versions = []version{*v}
	}
	if err != nil {
		return nil, err
	}
	s.cache.Changed(tx, there.key())
	return there, updateSecret(tx, there)
}

// repeatCreate answers a CreateSecret whose name is taken.
func (s *Service) repeatCreate(ctx context.Context, c *call.Call, there *secret, token string, value *plaintext) (*model.CreateSecretOutput, error) {
	v := there.labelled(token)
	if v == nil || v.kind == "" || value == nil {
		return nil, model.ResourceExists("The operation failed because the secret %s already exists.", there.name)
	}
	if err := s.checkRepeat(ctx, c, there, v, value); err != nil {
		return nil, err
	}
	return created(there, v), nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

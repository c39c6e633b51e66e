package secretsmanager

import (
	"context"
	"errors"
	"slices"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/kms"
	"azekura/internal/store"
)

// rekeyedLabels are those of the versions that follow a secret to another key.
// The others stay under the key that they are under.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html
var rekeyedLabels = []string{current, previous, pending}

// reencrypt seals the versions of a secret anew that follow it to a key. sec is
// from the cache, with its versions. What the caller may not decrypt, or nobody
// can any more, is left as it is, as AWS does: a secret whose key is lost can
// still be given another, and a new value. It must not be called in a
// transaction.
func (s *Service) reencrypt(ctx context.Context, c *call.Call, sec *secret, key *kms.Key) (fresh []version, err error) {
	for i := range sec.versions {
		old := &sec.versions[i]
		if old.kind == "" || old.kmsKey == keyOf(key) || !slices.ContainsFunc(old.stages, func(l string) bool { return slices.Contains(rekeyedLabels, l) }) {
			continue
		}
		value, err := s.open(ctx, c, sec, old)
		if _, refused := errors.AsType[*api.Error](err); refused {
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := s.seal(ctx, c, key, sec.arn(), old.id, value)
		clear(value.text)
		if err != nil {
			return nil, err
		}
		v.stages, v.created, v.accessed = old.stages, old.created, old.accessed
		fresh = append(fresh, v)
	}
	return fresh, nil
}

// keyOf is what a version keeps of the key that seals it: "" for
// aws/secretsmanager.
func keyOf(key *kms.Key) string {
	if key.Managed {
		return ""
	}
	return key.ARN
}

// replaced is versions with those in fresh in the place of what they were.
func replaced(versions, fresh []version) []version {
	all := slices.Clone(versions)
	for i := range all {
		for _, v := range fresh {
			if all[i].id == v.id {
				all[i] = v
			}
		}
	}
	return all
}

// putFresh stores what reencrypt made of the versions of a secret.
func putFresh(tx *store.Tx, secretID string, fresh []version) error {
	for i := range fresh {
		if err := resealVersion(tx, secretID, &fresh[i]); err != nil {
			return err
		}
	}
	return nil
}

// probeID is the version id in the encryption context of a probe, which AWS
// documents so that key policies can allow it.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-encryption-context
const probeID = "RequestToValidateKeyAccess"

// probe makes sure that a secret is not given a key under which its caller
// could not write, or not read what was written.
func (s *Service) probe(ctx context.Context, c *call.Call, key *kms.Key, arn string) error {
	if key.Managed {
		return nil
	}
	ec := keyContext(arn, probeID)
	_, blob, err := s.kms.NewDataKey(ctx, c, key, ec)
	if err != nil {
		return encryptionFailure(c, err)
	}
	_, err = s.kms.DecryptDataKey(ctx, c, blob, ec)
	return decryptionFailure(err)
}

// A Guarded is a secret that will be lost with a KMS key that is scheduled for
// deletion: at least one of its versions is encrypted under it.
type Guarded struct {
	ARN      string        // of the secret
	LastRead api.Timestamp // a day; 0 if it was never read
	Reader   string        // ARN of the first to read it on that day; "" if nobody has
}

// GuardedBy lists up to limit secrets with versions under a KMS key, in the
// order of their ids.
func (s *Service) GuardedBy(ctx context.Context, keyARN string, limit int) (guarded []Guarded, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		guarded, err = selectGuarded(tx, keyARN, limit)
		return err
	})
	return guarded, err
}

package secretsmanager

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/store"
)

// AWS keeps 100 versions of a secret. Beyond that it removes those without
// labels, but none that is younger than a day.
const (
	maxVersions = 100
	versionRest = 24 * time.Hour
)

// A newVersion is a value to be added to a secret.
type newVersion struct {
	id     string // the request's token
	value  *plaintext
	stages []string

	keyID       *string // a new key for the secret, or nil
	description *string // a new description, or nil
}

// errMoved says that a secret changed between the sealing of a value for it
// and the transaction that was to store the value.
var errMoved = errors.New("the secret was replaced, or its key changed")

// addVersion adds a version to a secret and moves the labels. A token that
// already stands for a version with the same value changes nothing and
// succeeds; with another value it is refused.
//
// The value is sealed before the transaction, since that is no work for the
// writer all changes wait for. It is bound to the secret's ARN, so if another
// secret has taken the name in between, it is sealed again.
func (s *Service) addVersion(ctx context.Context, c *call.Call, secretID string, n newVersion) (*secret, *version, error) {
	for {
		sec, v, err := s.tryAddVersion(ctx, c, secretID, n)
		if !errors.Is(err, errMoved) {
			return sec, v, err
		}
	}
}

func (s *Service) tryAddVersion(ctx context.Context, c *call.Call, secretID string, n newVersion) (*secret, *version, error) {
	seen, err := s.glance(ctx, c, secretID)
	if err != nil {
		return nil, nil, err
	}
	if err := seen.alive(); err != nil {
		return nil, nil, err
	}
	keyID := seen.kmsKeyID
	if n.keyID != nil {
		keyID = *n.keyID
	}
	if seen.account != c.Principal.Account && keyID == "" {
		return nil, nil, errDefaultKeyAcrossAccounts()
	}
	key, err := s.resolveKey(ctx, c, keyID)
	if err != nil {
		return nil, nil, err
	}
	v, err := s.seal(ctx, c, key, seen.arn(), n.id, n.value)
	if err != nil {
		return nil, nil, err
	}
	var repeated *version
	sec, err := s.updateSeen(ctx, c, secretID, seen, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		if sec.id != seen.id || sec.kmsKeyID != seen.kmsKeyID {
			return errMoved
		}
		held, there, err := countVersions(tx, sec.id, n.id)
		if err != nil {
			return err
		}
		repeated = nil
		if there {
			if repeated, err = versionByID(tx, sec, n.id); err != nil || repeated.kind != "" {
				return err
			}
		} else if err := makeRoom(tx, sec.id, v.created, held); err != nil {
			return err
		}
		sec.kmsKeyID = storedKeyID(keyID, key)
		if n.description != nil {
			sec.description = *n.description
		}
		return insertLabelled(tx, sec, &v, n.stages)
	})
	if err != nil {
		return nil, nil, err
	}
	if repeated != nil && repeated.kind != "" {
		repeated.stages = sec.labels().of(repeated.id)
		return sec, repeated, s.checkRepeat(ctx, c, sec, repeated, n.value)
	}
	return sec, &v, nil
}

// checkRepeat decides about a token that stands for a version already: AWS
// takes it for a repeat of the same request if the value is the same.
func (s *Service) checkRepeat(ctx context.Context, c *call.Call, sec *secret, v *version, value *plaintext) error {
	same, err := s.sameValue(ctx, c, sec, v, value)
	if err != nil || same {
		return err
	}
	return model.ResourceExists("You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", v.id, sec.arn())
}

// insertLabelled writes a version, into the empty one that has its id if there
// is one, and moves the labels; v.stages tells afterwards which it has got.
func insertLabelled(tx *store.Tx, sec *secret, v *version, stages []string) error {
	if err := insertVersion(tx, sec.id, *v); err != nil {
		return err
	}
	before := sec.labels()
	after := maps.Clone(before)
	after.put(v.id, stages)
	v.stages = after.of(v.id)
	return relabel(tx, sec, before, after, v.created)
}

// relabel writes where the labels are now. Both maps are complete.
func relabel(tx *store.Tx, sec *secret, before, after labels, now api.Timestamp) error {
	if len(after) > maxLabels && len(after) > len(before) {
		return model.LimitExceeded("A secret can have at most %d staging labels over all its versions.", maxLabels)
	}
	sec.changed = now
	return writeLabels(tx, sec.id, after.since(before))
}

// makeRoom removes deprecated versions if a further one beside those held
// would exceed the quota, and refuses if none may go yet.
func makeRoom(tx *store.Tx, secretID string, now api.Timestamp, held int) error {
	if held < maxVersions {
		return nil
	}
	excess := held - maxVersions + 1
	removed, err := deleteDeprecated(tx, secretID, now-api.Timestamp(versionRest.Milliseconds()), excess)
	if err != nil {
		return err
	}
	if removed < int64(excess) {
		return model.LimitExceeded("A secret can have at most %d versions, and those made in the last 24 hours are kept.", maxVersions)
	}
	return nil
}

// UpdateSecretVersionStage moves a staging label from one version to another.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (s *Service) UpdateSecretVersionStage(ctx context.Context, c *call.Call, in *model.UpdateSecretVersionStageInput) (*model.UpdateSecretVersionStageOutput, error) {
	sec, err := s.update(ctx, c, *in.SecretId, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		for _, id := range []*string{in.MoveToVersionId, in.RemoveFromVersionId} {
			if err := mustHave(tx, sec, id); err != nil {
				return err
			}
		}
		before := sec.labels()
		after := maps.Clone(before)
		if err := after.move(*in.VersionStage, in.MoveToVersionId, in.RemoveFromVersionId); err != nil {
			return err
		}
		if maps.Equal(before, after) {
			return nil
		}
		if before[current] != after[current] {
			if err := mustHaveValue(tx, sec, after[current]); err != nil {
				return err
			}
		}
		return relabel(tx, sec, before, after, api.At(c.Time))
	})
	if err != nil {
		return nil, err
	}
	return &model.UpdateSecretVersionStageOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

// mustHave refuses the id of a version that the secret does not have; nil
// names none.
func mustHave(tx *store.Tx, sec *secret, id *string) error {
	if id == nil || sec.labelled(*id) != nil {
		return nil
	}
	if v, err := versionByID(tx, sec, *id); err != nil || v != nil {
		return err
	}
	return errNoVersion(*id)
}

// mustHaveValue refuses a version that is still empty: a secret whose
// AWSCURRENT cannot be read would be down for everybody.
func mustHaveValue(tx *store.Tx, sec *secret, id string) error {
	v, err := versionByID(tx, sec, id)
	if err == nil && v.kind == "" {
		return model.InvalidRequest("You can't move staging label AWSCURRENT to version %s because it doesn't have a value yet.", id)
	}
	return err
}

// ListSecretVersionIds lists a secret's versions, oldest first; deprecated
// ones only if asked for.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecretVersionIds.html
func (s *Service) ListSecretVersionIds(ctx context.Context, c *call.Call, in *model.ListSecretVersionIdsInput) (*model.ListSecretVersionIdsOutput, error) {
	sec, err := s.authorized(ctx, c, *in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := sec.alive(); err != nil {
		return nil, err
	}
	list, scope := labelledVersions, []string{"labelled versions", sec.id}
	if in.IncludeDeprecated != nil && *in.IncludeDeprecated {
		list, scope = allVersions, []string{"all versions", sec.id}
	}
	after, err := s.readToken(c, in.NextToken, scope)
	if err != nil {
		return nil, err
	}
	limit := maxVersions
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	var versions []version
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		versions, err = list(tx, sec.id, after, limit+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListSecretVersionIdsOutput{ARN: new(sec.arn()), Name: &sec.name, Versions: []model.SecretVersionsListEntry{}}
	if len(versions) > limit {
		versions = versions[:limit]
		last := versions[limit-1]
		out.NextToken = s.writeToken(c, position{Number: int64(last.created), ID: last.id}, scope)
	}
	for i := range versions {
		out.Versions = append(out.Versions, versions[i].entry())
	}
	return out, nil
}

// labelledVersions reads the versions with labels that come after a position,
// up to limit of them.
func labelledVersions(tx *store.Tx, secretID string, after *position, limit int) ([]version, error) {
	versions, err := selectLabelled(tx, secretID)
	if after != nil {
		versions = slices.DeleteFunc(versions, func(v version) bool {
			return cmp.Or(cmp.Compare(int64(v.created), after.Number), cmp.Compare(v.id, after.ID)) <= 0
		})
	}
	return versions[:min(limit, len(versions))], err
}

// allVersions is labelledVersions with the deprecated ones.
func allVersions(tx *store.Tx, secretID string, after *position, limit int) ([]version, error) {
	if after == nil {
		after = &position{}
	}
	versions, err := selectVersions(tx, secretID, *after, limit)
	if err != nil {
		return nil, err
	}
	labelled, err := selectLabelled(tx, secretID)
	for i := range versions {
		if at := slices.IndexFunc(labelled, func(l version) bool { return l.id == versions[i].id }); at >= 0 {
			versions[i].stages = labelled[at].stages
		}
	}
	return versions, err
}

func (v *version) entry() model.SecretVersionsListEntry {
	e := model.SecretVersionsListEntry{VersionId: &v.id, VersionStages: v.stages, CreatedDate: &v.created}
	if v.accessed != 0 {
		e.LastAccessedDate = &v.accessed
	}
	if v.kind != "" {
		e.KmsKeyIds = []string{cmp.Or(v.kmsKey, "DefaultEncryptionKey")}
	}
	return e
}

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
	"azekura/internal/kms"
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

	keyID       *string   // a new key for the secret, or nil
	fresh       []version // what the new key makes of the secret's other versions
	description *string   // a new description, or nil
}

// errMoved says that a secret changed between the sealing of a value for it
// and the transaction that was to store the value.
var errMoved = errors.New("the secret was replaced, or its key changed")

// errAnew says that a version can't be added to the secret as it was seen: it
// has changed, it has a version of that id, or there is more to do.
var errAnew = errors.New("the secret must be read again")

// addVersion adds a version to a secret and moves the labels. A token that
// already stands for a version with the same value changes nothing and
// succeeds; with another value it is refused.
//
// The value is sealed before the transaction, since that is no work for the
// writer all changes wait for. It is bound to the secret's ARN, so if another
// secret has taken the name in between, it is sealed again.
func (s *Service) addVersion(ctx context.Context, c *call.Call, secretID string, n newVersion) (sec *secret, v *version, err error) {
	const tries = 20 // of a name that is given to one secret after another
	for range tries {
		if sec, v, err = s.tryAddVersion(ctx, c, secretID, n); !errors.Is(err, errMoved) {
			break
		}
	}
	return sec, v, err
}

func (s *Service) tryAddVersion(ctx context.Context, c *call.Call, secretID string, n newVersion) (*secret, *version, error) {
	find := s.glance
	if n.keyID != nil {
		find = s.authorized // with its versions
	}
	seen, err := find(ctx, c, secretID)
	if err != nil {
		return nil, nil, err
	}
	if err := seen.alive(); err != nil {
		return nil, nil, err
	}
	key, err := s.keyFor(ctx, c, seen, n.keyID)
	if err != nil {
		return nil, nil, err
	}
	if n.keyID != nil {
		if n.fresh, err = s.rekey(ctx, c, seen, key); err != nil {
			return nil, nil, err
		}
		n.keyID = new(storedKeyID(*n.keyID, key))
	} else {
		n.keyID = new(storedKeyID(seen.kmsKeyID, key))
	}
	v, err := s.seal(ctx, c, key, seen.arn(), n.id, n.value)
	if err != nil {
		return nil, nil, err
	}
	sec, err := s.addAsSeen(ctx, seen, n, &v)
	if errors.Is(err, errAnew) {
		return s.addLocked(ctx, c, secretID, seen, n, &v)
	}
	return sec, &v, err
}

// keyFor finds the key that a secret's next value is sealed with: that of a
// KmsKeyId, or the secret's own if it is nil.
func (s *Service) keyFor(ctx context.Context, c *call.Call, sec *secret, keyID *string) (*kms.Key, error) {
	id := sec.kmsKeyID
	if keyID != nil {
		id = *keyID
	}
	foreign := sec.account != c.Principal.Account
	if foreign && id == "" {
		return nil, errDefaultKeyAcrossAccounts()
	}
	key, err := s.resolveKey(ctx, c, id)
	if err == nil && foreign && key.Managed { // the caller's own, by one of its names
		return nil, errDefaultKeyAcrossAccounts()
	}
	return key, err
}

// rekey is reencrypt with a probe of the key before.
func (s *Service) rekey(ctx context.Context, c *call.Call, sec *secret, key *kms.Key) ([]version, error) {
	if err := s.probe(ctx, c, key, sec.arn()); err != nil {
		return nil, err
	}
	return s.reencrypt(ctx, c, sec, key)
}

// addAsSeen adds a version in two statements, if nobody has changed the secret
// since it was seen: the row is written where it still has that rev, for which
// the call was allowed.
func (s *Service) addAsSeen(ctx context.Context, seen *secret, n newVersion, v *version) (*secret, error) {
	sec := new(*seen)
	sec.versions = replaced(seen.versions, n.fresh)
	if sec.held >= maxVersions || sec.receive(v, n) != nil {
		return nil, errAnew
	}
	sec.held++
	after := sec.with(*v)
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		s.became(tx, sec.key(), after)
		done, err := updateVersions(tx, sec)
		if err == nil && done {
			done, err = insertVersion(tx, sec.id, v)
		}
		if err == nil && done {
			err = putFresh(tx, sec.id, n.fresh)
		}
		if err == nil && !done {
			return errAnew
		}
		return err
	})
	return sec, err
}

// with is what the cache keeps once a version has been added to the secret as
// it is; nil if it is not known whole.
func (s *secret) with(v version) *kept {
	versions := []version{v}
	for _, old := range s.versions {
		if old.stages = s.stages.of(old.id); old.stages != nil {
			versions = append(versions, old)
		}
	}
	if len(versions) != len(s.stages.versions()) {
		return nil
	}
	slices.SortFunc(versions, func(a, b version) int {
		return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
	})
	after := *s
	after.rev++
	after.versions = versions
	return new(after.keep())
}

// became tells the cache what a transaction makes of the secret with that name.
func (s *Service) became(tx *store.Tx, key string, after *kept) {
	if after == nil {
		s.cache.Changed(tx, key)
		return
	}
	s.cache.Became(tx, key, *after)
}

// addLocked adds a version to a secret that it locks and reads again. A version
// that has the id already is returned if it has a value, and filled if not.
func (s *Service) addLocked(ctx context.Context, c *call.Call, secretID string, seen *secret, n newVersion, v *version) (*secret, *version, error) {
	var repeated *version
	sec, err := s.update(ctx, c, secretID, func(tx *store.Tx, sec *secret) error {
		if err := sec.alive(); err != nil {
			return err
		}
		if sec.id != seen.id || sec.kmsKeyID != seen.kmsKeyID || n.fresh != nil && sec.rev != seen.rev {
			return errMoved
		}
		there, err := versionByID(tx, sec, n.id)
		repeated = there
		switch {
		case err != nil:
		case there == nil:
			err = addTo(tx, sec, v)
		case there.kind == "":
			repeated = nil
			err = fillVersion(tx, sec.id, v)
		default:
			there.stages = sec.stages.of(there.id)
			return nil
		}
		if err == nil {
			err = putFresh(tx, sec.id, n.fresh)
		}
		if err != nil {
			return err
		}
		return sec.receive(v, n)
	})
	switch {
	case err != nil:
		return nil, nil, err
	case repeated != nil:
		return sec, repeated, s.checkRepeat(ctx, c, sec, repeated, n.value)
	}
	return sec, v, nil
}

// addTo inserts a version, and makes room for it if need be.
func addTo(tx *store.Tx, sec *secret, v *version) error {
	if err := makeRoom(tx, sec, v.created); err != nil {
		return err
	}
	sec.held++
	_, err := insertVersion(tx, sec.id, v)
	return err
}

// receive makes the secret what it is with a new version: labels are moved, and
// v.stages tells which of them v has got.
func (s *secret) receive(v *version, n newVersion) error {
	after := s.placed().clone()
	after.put(v.id, n.stages)
	if err := s.relabel(after, v.created); err != nil {
		return err
	}
	v.stages = after.of(v.id)
	s.kmsKeyID = *n.keyID
	if n.description != nil {
		s.description = *n.description
	}
	return nil
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

// relabel says where the labels are from now on.
func (s *secret) relabel(after labels, now api.Timestamp) error {
	if len(after) > maxLabels && len(after) > len(s.placed()) {
		return model.LimitExceeded("A secret can have at most %d staging labels over all its versions.", maxLabels)
	}
	s.stages, s.changed = after, now
	return nil
}

// makeRoom removes deprecated versions if a further one would exceed the quota,
// and refuses if none may go yet.
func makeRoom(tx *store.Tx, sec *secret, now api.Timestamp) error {
	excess := sec.held - maxVersions + 1
	if excess <= 0 {
		return nil
	}
	removed, err := deleteDeprecated(tx, sec, now-api.Timestamp(versionRest.Milliseconds()), excess)
	if err != nil {
		return err
	}
	if removed < int64(excess) {
		return model.LimitExceeded("A secret can have at most %d versions, and those made in the last 24 hours are kept.", maxVersions)
	}
	sec.held -= excess
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
		before := sec.stages
		after := before.clone()
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
		return sec.relabel(after, api.At(c.Time))
	})
	if err != nil {
		return nil, err
	}
	return &model.UpdateSecretVersionStageOutput{ARN: new(sec.arn()), Name: &sec.name}, nil
}

// mustHave refuses the id of a version that the secret does not have; nil
// names none.
func mustHave(tx *store.Tx, sec *secret, id *string) error {
	if id == nil || sec.stages.has(*id) {
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
		versions, err = list(tx, sec, after, limit+1)
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

// labelledVersions finds the versions with labels that come after a position,
// up to limit of them, in a secret from the cache.
func labelledVersions(_ *store.Tx, sec *secret, after *position, limit int) ([]version, error) {
	versions := slices.Clone(sec.versions)
	if after != nil {
		versions = slices.DeleteFunc(versions, func(v version) bool {
			return cmp.Or(cmp.Compare(int64(v.created), after.Number), cmp.Compare(v.id, after.ID)) <= 0
		})
	}
	return versions[:min(limit, len(versions))], nil
}

// allVersions is labelledVersions with the deprecated ones, from the database.
func allVersions(tx *store.Tx, sec *secret, after *position, limit int) ([]version, error) {
	if after == nil {
		after = &position{}
	}
	stages, err := selectStages(tx, sec.id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	versions, err := selectVersions(tx, sec.id, *after, limit)
	for i := range versions {
		versions[i].stages = stages.of(versions[i].id)
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

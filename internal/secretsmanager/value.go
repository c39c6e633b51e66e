package secretsmanager

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/envelope"
	"azekura/internal/kms"
	"azekura/internal/store"
)

// A plaintext is a secret value in the clear. It lives as long as one call.
type plaintext struct {
	kind string
	text api.SensitiveBlob
}

// valueOf takes the value out of a request, which may have it until it is
// answered; nil if there is none.
func valueOf(c *call.Call, text *api.Sensitive, binary api.SensitiveBlob) (*plaintext, error) {
	var value *plaintext
	switch {
	case text != nil && binary != nil:
		return nil, model.InvalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case text != nil:
		// A copy would be one more of a secret. Nobody writes to it before it is wiped.
		value = &plaintext{kindString, unsafe.Slice(unsafe.StringData(string(*text)), len(*text))}
	case binary != nil:
		value = &plaintext{kindBinary, binary}
	default:
		return nil, nil
	}
	c.Wipe(value.text)
	return value, nil
}

// answer is the value as the two members of a response, one of them nil.
func (p *plaintext) answer() (*api.Sensitive, api.SensitiveBlob) {
	if p.kind == kindBinary {
		return nil, p.text
	}
	// Open made the text for this call and nobody changes it any more: a copy
	// would be one more of a secret, and of a kilobyte.
	return new(api.Sensitive(unsafe.String(unsafe.SliceData(p.text), len(p.text)))), nil
}

// needToken refuses a request without a ClientRequestToken. SDKs always send
// one; AWS insists on it before it looks anything up.
func needToken(token *string) error {
	if token == nil {
		return model.InvalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	return nil
}

// keyContext is the encryption context of a version's data key, AWS's own.
func keyContext(arn, versionID string) kms.Context {
	return kms.Context{"SecretARN": arn, "SecretVersionId": versionID}
}

// valueAAD binds a sealed value to its place. Without it who can write to the
// database could put the value of one secret into the row of another, and read
// it through the other's permissions.
func valueAAD(arn, versionID, kind string) []byte {
	return envelope.AAD("secret value", arn, versionID, kind)
}

// seal encrypts a value as a version of the secret with an ARN, under a data
// key of its own. It must not be called in a transaction.
func (s *Service) seal(ctx context.Context, c *call.Call, key *kms.Key, arn, versionID string, value *plaintext) (version, error) {
	dataKey, blob, err := s.kms.NewDataKey(ctx, c, key, keyContext(arn, versionID))
	if err != nil {
		return version{}, encryptionFailure(c, err)
	}
	defer clear(dataKey[:])
	v := version{
		id:      versionID,
		kind:    value.kind,
		dataKey: blob,
		value:   envelope.Seal(&dataKey, value.text, valueAAD(arn, versionID, value.kind)),
		created: api.At(c.Time),
	}
	v.kmsKey = keyOf(key)
	return v, nil
}

// open decrypts a version of a secret; the value is wiped after the answer. It must not be called in a transaction.
// What is under the default key is for its own account alone.
func (s *Service) open(ctx context.Context, c *call.Call, sec *secret, v *version) (*plaintext, error) {
	if v.kmsKey == "" && sec.account != c.Principal.Account {
		return nil, errDefaultKeyAcrossAccounts()
	}
	arn := sec.arn()
	dataKey, err := s.kms.DecryptDataKey(ctx, c, v.dataKey, keyContext(arn, v.id))
	if err != nil {
		return nil, decryptionFailure(err)
	}
	defer clear(dataKey[:])
	text, err := envelope.Open(&dataKey, v.value, valueAAD(arn, v.id, v.kind))
	if err != nil {
		return nil, errUndecryptable(err)
	}
	c.Wipe(text)
	return &plaintext{v.kind, text}, nil
}

func errDefaultKeyAcrossAccounts() error {
	return model.InvalidRequest("You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.")
}

// resolveKey finds the key that a KmsKeyId names, "" for aws/secretsmanager.
func (s *Service) resolveKey(ctx context.Context, c *call.Call, keyID string) (*kms.Key, error) {
	key, err := s.kms.Resolve(ctx, c, keyID)
	return key, encryptionFailure(c, err)
}

// storedKeyID is what a secret keeps of the KmsKeyId it was given: the text
// itself, but nothing for aws/secretsmanager under whichever name, since AWS
// shows no key then.
func storedKeyID(keyID string, key *kms.Key) string {
	if key.Managed {
		return ""
	}
	return keyID
}

// encryptionFailure and decryptionFailure turn what KMS answers into what
// Secrets Manager's callers see. What is no answer of KMS stays ours.
func encryptionFailure(c *call.Call, err error) error {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		return err
	}
	if e.Code == errKMSDenied().Code {
		return errKMSDenied()
	}
	return model.EncryptionFailure("Secrets Manager can't encrypt the secret value: %s (Service: AWSKMS; Status Code: %d; Error Code: %s; Request ID: %s)",
		e.Message, e.Status, e.Code, c.ID)
}

func decryptionFailure(err error) error {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		return err
	}
	if e.Code == errKMSDenied().Code {
		return errKMSDenied()
	}
	return errUndecryptable(err)
}

// errKMSDenied is for who may have the secret and may not use its key. It does
// not name the key.
func errKMSDenied() *api.Error { return api.AccessDenied("Access to KMS is not allowed") }

func errUndecryptable(cause error) error {
	e := model.DecryptionFailure("Secrets Manager can't decrypt the protected secret text using the provided KMS key.")
	e.Err = cause
	return e
}

// GetSecretValue reveals one version of a secret, AWSCURRENT unless asked for
// another by VersionId, VersionStage or both.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (s *Service) GetSecretValue(ctx context.Context, c *call.Call, in *model.GetSecretValueInput) (*model.GetSecretValueOutput, error) {
	sec, err := s.authorized(ctx, c, *in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := sec.alive(); err != nil {
		return nil, err
	}
	v, err := s.pick(ctx, sec, in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	value, err := s.open(ctx, c, sec, v)
	if err != nil {
		return nil, err
	}
	s.touch(ctx, c, sec, v)
	out := &model.GetSecretValueOutput{
		ARN: new(sec.arn()), Name: &sec.name, VersionId: &v.id, VersionStages: v.stages, CreatedDate: &v.created,
	}
	out.SecretString, out.SecretBinary = value.answer()
	return out, nil
}

// pick finds the version that a request's selectors mean.
func (s *Service) pick(ctx context.Context, sec *secret, id, stage *string) (*version, error) {
	if id == nil {
		label := current
		if stage != nil {
			label = *stage
		}
		if v := sec.staged(label); v != nil && v.kind != "" {
			return v, nil
		}
		return nil, model.ResourceNotFound("Secrets Manager can't find the specified secret value for staging label: %s", label)
	}
	v, err := s.byID(ctx, sec, *id)
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, errNoVersion(*id)
	case stage != nil && !slices.Contains(v.stages, *stage):
		return nil, model.InvalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	case v.kind == "" && stage != nil:
		return nil, model.ResourceNotFound("Secrets Manager can't find the specified secret value for staging label: %s", *stage)
	case v.kind == "":
		return nil, errNoVersion(*id)
	}
	return v, nil
}

func errNoVersion(id string) error {
	return model.ResourceNotFound("Secrets Manager can't find the specified secret value for VersionId: %s", id)
}

// byID finds a version of a secret from the cache, deprecated ones included;
// nil if there is none.
func (s *Service) byID(ctx context.Context, sec *secret, id string) (*version, error) {
	if v := sec.labelled(id); v != nil {
		return v, nil
	}
	var found *version
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		if found, err = versionByID(tx, sec, id); err != nil || found == nil {
			return err
		}
		// It may have been made, or have got a label, since sec was read.
		now, err := selectSecret(tx, sec.account, sec.region, sec.name, "")
		if err == nil {
			found.stages = now.stages.of(id)
		}
		return err
	})
	return found, err
}

// versionByID reads a version with its value; nil if there is none.
func versionByID(tx *store.Tx, sec *secret, id string) (*version, error) {
	v, err := selectVersion(tx, sec.id, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &v, err
}

// touch notes that a version was read today. The first read of a day waits for
// the note to be durable. A read is not refused because it could not be noted:
// with a full disk, applications must still get their passwords, and get them
// quickly, so for a while after a failure nothing is noted.
func (s *Service) touch(ctx context.Context, c *call.Call, sec *secret, v *version) {
	now := api.At(c.Time)
	today := now.Day()
	if sec.accessed >= today && v.accessed >= today || int64(now) < s.noteAgain.Load() {
		return
	}
	if err := c.Confirm(ctx); err != nil || c.Stale {
		return // there will be no answer, or there is no database to note it in
	}
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		s.cache.Changed(tx, sec.key())
		return touchSecret(tx, sec.id, v.id, today, c.Principal.ARN)
	})
	if err != nil {
		s.noteAgain.Store(int64(now) + notePause.Milliseconds())
		s.log.Warn("note the day of a read; none is noted for a while", "pause", notePause, "secret", sec.arn(), "error", err)
	}
}

const notePause = 10 * time.Second

// BatchGetSecretValue reveals the current values of the secrets in a list, or
// of those that match filters. What is refused of one secret is reported in
// its place: each is a GetSecretValue of its own, for the policies too.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
func (s *Service) BatchGetSecretValue(ctx context.Context, c *call.Call, in *model.BatchGetSecretValueInput) (*model.BatchGetSecretValueOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	if (in.SecretIdList == nil) == (in.Filters == nil) {
		return nil, model.InvalidParameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
	}
	if in.SecretIdList != nil {
		if in.MaxResults != nil {
			return nil, model.InvalidParameter("'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.")
		}
		return s.batch(ctx, c, in.SecretIdList)
	}
	lister := c.As("ListSecrets", &model.ListSecretsInput{Filters: in.Filters})
	if err := lister.Allow(everything(lister)); err != nil {
		return nil, err
	}
	page, next, err := s.page(ctx, c, listing{filters: in.Filters, token: in.NextToken, max: in.MaxResults, most: 20})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].arn()
	}
	out, err := s.batch(ctx, c, ids)
	if out != nil {
		out.NextToken = next
	}
	return out, err
}

func (s *Service) batch(ctx context.Context, c *call.Call, ids []string) (*model.BatchGetSecretValueOutput, error) {
	out := &model.BatchGetSecretValueOutput{SecretValues: []model.SecretValueEntry{}, Errors: []model.APIErrorType{}}
	for _, id := range ids {
		in := &model.GetSecretValueInput{SecretId: &id}
		one := c.As("GetSecretValue", in)
		got, err := s.GetSecretValue(ctx, one, in)
		c.Stale = c.Stale || one.Stale
		if err != nil {
			e, ok := errors.AsType[*api.Error](err)
			if !ok {
				return nil, fmt.Errorf("read a secret of a batch: %w", err)
			}
			out.Errors = append(out.Errors, model.APIErrorType{SecretId: &id, ErrorCode: &e.Code, Message: &e.Message})
			continue
		}
		out.SecretValues = append(out.SecretValues, model.SecretValueEntry{
			ARN: got.ARN, Name: got.Name, VersionId: got.VersionId, VersionStages: got.VersionStages,
			SecretString: got.SecretString, SecretBinary: got.SecretBinary, CreatedDate: got.CreatedDate,
		})
	}
	return out, nil
}

// PutSecretValue adds a version. Without VersionStages it becomes AWSCURRENT.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (s *Service) PutSecretValue(ctx context.Context, c *call.Call, in *model.PutSecretValueInput) (*model.PutSecretValueOutput, error) {
	if err := needToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	value, err := valueOf(c, in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, model.InvalidRequest("You must provide either SecretString or SecretBinary.")
	}
	stages := in.VersionStages
	if stages == nil {
		stages = []string{current}
	}
	sec, v, err := s.addVersion(ctx, c, *in.SecretId, newVersion{id: *in.ClientRequestToken, value: value, stages: stages})
	if err != nil {
		return nil, err
	}
	return &model.PutSecretValueOutput{ARN: new(sec.arn()), Name: &sec.name, VersionId: &v.id, VersionStages: v.stages}, nil
}

// sameValue says whether a version holds a value. The comparison is constant
// in time, so that repeats of a token do not let a writer who may not read
// guess a value byte by byte.
func (s *Service) sameValue(ctx context.Context, c *call.Call, sec *secret, v *version, value *plaintext) (bool, error) {
	held, err := s.open(ctx, c, sec, v)
	if err != nil {
		return false, err
	}
	return held.kind == value.kind && subtle.ConstantTimeCompare(held.text, value.text) == 1, nil
}

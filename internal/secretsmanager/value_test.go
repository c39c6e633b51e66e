package secretsmanager

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/kms"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// put adds a version named after its token.
func (w *world) put(name string, stages ...string) *model.PutSecretValueOutput {
	w.t.Helper()
	return do(w, w.PutSecretValue, &model.PutSecretValueInput{
		SecretId: new("s"), ClientRequestToken: token(name), SecretString: secretText("value of " + name), VersionStages: stages,
	})
}

func (w *world) create(value *api.Sensitive) *model.CreateSecretOutput {
	w.t.Helper()
	return do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1"), SecretString: value})
}

// stages is what DescribeSecret says of the labels: "v1 AWSPREVIOUS; v2 AWSCURRENT".
func (w *world) stages() string {
	w.t.Helper()
	var all []string
	d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")})
	for i := range 200 {
		name := fmt.Sprintf("v%d", i)
		if on, ok := d.VersionIdsToStages[*token(name)]; ok {
			all = append(all, name+" "+strings.Join(on, ","))
		}
	}
	return strings.Join(all, "; ")
}

func TestCreateAndGet(t *testing.T) {
	w := newWorld(t)
	made := w.create(secretText(`{"username":"app","password":"hunter2"}`))
	if *made.VersionId != *token("v1") || !strings.HasPrefix(*made.ARN, "arn:aws:secretsmanager:us-east-1:111111111111:secret:s-") || len(*made.ARN) != len("arn:aws:secretsmanager:us-east-1:111111111111:secret:s-")+6 {
		t.Errorf("made %s %s", *made.ARN, *made.VersionId)
	}
	got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
	if string(*got.SecretString) != `{"username":"app","password":"hunter2"}` || got.SecretBinary != nil {
		t.Error("another value came back")
	}
	if diff := cmp.Diff([]any{*made.ARN, "s", *token("v1"), []string{"AWSCURRENT"}}, []any{*got.ARN, *got.Name, *got.VersionId, got.VersionStages}); diff != "" {
		t.Error(diff)
	}
	if want := time.Date(2026, 3, 14, 15, 9, 27, 535_000_000, time.UTC); !got.CreatedDate.Time().Equal(want) {
		t.Errorf("created %v, want %v", got.CreatedDate.Time(), want)
	}
}

func TestBinaryValue(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1"), SecretBinary: api.SensitiveBlob{0, 255, 1}})
	got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
	if got.SecretString != nil || string(got.SecretBinary) != "\x00\xff\x01" {
		t.Error("the bytes did not come back")
	}
	// The same bytes as a string are another value.
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token("v1"), SecretString: secretText("\x00\xff\x01")},
		"ResourceExistsException", "You can't use ClientRequestToken "+*token("v1")+" because that value is already in use for a version of secret "+*got.ARN+".")
}

func TestCreateWithoutValue(t *testing.T) {
	w := newWorld(t)
	if made := w.create(nil); made.VersionId != nil {
		t.Errorf("a version %s was made", *made.VersionId)
	}
	d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")})
	want := &model.DescribeSecretOutput{ARN: d.ARN, Name: new("s"), CreatedDate: d.CreatedDate, LastChangedDate: d.CreatedDate}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")},
		"ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
	// The first version becomes current whatever it asks for.
	if put := w.put("v2", "one"); !cmp.Equal(put.VersionStages, []string{"AWSCURRENT", "one"}) {
		t.Errorf("the first version has %v", put.VersionStages)
	}
}

func TestCreateRefusals(t *testing.T) {
	w := newWorld(t)
	const noToken = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
	const badName = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
	refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), SecretString: secretText("x")}, "InvalidRequestException", noToken)
	for _, name := range []string{"Inv Name", " Inv Name", " Inv*Name? ", ` Inv *?!]Name\-`, "Schlüssel"} {
		refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: &name, ClientRequestToken: token("t")}, "ValidationException", badName)
	}
	refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("t"), SecretString: secretText("x"), SecretBinary: api.SensitiveBlob("x")},
		"InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	for _, name := range []string{"Invalid/_+=.@-Name-a1b2c3", "/a//b", "rds!cluster-1"} {
		do(w, w.CreateSecret, &model.CreateSecretInput{Name: &name, ClientRequestToken: token("t")})
	}
}

func TestCreateRepeated(t *testing.T) {
	w := newWorld(t)
	first := w.create(secretText("x"))
	if again := w.create(secretText("x")); !cmp.Equal(first, again) {
		t.Errorf("a repeat answered %v, want %v", again, first)
	}
	refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1"), SecretString: secretText("y")},
		"ResourceExistsException", "You can't use ClientRequestToken "+*token("v1")+" because that value is already in use for a version of secret "+*first.ARN+".")
	for _, value := range []*api.Sensitive{secretText("x"), nil} {
		refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v2"), SecretString: value},
			"ResourceExistsException", "The operation failed because the secret s already exists.")
	}
}

func TestPutRepeated(t *testing.T) {
	w := newWorld(t)
	arn := *w.create(secretText("x")).ARN
	w.put("v2")
	w.put("v3", "AWSPENDING")
	before := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")})
	again := w.put("v2", "OTHER")
	if *again.VersionId != *token("v2") || !cmp.Equal(again.VersionStages, []string{"AWSCURRENT"}) {
		t.Errorf("a repeat answered %s %v", *again.VersionId, again.VersionStages)
	}
	same := do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v1"), SecretString: secretText("x")})
	if *same.VersionId != *token("v1") {
		t.Errorf("a repeated update answered %s", *same.VersionId)
	}
	for _, value := range []string{"y", ""} {
		refuse(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v2"), SecretString: secretText(value)},
			"ResourceExistsException", "You can't use ClientRequestToken "+*token("v2")+" because that value is already in use for a version of secret "+arn+".")
	}
	if after := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); !cmp.Equal(before, after) {
		t.Errorf("repeats changed the secret: %s", cmp.Diff(before, after))
	}
}

func TestPutRefusals(t *testing.T) {
	w := newWorld(t)
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("missing"), SecretString: secretText("x")},
		"InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("missing"), ClientRequestToken: token("t"), SecretString: secretText("x")},
		"ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("missing"), ClientRequestToken: token("t")},
		"InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	w.create(secretText("x"))
	var stages []string
	for i := range 19 {
		stages = append(stages, fmt.Sprintf("L%d", i))
	}
	w.put("v2", stages...)
	refuse(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token("v3"), SecretString: secretText("x"), VersionStages: []string{"L19"}},
		"LimitExceededException", "A secret can have at most 20 staging labels over all its versions.")
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionId: token("v3")},
		"ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*token("v3"))
}

func TestSelectors(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("value of v1"))
	w.put("v2")
	w.put("v3")
	for _, tt := range []struct {
		id, stage *string
		want      string
	}{
		{nil, nil, "value of v3"},
		{nil, new("AWSPREVIOUS"), "value of v2"},
		{token("v1"), nil, "value of v1"},
		{token("v2"), new("AWSPREVIOUS"), "value of v2"},
	} {
		got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionId: tt.id, VersionStage: tt.stage})
		if string(*got.SecretString) != tt.want {
			t.Errorf("%v: got another version than %q", tt, tt.want)
		}
	}
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionId: token("v2"), VersionStage: new("AWSCURRENT")},
		"InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionStage: new("AWSPENDING")},
		"ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSPENDING")
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionId: token("v9"), VersionStage: new("AWSCURRENT")},
		"ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*token("v9"))
}

// A version without a value, as a rotation makes one, is not readable, is
// filled by a put with its token, and cannot become current before that.
func TestEmptyPendingVersion(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		sec, err := loadSecret(tx, w.account, w.region, "s", "")
		if err != nil {
			return err
		}
		w.cache.Changed(tx, sec.key())
		sec.stages[pending] = *token("v2")
		if err := addTo(tx, sec, &version{id: *token("v2"), created: sec.created + 1}); err != nil {
			return err
		}
		return updateSecret(tx, sec)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.stages(); got != "v1 AWSCURRENT; v2 AWSPENDING" {
		t.Fatal(got)
	}
	const label = "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionStage: new(pending)}, "ResourceNotFoundException", label)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionId: token("v2"), VersionStage: new(pending)}, "ResourceNotFoundException", label)
	refuse(w, w.UpdateSecretVersionStage, &model.UpdateSecretVersionStageInput{SecretId: new("s"), VersionStage: new(current), MoveToVersionId: token("v2"), RemoveFromVersionId: token("v1")},
		"InvalidRequestException", "You can't move staging label AWSCURRENT to version "+*token("v2")+" because it doesn't have a value yet.")
	refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v2"), SecretString: secretText("x")},
		"ResourceExistsException", "The operation failed because the secret s already exists.")
	w.put("v2", pending)
	if got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionStage: new(pending)}); string(*got.SecretString) != "value of v2" {
		t.Error("the pending version was not filled")
	}
	if got := w.stages(); got != "v1 AWSCURRENT; v2 AWSPENDING" {
		t.Error(got)
	}
}

func TestUpdateSecret(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	if out := do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v8")}); out.VersionId != nil {
		t.Error("an update of nothing made a version")
	}
	do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v9"), Description: new("first")})
	if d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); *d.Description != "first" {
		t.Errorf("described as %q", *d.Description)
	}
	// The same value under a new token is a new version all the same.
	do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v2"), SecretString: secretText("x"), Description: new("")})
	if got := w.stages(); got != "v1 AWSPREVIOUS; v2 AWSCURRENT" {
		t.Error(got)
	}
	if d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); d.Description != nil {
		t.Errorf("an empty description is shown as %q", *d.Description)
	}
	for _, key := range []string{"", "alias/aws/secretsmanager"} {
		do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v2"), KmsKeyId: &key})
		if d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); d.KmsKeyId != nil {
			t.Errorf("the default key is shown as %q", *d.KmsKeyId)
		}
	}
	_, err := w.UpdateSecret(t.Context(), w.call("UpdateSecret", nil), &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("v2"), KmsKeyId: new("alias/nope")})
	if err == nil || !strings.HasPrefix(err.Error(), "EncryptionFailure: Secrets Manager can't encrypt the secret value: ") {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestIDs(t *testing.T) {
	w := newWorld(t)
	arns := map[string]string{}
	for _, name := range []string{"Foo", "Foo-a1b2", "Foo-a1b2c3", "Foo-a1b2c3-"} {
		arns[name] = *do(w, w.CreateSecret, &model.CreateSecretInput{Name: &name, ClientRequestToken: token("v"), SecretString: secretText(name)}).ARN
	}
	const partial = "arn:aws:secretsmanager:us-east-1:111111111111:secret:"
	for id, want := range map[string]string{
		"Foo": "Foo", arns["Foo"]: "Foo", partial + "Foo": "Foo",
		"Foo-a1b2": "Foo-a1b2", partial + "Foo-a1b2": "Foo-a1b2",
		"Foo-a1b2c3": "Foo-a1b2c3", arns["Foo-a1b2c3"]: "Foo-a1b2c3",
		"Foo-a1b2c3-": "Foo-a1b2c3-", partial + "Foo-a1b2c3-": "Foo-a1b2c3-",
	} {
		got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &id})
		if *got.Name != want || *got.ARN != arns[want] || string(*got.SecretString) != want {
			t.Errorf("%s found %s", id, *got.Name)
		}
	}
	for _, id := range []string{
		partial + "Foo-a1b2c3", "Foo" + arns["Foo"][len(arns["Foo"])-7:], "foo",
		strings.Replace(arns["Foo"], "us-east-1", "us-west-2", 1),
	} {
		refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &id}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	foreign := strings.Replace(arns["Foo"], "111111111111", "222222222222", 1)
	refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &foreign}, "AccessDeniedException",
		"User: arn:aws:iam::111111111111:user/ann is not authorized to perform: secretsmanager:DescribeSecret on resource: "+foreign+" because no resource-based policy allows the secretsmanager:DescribeSecret action")
	const badName = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
	for _, id := range []string{"a b", "a*", partial, partial + "a b", "arn:aws:s3:::bucket", "arn:aws:secretsmanager:us-east-1:111111111111:other:x",
		"arn:aws:secretsmanager:us-east-1:1111/us-east-1:secret:x", "arn:"} {
		refuse(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &id}, "ValidationException", badName)
		refuse(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: &id, ForceDeleteWithoutRecovery: new(true)}, "ValidationException", badName)
	}
}

func TestLastAccessed(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	accessed := func() *api.Timestamp {
		return do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}).LastAccessedDate
	}
	if accessed() != nil {
		t.Error("accessed before the first read")
	}
	day := api.At(time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC))
	for range 2 {
		do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
		if got := accessed(); got == nil || *got != day {
			t.Errorf("accessed %v, want %v", got, day.Time())
		}
	}
	w.put("v2")
	for _, stage := range []string{current, previous} {
		do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s"), VersionStage: &stage})
	}
	for _, v := range do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: new("s")}).Versions {
		if v.LastAccessedDate == nil || *v.LastAccessedDate != day {
			t.Errorf("%s was accessed %v", *v.VersionId, v.LastAccessedDate)
		}
	}
	w.now = w.now.Add(24 * time.Hour)
	do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"s"}})
	if got := accessed(); *got != day+24*60*60*1000 {
		t.Errorf("accessed %v after a read on the next day", got.Time())
	}
	list := do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: new("s")})
	if got := list.Versions[1].LastAccessedDate; got == nil || *got != day+24*60*60*1000 {
		t.Errorf("the version was accessed %v", got)
	}
}

// What turns out to be out of date is no read, and leaves no note.
func TestOutdatedReadIsNotNoted(t *testing.T) {
	w := worldOver(t, storetest.Postgres(t))
	w.create(secretText("x"))
	in := &model.GetSecretValueInput{SecretId: new("s")}
	do(w, w.GetSecretValue, in)
	do(w, w.GetSecretValue, in) // cached
	before := w.number(`SELECT accessed_at FROM secrets`)
	w.now = w.now.Add(24 * time.Hour)
	read := func() error {
		t.Helper()
		c := w.call("GetSecretValue", in)
		c.Reads = w.db.NewReads()
		if _, err := w.GetSecretValue(t.Context(), c, in); err != nil {
			t.Fatal(err)
		}
		return c.Confirm(t.Context())
	}
	err := w.db.Update(t.Context(), func(tx *store.Tx) error { // as another server would
		_, err := tx.Exec(`UPDATE secrets SET rev = rev + 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, store.ErrOutdated) || w.number(`SELECT accessed_at FROM secrets`) != before {
		t.Errorf("an outdated read: %v, noted at %d", err, w.number(`SELECT accessed_at FROM secrets`))
	}
	if err := read(); err != nil || w.number(`SELECT accessed_at FROM secrets`) == before {
		t.Errorf("the next read: %v, or not noted", err)
	}
}

// Sealed values are bound to their places: one that is copied into the row of
// another version, or of another secret, does not open.
func TestMovedValueDoesNotOpen(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("mine"))
	w.put("v2")
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("other"), ClientRequestToken: token("v1"), SecretString: secretText("theirs")})
	for name, columns := range map[string]string{"value": "value", "data key": "data_key", "both": "data_key, value"} {
		err := w.db.Update(t.Context(), func(tx *store.Tx) error {
			for column := range strings.SplitSeq(columns, ", ") {
				w.cache.Changed(tx, cacheKey(w.account, w.region, "other"))
				if _, err := tx.Exec(`UPDATE secret_versions SET ` + column + ` = (SELECT v.` + column + ` FROM secret_versions v JOIN secrets s ON s.id = v.secret_id
					WHERE s.name = 's' AND v.version_id LIKE 'v1%') WHERE secret_id = (SELECT id FROM secrets WHERE name = 'other')`); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		in := &model.GetSecretValueInput{SecretId: new("other")}
		if _, err := w.GetSecretValue(t.Context(), w.call("GetSecretValue", in), in); err == nil || !strings.HasPrefix(err.Error(), "DecryptionFailure: ") {
			t.Errorf("a moved %s: %v", name, err)
		}
	}
}

// What a change tells the cache is what a load would have found.
func TestCacheHoldsWhatIsStored(t *testing.T) {
	w := worldOver(t, storetest.File(t))
	same := func(after string) {
		t.Helper()
		key := cacheKey(w.account, w.region, "s")
		held, ok := w.cache.Peek(key)
		var stored kept
		err := w.db.View(t.Context(), func(tx *store.Tx) (err error) {
			stored, err = loadSnapshot(tx, w.account, w.region, "s")
			return err
		})
		if err != nil || !ok {
			t.Fatalf("after %s: cached %v, %v", after, ok, err)
		}
		if !reflect.DeepEqual(held, stored) {
			t.Errorf("after %s the cache holds\n%+v, the database\n%+v", after, held.secret(), stored.secret())
		}
	}
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("v1"), SecretString: secretText("x"),
		Description: new("d"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}})
	same("a create")
	for _, stages := range [][]string{nil, {pending}, {"A", "B"}, {current}, {"B"}, {current, "C"}} {
		w.put("v"+strings.Join(stages, "-"), stages...)
		same("a put with " + strings.Join(stages, " "))
	}
	w.put("v9")
	w.put("v10")
	same("puts that left versions without labels")
	do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: new("s"), ClientRequestToken: token("u"), SecretString: secretText("y"), Description: new("e")})
	same("an update")
}

// Writers of one secret at the same time: each is acknowledged, one is current
// at the end, and none is lost.
func TestConcurrentPuts(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			in := &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token(fmt.Sprintf("v%d", i+2)), SecretString: secretText("y")}
			if _, err := w.PutSecretValue(t.Context(), w.call("PutSecretValue", in), in); err != nil {
				t.Error(err)
			}
			read := &model.GetSecretValueInput{SecretId: new("s"), VersionId: in.ClientRequestToken}
			if _, err := w.GetSecretValue(t.Context(), w.call("GetSecretValue", read), read); err != nil {
				t.Errorf("an acknowledged version: %v", err)
			}
		})
	}
	wg.Wait()
	list := do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: new("s"), IncludeDeprecated: new(true)})
	if len(list.Versions) != 31 {
		t.Errorf("%d versions, want 31", len(list.Versions))
	}
	if got := w.stages(); strings.Count(got, "AWSCURRENT") != 1 || strings.Count(got, "AWSPREVIOUS") != 1 {
		t.Error(got)
	}
}

// A read that cannot be noted is served all the same, and a failing store is
// not asked again at once.
func TestReadsThatCannotBeNoted(t *testing.T) {
	w := worldOver(t, storetest.File(t)) // PostgreSQL that is away serves nothing, cached or not
	var lines strings.Builder
	w.log = slog.New(slog.NewTextHandler(&lines, nil))
	w.create(secretText("x"))
	do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
	do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}) // brings it back into the cache
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.AddDate(0, 0, 1)
	for range 5 {
		if got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")}); string(*got.SecretString) != "x" {
			t.Error("another value came back")
		}
	}
	if n := strings.Count(lines.String(), "\n"); n != 1 {
		t.Errorf("%d lines are logged:\n%s", n, &lines)
	}
	w.now = w.now.Add(notePause)
	do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("s")})
	if n := strings.Count(lines.String(), "\n"); n != 2 {
		t.Errorf("after the pause %d lines are logged", n)
	}
}

// What a data key and a value are bound to: AWS's own encryption context, and
// each of secret, version and kind.
func TestBindings(t *testing.T) {
	if diff := cmp.Diff(kms.Context{"SecretARN": "arn", "SecretVersionId": "v"}, keyContext("arn", "v")); diff != "" {
		t.Error(diff)
	}
	seen := map[string]bool{}
	for _, arn := range []string{"a", "b"} {
		for _, version := range []string{"v", "w"} {
			for _, kind := range []string{kindString, kindBinary} {
				seen[string(valueAAD(arn, version, kind))] = true
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("8 places have %d bindings", len(seen))
	}
}

// A secret that is deleted and made again while values are put into it: what
// was sealed for the old one is not stored in the new one.
func TestReplacedWhilePutting(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("x"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stop)
		for i := range 150 {
			gone := &model.DeleteSecretInput{SecretId: new("s"), ForceDeleteWithoutRecovery: new(true)}
			if _, err := w.DeleteSecret(t.Context(), w.call("DeleteSecret", gone), gone); err != nil {
				t.Error(err)
			}
			again := &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token(fmt.Sprintf("c%d", i)), SecretString: secretText("x")}
			if _, err := w.CreateSecret(t.Context(), w.call("CreateSecret", again), again); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				in := &model.PutSecretValueInput{SecretId: new("s"), ClientRequestToken: token(fmt.Sprintf("p%d-%d", n, i)), SecretString: secretText("y")}
				w.PutSecretValue(t.Context(), w.call("PutSecretValue", in), in)
				read := &model.GetSecretValueInput{SecretId: new("s")}
				if _, err := w.GetSecretValue(t.Context(), w.call("GetSecretValue", read), read); err != nil && !isNotFound(err) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A version that was put after the secret was looked at has the labels that it
// was put with, as ever since.
func TestVersionYoungerThanTheSecretSeen(t *testing.T) {
	w := newWorld(t)
	w.create(secretText("1"))
	c := w.call("GetSecretValue", &model.GetSecretValueInput{SecretId: new("s")})
	seen, err := w.authorized(t.Context(), c, "s")
	if err != nil {
		t.Fatal(err)
	}
	w.put("2")
	v, err := w.byID(t.Context(), seen, *token("2"))
	if err != nil || v == nil {
		t.Fatal(v != nil, err)
	}
	if !slices.Equal(v.stages, []string{current}) {
		t.Errorf("its labels are %v", v.stages)
	}
}

package secretsmanager

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"azekura/internal/api"
	kmsmodel "azekura/internal/api/kms"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// kmsCall is a call of KMS by the administrator of account.
func kmsCall[In, Out any](w *world, serve func(context.Context, *call.Call, *In) (*Out, error), in *In) *Out {
	w.t.Helper()
	before, held := w.caller, w.policies
	w.admin()
	c := w.call(w.op(in), in)
	w.caller, w.policies = before, held
	c.Service = "kms"
	out, err := serve(w.t.Context(), c, in)
	if err != nil {
		w.t.Fatalf("%s: %v", w.op(in), err)
	}
	return out
}

// newKey makes a KMS key of account, with a policy of these statements or, if
// there are none, the usual one, and is its ARN.
func (w *world) newKey(statements ...string) string {
	w.t.Helper()
	in := &kmsmodel.CreateKeyInput{BypassPolicyLockoutSafetyCheck: new(true)}
	if len(statements) > 0 {
		in.Policy = new(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
	}
	return *kmsCall(w, w.kms.CreateKey, in).KeyMetadata.Arn
}

// under is a secret of one version under a KMS key.
func (w *world) under(name, key string) (arn string) {
	w.t.Helper()
	return *do(w, w.CreateSecret, &model.CreateSecretInput{Name: &name, SecretString: secretText("v1"), KmsKeyId: &key, ClientRequestToken: token("v1")}).ARN
}

func (w *world) value(id, stage string) string {
	w.t.Helper()
	return string(*do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &id, VersionStage: &stage}).SecretString)
}

const kmsDenied = "Access to KMS is not allowed"

// A key is named in each of four ways; DescribeSecret shows the one that was
// given, and none for the default key.
func TestKeyNames(t *testing.T) {
	w := newWorld(t)
	key := w.newKey()
	id := key[strings.LastIndexByte(key, '/')+1:]
	kmsCall(w, w.kms.CreateAlias, &kmsmodel.CreateAliasInput{AliasName: new("alias/app"), TargetKeyId: &id})
	for i, name := range []string{id, key, "alias/app", "arn:aws:kms:us-east-1:" + account + ":alias/app"} {
		secret := "s" + string(rune('0'+i))
		w.under(secret, name)
		if got := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &secret}); *got.KmsKeyId != name {
			t.Errorf("shown as %s, given as %s", *got.KmsKeyId, name)
		}
		if got := do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: &secret}); got.Versions[0].KmsKeyIds[0] != key {
			t.Errorf("the version is under %v", got.Versions[0].KmsKeyIds)
		}
		if got := w.value(secret, current); got != "v1" {
			t.Error(got)
		}
	}
}

// Two people, one with the permission for the secret and one with that for the
// key: neither can read alone.
func TestSecretAndKeyAreTwoPermissions(t *testing.T) {
	w := newWorld(t)
	key := w.newKey()
	arn := w.under("s", key)
	secrets := `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`
	keys := `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`
	get := &model.GetSecretValueInput{SecretId: &arn}
	put := &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("v2"), ClientRequestToken: token("v2")}
	reader, keeper := w.user(account, "reader"), w.user(account, "keeper")
	w.as(reader, secrets)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", kmsDenied)
	refuse(w, w.PutSecretValue, put, "AccessDeniedException", kmsDenied)
	do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &arn})
	batch := do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"s"}})
	if len(batch.Errors) != 1 || *batch.Errors[0].Message != kmsDenied {
		t.Error(batch.Errors)
	}
	w.as(keeper, keys)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", w.denied("GetSecretValue", arn, noIdentity))
	w.as(reader, secrets, keys)
	do(w, w.GetSecretValue, get)
	do(w, w.PutSecretValue, put)
	for statement, allowed := range map[string]bool{
		`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`: true,
		`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}}`: true,
		`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-west-2.amazonaws.com"}}}`: false,
		`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:SecretARN":"` + arn + `"}}}`:           true,
		`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:SecretARN":"other"}}}`:                 false,
		`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"true"}}}`:                                        true,
		`{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"*"}`:                                                                                  false,
	} {
		w.as(reader, secrets, statement)
		_, err := w.GetSecretValue(t.Context(), w.call("GetSecretValue", get), get)
		if e, _ := errors.AsType[*api.Error](err); (err == nil) != allowed || e != nil && e.Message != kmsDenied {
			t.Errorf("under %s: %v", statement, err)
		}
	}
	w.as(reader, secrets, `{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)
	refuse(w, w.GetSecretValue, get, "AccessDeniedException", kmsDenied)
	w.as(reader, secrets, `{"Effect":"Allow","Action":"kms:GenerateDataKey","Resource":"*"}`)
	do(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("v3"), ClientRequestToken: token("v3")})
	refuse(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: &arn, KmsKeyId: new(w.newKey()), ClientRequestToken: token("v4")}, "AccessDeniedException", kmsDenied)
}

// Another account reads what is under a customer's key that lets it, by its
// ARN, and nothing that is under the default key.
func TestOtherAccountsWithKeys(t *testing.T) {
	w := newWorld(t)
	eve := w.user(otherAccount, "eve")
	key := w.newKey(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:root"},"Action":"kms:*","Resource":"*"}`,
		`{"Effect":"Allow","Principal":{"AWS":"`+otherAccount+`"},"Action":["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"`+otherAccount+`"}}}`)
	arn := w.under("s", key)
	byID := w.under("t", key[strings.LastIndexByte(key, '/')+1:])
	for _, name := range []string{"s", "t"} {
		w.policyOf(name, `{"Effect":"Allow","Principal":{"AWS":"`+otherAccount+`"},"Action":"secretsmanager:*","Resource":"*"}`)
	}
	w.as(eve, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &arn}, "AccessDeniedException", kmsDenied)
	w.as(eve, `{"Effect":"Allow","Action":["secretsmanager:*","kms:*"],"Resource":"*"}`)
	if got := w.value(arn, current); got != "v1" {
		t.Error(got)
	}
	do(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("v2"), ClientRequestToken: token("v2")})
	w.value(byID, current) // what a ciphertext names needs no name
	put := &model.PutSecretValueInput{SecretId: &byID, SecretString: secretText("v2"), ClientRequestToken: token("v2")}
	_, err := w.PutSecretValue(t.Context(), w.call("PutSecretValue", put), put)
	if e, _ := errors.AsType[*api.Error](err); e == nil || e.Code != "EncryptionFailure" || !strings.Contains(e.Message, "Key 'arn:aws:kms:us-east-1:"+otherAccount+":key/") {
		t.Errorf("a bare id, which means a key of the caller's account: %v", err)
	}
}

// What is wrong with a key comes out as AWS's failures, and changes nothing.
func TestKeysThatCannotBeUsed(t *testing.T) {
	w := newWorld(t)
	key, good := w.newKey(), w.newKey()
	arn := w.under("s", key)
	get := &model.GetSecretValueInput{SecretId: &arn}
	put := func() error {
		in := &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("y"), ClientRequestToken: new(uuid.NewString())}
		_, err := w.PutSecretValue(t.Context(), w.call("PutSecretValue", in), in)
		return err
	}
	failed := func(what string, err error, text string) {
		t.Helper()
		if e, _ := errors.AsType[*api.Error](err); e == nil || e.Code != "EncryptionFailure" || !strings.Contains(e.Message, text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	const undecryptable = "Secrets Manager can't decrypt the protected secret text using the provided KMS key."
	kmsCall(w, w.kms.DisableKey, &kmsmodel.DisableKeyInput{KeyId: &key})
	refuse(w, w.GetSecretValue, get, "DecryptionFailure", undecryptable)
	failed("disabled", put(), key+" is disabled. (Service: AWSKMS; Status Code: 400; Error Code: DisabledException;")
	kmsCall(w, w.kms.EnableKey, &kmsmodel.EnableKeyInput{KeyId: &key})
	do(w, w.GetSecretValue, get)
	kmsCall(w, w.kms.ScheduleKeyDeletion, &kmsmodel.ScheduleKeyDeletionInput{KeyId: &key})
	refuse(w, w.GetSecretValue, get, "DecryptionFailure", undecryptable)
	failed("to be deleted", put(), key+" is pending deletion. (Service: AWSKMS; Status Code: 400; Error Code: KMSInvalidStateException;")
	do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: &arn, KmsKeyId: &good, SecretString: secretText("v2"), ClientRequestToken: token("v2")})
	if got := w.value(arn, current); got != "v2" {
		t.Error(got)
	}
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &arn, VersionStage: new(previous)}, "DecryptionFailure", undecryptable)
	kmsCall(w, w.kms.CancelKeyDeletion, &kmsmodel.CancelKeyDeletionInput{KeyId: &key})
	kmsCall(w, w.kms.EnableKey, &kmsmodel.EnableKeyInput{KeyId: &key})
	if got := w.value(arn, previous); got != "v1" {
		t.Error(got)
	}
	mac := *kmsCall(w, w.kms.CreateKey, &kmsmodel.CreateKeyInput{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")}).KeyMetadata.Arn
	for what, id := range map[string]string{"no-such-key": uuid.NewString(), "no-such-alias": "alias/none", "another-usage": mac, "nonsense": "nonsense", "another-region": strings.Replace(key, region, "us-west-2", 1)} {
		in := &model.CreateSecretInput{Name: &what, KmsKeyId: &id, ClientRequestToken: token("v1")}
		_, err := w.CreateSecret(t.Context(), w.call("CreateSecret", in), in)
		failed(what, err, "Secrets Manager can't encrypt the secret value: ")
		update := &model.UpdateSecretInput{SecretId: &arn, KmsKeyId: &id, ClientRequestToken: token("v1")}
		_, err = w.UpdateSecret(t.Context(), w.call("UpdateSecret", update), update)
		failed(what, err, "Secrets Manager can't encrypt the secret value: ")
	}
	if got := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: &arn}); *got.KmsKeyId != good {
		t.Error(*got.KmsKeyId)
	}
}

// A secret takes its current, previous and pending versions to another key;
// the others, and what its caller cannot read, stay where they are.
func TestRekey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := worldOver(t, db)
		one, two := w.newKey(), w.newKey()
		arn := w.under("s", one)
		for _, v := range []string{"v2", "v3"} {
			do(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText(v), ClientRequestToken: token(v)})
		}
		do(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("v4"), ClientRequestToken: token("v4"), VersionStages: []string{pending}})
		do(w, w.PutSecretValue, &model.PutSecretValueInput{SecretId: &arn, SecretString: secretText("v5"), ClientRequestToken: token("v5"), VersionStages: []string{"mine"}})
		check := func(what string, want map[string]string) {
			t.Helper()
			got := map[string]string{}
			for _, v := range do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: &arn, IncludeDeprecated: new(true)}).Versions {
				got[(*v.VersionId)[:2]] = v.KmsKeyIds[0]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
			for _, s := range []*Service{w.Service, New(Config{DB: db, KMS: w.kms, Keyring: w.keyring, Log: w.log})} {
				for label, v := range map[string]string{current: "v3", previous: "v2", pending: "v4", "mine": "v5"} {
					if out := do(w, s.GetSecretValue, &model.GetSecretValueInput{SecretId: &arn, VersionStage: &label}); string(*out.SecretString) != v {
						t.Errorf("%s: %s is another value", what, label)
					}
				}
				if out := do(w, s.GetSecretValue, &model.GetSecretValueInput{SecretId: &arn, VersionId: token("v1")}); string(*out.SecretString) != "v1" {
					t.Errorf("%s: the deprecated version is another value", what)
				}
			}
		}
		check("before", map[string]string{"v1": one, "v2": one, "v3": one, "v4": one, "v5": one})
		update := func(key string) {
			t.Helper()
			do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: &arn, KmsKeyId: &key, ClientRequestToken: token("u")})
		}
		update(two)
		check("moved", map[string]string{"v1": one, "v2": two, "v3": two, "v4": two, "v5": one})
		update(two)
		update("")
		check("under the default key", map[string]string{"v1": one, "v2": "DefaultEncryptionKey", "v3": "DefaultEncryptionKey", "v4": "DefaultEncryptionKey", "v5": one})
		update(one)
		check("and back", map[string]string{"v1": one, "v2": one, "v3": one, "v4": one, "v5": one})
		do(w, w.UpdateSecret, &model.UpdateSecretInput{SecretId: &arn, KmsKeyId: &two, SecretString: secretText("v6"), ClientRequestToken: token("v6")})
		if got := w.value(arn, current) + w.value(arn, previous); got != "v6v3" {
			t.Error(got)
		}
		got := map[string]string{}
		for _, v := range do(w, w.ListSecretVersionIds, &model.ListSecretVersionIdsInput{SecretId: &arn, IncludeDeprecated: new(true)}).Versions {
			got[(*v.VersionId)[:2]] = v.KmsKeyIds[0]
		}
		if diff := cmp.Diff(map[string]string{"v1": one, "v2": two, "v3": two, "v4": two, "v5": one, "v6": two}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// The secrets that would go with a key are told, and who read them last.
func TestGuardedBy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := worldOver(t, db)
		key, other := w.newKey(), w.newKey()
		read, unread := w.under("read", key), w.under("unread", key)
		w.under("elsewhere", other)
		w.arnOf("default")
		bob := w.user(account, "bob")
		w.as(bob, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
		w.value(read, current)
		w.admin()
		w.value(read, current) // the first of the day is who is kept
		got, err := w.GuardedBy(t.Context(), key, 10)
		want := []Guarded{{ARN: read, LastRead: api.At(w.now).Day(), Reader: bob.ARN}, {ARN: unread}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if got, err := w.GuardedBy(t.Context(), key, 1); len(got) != 1 || err != nil {
			t.Error(got, err)
		}
		if got, err := w.GuardedBy(t.Context(), "", 10); len(got) != 0 || err != nil {
			t.Error("secrets under the default key", got, err)
		}
	})
}

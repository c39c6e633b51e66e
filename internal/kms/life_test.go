package kms

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/store"
)

// describe is a key as it is now.
func (w *world) describe(keyID *string) *model.KeyMetadata {
	w.t.Helper()
	return do(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: keyID}).KeyMetadata
}

func TestEnableAndDisable(t *testing.T) {
	each(t, func(w *world) {
		key := w.newKey(nil)
		blob := w.encrypted(*key.KeyId, "x", nil)
		for range 2 { // both may be repeated
			do(w, w.DisableKey, &model.DisableKeyInput{KeyId: key.KeyId})
			if got := w.describe(key.KeyId); *got.KeyState != stateDisabled || *got.Enabled {
				w.t.Error(*got.KeyState)
			}
			for _, s := range []*Service{w.Service, w.again()} {
				refuse(w, s.Decrypt, &model.DecryptInput{CiphertextBlob: blob}, "DisabledException", *key.Arn+" is disabled.")
			}
		}
		for range 2 {
			do(w, w.EnableKey, &model.EnableKeyInput{KeyId: key.KeyId})
		}
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob}); string(got.Plaintext) != "x" {
			w.t.Error(got)
		}
		do(w, w.UpdateKeyDescription, &model.UpdateKeyDescriptionInput{KeyId: key.KeyId, Description: new("new")})
		if got := w.describe(key.KeyId); *got.Description != "new" {
			w.t.Error(*got.Description)
		}
	})
}

func TestDeletion(t *testing.T) {
	each(t, func(w *world) {
		key, kept := w.newKey(nil), w.newKey(nil)
		blob := w.encrypted(*key.KeyId, "x", nil)
		do(w, w.CreateAlias, &model.CreateAliasInput{AliasName: new("alias/x"), TargetKeyId: key.KeyId})
		for _, days := range []int64{1, 6, 31} {
			refuse(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: &days}, "ValidationException",
				"The PendingWindowInDays parameter must be a number from 7 to 30, inclusive.")
		}
		out := do(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: new(int64(7))})
		want := &model.ScheduleKeyDeletionOutput{KeyId: key.Arn, KeyState: new("PendingDeletion"), PendingWindowInDays: new(int64(7)), DeletionDate: new(api.At(w.now.AddDate(0, 0, 7)))}
		if diff := cmp.Diff(want, out); diff != "" {
			w.t.Error(diff)
		}
		refuse(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob}, "KMSInvalidStateException", *key.Arn+" is pending deletion.")
		if got := w.describe(key.KeyId); *got.DeletionDate != *out.DeletionDate || *got.Enabled {
			w.t.Error(got)
		}
		do(w, w.CancelKeyDeletion, &model.CancelKeyDeletionInput{KeyId: key.KeyId})
		if got := w.describe(key.KeyId); *got.KeyState != stateDisabled || got.DeletionDate != nil {
			w.t.Error(got)
		}
		refuse(w, w.CancelKeyDeletion, &model.CancelKeyDeletionInput{KeyId: key.KeyId}, "KMSInvalidStateException", *key.Arn+" is not pending deletion.")
		if got := do(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: key.KeyId}); *got.PendingWindowInDays != 30 {
			w.t.Error(got)
		}
		w.purged(0)
		w.now = w.now.AddDate(0, 0, 30) // the window is over, before the purge has come by
		missing := "Key '" + *key.Arn + "' does not exist"
		refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: key.KeyId}, "NotFoundException", missing)
		if got := do(w, w.ListKeys, &model.ListKeysInput{}); len(got.Keys) != 1 || *got.Keys[0].KeyId != *kept.KeyId {
			w.t.Error(got.Keys)
		}
		w.purged(1)
		refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: key.KeyId}, "NotFoundException", missing)
		refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: new("alias/x")}, "NotFoundException", "Alias arn:aws:kms:us-east-1:111111111111:alias/x is not found.")
		if n := w.materials(*key.KeyId); n != 0 {
			w.t.Errorf("%d materials of a deleted key are left", n)
		}
		w.describe(kept.KeyId)
	})
}

// purged purges keys now, of which there must be as many.
func (w *world) purged(want int) {
	w.t.Helper()
	if n, err := w.Purge(w.t.Context(), w.now); n != want || err != nil {
		w.t.Errorf("purged %d keys, %v; want %d", n, err, want)
	}
}

// materials counts the materials of a key.
func (w *world) materials(keyID string) (n int) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *store.Tx) error {
		rows, err := selectMaterial(tx, keyID)
		n = len(rows)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestAliases(t *testing.T) {
	each(t, func(w *world) {
		one, two := w.newKey(nil), w.newKey(nil)
		mac := w.newKey(&model.CreateKeyInput{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")})
		create := func(name, key *string) *model.CreateAliasInput {
			return &model.CreateAliasInput{AliasName: name, TargetKeyId: key}
		}
		app := new("alias/app")
		refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: app}, "NotFoundException", "Alias arn:aws:kms:us-east-1:111111111111:alias/app is not found.")
		do(w, w.CreateAlias, create(app, one.Arn))
		refuse(w, w.CreateAlias, create(app, two.Arn), "AlreadyExistsException", "An alias with the name arn:aws:kms:us-east-1:111111111111:alias/app already exists")
		refuse(w, w.CreateAlias, create(new("app"), one.Arn), "ValidationException",
			`Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html`)
		refuse(w, w.CreateAlias, create(new("alias/aws/app"), one.Arn), "NotAuthorizedException", "")
		refuse(w, w.CreateAlias, create(new("alias/b"), app), "ValidationException", "Aliases must refer to keys. Not aliases")
		missing := keyARN(account, region, newID(false))
		refuse(w, w.CreateAlias, create(new("alias/b"), &missing), "NotFoundException", "Key '"+missing+"' does not exist")
		for _, name := range []string{"alias/app", "arn:aws:kms:us-east-1:111111111111:alias/app"} {
			if got := w.describe(&name); *got.KeyId != *one.KeyId {
				w.t.Error(*got.KeyId)
			}
		}
		blob := w.encrypted("alias/app", "x", nil)
		do(w, w.UpdateAlias, &model.UpdateAliasInput{AliasName: app, TargetKeyId: two.KeyId})
		for _, s := range []*Service{w.Service, w.again()} {
			if got := do(w, s.DescribeKey, &model.DescribeKeyInput{KeyId: app}).KeyMetadata; *got.KeyId != *two.KeyId {
				w.t.Error(*got.KeyId)
			}
		}
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob}); *got.KeyId != *one.Arn {
			w.t.Error(*got.KeyId)
		}
		refuse(w, w.UpdateAlias, &model.UpdateAliasInput{AliasName: app, TargetKeyId: mac.KeyId}, "ValidationException",
			"The alias alias/app cannot be moved to "+*mac.Arn+": both keys must be of the same type and key usage.")
		do(w, w.CreateAlias, create(new("alias/b"), two.Arn))
		do(w, w.CreateAlias, create(new("alias/Z"), one.Arn))
		w.listed(nil, "alias/Z", "alias/app", "alias/aws/secretsmanager", "alias/b")
		w.listed(two.KeyId, "alias/app", "alias/b")
		do(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: two.KeyId})
		refuse(w, w.CreateAlias, create(new("alias/c"), two.Arn), "KMSInvalidStateException", *two.Arn+" is pending deletion.")
		do(w, w.UpdateAlias, &model.UpdateAliasInput{AliasName: app, TargetKeyId: one.KeyId}) // away from such a key it may go
		do(w, w.DeleteAlias, &model.DeleteAliasInput{AliasName: new("alias/b")})
		refuse(w, w.DeleteAlias, &model.DeleteAliasInput{AliasName: new("alias/b")}, "NotFoundException", "Alias arn:aws:kms:us-east-1:111111111111:alias/b is not found.")
		w.listed(nil, "alias/Z", "alias/app", "alias/aws/secretsmanager")
	})
}

// listed lists aliases page by page, with pages of each size.
func (w *world) listed(key *string, want ...string) {
	w.t.Helper()
	for size := int64(1); size <= int64(len(want))+1; size++ {
		var got []string
		in := &model.ListAliasesInput{KeyId: key, Limit: &size}
		for {
			out := do(w, w.ListAliases, in)
			for _, a := range out.Aliases {
				got = append(got, *a.AliasName)
				if !strings.HasSuffix(*a.AliasArn, ":"+*a.AliasName) || (a.TargetKeyId == nil) != (*a.AliasName == DefaultAlias) {
					w.t.Error(*a.AliasArn)
				}
			}
			if in.Marker = out.NextMarker; in.Marker == nil {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Errorf("pages of %d: %s", size, diff)
		}
	}
}

// Who changes an alias needs permission on it and on its keys.
func TestAliasPermissions(t *testing.T) {
	w := newWorld(t)
	one, two := w.newKey(nil), w.newKey(nil)
	do(w, w.CreateAlias, &model.CreateAliasInput{AliasName: new("alias/app"), TargetKeyId: one.KeyId})
	const onAlias = `"arn:aws:kms:us-east-1:111111111111:alias/app"`
	for _, tt := range []struct {
		resources string
		allowed   bool
	}{
		{onAlias, false}, {`"` + *one.Arn + `","` + *two.Arn + `"`, false}, {onAlias + `,"` + *one.Arn + `"`, false}, {onAlias + `,"` + *two.Arn + `"`, false},
		{onAlias + `,"` + *one.Arn + `","` + *two.Arn + `"`, true},
	} {
		w.policies = granting(t, `{"Effect":"Allow","Action":"kms:UpdateAlias","Resource":[`+tt.resources+`]}`)
		if _, err := try(w, w.UpdateAlias, &model.UpdateAliasInput{AliasName: new("alias/app"), TargetKeyId: two.KeyId}); (err == nil) != tt.allowed {
			t.Errorf("with %s: %v", tt.resources, err)
		}
	}
}

func TestAliasConditions(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(nil)
	do(w, w.CreateAlias, &model.CreateAliasInput{AliasName: new("alias/app"), TargetKeyId: key.KeyId})
	for condition, allowed := range map[string][2]bool{ // by id, and by the alias
		`{"StringEquals":{"kms:RequestAlias":"alias/app"}}`:                  {false, true},
		`{"StringLike":{"kms:RequestAlias":"alias/other*"}}`:                 {false, false},
		`{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/app"}}`:   {true, true},
		`{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/other"}}`: {false, false},
	} {
		w.policies = granting(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+condition+`}`)
		for i, id := range []string{*key.KeyId, "alias/app"} {
			if _, err := try(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: &id}); (err == nil) != allowed[i] {
				t.Errorf("%s under %s: %v", id, condition, err)
			}
		}
	}
}

func TestTags(t *testing.T) {
	each(t, func(w *world) {
		key := w.newKey(&model.CreateKeyInput{Tags: []model.Tag{{TagKey: new("team"), TagValue: new("red")}}})
		set := func(pairs ...string) *model.TagResourceInput {
			in := &model.TagResourceInput{KeyId: key.KeyId}
			for i := 0; i < len(pairs); i += 2 {
				in.Tags = append(in.Tags, model.Tag{TagKey: &pairs[i], TagValue: &pairs[i+1]})
			}
			return in
		}
		do(w, w.TagResource, set("a", "1", "team", "blue"))
		do(w, w.UntagResource, &model.UntagResourceInput{KeyId: key.KeyId, TagKeys: []string{"none"}})
		refuse(w, w.TagResource, set("aws:x", "1"), "TagException", "Tags beginning with aws: are reserved")
		refuse(w, w.TagResource, set("x", "1", "x", "2"), "TagException", "Duplicate tag keys")
		var many []string
		for i := range maxTags {
			many = append(many, strings.Repeat("k", i+1), "")
		}
		refuse(w, w.TagResource, set(many...), "TagException", "Too many tags")
		var got []string
		in := &model.ListResourceTagsInput{KeyId: key.KeyId, Limit: new(int64(1))}
		for {
			out := do(w, w.ListResourceTags, in)
			for _, tag := range out.Tags {
				got = append(got, *tag.TagKey+"="+*tag.TagValue)
			}
			if in.Marker = out.NextMarker; in.Marker == nil {
				break
			}
		}
		if diff := cmp.Diff([]string{"team=blue", "a=1"}, got); diff != "" {
			w.t.Error(diff)
		}
		w.policies = granting(w.t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}`)
		w.describe(key.KeyId)
		w.policies = granting(w.t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}`)
		if _, err := try(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: key.KeyId}); err == nil {
			w.t.Error("another tag")
		}
	})
}

func TestKeyPolicies(t *testing.T) {
	each(t, func(w *world) {
		key := w.newKey(nil)
		get := &model.GetKeyPolicyInput{KeyId: key.KeyId}
		if got := do(w, w.GetKeyPolicy, get); *got.Policy != defaultPolicy(account) || *got.PolicyName != "default" {
			w.t.Error(*got.Policy)
		}
		refuse(w, w.GetKeyPolicy, &model.GetKeyPolicyInput{KeyId: key.KeyId, PolicyName: new("other")}, "NotFoundException", "No such policy exists")
		ann := w.user("ann")
		text := document(`{"Effect":"Allow","Principal":{"AWS":"` + ann.ARN + `"},"Action":["kms:GetKeyPolicy","kms:PutKeyPolicy","kms:ListKeyPolicies"],"Resource":"*"}`)
		put := &model.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &text}
		do(w, w.PutKeyPolicy, put)
		if got := do(w, w.GetKeyPolicy, get); *got.Policy != text {
			w.t.Error(*got.Policy)
		}
		if got := do(w, w.ListKeyPolicies, &model.ListKeyPoliciesInput{KeyId: key.KeyId}); *got.Truncated || cmp.Diff([]string{"default"}, got.PolicyNames) != "" {
			w.t.Error(got)
		}
		refuse(w, w.PutKeyPolicy, &model.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &text, PolicyName: new("other")}, "UnsupportedOperationException", "Only default policy is supported")
		if _, err := try(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: key.KeyId}); err == nil {
			w.t.Error("what the new policy does not allow is allowed")
		}
		stranger := userOf(account, "ann") // of the same name, made after the first was gone
		stranger.ID = "AIDAQSTRANGERSTRANGER"
		w.caller = &stranger
		if _, err := try(w, w.GetKeyPolicy, get); err == nil {
			w.t.Error("who took over a name has the permissions of who had it")
		}
	})
}

// Nobody changes the default key, which is AWS's, or uses it but through Secrets
// Manager; the account may look at it.
func TestTheDefaultKeyIsNotTheCustomers(t *testing.T) {
	w := newWorld(t)
	key, err := w.Resolve(t.Context(), w.from(account, region), "")
	if err != nil {
		t.Fatal(err)
	}
	id := &key.ID
	if got := w.describe(new(DefaultAlias)); *got.KeyManager != "AWS" || *got.KeyId != key.ID {
		t.Error(got)
	}
	if got := do(w, w.GetKeyRotationStatus, &model.GetKeyRotationStatusInput{KeyId: id}); !*got.KeyRotationEnabled || *got.RotationPeriodInDays != 365 {
		t.Error(got)
	}
	do(w, w.GetKeyPolicy, &model.GetKeyPolicyInput{KeyId: id})
	do(w, w.ListResourceTags, &model.ListResourceTagsInput{KeyId: id})
	for name, err := range map[string]error{
		"DisableKey":          second(try(w, w.DisableKey, &model.DisableKeyInput{KeyId: id})),
		"ScheduleKeyDeletion": second(try(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: id})),
		"PutKeyPolicy":        second(try(w, w.PutKeyPolicy, &model.PutKeyPolicyInput{KeyId: id, Policy: new(defaultPolicy(account))})),
		"TagResource":         second(try(w, w.TagResource, &model.TagResourceInput{KeyId: id, Tags: []model.Tag{{TagKey: new("a"), TagValue: new("b")}}})),
		"EnableKeyRotation":   second(try(w, w.EnableKeyRotation, &model.EnableKeyRotationInput{KeyId: id})),
		"Encrypt":             second(try(w, w.Encrypt, &model.EncryptInput{KeyId: id, Plaintext: api.SensitiveBlob("x")})),
		"CreateAlias":         second(try(w, w.CreateAlias, &model.CreateAliasInput{AliasName: new("alias/mine"), TargetKeyId: id})),
	} {
		if e, _ := errors.AsType[*api.Error](err); e == nil || e.Code != "AccessDeniedException" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// To describe the default key makes it, for who may; other aliases are AWS's, too,
// and are not there.
func TestDescribeMakesTheDefaultKey(t *testing.T) {
	w := newWorld(t)
	held := w.policies
	w.policies = granting(t, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	if _, err := try(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: new(DefaultAlias)}); err == nil {
		t.Error("described without permission")
	}
	w.policies = held
	if got := do(w, w.ListKeys, &model.ListKeysInput{}); len(got.Keys) != 0 {
		t.Error("made for who may not")
	}
	made := w.describe(new(DefaultAlias))
	if again := w.describe(new("arn:aws:kms:us-east-1:111111111111:" + DefaultAlias)); *again.KeyId != *made.KeyId {
		t.Error("made twice")
	}
	refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: new("alias/aws/s3")}, "NotFoundException", "Alias arn:aws:kms:us-east-1:111111111111:alias/aws/s3 is not found.")
}

func second[T any](_ T, err error) error { return err }

func TestRotation(t *testing.T) {
	each(t, func(w *world) {
		key := w.newKey(nil)
		status := func() *model.GetKeyRotationStatusOutput {
			return do(w, w.GetKeyRotationStatus, &model.GetKeyRotationStatusInput{KeyId: key.KeyId})
		}
		if diff := cmp.Diff(&model.GetKeyRotationStatusOutput{KeyId: key.Arn, KeyRotationEnabled: new(false)}, status()); diff != "" {
			w.t.Error(diff)
		}
		do(w, w.EnableKeyRotation, &model.EnableKeyRotationInput{KeyId: key.KeyId, RotationPeriodInDays: new(int64(90))})
		next := api.At(w.now.AddDate(0, 0, 90))
		want := &model.GetKeyRotationStatusOutput{KeyId: key.Arn, KeyRotationEnabled: new(true), RotationPeriodInDays: new(int64(90)), NextRotationDate: &next}
		if diff := cmp.Diff(want, status()); diff != "" {
			w.t.Error(diff)
		}
		blobs := [][]byte{w.encrypted(*key.KeyId, "0", nil)}
		do(w, w.RotateKeyOnDemand, &model.RotateKeyOnDemandInput{KeyId: key.KeyId})
		blobs = append(blobs, w.encrypted(*key.KeyId, "1", nil))
		if diff := cmp.Diff(want, status()); diff != "" {
			w.t.Error("a rotation on demand has moved the schedule", diff)
		}
		w.rotated(0)
		w.now = next.Time()
		w.rotated(1)
		w.rotated(0)
		blobs = append(blobs, w.encrypted(*key.KeyId, "2", nil))
		if next := *status().NextRotationDate; next != *want.NextRotationDate+90*dayMillis {
			w.t.Error(next.Time())
		}
		w.now = w.now.AddDate(5, 0, 0) // off for years: one rotation, and the next one is to come
		w.rotated(1)
		if next := status().NextRotationDate.Time(); !next.After(w.now) || next.Sub(w.now) > 90*24*time.Hour {
			w.t.Error(next)
		}
		ids := map[string]bool{}
		for i, blob := range blobs {
			for _, s := range []*Service{w.Service, w.again()} {
				got := do(w, s.Decrypt, &model.DecryptInput{CiphertextBlob: blob})
				ids[*got.KeyMaterialId] = true
				if string(got.Plaintext) != string(rune('0'+i)) {
					w.t.Error(got)
				}
			}
		}
		if len(ids) != 3 || *w.describe(key.KeyId).CurrentKeyMaterialId == *key.CurrentKeyMaterialId {
			w.t.Errorf("materials %v", ids)
		}
		w.rotations(key.KeyId, "ROTATIONS_ONLY", "ON_DEMAND NON_CURRENT", "AUTOMATIC NON_CURRENT", "AUTOMATIC CURRENT")
		w.rotations(key.KeyId, "ALL_KEY_MATERIAL", " NON_CURRENT", "ON_DEMAND NON_CURRENT", "AUTOMATIC NON_CURRENT", "AUTOMATIC CURRENT")
		do(w, w.DisableKeyRotation, &model.DisableKeyRotationInput{KeyId: key.KeyId})
		w.now = w.now.AddDate(1, 0, 0)
		w.rotated(0)
		for range maxOnDemand - 1 {
			do(w, w.RotateKeyOnDemand, &model.RotateKeyOnDemandInput{KeyId: key.KeyId})
		}
		refuse(w, w.RotateKeyOnDemand, &model.RotateKeyOnDemandInput{KeyId: key.KeyId}, "LimitExceededException",
			"The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: "+*key.Arn)
		mac := w.newKey(&model.CreateKeyInput{KeySpec: new("HMAC_256"), KeyUsage: new("GENERATE_VERIFY_MAC")})
		refuse(w, w.EnableKeyRotation, &model.EnableKeyRotationInput{KeyId: mac.KeyId}, "UnsupportedOperationException", "")
		refuse(w, w.RotateKeyOnDemand, &model.RotateKeyOnDemandInput{KeyId: mac.KeyId}, "UnsupportedOperationException", "")
		imported := w.newKey(&model.CreateKeyInput{Origin: new("EXTERNAL")})
		refuse(w, w.EnableKeyRotation, &model.EnableKeyRotationInput{KeyId: imported.KeyId}, "UnsupportedOperationException",
			*imported.Arn+" origin is EXTERNAL which is not valid for this operation.")
	})
}

func (w *world) rotated(want int) {
	w.t.Helper()
	if n, err := w.Rotate(w.t.Context(), w.now); n != want || err != nil {
		w.t.Errorf("rotated %d keys, %v; want %d", n, err, want)
	}
}

func (w *world) rotations(key *string, include string, want ...string) {
	w.t.Helper()
	var got []string
	in := &model.ListKeyRotationsInput{KeyId: key, IncludeKeyMaterial: &include, Limit: new(int64(2))}
	for {
		out := do(w, w.ListKeyRotations, in)
		for _, r := range out.Rotations {
			got = append(got, deref(r.RotationType, "")+" "+*r.KeyMaterialState)
		}
		if in.Marker = out.NextMarker; in.Marker == nil {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error(diff)
	}
}

func TestRegions(t *testing.T) {
	each(t, func(w *world) {
		key := w.newKey(&model.CreateKeyInput{MultiRegion: new(true)})
		single := w.newKey(nil)
		to := func(key, region *string) *model.ReplicateKeyInput {
			return &model.ReplicateKeyInput{KeyId: key, ReplicaRegion: region}
		}
		west, tokyo := new("us-west-2"), new("ap-northeast-1")
		refuse(w, w.ReplicateKey, to(single.KeyId, west), "UnsupportedOperationException", *single.Arn+" is not a multi-region primary key.")
		refuse(w, w.ReplicateKey, to(key.KeyId, new("eu-west-1")), "ValidationException", "The Region eu-west-1 is not served.")
		refuse(w, w.ReplicateKey, to(key.KeyId, new(region)), "AlreadyExistsException", "The key "+*key.Arn+" already exists.")
		blob := w.encrypted(*key.KeyId, "x", nil)
		out := do(w, w.ReplicateKey, to(key.KeyId, west))
		replica := out.ReplicaKeyMetadata
		if *replica.KeyState != "Creating" || *replica.KeyId != *key.KeyId || *replica.Arn != keyARN(account, *west, *key.KeyId) || *out.ReplicaPolicy != defaultPolicy(account) {
			w.t.Error(*replica.KeyState, *replica.Arn)
		}
		do(w, w.ReplicateKey, to(key.KeyId, tokyo))
		w.region = *west
		got := w.describe(key.KeyId)
		if *got.KeyState != stateEnabled || *got.MultiRegionConfiguration.MultiRegionKeyType != "REPLICA" || len(got.MultiRegionConfiguration.ReplicaKeys) != 2 {
			w.t.Error(got)
		}
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob}); string(got.Plaintext) != "x" || *got.KeyId != *replica.Arn {
			w.t.Error(*got.KeyId)
		}
		refuse(w, w.RotateKeyOnDemand, &model.RotateKeyOnDemandInput{KeyId: key.KeyId}, "UnsupportedOperationException", *replica.Arn+" is not a multi-region primary key.")
		do(w, w.DisableKey, &model.DisableKeyInput{KeyId: key.KeyId}) // the state is each region's own
		w.region = region
		do(w, w.RotateKeyOnDemand, &model.RotateKeyOnDemandInput{KeyId: key.KeyId})
		blob = w.encrypted(*key.KeyId, "y", nil)
		w.region = *tokyo
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob}); string(got.Plaintext) != "y" {
			w.t.Error(got)
		}
		w.region = region
		primary := func(region *string) *model.UpdatePrimaryRegionInput {
			return &model.UpdatePrimaryRegionInput{KeyId: key.KeyId, PrimaryRegion: region}
		}
		refuse(w, w.UpdatePrimaryRegion, primary(west), "DisabledException", *replica.Arn+" is disabled.")
		refuse(w, w.UpdatePrimaryRegion, primary(new("eu-west-1")), "NotFoundException", "Key '"+keyARN(account, "eu-west-1", *key.KeyId)+"' does not exist")
		do(w, w.UpdatePrimaryRegion, primary(tokyo))
		if got := w.describe(key.KeyId).MultiRegionConfiguration; *got.MultiRegionKeyType != "REPLICA" || *got.PrimaryKey.Region != *tokyo {
			w.t.Error(got)
		}
		w.region = *tokyo
		if got := do(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: new(int64(8))}); *got.KeyState != "PendingReplicaDeletion" || got.DeletionDate != nil {
			w.t.Error(got)
		}
		if got := w.describe(key.KeyId); *got.PendingDeletionWindowInDays != 8 || got.DeletionDate != nil {
			w.t.Error(got)
		}
		for _, r := range []string{region, *west} {
			w.region = r
			do(w, w.ScheduleKeyDeletion, &model.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: new(int64(7))})
		}
		w.now = w.now.AddDate(0, 0, 7)
		w.purged(2)
		w.region = *tokyo
		if got := w.describe(key.KeyId); *got.KeyState != statePendingDeletion || *got.DeletionDate != api.At(w.now.Add(-time.Second).AddDate(0, 0, 8)) || w.materials(*key.KeyId) != 2 {
			w.t.Error(*got.KeyState, got.DeletionDate)
		}
		w.now = w.now.AddDate(0, 0, 8)
		w.purged(1)
		if n := w.materials(*key.KeyId); n != 0 {
			w.t.Errorf("%d materials are left", n)
		}
	})
}

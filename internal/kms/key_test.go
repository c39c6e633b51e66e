package kms

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	model "azekura/internal/api/kms"
	"azekura/internal/material"
)

// https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
func TestCreateKey(t *testing.T) {
	each(t, func(w *world) {
		got := w.newKey(nil)
		want := &model.KeyMetadata{
			AWSAccountId: new(account), KeyId: got.KeyId, Arn: new("arn:aws:kms:us-east-1:111111111111:key/" + *got.KeyId),
			CreationDate: got.CreationDate, Enabled: new(true), KeyState: new("Enabled"), Description: new(""), KeyManager: new("CUSTOMER"),
			KeyUsage: new("ENCRYPT_DECRYPT"), KeySpec: new("SYMMETRIC_DEFAULT"), CustomerMasterKeySpec: new("SYMMETRIC_DEFAULT"), Origin: new("AWS_KMS"),
			EncryptionAlgorithms: []string{"SYMMETRIC_DEFAULT"}, MultiRegion: new(false), CurrentKeyMaterialId: got.CurrentKeyMaterialId,
		}
		if diff := cmp.Diff(want, got); diff != "" || len(*got.CurrentKeyMaterialId) != 64 || !isKeyID(*got.KeyId) {
			w.t.Error(diff)
		}
		for _, s := range []*Service{w.Service, w.again()} {
			if diff := cmp.Diff(got, do(w, s.DescribeKey, &model.DescribeKeyInput{KeyId: got.KeyId}).KeyMetadata); diff != "" {
				w.t.Error(diff)
			}
		}
		multi := w.newKey(&model.CreateKeyInput{MultiRegion: new(true), Description: new("d")})
		primary := model.MultiRegionKey{Arn: multi.Arn, Region: new(region)}
		wantMulti := &model.MultiRegionConfiguration{MultiRegionKeyType: new("PRIMARY"), PrimaryKey: &primary, ReplicaKeys: []model.MultiRegionKey{}}
		if diff := cmp.Diff(wantMulti, multi.MultiRegionConfiguration); diff != "" || !strings.HasPrefix(*multi.KeyId, "mrk-") || !isKeyID(*multi.KeyId) {
			w.t.Error(*multi.KeyId, diff)
		}
	})
}

// Keys of each spec and usage are made, and those that cannot be are refused.
func TestCreateKeyOfEachSpec(t *testing.T) {
	w := newWorld(t)
	for spec, usages := range map[string][]string{
		"SYMMETRIC_DEFAULT": {"ENCRYPT_DECRYPT"}, "RSA_2048": {"ENCRYPT_DECRYPT", "SIGN_VERIFY"}, "ECC_NIST_P256": {"SIGN_VERIFY", "KEY_AGREEMENT"},
		"ECC_NIST_P384": {"SIGN_VERIFY", "KEY_AGREEMENT"}, "ECC_NIST_P521": {"SIGN_VERIFY", "KEY_AGREEMENT"}, "ECC_NIST_EDWARDS25519": {"SIGN_VERIFY"},
		"HMAC_224": {"GENERATE_VERIFY_MAC"}, "HMAC_256": {"GENERATE_VERIFY_MAC"}, "HMAC_384": {"GENERATE_VERIFY_MAC"}, "HMAC_512": {"GENERATE_VERIFY_MAC"},
	} {
		for _, usage := range []string{"ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"} {
			in := &model.CreateKeyInput{KeySpec: &spec, KeyUsage: &usage}
			if !slices.Contains(usages, usage) {
				refuse(w, w.CreateKey, in, "ValidationException", "KeyUsage "+usage+" is not compatible with KeySpec "+spec)
				continue
			}
			got := do(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: w.newKey(in).KeyId}).KeyMetadata
			all := slices.Concat(got.EncryptionAlgorithms, got.SigningAlgorithms, got.MacAlgorithms, got.KeyAgreementAlgorithms)
			if diff := cmp.Diff(material.Algorithms(material.Spec(spec), material.Usage(usage)), all); diff != "" || *got.KeyUsage != usage || *got.KeySpec != spec {
				t.Error(spec, usage, diff)
			}
		}
	}
	for _, tt := range []struct {
		in         *model.CreateKeyInput
		code, text string
	}{
		{&model.CreateKeyInput{KeySpec: new("RSA_2048")}, "ValidationException", "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."},
		{&model.CreateKeyInput{KeySpec: new("RSA_2048"), CustomerMasterKeySpec: new("RSA_2048")}, "ValidationException",
			"You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."},
		{&model.CreateKeyInput{KeySpec: new("ECC_SECG_P256K1"), KeyUsage: new("SIGN_VERIFY")}, "UnsupportedOperationException", ""},
		{&model.CreateKeyInput{KeySpec: new("ML_DSA_44"), KeyUsage: new("SIGN_VERIFY")}, "UnsupportedOperationException", ""},
		{&model.CreateKeyInput{Origin: new("AWS_CLOUDHSM")}, "UnsupportedOperationException", ""},
		{&model.CreateKeyInput{CustomKeyStoreId: new("cks-1"), Origin: new("AWS_CLOUDHSM")}, "UnsupportedOperationException", ""},
		{&model.CreateKeyInput{Tags: []model.Tag{{TagKey: new("a"), TagValue: new("")}, {TagKey: new("a"), TagValue: new("")}}}, "TagException", "Duplicate tag keys"},
		{&model.CreateKeyInput{Tags: []model.Tag{{TagKey: new("AWS:a"), TagValue: new("")}}}, "TagException", "Tags beginning with aws: are reserved"},
	} {
		refuse(w, w.CreateKey, tt.in, tt.code, tt.text)
	}
}

func TestKeyPolicyIsChecked(t *testing.T) {
	w := newWorld(t)
	ann := `"Principal":{"AWS":"arn:aws:iam::111111111111:user/ann"}`
	const locks, principals = "The new key policy will not allow you to update the key policy in the future.", "Policy contains a statement with one or more invalid principals."
	root := `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}`
	w.user("ann")
	for _, tt := range []struct{ policy, code, text string }{
		{document(`{"Effect":"Allow",` + ann + `,"Action":"kms:PutKeyPolicy","Resource":"*"}`), "", ""},
		{document(root), "", ""},
		{document(root + `,{"Effect":"Deny","Principal":"*","Action":"kms:PutKeyPolicy","Resource":"*"}`), "MalformedPolicyDocumentException", locks},
		{document(`{"Effect":"Allow",` + ann + `,"Action":"kms:Decrypt","Resource":"*"}`), "MalformedPolicyDocumentException", locks},
		{document(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:*","Resource":"*"}`), "MalformedPolicyDocumentException", locks},
		{document(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/nobody"},"Action":"kms:*","Resource":"*"}`), "MalformedPolicyDocumentException", principals},
		{document(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`), "MalformedPolicyDocumentException", "Missing required field Principal"},
		{document(root + strings.Repeat(" ", maxPolicy)), "LimitExceededException", "The key policy is larger than 32768 bytes."},
	} {
		in := &model.CreateKeyInput{Policy: &tt.policy}
		if tt.code == "" {
			do(w, w.CreateKey, in)
		} else {
			refuse(w, w.CreateKey, in, tt.code, tt.text)
		}
	}
	bypassed := document(`{"Effect":"Allow",` + ann + `,"Action":"kms:DescribeKey","Resource":"*"}`)
	do(w, w.CreateKey, &model.CreateKeyInput{Policy: &bypassed, BypassPolicyLockoutSafetyCheck: new(true)})
}

func TestListKeys(t *testing.T) {
	each(t, func(w *world) {
		var want []string
		for range 5 {
			want = append(want, *w.newKey(nil).KeyId)
		}
		slices.Sort(want)
		w.region = "us-west-2"
		w.newKey(nil)
		w.region = region
		var got []string
		in := &model.ListKeysInput{Limit: new(int64(2))}
		for {
			out := do(w, w.ListKeys, in)
			for _, k := range out.Keys {
				got = append(got, *k.KeyId)
				if *k.KeyArn != keyARN(account, region, *k.KeyId) {
					w.t.Error(*k.KeyArn)
				}
			}
			if *out.Truncated != (out.NextMarker != nil) || len(out.Keys) > 2 {
				w.t.Error("a page does not say whether it is the last, or is too long")
			}
			if out.NextMarker == nil {
				break
			}
			in.Marker = out.NextMarker
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.t.Error(diff)
		}
		refuse(w, w.ListKeys, &model.ListKeysInput{Marker: new("made-up")}, "InvalidMarkerException", "The marker is invalid.")
		w.region = "us-west-2"
		refuse(w, w.ListKeys, in, "InvalidMarkerException", "The marker is invalid.")
	})
}

// The table of AWS's documentation, by a representative of each row.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
func TestStates(t *testing.T) {
	const x1, x3, x4, x5 = "DisabledException K is disabled.", "KMSInvalidStateException K is pending deletion.",
		"KMSInvalidStateException K is not pending deletion.", "KMSInvalidStateException K is pending import."
	states := []string{stateEnabled, stateDisabled, statePendingDeletion, statePendingReplicaDeletion, statePendingImport, "nonsense"}
	unavailable := "KMSInvalidStateException K is unavailable."
	for op, want := range map[string][]string{
		"Encrypt":           {"", x1, x3, x3, x5, unavailable},
		"Decrypt":           {"", x1, x3, x3, x5, unavailable},
		"Sign":              {"", x1, x3, x3, x5, unavailable},
		"GenerateDataKey":   {"", x1, x3, x3, x5, unavailable},
		"CreateGrant":       {"", x1, x3, x3, x5, unavailable},
		"EnableKeyRotation": {"", x1, x3, x3, "", unavailable},
		"RotateKeyOnDemand": {"", x1, x3, x3, x5, unavailable},
		"ReplicateKey":      {"", x1, x3, x3, x5, unavailable},
		"EnableKey":         {"", "", x3, x3, x5, ""}, "DisableKey": {"", "", x3, x3, x5, ""},
		"CreateAlias": {"", "", x3, x3, "", ""}, "TagResource": {"", "", x3, x3, "", ""}, "ScheduleKeyDeletion": {"", "", x3, x3, "", ""},
		"ImportKeyMaterial": {"", "", x3, x3, "", ""},
		"CancelKeyDeletion": {x4, x4, "", "", x4, x4},
		"DescribeKey":       {"", "", "", "", "", ""}, "RevokeGrant": {"", "", "", "", "", ""}, "PutKeyPolicy": {"", "", "", "", "", ""},
	} {
		for i, state := range states {
			got := ""
			if err := (&Key{ARN: "K", state: state}).ready(op); err != nil {
				got = err.Code + " " + err.Message
			}
			if got != want[i] {
				t.Errorf("%s of a key that is %s: got %q, want %q", op, state, got, want[i])
			}
		}
	}
}

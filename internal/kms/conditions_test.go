package kms

import (
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
)

// Each key of a request holds what the request says, and is absent from others.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
func TestConditions(t *testing.T) {
	w := newWorld(t)
	key := &Key{spec: "SYMMETRIC_DEFAULT", usage: "ENCRYPT_DECRYPT", origin: originKMS, region: region, primary: region}
	const absent = "(absent)"
	for _, tt := range []struct {
		in        any
		key, want string
	}{
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:keyspec", "SYMMETRIC_DEFAULT"},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:customermasterkeyusage", "ENCRYPT_DECRYPT"},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:keyorigin", "AWS_KMS"},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:multiregion", "true"},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:multiregionkeytype", "PRIMARY"},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:viaservice", absent},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:calleraccount", account},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:requestalias", absent},
		{&model.DescribeKeyInput{KeyId: new("arn:aws:kms:us-east-1:111111111111:alias/a/b")}, "kms:requestalias", "alias/a/b"},
		{&model.EncryptInput{EncryptionContext: Context{"App": "web"}}, "kms:encryptioncontext:app", "web"},
		{&model.EncryptInput{EncryptionContext: Context{"App": "web"}}, "kms:encryptioncontextkeys", "App"},
		{&model.EncryptInput{}, "kms:encryptioncontextkeys", absent},
		{&model.EncryptInput{}, "kms:encryptionalgorithm", "SYMMETRIC_DEFAULT"},
		{&model.DecryptInput{EncryptionAlgorithm: new("RSAES_OAEP_SHA_256")}, "kms:encryptionalgorithm", "RSAES_OAEP_SHA_256"},
		{&model.SignInput{SigningAlgorithm: new("ECDSA_SHA_256")}, "kms:signingalgorithm", "ECDSA_SHA_256"},
		{&model.SignInput{SigningAlgorithm: new("ECDSA_SHA_256")}, "kms:messagetype", "RAW"},
		{&model.SignInput{SigningAlgorithm: new("ECDSA_SHA_256")}, "kms:encryptionalgorithm", absent},
		{&model.SignInput{SigningAlgorithm: new("ECDSA_SHA_256")}, "kms:encryptioncontext:a", absent},
		{&model.VerifyMacInput{MacAlgorithm: new("HMAC_SHA_256")}, "kms:macalgorithm", "HMAC_SHA_256"},
		{&model.DeriveSharedSecretInput{KeyAgreementAlgorithm: new("ECDH")}, "kms:keyagreementalgorithm", "ECDH"},
		{&model.GenerateDataKeyPairInput{KeyPairSpec: new("RSA_2048")}, "kms:datakeypairspec", "RSA_2048"},
		{&model.PutKeyPolicyInput{BypassPolicyLockoutSafetyCheck: new(true)}, "kms:bypasspolicylockoutsafetycheck", "true"},
		{&model.PutKeyPolicyInput{}, "kms:bypasspolicylockoutsafetycheck", "false"},
		{&model.ReplicateKeyInput{ReplicaRegion: new("us-west-2")}, "kms:replicaregion", "us-west-2"},
		{&model.UpdatePrimaryRegionInput{PrimaryRegion: new("us-west-2")}, "kms:primaryregion", "us-west-2"},
		{&model.EnableKeyRotationInput{RotationPeriodInDays: new(int64(90))}, "kms:rotationperiodindays", "90"},
		{&model.EnableKeyRotationInput{}, "kms:rotationperiodindays", absent},
		{&model.ScheduleKeyDeletionInput{PendingWindowInDays: new(int64(7))}, "kms:schedulekeydeletionpendingwindowindays", "7"},
		{&model.GetParametersForImportInput{WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")}, "kms:wrappingalgorithm", "RSAES_OAEP_SHA_256"},
		{&model.GetParametersForImportInput{WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")}, "kms:wrappingkeyspec", "RSA_2048"},
		{&model.ImportKeyMaterialInput{ExpirationModel: new(expires), ValidTo: new(api.Timestamp(0))}, "kms:expirationmodel", expires},
		{&model.ImportKeyMaterialInput{ValidTo: new(api.Timestamp(0))}, "kms:validto", "1970-01-01T00:00:00Z"},
		{&model.DescribeKeyInput{KeyId: new("k")}, "kms:nothing", absent},
		{&model.DescribeKeyInput{KeyId: new("k")}, "aws:resourcetag/a", absent},
	} {
		got := absent
		if values, present := conditionKeys(w.call(opOf(tt.in), tt.in), key)(tt.key); present {
			got = values[0]
		}
		if got != tt.want {
			t.Errorf("%s of %T: got %s, want %s", tt.key, tt.in, got, tt.want)
		}
	}
	in := &model.CreateKeyInput{KeySpec: new("RSA_2048"), KeyUsage: new("SIGN_VERIFY"), MultiRegion: new(true), Origin: new("EXTERNAL")}
	for key, want := range map[string]string{"kms:keyspec": "RSA_2048", "kms:keyusage": "SIGN_VERIFY", "kms:keyorigin": "EXTERNAL", "kms:multiregion": "true"} {
		if values, _ := conditionKeys(w.call("CreateKey", in), nil)(key); len(values) != 1 || values[0] != want {
			t.Errorf("%s of CreateKey: %v", key, values)
		}
	}
	c := w.from(account, region).Onward("kms", "Decrypt", &model.DecryptInput{})
	if values, _ := conditionKeys(c, key)("kms:viaservice"); len(values) != 1 || values[0] != "secretsmanager.us-east-1.amazonaws.com" {
		t.Errorf("through Secrets Manager: %v", values)
	}
	hidden := &model.EncryptInput{EncryptionContext: Context{"app": "web", "APP": "api"}}
	if values, _ := conditionKeys(w.call("Encrypt", hidden), key)("kms:encryptioncontext:app"); len(values) != 2 {
		t.Errorf("of two pairs that differ in letter case: %v", values)
	}
}

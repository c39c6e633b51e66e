package kms

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/material"
)

// wrapped is material wrapped for a key, with the token that goes with it.
func (w *world) wrapped(key *string, raw []byte) (blob, token []byte) {
	w.t.Helper()
	out := do(w, w.GetParametersForImport, &model.GetParametersForImportInput{KeyId: key, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")})
	if *out.ParametersValidTo != api.At(w.now.AddDate(0, 0, 1)) {
		w.t.Error(out.ParametersValidTo.Time())
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	blob, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), raw, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return blob, out.ImportToken
}

func TestImport(t *testing.T) {
	each(t, func(w *world) {
		key, twin := w.newKey(&model.CreateKeyInput{Origin: new("EXTERNAL")}), w.newKey(&model.CreateKeyInput{Origin: new("EXTERNAL")})
		if *key.KeyState != statePendingImport || key.CurrentKeyMaterialId != nil || key.ExpirationModel != nil {
			w.t.Error(key)
		}
		refuse(w, w.Encrypt, &model.EncryptInput{KeyId: key.KeyId, Plaintext: api.SensitiveBlob("x")}, "KMSInvalidStateException", *key.Arn+" is pending import.")
		raw := bytes.Repeat([]byte("k"), 32)
		blob, token := w.wrapped(key.KeyId, raw)
		in := func(blob, token []byte) *model.ImportKeyMaterialInput {
			return &model.ImportKeyMaterialInput{KeyId: key.KeyId, EncryptedKeyMaterial: blob, ImportToken: token, ExpirationModel: new(doesNotExpire)}
		}
		flipped := bytes.Clone(token)
		flipped[len(flipped)-1] ^= 1
		refuse(w, w.ImportKeyMaterial, in(blob, flipped), "InvalidImportTokenException", "")
		refuse(w, w.ImportKeyMaterial, in(blob[1:], token), "InvalidCiphertextException", "")
		foreign := in(blob, token)
		foreign.KeyId = twin.KeyId
		refuse(w, w.ImportKeyMaterial, foreign, "InvalidImportTokenException", "")
		short, shortToken := w.wrapped(key.KeyId, raw[1:])
		refuse(w, w.ImportKeyMaterial, in(short, shortToken), "IncorrectKeyMaterialException", "")
		out := do(w, w.ImportKeyMaterial, in(blob, token))
		got := w.describe(key.KeyId)
		if *got.KeyState != stateEnabled || *got.ExpirationModel != doesNotExpire || *got.CurrentKeyMaterialId != *out.KeyMaterialId {
			w.t.Error(got)
		}
		sealed := w.encrypted(*key.KeyId, "x", nil)
		for range 2 {
			do(w, w.DeleteImportedKeyMaterial, &model.DeleteImportedKeyMaterialInput{KeyId: key.KeyId})
			refuse(w, w.again().Decrypt, &model.DecryptInput{CiphertextBlob: sealed}, "KMSInvalidStateException", *key.Arn+" is pending import.")
			if n := w.materials(*key.KeyId); n != 0 {
				w.t.Errorf("%d materials are left", n)
			}
		}
		other, otherToken := w.wrapped(key.KeyId, bytes.Repeat([]byte("o"), 32))
		refuse(w, w.ImportKeyMaterial, in(other, otherToken), "IncorrectKeyMaterialException", "")
		do(w, w.ImportKeyMaterial, in(blob, token)) // the token is good for a day
		if got := do(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: sealed}); string(got.Plaintext) != "x" {
			w.t.Error(got)
		}
		w.now = w.now.AddDate(0, 0, 1)
		refuse(w, w.ImportKeyMaterial, in(blob, token), "ExpiredImportTokenException", "")
		usual := w.newKey(nil)
		refuse(w, w.GetParametersForImport, &model.GetParametersForImportInput{KeyId: usual.KeyId, WrappingAlgorithm: new("RSAES_OAEP_SHA_256"), WrappingKeySpec: new("RSA_2048")},
			"UnsupportedOperationException", *usual.Arn+" origin is AWS_KMS which is not valid for this operation.")
		refuse(w, w.DeleteImportedKeyMaterial, &model.DeleteImportedKeyMaterialInput{KeyId: usual.KeyId}, "UnsupportedOperationException",
			*usual.Arn+" origin is AWS_KMS which is not valid for this operation.")
	})
}

// Material that expires is not used from that moment on, deleted by the next
// chore, and may be imported again.
func TestImportThatExpires(t *testing.T) {
	each(t, func(w *world) {
		key := w.newKey(&model.CreateKeyInput{Origin: new("EXTERNAL")})
		blob, token := w.wrapped(key.KeyId, bytes.Repeat([]byte("k"), 32))
		until := api.At(w.now.AddDate(0, 0, 2))
		in := &model.ImportKeyMaterialInput{KeyId: key.KeyId, EncryptedKeyMaterial: blob, ImportToken: token, ValidTo: &until}
		for _, tt := range []struct {
			model *string
			until *api.Timestamp
			text  string
		}{
			{nil, nil, "ValidTo must be set if the expiration model is KEY_MATERIAL_EXPIRES."},
			{new(doesNotExpire), &until, "ValidTo must not be set if the expiration model is KEY_MATERIAL_DOES_NOT_EXPIRE."},
			{nil, new(api.At(w.now)), "ValidTo must be in the future, and within 365 days."},
			{nil, new(api.At(w.now.AddDate(2, 0, 0))), "ValidTo must be in the future, and within 365 days."},
		} {
			bad := *in
			bad.ExpirationModel, bad.ValidTo = tt.model, tt.until
			refuse(w, w.ImportKeyMaterial, &bad, "ValidationException", tt.text)
		}
		do(w, w.ImportKeyMaterial, in)
		if got := w.describe(key.KeyId); *got.ExpirationModel != expires || *got.ValidTo != until {
			w.t.Error(got)
		}
		w.encrypted(*key.KeyId, "x", nil)
		w.now = until.Time()
		refuse(w, w.Encrypt, &model.EncryptInput{KeyId: key.KeyId, Plaintext: api.SensitiveBlob("x")}, "KMSInvalidStateException", *key.Arn+" is pending import.")
		if got := w.describe(key.KeyId); *got.KeyState != statePendingImport || got.ValidTo != nil {
			w.t.Error(got)
		}
		for _, want := range []int{1, 0} {
			if n, err := w.Expire(w.t.Context(), w.now); n != want || err != nil {
				w.t.Errorf("%d keys lost their material, %v; want %d", n, err, want)
			}
		}
		if n := w.materials(*key.KeyId); n != 0 {
			w.t.Errorf("%d materials are left", n)
		}
		blob, token = w.wrapped(key.KeyId, bytes.Repeat([]byte("k"), 32))
		do(w, w.ImportKeyMaterial, &model.ImportKeyMaterialInput{KeyId: key.KeyId, EncryptedKeyMaterial: blob, ImportToken: token, ExpirationModel: new(doesNotExpire)})
		w.encrypted(*key.KeyId, "x", nil)
	})
}

// A key pair that was made elsewhere signs here, in all regions of the key.
func TestImportOfAPair(t *testing.T) {
	w := newWorld(t)
	private, public, err := material.GeneratePair(material.P256)
	if err != nil {
		t.Fatal(err)
	}
	key := w.newKey(&model.CreateKeyInput{Origin: new("EXTERNAL"), KeySpec: new("ECC_NIST_P256"), KeyUsage: new("SIGN_VERIFY"), MultiRegion: new(true)})
	blob, token := w.wrapped(key.KeyId, private)
	do(w, w.ImportKeyMaterial, &model.ImportKeyMaterialInput{KeyId: key.KeyId, EncryptedKeyMaterial: blob, ImportToken: token, ExpirationModel: new(doesNotExpire)})
	do(w, w.ReplicateKey, &model.ReplicateKeyInput{KeyId: key.KeyId, ReplicaRegion: new("us-west-2")})
	for _, r := range []string{"us-west-2", region} {
		w.region = r
		if got := do(w, w.GetPublicKey, &model.GetPublicKeyInput{KeyId: key.KeyId}); !bytes.Equal(got.PublicKey, public) {
			t.Errorf("another public key in %s", r)
		}
	}
	do(w, w.DeleteImportedKeyMaterial, &model.DeleteImportedKeyMaterialInput{KeyId: key.KeyId})
	w.region = "us-west-2"
	if got := w.describe(key.KeyId); *got.KeyState != statePendingImport {
		t.Errorf("the replica is %s", *got.KeyState)
	}
}

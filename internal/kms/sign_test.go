package kms

import (
	"bytes"
	"crypto/sha512"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/material"
)

func TestSignAndVerify(t *testing.T) {
	w := newWorld(t)
	message := api.SensitiveBlob("to whom it may concern")
	for _, spec := range []material.Spec{material.RSA2048, material.P256, material.P384, material.P521, material.Ed25519} {
		key := w.newKey(&model.CreateKeyInput{KeySpec: new(string(spec)), KeyUsage: new("SIGN_VERIFY")})
		for _, algorithm := range material.Algorithms(spec, material.SignVerify) {
			kind, signed := new("RAW"), message
			if algorithm == "ED25519_PH_SHA_512" {
				sum := sha512.Sum512(message)
				kind, signed = new("DIGEST"), sum[:]
			}
			out := do(w, w.Sign, &model.SignInput{KeyId: key.KeyId, Message: signed, MessageType: kind, SigningAlgorithm: &algorithm})
			verify := &model.VerifyInput{KeyId: key.Arn, Message: signed, MessageType: kind, SigningAlgorithm: &algorithm, Signature: out.Signature}
			if got := do(w, w.again().Verify, verify); !*got.SignatureValid || *got.KeyId != *key.Arn || *got.SigningAlgorithm != algorithm {
				t.Error(got)
			}
			verify.DryRun = new(true)
			refuse(w, w.Verify, verify, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
			verify.Signature = bytes.Clone(out.Signature)
			verify.Signature[len(verify.Signature)-1] ^= 1
			refuse(w, w.Verify, verify, "KMSInvalidSignatureException", "")
		}
		public := do(w, w.GetPublicKey, &model.GetPublicKeyInput{KeyId: key.KeyId})
		if len(public.PublicKey) == 0 || len(public.SigningAlgorithms) == 0 || public.EncryptionAlgorithms != nil {
			t.Error(public)
		}
		refuse(w, w.Sign, &model.SignInput{KeyId: key.KeyId, Message: message, SigningAlgorithm: new("SM2DSA")}, "InvalidKeyUsageException",
			"Algorithm SM2DSA is incompatible with key spec "+string(spec)+".")
		refuse(w, w.Sign, &model.SignInput{KeyId: key.KeyId, Message: message, MessageType: new("EXTERNAL_MU"), SigningAlgorithm: &material.Algorithms(spec, material.SignVerify)[0]},
			"ValidationException", "MessageType EXTERNAL_MU is for ML-DSA keys.")
	}
	rsa := w.newKey(&model.CreateKeyInput{KeySpec: new("RSA_2048"), KeyUsage: new("SIGN_VERIFY")})
	refuse(w, w.Sign, &model.SignInput{KeyId: rsa.KeyId, Message: message, MessageType: new("DIGEST"), SigningAlgorithm: new("RSASSA_PSS_SHA_256")}, "ValidationException",
		"Digest is invalid length for algorithm RSASSA_PSS_SHA_256.")
	symmetric := w.newKey(nil)
	refuse(w, w.Sign, &model.SignInput{KeyId: symmetric.KeyId, Message: message, SigningAlgorithm: new("ECDSA_SHA_256")}, "InvalidKeyUsageException",
		*symmetric.Arn+" key usage is ENCRYPT_DECRYPT which is not valid for Sign.")
	refuse(w, w.GetPublicKey, &model.GetPublicKeyInput{KeyId: symmetric.KeyId}, "UnsupportedOperationException", "")
}

func TestMACs(t *testing.T) {
	w := newWorld(t)
	message := api.SensitiveBlob("to whom it may concern")
	for _, size := range []string{"224", "256", "384", "512"} {
		key, algorithm := w.newKey(&model.CreateKeyInput{KeySpec: new("HMAC_" + size), KeyUsage: new("GENERATE_VERIFY_MAC")}), new("HMAC_SHA_"+size)
		out := do(w, w.GenerateMac, &model.GenerateMacInput{KeyId: key.KeyId, Message: message, MacAlgorithm: algorithm})
		in := &model.VerifyMacInput{KeyId: key.KeyId, Message: message, MacAlgorithm: algorithm, Mac: out.Mac}
		if got := do(w, w.again().VerifyMac, in); !*got.MacValid || *got.KeyId != *key.Arn {
			t.Error(got)
		}
		for _, mac := range [][]byte{out.Mac[1:], append(bytes.Clone(out.Mac), 0), make([]byte, len(out.Mac))} {
			in.Mac = mac
			refuse(w, w.VerifyMac, in, "KMSInvalidMacException", "")
		}
		wrong := new("HMAC_SHA_512")
		if size == "512" {
			wrong = new("HMAC_SHA_256")
		}
		refuse(w, w.GenerateMac, &model.GenerateMacInput{KeyId: key.KeyId, Message: message, MacAlgorithm: wrong}, "InvalidKeyUsageException",
			"Algorithm "+*wrong+" is incompatible with key spec HMAC_"+size+".")
	}
}

func TestKeyAgreement(t *testing.T) {
	w := newWorld(t)
	for _, spec := range []string{"ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"} {
		one := w.newKey(&model.CreateKeyInput{KeySpec: &spec, KeyUsage: new("KEY_AGREEMENT")})
		two := w.newKey(&model.CreateKeyInput{KeySpec: &spec, KeyUsage: new("KEY_AGREEMENT")})
		agree := func(with, peer *model.KeyMetadata) api.SensitiveBlob {
			public := do(w, w.GetPublicKey, &model.GetPublicKeyInput{KeyId: peer.KeyId})
			return do(w, w.DeriveSharedSecret, &model.DeriveSharedSecretInput{KeyId: with.KeyId, KeyAgreementAlgorithm: new("ECDH"), PublicKey: public.PublicKey}).SharedSecret
		}
		if a, b := agree(one, two), agree(two, one); !bytes.Equal(a, b) || len(a) == 0 {
			t.Errorf("%s: %d and %d bytes that differ", spec, len(a), len(b))
		}
		refuse(w, w.DeriveSharedSecret, &model.DeriveSharedSecretInput{KeyId: one.KeyId, KeyAgreementAlgorithm: new("ECDH"), PublicKey: []byte("junk")}, "ValidationException",
			"The public key is no valid key on the curve of "+spec+".")
	}
}

// Package material is the key material of KMS keys: what there is for each key
// spec, how it is made and read, and what it does. It is pure, but for the
// system's randomness, and all of its cryptography is the standard library's.
//
// Material is kept as bytes: symmetric and HMAC keys as they are, key pairs as
// PKCS #8 (RFC 5958). Parse makes them ready for use.
package material

import (
	"crypto/fips140"
	"slices"
)

// A Spec is a key spec, and says what material a key has.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
type Spec string

// The specs that are served. Those of AWS that are not, ECC_SECG_P256K1, SM2
// and ML_DSA, have no usages: the standard library has no such keys.
const (
	SymmetricDefault Spec = "SYMMETRIC_DEFAULT"
	RSA2048          Spec = "RSA_2048"
	RSA3072          Spec = "RSA_3072"
	RSA4096          Spec = "RSA_4096"
	P256             Spec = "ECC_NIST_P256"
	P384             Spec = "ECC_NIST_P384"
	P521             Spec = "ECC_NIST_P521"
	Ed25519          Spec = "ECC_NIST_EDWARDS25519"
	HMAC224          Spec = "HMAC_224"
	HMAC256          Spec = "HMAC_256"
	HMAC384          Spec = "HMAC_384"
	HMAC512          Spec = "HMAC_512"
)

// A Usage says what a key is for. A key has one, for good.
type Usage string

const (
	EncryptDecrypt    Usage = "ENCRYPT_DECRYPT"
	SignVerify        Usage = "SIGN_VERIFY"
	GenerateVerifyMAC Usage = "GENERATE_VERIFY_MAC"
	KeyAgreement      Usage = "KEY_AGREEMENT"
)

// A shape is what the specs of one kind have in common.
type shape struct {
	algorithms map[Usage][]string
	bits       int // of a modulus, a curve or an HMAC key
}

var shapes = func() map[Spec]shape {
	all := map[Spec]shape{
		SymmetricDefault: {map[Usage][]string{EncryptDecrypt: {"SYMMETRIC_DEFAULT"}}, 256},
		Ed25519:          {map[Usage][]string{SignVerify: {"ED25519_SHA_512", "ED25519_PH_SHA_512"}}, 256},
	}
	// OAEP with SHA-1 is left out where the library refuses it, so that a caller
	// is told that there is no such algorithm.
	oaep := []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}
	if fips140.Enforced() {
		oaep = oaep[1:]
	}
	rsa := map[Usage][]string{
		EncryptDecrypt: oaep,
		SignVerify: {
			"RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384", "RSASSA_PKCS1_V1_5_SHA_512",
			"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384", "RSASSA_PSS_SHA_512",
		},
	}
	for spec, bits := range map[Spec]int{RSA2048: 2048, RSA3072: 3072, RSA4096: 4096} {
		all[spec] = shape{rsa, bits}
	}
	for spec, hash := range map[Spec]string{P256: "256", P384: "384", P521: "512"} {
		bits := map[Spec]int{P256: 256, P384: 384, P521: 521}[spec]
		all[spec] = shape{map[Usage][]string{SignVerify: {"ECDSA_SHA_" + hash}, KeyAgreement: {"ECDH"}}, bits}
	}
	for spec, bits := range map[Spec]int{HMAC224: 224, HMAC256: 256, HMAC384: 384, HMAC512: 512} {
		all[spec] = shape{map[Usage][]string{GenerateVerifyMAC: {"HMAC_SHA_" + string(spec[len("HMAC_"):])}}, bits}
	}
	return all
}()

// Usages are what keys of the spec can be for; nil if it is not served.
func (s Spec) Usages() (usages []Usage) {
	for _, u := range []Usage{EncryptDecrypt, SignVerify, GenerateVerifyMAC, KeyAgreement} {
		if shapes[s].algorithms[u] != nil {
			usages = append(usages, u)
		}
	}
	return usages
}

// Algorithms are those of a key with a spec and a usage, as KeyMetadata lists
// them; nil if there are no such keys.
func Algorithms(s Spec, u Usage) []string { return slices.Clone(shapes[s].algorithms[u]) }

// Allows says whether keys with the spec and a usage have an algorithm.
func (s Spec) Allows(u Usage, algorithm string) bool {
	return slices.Contains(shapes[s].algorithms[u], algorithm)
}

func (s Spec) isRSA() bool   { return s == RSA2048 || s == RSA3072 || s == RSA4096 }
func (s Spec) isNIST() bool  { return s == P256 || s == P384 || s == P521 }
func (s Spec) isHMAC() bool  { return s == HMAC224 || s == HMAC256 || s == HMAC384 || s == HMAC512 }
func (s Spec) isBytes() bool { return s == SymmetricDefault || s.isHMAC() }

// IsPair says whether keys of the spec have a public half.
func (s Spec) IsPair() bool { return s.isRSA() || s.isNIST() || s == Ed25519 }

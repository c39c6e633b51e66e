package material

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fipsOnly says whether the program may use nothing but what FIPS 140-3
// approves: GODEBUG=fips140=only.
func fipsOnly() bool { return fips140.Enforced() }

var all = []Spec{SymmetricDefault, RSA2048, RSA3072, RSA4096, P256, P384, P521, Ed25519, HMAC224, HMAC256, HMAC384, HMAC512}

// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
func TestUsages(t *testing.T) {
	got := map[Spec]string{}
	for _, s := range append(all, "ECC_SECG_P256K1", "SM2", "ML_DSA_44", "") {
		got[s] = fmt.Sprint(s.Usages())
	}
	pair := fmt.Sprint([]Usage{EncryptDecrypt, SignVerify})
	curve := fmt.Sprint([]Usage{SignVerify, KeyAgreement})
	mac := fmt.Sprint([]Usage{GenerateVerifyMAC})
	want := map[Spec]string{
		SymmetricDefault: fmt.Sprint([]Usage{EncryptDecrypt}), RSA2048: pair, RSA3072: pair, RSA4096: pair, P256: curve, P384: curve, P521: curve,
		Ed25519: fmt.Sprint([]Usage{SignVerify}), HMAC224: mac, HMAC256: mac, HMAC384: mac, HMAC512: mac,
		"ECC_SECG_P256K1": "[]", "SM2": "[]", "ML_DSA_44": "[]", "": "[]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for spec, limit := range map[Spec][2]int{RSA2048: {214, 190}, RSA3072: {342, 318}, RSA4096: {470, 446}, P256: {}, SymmetricDefault: {}} {
		if fipsOnly() {
			limit[0] = 0 // no SHA-1
		}
		if got := [2]int{spec.MaxPlaintext("RSAES_OAEP_SHA_1"), spec.MaxPlaintext("RSAES_OAEP_SHA_256")}; got != limit {
			t.Errorf("%s encrypts %v, want %v", spec, got, limit)
		}
	}
}

// material is made once a test for each spec: RSA keys take a while.
func keys(t testing.TB, specs ...Spec) map[Spec]*Key {
	t.Helper()
	made := map[Spec]*Key{}
	for _, s := range specs {
		raw, err := Generate(s)
		if err != nil {
			t.Fatal(s, err)
		}
		if made[s], err = Parse(s, raw); err != nil {
			t.Fatal(s, err)
		}
	}
	return made
}

// Each spec's material is read as that spec's, and as no other's.
func TestParse(t *testing.T) {
	raw := map[Spec][]byte{}
	for _, s := range all {
		var err error
		if raw[s], err = Generate(s); err != nil {
			t.Fatal(s, err)
		}
	}
	for _, made := range all {
		for _, s := range all {
			k, err := Parse(s, raw[made])
			if s == made && s != SymmetricDefault {
				if err != nil || s.IsPair() != (k.PublicDER() != nil) {
					t.Errorf("%s: %v", s, err)
				}
			} else if fits := s.isHMAC() && len(raw[made]) == shapes[s].bits/8; !fits && !errors.Is(err, ErrMaterial) {
				t.Errorf("material of %s is taken for %s", made, s)
			}
		}
	}
	for _, s := range all {
		for _, b := range [][]byte{nil, {}, raw[s][:len(raw[s])-1], append(raw[s][:len(raw[s]):len(raw[s])], 0), []byte("nonsense")} {
			if _, err := Parse(s, b); !errors.Is(err, ErrMaterial) {
				t.Errorf("%s of %d bytes: %v", s, len(b), err)
			}
		}
	}
	if _, err := Generate("SM2"); !errors.Is(err, ErrMaterial) {
		t.Errorf("SM2: %v", err)
	}
}

// Every algorithm of every pair signs what it verifies, of the message or of
// its digest, and verifies nothing else.
func TestSign(t *testing.T) {
	message := []byte("to whom it may concern")
	for s, k := range keys(t, RSA2048, P256, P384, P521, Ed25519) {
		for _, algorithm := range Algorithms(s, SignVerify) {
			digest, err := digestOf(hashOf(algorithm), message, false)
			if err != nil {
				t.Fatal(err)
			}
			pure, prehashed := algorithm == "ED25519_SHA_512", algorithm == "ED25519_PH_SHA_512"
			if !prehashed {
				signature, err := k.Sign(algorithm, message, false)
				if err != nil {
					t.Fatal(algorithm, err)
				}
				checkSignature(t, k, algorithm, message, digest, signature, pure)
			}
			if !pure {
				signature, err := k.Sign(algorithm, digest, true)
				if err != nil {
					t.Fatal(algorithm, err)
				}
				if ok, err := k.Verify(algorithm, digest, true, signature); !ok || err != nil {
					t.Errorf("%s: its own signature of a digest: %v, %v", algorithm, ok, err)
				}
				if _, err := k.Sign(algorithm, digest[1:], true); !errors.Is(err, ErrDigest) {
					t.Errorf("%s signs a digest of another length: %v", algorithm, err)
				}
				if _, err := k.Verify(algorithm, digest[1:], true, signature); !errors.Is(err, ErrDigest) {
					t.Errorf("%s verifies a digest of another length: %v", algorithm, err)
				}
			}
			if _, err := k.Sign(algorithm, digest, pure); (pure || prehashed) && !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s signs what it does not sign: %v", algorithm, err)
			}
		}
		for _, wrong := range []string{"", "RSAES_OAEP_SHA_256", "HMAC_SHA_256", "ECDH", "SHA_256"} {
			if _, err := k.Sign(wrong, message, false); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s signs with %q: %v", s, wrong, err)
			}
			if ok, err := k.Verify(wrong, message, false, nil); ok || !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s verifies with %q: %v", s, wrong, err)
			}
		}
	}
}

func checkSignature(t *testing.T, k *Key, algorithm string, message, digest, signature []byte, pure bool) {
	t.Helper()
	if ok, err := k.Verify(algorithm, message, false, signature); !ok || err != nil {
		t.Errorf("%s: its own signature: %v, %v", algorithm, ok, err)
	}
	if ok, err := k.Verify(algorithm, digest, true, signature); ok == pure || (err != nil) != pure {
		t.Errorf("%s: by the digest: %v, %v", algorithm, ok, err)
	}
	for name, wrong := range map[string][]byte{"nil": nil, "cut": signature[:len(signature)-1], "longer": append(bytes.Clone(signature), 0), "zero": make([]byte, len(signature))} {
		if ok, err := k.Verify(algorithm, message, false, wrong); ok || err != nil {
			t.Errorf("%s: a signature that is %s: %v, %v", algorithm, name, ok, err)
		}
	}
	if ok, err := k.Verify(algorithm, append(message, '.'), false, signature); ok || err != nil {
		t.Errorf("%s: of another message: %v, %v", algorithm, ok, err)
	}
}

func TestEncrypt(t *testing.T) {
	for s, k := range keys(t, RSA2048) {
		for _, algorithm := range Algorithms(s, EncryptDecrypt) {
			longest := make([]byte, s.MaxPlaintext(algorithm))
			for _, plaintext := range [][]byte{longest, []byte("x")} {
				blob, err := k.Encrypt(algorithm, plaintext)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := k.Decrypt(algorithm, blob); err != nil || !bytes.Equal(got, plaintext) {
					t.Errorf("%s: %v", algorithm, err)
				}
				blob[9] ^= 1
				if _, err := k.Decrypt(algorithm, blob); !errors.Is(err, ErrOpen) {
					t.Errorf("%s of a flipped bit: %v", algorithm, err)
				}
			}
			if _, err := k.Encrypt(algorithm, append(longest, 0)); !errors.Is(err, ErrTooLong) {
				t.Errorf("%s of too much: %v", algorithm, err)
			}
		}
		for _, wrong := range []string{"", "SYMMETRIC_DEFAULT", "RSASSA_PSS_SHA_256"} {
			if _, err := k.Encrypt(wrong, nil); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%q: %v", wrong, err)
			}
			if _, err := k.Decrypt(wrong, nil); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
	}
}

// RFC 4231, test case 2: HMAC of a key that is shorter than ours is padded with
// zeros to the same.
func TestMAC(t *testing.T) {
	for s, want := range map[Spec]string{
		HMAC224: "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
		HMAC256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		HMAC384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
		HMAC512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
	} {
		raw := make([]byte, shapes[s].bits/8)
		copy(raw, "Jefe")
		k, err := Parse(s, raw)
		if err != nil {
			t.Fatal(err)
		}
		algorithm, message := Algorithms(s, GenerateVerifyMAC)[0], []byte("what do ya want for nothing?")
		mac, err := k.MAC(algorithm, message)
		if err != nil || hex.EncodeToString(mac) != want {
			t.Errorf("%s: got %x, %v", s, mac, err)
		}
		for _, tt := range []struct {
			mac  []byte
			want bool
		}{{mac, true}, {mac[1:], false}, {nil, false}, {make([]byte, len(mac)), false}} {
			if ok, err := k.VerifyMAC(algorithm, message, tt.mac); ok != tt.want || err != nil {
				t.Errorf("%s of %x: %v, %v", s, tt.mac, ok, err)
			}
		}
		if _, err := k.MAC("HMAC_SHA_1", message); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("HMAC_SHA_1: %v", err)
		}
	}
	if _, err := keys(t, P256)[P256].MAC("HMAC_SHA_256", nil); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("of a pair: %v", err)
	}
}

func TestSharedSecret(t *testing.T) {
	ours, theirs := keys(t, P256, P384, P521, RSA2048, HMAC256), keys(t, P256, P384, P521, Ed25519)
	for _, s := range []Spec{P256, P384, P521} {
		a, err := ours[s].SharedSecret(theirs[s].PublicDER())
		b, err2 := theirs[s].SharedSecret(ours[s].PublicDER())
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(a, b) || len(a) != (shapes[s].bits+7)/8 {
			t.Errorf("%s: %v", s, err)
		}
		for other, k := range theirs {
			if other == s {
				continue
			}
			if _, err := ours[s].SharedSecret(k.PublicDER()); !errors.Is(err, ErrPeer) {
				t.Errorf("%s with %s: %v", s, other, err)
			}
		}
		if _, err := ours[s].SharedSecret([]byte("nonsense")); !errors.Is(err, ErrPeer) {
			t.Errorf("%s with nonsense: %v", s, err)
		}
	}
	for _, s := range []Spec{RSA2048, HMAC256} {
		if _, err := ours[s].SharedSecret(theirs[P256].PublicDER()); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestGeneratePair(t *testing.T) {
	for _, s := range []Spec{RSA2048, P256, P384, P521, Ed25519} {
		private, public, err := GeneratePair(s)
		if err != nil {
			t.Fatal(s, err)
		}
		if k, err := Parse(s, private); err != nil || !bytes.Equal(k.PublicDER(), public) {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []Spec{SymmetricDefault, HMAC256, ""} {
		if _, _, err := GeneratePair(s); !errors.Is(err, ErrMaterial) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k, err := Parse(HMAC256, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		fmt.Fprintf(&b, verb, k)
	}
	if strings.Contains(b.String(), "0123") || strings.Contains(b.String(), "3031") {
		t.Errorf("printed %s", b.String())
	}
}

func FuzzParse(f *testing.F) {
	for i, s := range all {
		raw, err := Generate(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, raw)
	}
	f.Fuzz(func(t *testing.T, i int, raw []byte) {
		s := all[uint(i)%uint(len(all))]
		k, err := Parse(s, raw)
		if err != nil {
			if !errors.Is(err, ErrMaterial) || k != nil {
				t.Errorf("%v", err)
			}
			return
		}
		for _, algorithm := range Algorithms(s, SignVerify) {
			if algorithm != "ED25519_PH_SHA_512" {
				if _, err := k.Sign(algorithm, []byte("m"), false); err != nil {
					t.Errorf("%s: %v", algorithm, err)
				}
			}
		}
		k.SharedSecret(raw)
	})
}

// What the library refuses is not offered: a caller is told that there is no
// such algorithm, and nothing fails on the way.
func TestAlgorithmsOfFIPS(t *testing.T) {
	k := keys(t, RSA2048)[RSA2048]
	const algorithm = "RSAES_OAEP_SHA_1"
	if has := slices.Contains(Algorithms(RSA2048, EncryptDecrypt), algorithm); has == fipsOnly() {
		t.Errorf("%s is offered: %v, with fips140=only: %v", algorithm, has, fipsOnly())
	}
	if _, err := k.Encrypt(algorithm, []byte("x")); (err == nil) == fipsOnly() || err != nil && !errors.Is(err, ErrAlgorithm) {
		t.Errorf("Encrypt with %s: %v, with fips140=only: %v", algorithm, err, fipsOnly())
	}
	for _, wrapping := range []string{"RSAES_OAEP_SHA_1", "RSA_AES_KEY_WRAP_SHA_1"} {
		if IsWrapping(wrapping) == fipsOnly() {
			t.Errorf("%s is a wrapping: %v", wrapping, !fipsOnly())
		}
	}
}

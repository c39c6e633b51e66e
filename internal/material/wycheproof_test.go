package material

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// A vector is a case of Project Wycheproof, see testdata/README.md.
type vector struct {
	ID                                              int
	Private, Public, Message, Signature, Ciphertext string
	Result                                          string
}

func vectors(t *testing.T) map[string][]vector {
	t.Helper()
	f, err := os.Open("testdata/wycheproof.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]vector
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// A verifier is the public half of a pair where Key has the whole.
type verifier struct{ public crypto.PublicKey }

func (v verifier) Public() crypto.PublicKey { return v.public }
func (verifier) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	panic("there is no private half")
}

func TestWycheproof(t *testing.T) {
	for algorithm, cases := range vectors(t) {
		t.Run(algorithm, func(t *testing.T) {
			seen := map[string]int{}
			for _, v := range cases {
				seen[v.Result]++
				got, judged := meets(t, algorithm, v)
				if judged && (v.Result == "valid") != got && v.Result != "acceptable" {
					t.Errorf("case %d: got %v, want %s", v.ID, got, v.Result)
				}
			}
			if seen["valid"] == 0 {
				t.Errorf("saw %v", seen)
			}
		})
	}
}

// meets says whether a vector's message comes out of what it gives; judged is
// false where the program may not do it, or the case says nothing.
func meets(t *testing.T, algorithm string, v vector) (met, judged bool) {
	t.Helper()
	message := unhex(t, v.Message)
	switch {
	case v.Signature != "" && v.Private != "" || strings.HasPrefix(algorithm, "HMAC"):
		k, err := Parse(Spec("HMAC_"+strings.TrimPrefix(algorithm, "HMAC_SHA_")), unhex(t, v.Private))
		if err != nil {
			t.Fatal(err)
		}
		ok, err := k.VerifyMAC(algorithm, message, unhex(t, v.Signature))
		return ok && err == nil, true
	case v.Public != "" && v.Private == "":
		public, err := x509.ParsePKIXPublicKey(unhex(t, v.Public))
		if err != nil {
			return false, true
		}
		k := &Key{spec: specFor(algorithm), signer: verifier{public}}
		ok, err := k.Verify(algorithm, message, false, unhex(t, v.Signature))
		return ok && err == nil, true
	case algorithm == "AES_KWP":
		got, err := unwrapPadded(unhex(t, v.Private), unhex(t, v.Ciphertext))
		return err == nil && bytes.Equal(got, message), true
	case strings.HasPrefix(algorithm, "RSAES"):
		if fipsOnly() && algorithm == "RSAES_OAEP_SHA_1" {
			return false, false
		}
		k, err := Parse(RSA2048, unhex(t, v.Private))
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.Decrypt(algorithm, unhex(t, v.Ciphertext))
		return err == nil && bytes.Equal(got, message), true
	}
	return agrees(t, Spec(algorithm), v)
}

// agrees says whether a vector's shared secret comes out of ECDH. The private
// key is a number, which may have leading zeros that the curve's have not.
func agrees(t *testing.T, s Spec, v vector) (met, judged bool) {
	t.Helper()
	size := (shapes[s].bits + 7) / 8
	d := bytes.TrimLeft(unhex(t, v.Private), "\x00")
	d = append(make([]byte, size-len(d)), d...)
	private, err := ecdsa.ParseRawPrivateKey(s.curve(), d)
	if err != nil {
		return false, false
	}
	got, err := (&Key{spec: s, signer: private}).SharedSecret(unhex(t, v.Public))
	return err == nil && bytes.Equal(got, unhex(t, v.Message)), true
}

func specFor(algorithm string) Spec {
	for _, s := range []Spec{RSA2048, P256, P384, P521, Ed25519} {
		if s.Allows(SignVerify, algorithm) {
			return s
		}
	}
	return ""
}

package material

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// What callers branch on.
var (
	// ErrMaterial says that bytes are not material of a spec.
	ErrMaterial = errors.New("this is no key material of that spec")
	// ErrAlgorithm says that a key does not have an algorithm.
	ErrAlgorithm = errors.New("the key does not have this algorithm")
	// ErrDigest says that a digest has not the length of its algorithm's.
	ErrDigest = errors.New("the digest has another length")
	// ErrTooLong says that a key cannot encrypt that much.
	ErrTooLong = errors.New("this is more than the key can encrypt")
	// ErrOpen says that a ciphertext does not open, whatever the reason.
	ErrOpen = errors.New("the ciphertext does not open")
	// ErrPeer says that a public key is none of the curve.
	ErrPeer = errors.New("this is no public key on the curve of the key")
)

// A Key is material ready for use: of all specs but SymmetricDefault, whose
// keys are the envelope package's. It may be used concurrently, and prints as
// ***.
type Key struct {
	spec   Spec
	secret []byte        // of an HMAC key
	signer crypto.Signer // of a pair: *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey
}

const redacted = "***"

func (*Key) String() string               { return redacted }
func (*Key) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (*Key) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (*Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Generate makes material of a spec. An RSA key takes a tenth of a second to
// several. ErrMaterial says that the spec is not served.
func Generate(s Spec) ([]byte, error) {
	if s.isBytes() {
		raw := make([]byte, shapes[s].bits/8)
		rand.Read(raw) // never fails: it ends the program rather than return
		return raw, nil
	}
	pair, err := generatePair(s)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(pair)
}

// GeneratePair makes a key pair that is its owner's and no KMS key: the private
// half as PKCS #8, the public one as SubjectPublicKeyInfo (RFC 5280).
// ErrMaterial says that the spec is none of a pair.
func GeneratePair(s Spec) (private, public []byte, err error) {
	pair, err := generatePair(s)
	if err != nil {
		return nil, nil, err
	}
	if public, err = x509.MarshalPKIXPublicKey(pair.Public()); err != nil {
		return nil, nil, err
	}
	private, err = x509.MarshalPKCS8PrivateKey(pair)
	return private, public, err
}

func generatePair(s Spec) (crypto.Signer, error) {
	switch {
	case s.isRSA():
		return rsa.GenerateKey(rand.Reader, shapes[s].bits)
	case s.isNIST():
		return ecdsa.GenerateKey(s.curve(), rand.Reader)
	case s == Ed25519:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, ErrMaterial
}

func (s Spec) curve() elliptic.Curve {
	switch s {
	case P256:
		return elliptic.P256()
	case P384:
		return elliptic.P384()
	}
	return elliptic.P521()
}

// Parse reads what Generate made, or somebody else for the same spec. The bytes
// are not kept. ErrMaterial says that they are none of the spec: of another
// length, kind, modulus or curve, or with an unusual exponent.
func Parse(s Spec, raw []byte) (*Key, error) {
	if s.isHMAC() && len(raw) == shapes[s].bits/8 {
		return &Key{spec: s, secret: append([]byte(nil), raw...)}, nil
	}
	if !s.IsPair() {
		return nil, ErrMaterial
	}
	rest, err := asn1.Unmarshal(raw, new(asn1.RawValue))
	if err != nil || len(rest) > 0 {
		return nil, ErrMaterial
	}
	parsed, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, ErrMaterial // the library's text may quote what it read
	}
	switch pair := parsed.(type) {
	case *rsa.PrivateKey:
		if s.isRSA() && pair.N.BitLen() == shapes[s].bits && pair.E == 65537 && pair.Validate() == nil {
			return &Key{spec: s, signer: pair}, nil
		}
	case *ecdsa.PrivateKey:
		if s.isNIST() && pair.Curve == s.curve() {
			return &Key{spec: s, signer: pair}, nil
		}
	case ed25519.PrivateKey:
		if s == Ed25519 {
			return &Key{spec: s, signer: pair}, nil
		}
	}
	return nil, ErrMaterial
}

// PublicDER is the public half of a pair as SubjectPublicKeyInfo (RFC 5280);
// nil for an HMAC key.
func (k *Key) PublicDER() []byte {
	if k.signer == nil {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		panic(err) // only for kinds that Parse does not make
	}
	return der
}

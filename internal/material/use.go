package material

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // for RSAES_OAEP_SHA_1, where collisions do no harm
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"hash"
	"strings"
)

// hashes are the hash functions by the end of an algorithm's name.
var hashes = map[string]crypto.Hash{
	"SHA_1": crypto.SHA1, "SHA_224": crypto.SHA224, "SHA_256": crypto.SHA256, "SHA_384": crypto.SHA384, "SHA_512": crypto.SHA512,
}

func hashOf(algorithm string) crypto.Hash {
	return hashes[algorithm[strings.LastIndex(algorithm, "SHA_"):]]
}

// digestOf is the digest that an algorithm signs: message itself if it is one.
func digestOf(h crypto.Hash, message []byte, isDigest bool) ([]byte, error) {
	if isDigest {
		if len(message) != h.Size() {
			return nil, ErrDigest
		}
		return message, nil
	}
	sum := newHash(h)()
	sum.Write(message)
	return sum.Sum(nil), nil
}

func newHash(h crypto.Hash) func() hash.Hash {
	switch h {
	case crypto.SHA1:
		return sha1.New
	case crypto.SHA224:
		return sha256.New224
	case crypto.SHA256:
		return sha256.New
	case crypto.SHA384:
		return sha512.New384
	}
	return sha512.New
}

// Sign signs a message, or the digest of one. An ECDSA signature is DER (RFC
// 3279 section 2.2.3), the salt of a PSS one is as long as the digest (RFC 8017
// section 8.1). ED25519_SHA_512 signs messages only, ED25519_PH_SHA_512 digests
// only (RFC 8032). Errors are ErrAlgorithm and ErrDigest.
func (k *Key) Sign(algorithm string, message []byte, isDigest bool) ([]byte, error) {
	opts, toSign, err := k.signing(algorithm, message, isDigest)
	if err != nil {
		return nil, err
	}
	return k.signer.Sign(rand.Reader, toSign, opts)
}

// Verify says whether a signature is of Sign with the same arguments. Errors
// are Sign's.
func (k *Key) Verify(algorithm string, message []byte, isDigest bool, signature []byte) (bool, error) {
	opts, signed, err := k.signing(algorithm, message, isDigest)
	if err != nil {
		return false, err
	}
	switch public := k.signer.Public().(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(public, pss.Hash, signed, signature, pss) == nil, nil
		}
		return rsa.VerifyPKCS1v15(public, opts.HashFunc(), signed, signature) == nil, nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, signed, signature), nil
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(public, signed, signature, opts.(*ed25519.Options)) == nil, nil
	}
	return false, ErrAlgorithm
}

// signing is what the standard library signs, and how.
func (k *Key) signing(algorithm string, message []byte, isDigest bool) (crypto.SignerOpts, []byte, error) {
	if k.signer == nil || !k.spec.Allows(SignVerify, algorithm) {
		return nil, nil, ErrAlgorithm
	}
	if algorithm == "ED25519_SHA_512" {
		if isDigest {
			return nil, nil, ErrAlgorithm
		}
		return &ed25519.Options{}, message, nil
	}
	h := hashOf(algorithm)
	if algorithm == "ED25519_PH_SHA_512" && !isDigest {
		return nil, nil, ErrAlgorithm
	}
	digest, err := digestOf(h, message, isDigest)
	switch {
	case err != nil:
		return nil, nil, err
	case k.spec == Ed25519:
		return &ed25519.Options{Hash: h}, digest, nil
	case strings.HasPrefix(algorithm, "RSASSA_PSS"):
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}, digest, nil
	}
	return h, digest, nil
}

// MaxPlaintext is how many bytes an RSA key of the spec can encrypt (RFC 8017
// section 7.1.1); 0 if it has not the algorithm.
func (s Spec) MaxPlaintext(algorithm string) int {
	if !s.isRSA() || !s.Allows(EncryptDecrypt, algorithm) {
		return 0
	}
	return shapes[s].bits/8 - 2*hashOf(algorithm).Size() - 2
}

// Encrypt encrypts under the public half of an RSA key, with OAEP (RFC 8017
// section 7.1). Errors are ErrAlgorithm, also for SHA-1 under
// GODEBUG=fips140=only, and ErrTooLong.
func (k *Key) Encrypt(algorithm string, plaintext []byte) ([]byte, error) {
	private, ok := k.signer.(*rsa.PrivateKey)
	limit := k.spec.MaxPlaintext(algorithm)
	switch {
	case !ok || limit == 0:
		return nil, ErrAlgorithm
	case len(plaintext) > limit:
		return nil, ErrTooLong
	}
	return rsa.EncryptOAEP(newHash(hashOf(algorithm))(), rand.Reader, &private.PublicKey, plaintext, nil)
}

// Decrypt undoes Encrypt. Errors are ErrAlgorithm and ErrOpen.
func (k *Key) Decrypt(algorithm string, ciphertext []byte) ([]byte, error) {
	private, ok := k.signer.(*rsa.PrivateKey)
	if !ok || k.spec.MaxPlaintext(algorithm) == 0 {
		return nil, ErrAlgorithm
	}
	return openOAEP(private, hashOf(algorithm), ciphertext)
}

func openOAEP(private *rsa.PrivateKey, h crypto.Hash, ciphertext []byte) ([]byte, error) {
	plaintext, err := rsa.DecryptOAEP(newHash(h)(), nil, private, ciphertext, nil)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// MAC is the HMAC (FIPS 198-1) of a message. The error is ErrAlgorithm.
func (k *Key) MAC(algorithm string, message []byte) ([]byte, error) {
	if !k.spec.Allows(GenerateVerifyMAC, algorithm) {
		return nil, ErrAlgorithm
	}
	mac := hmac.New(newHash(hashOf(algorithm)), k.secret)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// VerifyMAC says, in constant time, whether mac is that of a message. The error
// is ErrAlgorithm.
func (k *Key) VerifyMAC(algorithm string, message, mac []byte) (bool, error) {
	want, err := k.MAC(algorithm, message)
	return err == nil && hmac.Equal(want, mac), err
}

// SharedSecret is the x coordinate that the key and a peer, whose public key is
// SubjectPublicKeyInfo, both come to (SP 800-56A section 5.7.1.2). Errors are
// ErrAlgorithm and ErrPeer.
func (k *Key) SharedSecret(peer []byte) ([]byte, error) {
	private, ok := k.signer.(*ecdsa.PrivateKey)
	if !ok {
		return nil, ErrAlgorithm
	}
	own, err := private.ECDH()
	if err != nil {
		return nil, fmt.Errorf("the key for ECDH: %w", err)
	}
	theirs, err := peerKey(peer)
	if err != nil || theirs.Curve() != own.Curve() {
		return nil, ErrPeer
	}
	secret, err := own.ECDH(theirs)
	if err != nil {
		return nil, ErrPeer
	}
	return secret, nil
}

func peerKey(der []byte) (*ecdh.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, ErrPeer
	}
	return public.ECDH()
}

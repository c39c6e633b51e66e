// Package envelope seals small pieces of data under symmetric keys, so that
// each opens only in the place it was sealed for. It is pure.
//
// A sealed blob is one format byte and AES-256-GCM's output (SP 800-38D):
//
//	0x01 | nonce, 12 bytes | ciphertext | tag, 16 bytes
//
// The nonce is random and comes from the standard library's FIPS 140-3 module.
// Of 2^32 blobs under one key, two have the same nonce with a chance of 2^-32,
// and two such blobs would give away the key stream and the means to forge.
// 2^32 is therefore the most that one key may seal. Data keys seal one value
// each; keys that live long are given successors in time by who owns them.
//
// Associated data is never optional. GCM proves that a blob is whole, not that
// it is in the right place: without it, who can write to the database could
// put the blob of one row into another, and have the server open a secret for
// the readers of another secret. With the row's identity in the associated
// data a moved blob does not open.
package envelope

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// MaxSize is the most that one blob can hold, in bytes.
const MaxSize = 1 << 20

// Overhead is how much longer a blob is than what it holds.
const Overhead = 1 + nonceSize + tagSize

// KeySize is the length of a key in bytes.
const KeySize = 32

const (
	formatGCM = 1
	nonceSize = 12
	tagSize   = 16
)

// ErrOpen is the answer to every blob that does not open, whatever the reason:
// what exactly is wrong helps nobody but a forger.
var ErrOpen = errors.New("sealed data does not open: it was changed, moved, or sealed with another key")

// Seal encrypts plaintext under key. Only the same aad will open the blob; see
// AAD for making it. To seal more than MaxSize is a mistake in the program, and
// panics.
func Seal(key *Key, plaintext, aad []byte) []byte {
	return NewSealer(key).Seal(plaintext, aad)
}

// Open decrypts what Seal made with the same key and aad. The result is the
// caller's. Every error is ErrOpen.
func Open(key *Key, blob, aad []byte) ([]byte, error) {
	return NewSealer(key).Open(blob, aad)
}

// A Sealer is a key made ready, for keys that seal or open more than once. It
// may be used concurrently, and prints as ***.
type Sealer struct{ aead cipher.AEAD }

// NewSealer makes a key ready. The key itself is not kept.
func NewSealer(key *Key) *Sealer {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for keys of another size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for blocks that are not AES
	}
	return &Sealer{aead}
}

// Seal is the function Seal with this key.
func (s *Sealer) Seal(plaintext, aad []byte) []byte {
	return s.Append(make([]byte, 0, len(plaintext)+Overhead), plaintext, aad)
}

// Append is Seal for a blob that follows what is in dst; it returns both.
func (s *Sealer) Append(dst, plaintext, aad []byte) []byte {
	if len(plaintext) > MaxSize {
		panic("envelope: sealing more than MaxSize")
	}
	return s.aead.Seal(append(dst, formatGCM), nil, plaintext, aad)
}

// Open is the function Open with this key.
func (s *Sealer) Open(blob, aad []byte) ([]byte, error) {
	if len(blob) < Overhead || len(blob) > MaxSize+Overhead || blob[0] != formatGCM {
		return nil, ErrOpen
	}
	plaintext, err := s.aead.Open(nil, nil, blob[1:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// OpenKey is Open for a blob that holds a key, and nothing else.
func (s *Sealer) OpenKey(blob, aad []byte) (*Key, error) {
	plaintext, err := s.Open(blob, aad)
	defer clear(plaintext)
	if err != nil || len(plaintext) != KeySize {
		return nil, ErrOpen
	}
	return new(Key(plaintext)), nil
}

func (*Sealer) String() string               { return redacted }
func (*Sealer) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (*Sealer) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (*Sealer) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// AAD makes associated data of what identifies the place of a blob. Purpose
// says what kind of place it is, and differs between all kinds sealed under one
// key. Each text is written behind its length, so that no two lists of texts
// make the same bytes: ("a", "bc") is not ("ab", "c").
func AAD(purpose string, parts ...string) []byte {
	size := 4 + len(purpose)
	for _, p := range parts {
		size += 4 + len(p)
	}
	b := appendText(make([]byte, 0, size), purpose)
	for _, p := range parts {
		b = appendText(b, p)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// A Root is the key at the root of all, wherever it sleeps: it wraps other
// keys, and may be asked over a network to do so. It may be used concurrently.
type Root interface {
	// Fingerprint tells this root key from others. It is not secret: it is
	// stored beside what the key has wrapped, and shown to operators.
	Fingerprint() string
	Wrap(ctx context.Context, key *Key, aad []byte) ([]byte, error)
	// Unwrap returns what Wrap was given with the same aad. An error that is
	// ErrOpen says that this root key did not wrap the blob for that aad;
	// others, that the root key could not be asked.
	Unwrap(ctx context.Context, blob, aad []byte) (*Key, error)
}

const redacted = "***"

// A Key is for AES-256. It prints as ***, but for one trap: fmt shows the
// bytes of a Key in an unexported field of a struct that is printed, since it
// calls no methods there. Types that hold one so must print themselves.
type Key [KeySize]byte

// NewKey makes a key of the system's randomness.
func NewKey() Key {
	var k Key
	rand.Read(k[:]) // never fails: it ends the program rather than return
	return k
}

func (Key) String() string               { return redacted }
func (Key) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Key) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

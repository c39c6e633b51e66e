// Package seal keeps the keys above all data: the root key where it sleeps,
// and the keyring that the root key wraps and the store holds.
package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"

	"azekura/internal/envelope"
	"azekura/internal/pagelock"
)

// A root is a root key that lies in this process's memory.
type root struct {
	sealer      *envelope.Sealer
	fingerprint string
}

// newRoot makes a root key ready, and wipes it.
func newRoot(key *envelope.Key) *root {
	derived, err := hkdf.Key(sha256.New, key[:], nil, "azekura root key fingerprint", 4)
	if err != nil {
		panic(err) // the length is below HKDF's bound
	}
	r := &root{envelope.NewSealer(key), hex.EncodeToString(derived)}
	clear(key[:])
	pagelock.Hold(r) // where that is allowed
	return r
}

func (r *root) Wrap(_ context.Context, key *envelope.Key, aad []byte) ([]byte, error) {
	return r.sealer.Seal(key[:], aad), nil
}

func (r *root) Unwrap(_ context.Context, blob, aad []byte) (*envelope.Key, error) {
	return r.sealer.OpenKey(blob, aad)
}

// Fingerprint is four bytes that HKDF derives from the key, one way.
func (r *root) Fingerprint() string { return r.fingerprint }

// Memory is a new root key that is gone with the process: for a server that
// keeps nothing.
func Memory() envelope.Root {
	key := envelope.NewKey()
	return newRoot(&key)
}

package seal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"azekura/internal/envelope"
)

// A keeper has a key that it never gives away, and encrypts and decrypts a few
// bytes under it. It may be used concurrently.
type keeper interface {
	encrypt(ctx context.Context, plaintext, aad []byte) ([]byte, error)
	// decrypt's error is ErrOpen if the keeper says that it did not make the
	// ciphertext for this aad, and ErrUnreachable if it says nothing, or
	// something else.
	decrypt(ctx context.Context, ciphertext, aad []byte) ([]byte, error)
}

// A remote is a root key that is kept elsewhere. A blob of it is
//
//	0x02 | checksum, 8 bytes | length, 2 bytes | ciphertext of the keeper | sealed
//
// The keeper encrypts a key that is used once, and that key seals what is
// wrapped (package envelope): so each blob is bound to its associated data
// whatever the keeper makes of it: Vault before 1.9 ignores it without a word.
// The keeper that does take it binds, too.
//
// The checksum, of all that follows it, proves nothing. It tells rot from what
// a keeper refuses for reasons of its own, such as a key version that is gone:
// the first is in vain to be asked again.
type remote struct {
	keeper
	fingerprint string
}

const (
	formatRemote  = 2
	checksumSize  = 8
	remoteHead    = 1 + checksumSize + 2
	maxCiphertext = 3 << 10
)

// callTimeout bounds one question to a keeper. Its owner asks again.
const callTimeout = 15 * time.Second

func (r *remote) Fingerprint() string { return r.fingerprint }

func (r *remote) Wrap(ctx context.Context, key *envelope.Key, aad []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	once := envelope.NewKey()
	defer clear(once[:])
	ciphertext, err := r.encrypt(ctx, once[:], aad)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) == 0 || len(ciphertext) > maxCiphertext {
		return nil, fmt.Errorf("%w: it answered with a ciphertext of %d bytes, which is none", ErrUnreachable, len(ciphertext))
	}
	blob := append([]byte{formatRemote}, make([]byte, checksumSize)...)
	blob = binary.BigEndian.AppendUint16(blob, uint16(len(ciphertext)))
	blob = append(blob, ciphertext...)
	blob = append(blob, envelope.Seal(&once, key[:], remoteAAD(ciphertext, aad))...)
	copy(blob[1:], checksum(blob))
	return blob, nil
}

func (r *remote) Unwrap(ctx context.Context, blob, aad []byte) (*envelope.Key, error) {
	if len(blob) < remoteHead || blob[0] != formatRemote || !bytes.Equal(checksum(blob), blob[1:1+checksumSize]) {
		return nil, envelope.ErrOpen
	}
	size := int(binary.BigEndian.Uint16(blob[remoteHead-2:]))
	if size == 0 || size > maxCiphertext || len(blob) < remoteHead+size {
		return nil, envelope.ErrOpen
	}
	ciphertext, sealed := blob[remoteHead:remoteHead+size], blob[remoteHead+size:]
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	plaintext, err := r.decrypt(ctx, ciphertext, aad)
	defer clear(plaintext)
	switch {
	case err != nil:
		return nil, err
	case len(plaintext) != envelope.KeySize:
		return nil, envelope.ErrOpen
	}
	once := envelope.Key(plaintext)
	defer clear(once[:])
	return envelope.NewSealer(&once).OpenKey(sealed, remoteAAD(ciphertext, aad))
}

// remoteAAD binds the sealed part to the place of the blob, and to its other
// part.
func remoteAAD(ciphertext, aad []byte) []byte {
	return envelope.AAD("root key kept elsewhere", string(ciphertext), string(aad))
}

func checksum(blob []byte) []byte {
	sum := sha256.Sum256(blob[1+checksumSize:])
	return sum[:checksumSize]
}

// A refusal is a keeper's answer that is not what it was asked for.
type refusal struct {
	status        int    // of HTTP; 0 for none
	code, message string // the keeper's own
}

func (r *refusal) Error() string {
	text := "it answers"
	if r.status != 0 {
		text += fmt.Sprintf(" %d", r.status)
	}
	if r.code != "" {
		text += " " + r.code
	}
	if r.message != "" {
		text += fmt.Sprintf(" (%q)", r.message)
	}
	return text
}

// unreachable says that a keeper could not be asked, or refused, and what to do.
func unreachable(what string, err error, hint string) error {
	if errors.Is(err, envelope.ErrOpen) || errors.Is(err, ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w: %s: %w; %s", ErrUnreachable, what, err, hint)
}

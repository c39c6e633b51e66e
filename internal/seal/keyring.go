package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"azekura/internal/envelope"
	"azekura/internal/store"
)

// A Keyring seals what the server itself keeps: the material of KMS keys, the
// secrets of access keys, page tokens, sessions. It may be used concurrently.
type Keyring struct {
	newest uuid.UUID
	keys   map[uuid.UUID]ringKey
}

func (Keyring) String() string             { return redacted }
func (Keyring) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

const redacted = "keyring ***"

// A ringKey is a key of the ring at its two works, which share no key: one
// seals, from the other Secret derives.
type ringKey struct {
	sealer *envelope.Sealer
	parent envelope.Key
}

func newRingKey(key *envelope.Key) (ringKey, error) {
	parent, err := hkdf.Key(sha256.New, key[:], nil, "keyring: secrets", envelope.KeySize)
	if err != nil {
		return ringKey{}, err
	}
	return ringKey{envelope.NewSealer(key), envelope.Key(parent)}, nil
}

// OpenKeyring unwraps the keyring of a store, or makes one if the store has
// none. If root is not the key that wrapped it, the error says so.
func OpenKeyring(ctx context.Context, db *store.DB, root envelope.Root) (*Keyring, error) {
	rows, err := loadKeyring(ctx, db)
	if err == nil && len(rows) == 0 {
		rows, err = createKeyring(ctx, db, root)
	}
	if err != nil {
		return nil, fmt.Errorf("open the keyring: %w", err)
	}
	ring, err := unwrap(ctx, rows, root)
	if err != nil {
		return nil, fmt.Errorf("open the keyring: %w", err)
	}
	return ring, nil
}

// Opens is nil if root opens the keyring that tx reads, and the error of
// OpenKeyring if it does not.
func Opens(ctx context.Context, tx *store.Tx, root envelope.Root) error {
	rows, err := selectKeyring(tx)
	if err == nil && len(rows) == 0 {
		err = errors.New("there is none")
	}
	if err == nil {
		_, err = unwrap(ctx, rows, root)
	}
	if err != nil {
		return fmt.Errorf("open the keyring: %w", err)
	}
	return nil
}

func unwrap(ctx context.Context, rows []keyringRow, root envelope.Root) (*Keyring, error) {
	ring := &Keyring{keys: map[uuid.UUID]ringKey{}}
	for _, row := range rows {
		key, err := root.Unwrap(ctx, row.wrapped, keyringAAD(row.id))
		switch {
		case errors.Is(err, envelope.ErrOpen) && row.root != root.Fingerprint():
			return nil, fmt.Errorf("this root key (fingerprint %s) is not the one that sealed this data (fingerprint %s): restore that root key, or the data that belongs to this one",
				root.Fingerprint(), row.root)
		case errors.Is(err, envelope.ErrOpen):
			return nil, fmt.Errorf("the wrapped key %s is damaged: restore the data from a backup", row.id)
		case err != nil:
			return nil, err
		}
		if ring.newest, err = uuid.Parse(row.id); err != nil {
			return nil, err
		}
		if ring.keys[ring.newest], err = newRingKey(key); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// Sealed says whether a store has a keyring, and so is of use only with the
// root key that wraps it.
func Sealed(ctx context.Context, db *store.DB) (bool, error) {
	rows, err := loadKeyring(ctx, db)
	if err != nil {
		return false, fmt.Errorf("look for the keyring: %w", err)
	}
	return len(rows) > 0, nil
}

func loadKeyring(ctx context.Context, db *store.DB) (rows []keyringRow, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		rows, err = selectKeyring(tx)
		return err
	})
	return rows, err
}

// createKeyring makes the first key, unless another process was quicker.
func createKeyring(ctx context.Context, db *store.DB, root envelope.Root) (rows []keyringRow, err error) {
	id := uuid.Must(uuid.NewV7()).String()
	key := envelope.NewKey()
	wrapped, err := root.Wrap(ctx, &key, keyringAAD(id))
	if err != nil {
		return nil, err
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		if rows, err = selectKeyring(tx); err != nil || len(rows) > 0 {
			return err
		}
		rows = []keyringRow{{number: 1, id: id, wrapped: wrapped, root: root.Fingerprint(), created: time.Now().UnixMilli()}}
		return insertKeyring(tx, rows[0])
	})
	if errors.Is(err, store.ErrConflict) {
		return loadKeyring(ctx, db)
	}
	return rows, err
}

func keyringAAD(id string) []byte { return envelope.AAD("keyring key", id) }

// Seal encrypts under the newest key and binds to aad, see envelope.Sealer.
func (k *Keyring) Seal(plaintext, aad []byte) []byte {
	return append(slices.Clone(k.newest[:]), k.keys[k.newest].sealer.Seal(plaintext, aad)...)
}

// Open decrypts what Seal made under any key of the ring. The error is
// envelope.ErrOpen.
func (k *Keyring) Open(blob, aad []byte) ([]byte, error) {
	key, rest, err := k.keyOf(blob)
	if err != nil {
		return nil, err
	}
	return key.sealer.Open(rest, aad)
}

// Secret derives size bytes, at most 255*32, that only who has the ring can
// know, from what aad says and from a blob that Seal made: the same for the
// same two, whichever keys have come to the ring since. It does not open the
// blob: whether that is whole, and belongs to aad, Open says. The error is
// envelope.ErrOpen if no key of the ring sealed the blob.
//
// It is HKDF with SHA-256 (RFC 5869), from a key that seals nothing.
func (k *Keyring) Secret(blob, aad []byte, size int) ([]byte, error) {
	key, rest, err := k.keyOf(blob)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, key.parent[:], rest, string(aad), size)
}

func (k *Keyring) keyOf(blob []byte) (ringKey, []byte, error) {
	var id uuid.UUID
	if len(blob) < len(id) {
		return ringKey{}, nil, envelope.ErrOpen
	}
	key, ok := k.keys[uuid.UUID(blob[:len(id)])]
	if !ok {
		return ringKey{}, nil, envelope.ErrOpen
	}
	return key, blob[len(id):], nil
}

// OpenKey is Open for a blob that holds a key.
func (k *Keyring) OpenKey(blob, aad []byte) (*envelope.Key, error) {
	plaintext, err := k.Open(blob, aad)
	defer clear(plaintext)
	if err != nil || len(plaintext) != envelope.KeySize {
		return nil, envelope.ErrOpen
	}
	return new(envelope.Key(plaintext)), nil
}

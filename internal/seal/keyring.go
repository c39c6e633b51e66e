package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"azekura/internal/envelope"
	"azekura/internal/pagelock"
	"azekura/internal/store"
)

// A Keyring seals what the server itself keeps: the material of KMS keys, the
// secrets of access keys, page tokens, sessions. It is of use once it is
// unsealed, and then may be used concurrently, also while it is unsealed again.
type Keyring struct {
	db *store.DB

	held atomic.Pointer[ring] // nil while it is sealed

	learning sync.Mutex
	root     envelope.Root // what unsealed it last
	learned  time.Time     // when an unknown key was last asked for
	reopen   func(context.Context) (envelope.Root, error)
}

// A ring is the keys of a keyring at one moment.
type ring struct {
	newest uuid.UUID
	number int64 // of the newest
	keys   map[uuid.UUID]ringKey
}

func (*Keyring) String() string             { return redacted }
func (*Keyring) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

const redacted = "keyring ***"

// A ringKey is a key of the ring at its two works, which share no key: one
// seals, from the other Secret derives.
type ringKey struct {
	sealer *envelope.Sealer
	parent *envelope.Key
}

// newRingKey makes a key ready, and wipes it.
func newRingKey(key *envelope.Key) (ringKey, error) {
	parent, err := hkdf.Key(sha256.New, key[:], nil, "keyring: secrets", envelope.KeySize)
	if err != nil {
		return ringKey{}, err
	}
	defer clear(parent)
	k := ringKey{envelope.NewSealer(key), new(envelope.Key(parent))}
	clear(key[:])
	pagelock.Hold(&k) // where that is allowed
	return k, nil
}

// NewKeyring is the keyring of a store, sealed.
func NewKeyring(db *store.DB) *Keyring { return &Keyring{db: db} }

// OpenKeyring is NewKeyring, unsealed.
func OpenKeyring(ctx context.Context, db *store.DB, root envelope.Root) (*Keyring, error) {
	k := NewKeyring(db)
	if err := k.Unseal(ctx, root); err != nil {
		return nil, err
	}
	return k, nil
}

// Sealed says that Unseal has not succeeded yet: nothing is sealed or opened.
func (k *Keyring) Sealed() bool { return k.held.Load() == nil }

// Unseal unwraps the keys of the store, or makes the first if it has none. If
// root is not the key that wrapped them, the error says so; ErrUnreachable says
// that root cannot be asked now. It may be called again, also with another root
// that the keys are wrapped under now.
func (k *Keyring) Unseal(ctx context.Context, root envelope.Root) error {
	rows, err := loadKeyring(ctx, k.db)
	if err == nil && len(rows) == 0 {
		rows, err = createKeyring(ctx, k.db, root)
	}
	if err != nil {
		return fmt.Errorf("open the keyring: %w", err)
	}
	held, err := unwrap(ctx, rows, root)
	if err != nil {
		return fmt.Errorf("open the keyring: %w", err)
	}
	k.learning.Lock()
	defer k.learning.Unlock()
	k.root = root
	k.held.Store(held)
	return nil
}

// Reopen says how to open the root key again, for when another node has put the
// keyring under another one. To be called before the keyring is used.
func (k *Keyring) Reopen(open func(context.Context) (envelope.Root, error)) { k.reopen = open }

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

func unwrap(ctx context.Context, rows []keyringRow, root envelope.Root) (*ring, error) {
	ring := &ring{keys: map[uuid.UUID]ringKey{}}
	for i, row := range rows {
		breathe(i)
		key, err := unwrapRow(ctx, row, root)
		if err != nil {
			return nil, err
		}
		if err := ring.add(row, key); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

func (r *ring) add(row keyringRow, key *envelope.Key) error {
	id, err := uuid.Parse(row.id)
	if err != nil {
		return err
	}
	if r.keys[id], err = newRingKey(key); err != nil {
		return err
	}
	if row.number > r.number {
		r.newest, r.number = id, row.number
	}
	return nil
}

func unwrapRow(ctx context.Context, row keyringRow, root envelope.Root) (*envelope.Key, error) {
	key, err := root.Unwrap(ctx, row.wrapped, keyringAAD(row.id))
	switch {
	case errors.Is(err, envelope.ErrOpen) && row.root != root.Fingerprint():
		return nil, fmt.Errorf("this root key (fingerprint %s) is not the one that sealed this data (fingerprint %s): restore that root key, or the data that belongs to this one",
			root.Fingerprint(), row.root)
	case errors.Is(err, envelope.ErrOpen):
		return nil, fmt.Errorf("the wrapped key %s is damaged: restore the data from a backup", row.id)
	}
	return key, err
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
	first, err := newRow(ctx, root, 1)
	if err != nil {
		return nil, err
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		if rows, err = selectKeyring(tx); err != nil || len(rows) > 0 {
			return err
		}
		rows = []keyringRow{first}
		return insertKeyring(tx, first)
	})
	if errors.Is(err, store.ErrConflict) {
		return loadKeyring(ctx, db)
	}
	return rows, err
}

// newRow is a new key of the ring, wrapped.
func newRow(ctx context.Context, root envelope.Root, number int64) (keyringRow, error) {
	id := uuid.Must(uuid.NewV7()).String()
	key := envelope.NewKey()
	defer clear(key[:])
	wrapped, err := root.Wrap(ctx, &key, keyringAAD(id))
	return keyringRow{number: number, id: id, wrapped: wrapped, root: root.Fingerprint(), created: time.Now().UnixMilli()}, err
}

func keyringAAD(id string) []byte { return envelope.AAD("keyring key", id) }

// Seal encrypts under the newest key and binds to aad, see envelope.Sealer. To
// call it while the keyring is sealed is a mistake in the program, and panics.
func (k *Keyring) Seal(plaintext, aad []byte) []byte {
	held := k.held.Load()
	if held == nil {
		panic("seal: the keyring is sealed")
	}
	return append(slices.Clone(held.newest[:]), held.keys[held.newest].sealer.Seal(plaintext, aad)...)
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
	id = uuid.UUID(blob[:len(id)])
	if held := k.held.Load(); held != nil {
		if key, ok := held.keys[id]; ok {
			return key, blob[len(id):], nil
		}
	}
	key, ok := k.learn(id)
	if !ok {
		return ringKey{}, nil, envelope.ErrOpen
	}
	return key, blob[len(id):], nil
}

const (
	learnPause = 200 * time.Millisecond // between two looks for keys that are not there
	learnTime  = 5 * time.Second        // that a look may take
)

// learn looks for a key that another node may have added. Blobs are also what
// strangers make up, so it looks five times a second at most, for what is newer
// than what it knows. One look answers all who came before it began: nobody can
// keep a key from being found by asking for others, or have others wait long.
func (k *Keyring) learn(id uuid.UUID) (ringKey, bool) {
	came := time.Now()
	k.learning.Lock()
	defer k.learning.Unlock()
	held := k.held.Load()
	if held == nil {
		return ringKey{}, false
	}
	if key, ok := held.keys[id]; ok || k.learned.After(came) {
		return key, ok
	}
	time.Sleep(learnPause - time.Since(k.learned))
	k.learned = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), learnTime)
	defer cancel()
	fresh, err := k.look(ctx, held)
	if err != nil {
		return ringKey{}, false
	}
	k.held.Store(fresh)
	key, ok := fresh.keys[id]
	return key, ok
}

// look is held with the keys that have come since.
func (k *Keyring) look(ctx context.Context, held *ring) (*ring, error) {
	var rows []keyringRow
	err := k.db.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = selectNewer(tx, held.number)
		return err
	})
	if err != nil || len(rows) == 0 {
		return held, err
	}
	fresh := &ring{newest: held.newest, number: held.number, keys: maps.Clone(held.keys)}
	for _, row := range rows {
		key, err := unwrapRow(ctx, row, k.root)
		if err != nil && k.reopen != nil {
			root, opening := k.reopen(ctx)
			if opening != nil {
				return nil, opening
			}
			if key, err = unwrapRow(ctx, row, root); err == nil {
				k.root = root
			}
		}
		if err != nil {
			return nil, err
		}
		err = fresh.add(row, key)
		clear(key[:])
		if err != nil {
			return nil, err
		}
	}
	return fresh, nil
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

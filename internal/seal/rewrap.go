package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"azekura/internal/envelope"
	"azekura/internal/store"
)

// errRingChanged says that the keyring is not the one that was read.
var errRingChanged = errors.New("the keyring has changed meanwhile")

// Rewrap puts the keys of a store's keyring under another root key: in one
// transaction, so that whatever happens all are under the one or all under the
// other. The keys stay what they are, and nothing that they seal is touched.
// progress, if not nil, is told after each key how many are done, of how many;
// it is for keepers that are asked over a network. A running server goes on; it
// is to Unseal its keyring again before it next needs the root key.
func Rewrap(ctx context.Context, db *store.DB, from, to envelope.Root, progress func(done, all int)) error {
	const tries = 5 // while keys are added
	err := errRingChanged
	for try := 0; try < tries && errors.Is(err, errRingChanged); try++ {
		err = rewrap(ctx, db, from, to, progress)
	}
	if err != nil {
		return fmt.Errorf("put the keyring under another root key: %w", err)
	}
	return nil
}

func rewrap(ctx context.Context, db *store.DB, from, to envelope.Root, progress func(done, all int)) error {
	rows, err := loadKeyring(ctx, db)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("there is none: start a server first")
	}
	fresh := make([]keyringRow, len(rows))
	for i, row := range rows {
		if fresh[i], err = rewrapRow(ctx, row, from, to); err != nil {
			return err
		}
		if progress != nil {
			progress(i+1, len(rows))
		}
		breathe(i)
	}
	return db.Update(ctx, func(tx *store.Tx) error {
		for i := range rows {
			done, err := rewrapKeyring(tx, rows[i], fresh[i])
			if err == nil && !done {
				err = errRingChanged
			}
			if err != nil {
				return err
			}
			breathe(i)
		}
		// Last, when the rows are locked: Add touches one of them.
		now, err := selectKeyring(tx)
		if err == nil && len(now) != len(rows) {
			err = errRingChanged
		}
		return err
	})
}

// breathe is called for each of many keys. On one processor a goroutine that
// never waits is preempted every 10 ms only, and requests that have arrived are
// not looked for as long as it can run: to sleep for a moment lets them in, to
// yield would not.
func breathe(n int) {
	if n%16 == 15 {
		time.Sleep(50 * time.Microsecond)
	}
}

func rewrapRow(ctx context.Context, row keyringRow, from, to envelope.Root) (keyringRow, error) {
	key, err := unwrapRow(ctx, row, from)
	if err != nil {
		return row, err
	}
	defer clear(key[:])
	row.wrapped, err = to.Wrap(ctx, key, keyringAAD(row.id))
	row.root = to.Fingerprint()
	return row, err
}

// Add gives the keyring a new key, under which all is sealed from now on; what
// older keys have sealed still opens. Other nodes of the same database learn
// of it when they first meet something that it has sealed.
func (k *Keyring) Add(ctx context.Context) error {
	k.learning.Lock()
	root := k.root
	k.learning.Unlock()
	if root == nil {
		return errors.New("add a key to the keyring: it is sealed")
	}
	err := k.addUnder(ctx, root)
	if err != nil && k.reopen != nil && ctx.Err() == nil {
		// Another node may have put the ring under another root key.
		now, opening := k.reopen(ctx)
		if opening == nil && now.Fingerprint() != root.Fingerprint() {
			root = now
			err = k.addUnder(ctx, root)
		}
	}
	if err != nil {
		return fmt.Errorf("add a key to the keyring: %w", err)
	}
	return k.Unseal(ctx, root)
}

// addUnder adds a key that root wraps, if root is what the ring is under, and
// stays: a ring under two root keys would open with neither.
func (k *Keyring) addUnder(ctx context.Context, root envelope.Root) error {
	rows, err := loadKeyring(ctx, k.db)
	if err != nil {
		return err
	}
	last := rows[len(rows)-1]
	opened, err := unwrapRow(ctx, last, root)
	if err != nil {
		return err
	}
	clear(opened[:])
	row, err := newRow(ctx, root, last.number+1)
	if err != nil {
		return err
	}
	return k.db.Update(ctx, func(tx *store.Tx) error {
		same, err := rewrapKeyring(tx, last, last) // and nobody rewraps it before this is done
		if err == nil && !same {
			err = errRingChanged
		}
		if err != nil {
			return err
		}
		return insertKeyring(tx, row)
	})
}

// A Status is what can be told of a keyring.
type Status struct {
	Keys  int
	Roots []string // fingerprints of the root keys that they are under: one
}

// StatusOf tells of the keyring that tx reads.
func StatusOf(tx *store.Tx) (Status, error) {
	rows, err := selectKeyring(tx)
	s := Status{Keys: len(rows)}
	seen := map[string]bool{}
	for _, row := range rows {
		if !seen[row.root] {
			seen[row.root] = true
			s.Roots = append(s.Roots, row.root)
		}
	}
	return s, err
}

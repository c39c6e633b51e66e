package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// maxLease bounds a lease's TTL.
const maxLease = time.Hour

// A Lease is the right to do a job that one process at a time may do. It ends
// by itself, so that a process that died does not keep it, and then somebody
// else may have it while its last holder, stopped for a while or cut off, still
// believes that it is his. What such a holder does must therefore be refused,
// which is what the term is for: see Tx.Fence.
type Lease struct {
	Name string
	Term int64         // grows each time the lease is given to somebody
	TTL  time.Duration // from each renewal
}

// Acquire takes the lease of a name for ttl, an hour at most, by the clock of
// the database: those of the nodes may differ. ErrHeld says that it is taken,
// by this process perhaps. After ErrUnknown nobody may have it until ttl is
// over.
func (db *DB) Acquire(ctx context.Context, name string, ttl time.Duration) (Lease, error) {
	if name == "" || ttl < time.Millisecond || ttl > maxLease {
		return Lease{}, fmt.Errorf("lease %q for %s: it takes a name and a millisecond to an hour", name, ttl)
	}
	l := Lease{Name: name, TTL: ttl}
	// The look comes first, because to try would wait for a transaction of the
	// holder's that is under way.
	err := db.View(ctx, func(tx *Tx) error {
		holder, err := selectLease(tx, name)
		if err == nil {
			return fmt.Errorf("lease %s: %w: %s", name, ErrHeld, holder)
		}
		return err
	})
	if !errors.Is(err, ErrNotFound) {
		return Lease{}, err
	}
	err = db.Update(ctx, func(tx *Tx) (err error) {
		l.Term, err = takeLease(tx, name, db.holder, ttl)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("lease %s: %w", name, ErrHeld)
	}
	return l, err
}

// Renew makes a lease last for its TTL from now; ErrHeld says that it is over,
// and may be somebody else's.
func (db *DB) Renew(ctx context.Context, l Lease) error {
	return db.Update(ctx, func(tx *Tx) error { return tx.Fence(l) })
}

// Release ends a lease before its time, so that nobody need wait for that. One
// that is over already is left alone.
func (db *DB) Release(ctx context.Context, l Lease) error {
	return db.Update(ctx, func(tx *Tx) error { return endLease(tx, l) })
}

// Fence lets the transaction go on if the lease is still held, and renews it;
// ErrHeld if it is not. It comes first in each transaction of the lease's job.
// Until the transaction ends nobody can take the lease: so what it changes is
// changed under the lease, however long its process is stopped between here
// and the end of COMMIT.
func (tx *Tx) Fence(l Lease) error {
	held, err := extendLease(tx, l)
	if err == nil && !held {
		return fmt.Errorf("lease %s, term %d, is over: %w", l.Name, l.Term, ErrHeld)
	}
	return err
}

// Settle makes sure that what was read before it is durable, as far as what
// is written is. A PostgreSQL server shows a change that a synchronous standby
// has not got yet, and may lose it; but a commit waits for all that was written
// before. Whoever is about to acknowledge what it has only seen calls Settle.
func (db *DB) Settle(ctx context.Context) error {
	if db.engine.sole() {
		return nil
	}
	return db.Update(ctx, func(tx *Tx) error { return writeMark(tx, db.holder) })
}

// thisProcess is what an operator finds this process by.
func thisProcess() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unnamed host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}

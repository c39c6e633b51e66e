package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// acquire takes a lease that must be free, now or soon.
func acquire(t *testing.T, db *store.DB, ttl time.Duration) store.Lease {
	t.Helper()
	for {
		l, err := db.Acquire(t.Context(), "job", ttl)
		if err == nil {
			return l
		}
		if !errors.Is(err, store.ErrHeld) {
			t.Fatal(err)
		}
	}
}

func wantHeld(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrHeld) {
		t.Errorf("%s: %v, want ErrHeld", what, err)
	}
}

// work does a job under a lease: it counts.
func work(t *testing.T, db *store.DB, l store.Lease) error {
	return db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.Fence(l); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE t SET n = n + 1`)
		return err
	})
}

func TestLease(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (n BIGINT NOT NULL)`, `INSERT INTO t VALUES (0)`)
		first := acquire(t, db, time.Hour)
		_, err := db.Acquire(t.Context(), "job", time.Hour)
		wantHeld(t, "a second holder", err)
		if err := errors.Join(work(t, db, first), db.Renew(t.Context(), first)); err != nil {
			t.Errorf("the holder: %v", err)
		}
		if other, err := db.Acquire(t.Context(), "another job", time.Hour); err != nil || other.Term != 1 {
			t.Errorf("another lease: %+v, %v", other, err)
		}
		if err := errors.Join(db.Release(t.Context(), first), db.Release(t.Context(), first)); err != nil {
			t.Errorf("release, twice: %v", err)
		}
		wantHeld(t, "work after Release", work(t, db, first))

		second := acquire(t, db, time.Hour)
		if second.Term != first.Term+1 {
			t.Errorf("terms %d and %d", first.Term, second.Term)
		}
		wantHeld(t, "the old holder's work", work(t, db, first))
		wantHeld(t, "the old holder's renewal", db.Renew(t.Context(), first))
		if err := db.Release(t.Context(), first); err != nil {
			t.Errorf("the old holder's release: %v", err)
		}
		if err := work(t, db, second); err != nil {
			t.Errorf("the new holder's work: %v", err)
		}
		if n := column[int64](t, db, `SELECT n FROM t`); n[0] != 2 {
			t.Errorf("%d jobs were done, want 2", n[0])
		}
	})
}

// A lease that nobody renews is over, for its holder too, before somebody
// else takes it.
func TestLeaseExpires(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (n BIGINT NOT NULL)`, `INSERT INTO t VALUES (0)`)
		short := acquire(t, db, time.Millisecond)
		next := acquire(t, db, time.Hour) // waits for the end of the first
		wantHeld(t, "the work of a holder who overslept", work(t, db, short))
		if err := db.Release(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		lone := acquire(t, db, time.Millisecond)
		for { // nobody takes it
			if err := db.Renew(t.Context(), lone); err != nil {
				wantHeld(t, "renewal", err)
				break
			}
		}
		wantHeld(t, "work after the end", work(t, db, lone))
		if n := column[int64](t, db, `SELECT n FROM t`); n[0] != 0 {
			t.Errorf("%d jobs were done, want none", n[0])
		}
	})
}

// A clock that is set back leaves ends that lie far ahead; they hold nobody up.
func TestLeaseOfAClockThatWasSetBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		first := acquire(t, db, time.Hour)
		exec(t, db, `UPDATE leases SET expires_at = expires_at + 86400000`)
		if next := acquire(t, db, time.Hour); next.Term != first.Term+1 {
			t.Errorf("terms %d and %d", first.Term, next.Term)
		}
	})
}

func TestLeaseLimits(t *testing.T) {
	db := storetest.Memory(t)
	for _, ttl := range []time.Duration{0, time.Hour + 1, -time.Second} {
		if _, err := db.Acquire(t.Context(), "job", ttl); err == nil || errors.Is(err, store.ErrHeld) {
			t.Errorf("a lease for %s: %v", ttl, err)
		}
	}
	if _, err := db.Acquire(t.Context(), "", time.Second); err == nil {
		t.Error("a lease without a name")
	}
}

// Of many that want a lease at once one gets it.
func TestLeaseHasOneHolder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for round := range int64(5) {
			var holders atomic.Int64
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					l, err := db.Acquire(t.Context(), "job", time.Hour)
					switch {
					case err == nil && l.Term == round+1:
						holders.Add(1)
					case !errors.Is(err, store.ErrHeld):
						t.Errorf("term %d, %v", l.Term, err)
					}
				})
			}
			all.Wait()
			if holders.Load() != 1 {
				t.Errorf("%d holders", holders.Load())
			}
			if err := db.Release(t.Context(), store.Lease{Name: "job", Term: round + 1}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Nobody takes the lease while a transaction that began under it lasts, even
// though its time is over: what is done under a lease is done before the next.
func TestFenceHoldsToTheEnd(t *testing.T) {
	at := storetest.PostgresURL(t)
	db, other := openNode(t, at), openNode(t, at)
	exec(t, db, `CREATE TABLE t (n BIGINT NOT NULL)`, `INSERT INTO t VALUES (0)`)
	l := acquire(t, db, 200*time.Millisecond)
	taken := make(chan store.Lease, 1)
	early := false
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.Fence(l); err != nil {
			return err
		}
		go func() { taken <- acquire(t, other, time.Hour) }()
		if err := overslept(tx); err != nil { // the lease's end, seen by the database's clock
			return err
		}
		select {
		case <-taken:
			early = true
		default:
		}
		_, err := tx.Exec(`UPDATE t SET n = n + 1`)
		return err
	})
	if err != nil || early {
		t.Errorf("the lease was taken from under a transaction: %v (%v)", early, err)
	}
	if next := <-taken; next.Term != l.Term+1 {
		t.Errorf("terms %d and %d", l.Term, next.Term)
	}
	wantHeld(t, "work after the end", work(t, db, l))
	if n := column[int64](t, db, `SELECT n FROM t`); n[0] != 1 {
		t.Errorf("%d jobs were done, want one", n[0])
	}
}

func overslept(tx *store.Tx) error {
	_, err := tx.Exec(`SELECT pg_sleep(1)`)
	return err
}

// Settle writes on an engine that shows what may yet be lost.
func TestSettle(t *testing.T) {
	at := storetest.PostgresURL(t)
	for i, db := range []*store.DB{openNode(t, at), openNode(t, at)} {
		if err := db.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if written := column[int64](t, db, `SELECT term FROM leases`); len(written) != 1 || written[0] != int64(i)+1 {
			t.Errorf("written %v, want %d once", written, i+1)
		}
	}
	if err := storetest.Memory(t).Settle(t.Context()); err != nil {
		t.Error(err)
	}
}

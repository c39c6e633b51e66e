package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// eachBubble is storetest.Each with the database inside a synctest bubble.
func eachBubble(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) *store.DB{"sqlite": storetest.File, "memory": storetest.Memory} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, open(t)) })
		})
	}
}

// A held is a batch that is open until commit is called. Inside a bubble, what
// add starts is in the batch when add returns.
type held struct {
	t       *testing.T
	db      *store.DB
	release chan struct{}
	wg      sync.WaitGroup
}

func hold(t *testing.T, db *store.DB) *held {
	h := &held{t: t, db: db, release: make(chan struct{})}
	h.add(t.Context(), func(*store.Tx) error { <-h.release; return nil })
	return h
}

func (h *held) add(ctx context.Context, fn func(*store.Tx) error) *error {
	err := new(errors.New("no answer"))
	h.wg.Go(func() { *err = h.db.Update(ctx, fn) })
	synctest.Wait()
	return err
}

func (h *held) commit() {
	close(h.release)
	h.wg.Wait()
}

func insert(id string) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO t VALUES ($1)`, id)
		return err
	}
}

const ids = `CREATE TABLE t (id TEXT PRIMARY KEY)`

func wantIDs(t *testing.T, db *store.DB, want ...string) {
	t.Helper()
	if got := column[string](t, db, `SELECT id FROM t ORDER BY id`); !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

func TestFailureStaysAlone(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids)
		refused := errors.New("refused")
		b := hold(t, db)
		a := b.add(t.Context(), insert("a"))
		dup := b.add(t.Context(), insert("a"))
		own := b.add(t.Context(), func(tx *store.Tx) error {
			return errors.Join(insert("b")(tx), refused)
		})
		syntax := b.add(t.Context(), func(tx *store.Tx) error {
			if err := insert("c")(tx); err != nil {
				return err
			}
			_, err := tx.Exec(`not sql`)
			return err
		})
		d := b.add(t.Context(), insert("d"))
		b.commit()
		if *a != nil || *d != nil {
			t.Errorf("the good changes: %v, %v", *a, *d)
		}
		if !errors.Is(*dup, store.ErrConflict) || !errors.Is(*own, refused) || *syntax == nil {
			t.Errorf("the bad changes: %v, %v, %v", *dup, *own, *syntax)
		}
		wantIDs(t, db, "a", "d")
	})
}

func TestFailureIsToldAfterTheCommit(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids)
		b := hold(t, db)
		b.add(t.Context(), insert("a"))
		answered := false
		b.wg.Go(func() {
			db.Update(t.Context(), insert("a"))
			answered = true
		})
		synctest.Wait()
		if answered {
			t.Error("the conflict with a row was told before the row was durable")
		}
		b.commit()
	})
}

func TestFunctionReturnsItsOwnError(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		refused := errors.New("refused")
		fn := func(*store.Tx) error { return refused }
		if err := db.Update(t.Context(), fn); err != refused {
			t.Errorf("Update: %v", err)
		}
		if err := db.View(t.Context(), fn); err != refused {
			t.Errorf("View: %v", err)
		}
	})
}

func TestPanic(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids)
		b := hold(t, db)
		bad := b.add(t.Context(), func(tx *store.Tx) error {
			if err := insert("a")(tx); err != nil {
				return err
			}
			var none []int
			_ = none[len(none)]
			return nil
		})
		gone := b.add(t.Context(), func(tx *store.Tx) error {
			if err := insert("b")(tx); err != nil {
				return err
			}
			runtime.Goexit()
			return nil
		})
		good := b.add(t.Context(), insert("c"))
		b.commit()
		if *bad == nil || !strings.Contains((*bad).Error(), "index out of range") {
			t.Errorf("a panic is answered by %v", *bad)
		}
		if (*gone).Error() != "no answer" {
			t.Errorf("Update returned %v to a goroutine that has ended", *gone)
		}
		if *good != nil {
			t.Errorf("the neighbour of a panic: %v", *good)
		}
		if err := db.View(t.Context(), func(*store.Tx) error { panic("x") }); err == nil {
			t.Error("View hid a panic")
		}
		wantIDs(t, db, "c")
	})
}

func TestPanicKeepsItsValueSecret(t *testing.T) {
	var log bytes.Buffer
	db, err := store.Open(t.Context(), store.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(*store.Tx) error { panic("hunter2") })
	if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("error %q, log %q", err, log.String())
	}
	if !strings.Contains(log.String(), "TestPanicKeepsItsValueSecret") {
		t.Errorf("the log does not say where: %q", log.String())
	}
}

func TestCancelledBeforeItsTurn(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids)
		ctx, cancel := context.WithCancel(t.Context())
		b := hold(t, db)
		queued := b.add(ctx, insert("a"))
		after := b.add(t.Context(), insert("b"))
		cancel()
		synctest.Wait()
		if !errors.Is(*queued, context.Canceled) || errors.Is(*queued, store.ErrUnknown) {
			t.Errorf("cancelled in the queue: %v, want context.Canceled and a known outcome", *queued)
		}
		late := b.add(ctx, insert("c"))
		if !errors.Is(*late, context.Canceled) {
			t.Errorf("called with an ended context: %v", *late)
		}
		b.commit()
		if *after != nil {
			t.Error(*after)
		}
		wantIDs(t, db, "b")
	})
}

func TestCancelledAfterItsTurn(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		begun, release := make(chan struct{}), make(chan struct{})
		var first, second error
		var wg sync.WaitGroup
		wg.Go(func() {
			first = db.Update(ctx, func(tx *store.Tx) error { <-begun; return insert("a")(tx) })
		})
		synctest.Wait()
		wg.Go(func() {
			second = db.Update(t.Context(), func(tx *store.Tx) error { <-release; return insert("b")(tx) })
		})
		synctest.Wait() // the second is queued behind the first, so it joins its batch
		close(begun)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(first, context.Canceled) || !errors.Is(first, store.ErrUnknown) {
			t.Errorf("cancelled before the commit: %v, want context.Canceled and ErrUnknown", first)
		}
		close(release)
		wg.Wait()
		if second != nil {
			t.Errorf("the neighbour: %v", second)
		}
		wantIDs(t, db, "a", "b")
	})
}

func TestViewWaitsNoLongerThanItsContext(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 { // as many as there may be readers
			wg.Go(func() {
				if err := db.View(t.Context(), func(*store.Tx) error { <-release; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := db.View(ctx, func(*store.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled before there was a reader: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

func TestSnapshot(t *testing.T) { storetest.Each(t, raceTransfers) }

// In memory, readers and the writer are kept apart before SQLite would make
// them wait for a lock, so they need no patience with it.
func TestMemoryIsNeverBusy(t *testing.T) {
	db := storetest.Memory(t)
	const impatient = `PRAGMA busy_timeout = 0`
	exec(t, db, impatient)
	for range 4 { // the readers take turns, and there are at most four
		column[int64](t, db, impatient)
	}
	raceTransfers(t, db)
}

// raceTransfers moves amounts between accounts while readers add them up.
func raceTransfers(t *testing.T, db *store.DB) {
	const accounts, total = 8, 800
	exec(t, db, `CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT NOT NULL)`)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for id := range accounts {
			if _, err := tx.Exec(`INSERT INTO t VALUES ($1, $2)`, id, total/accounts); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				if err := transfer(t.Context(), db, (w+i)%accounts, (w+3*i+1)%accounts); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		readers.Go(func() {
			for open := true; open; {
				select {
				case <-done:
					open = false
				default:
				}
				checkTotal(t, db, accounts, total)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func transfer(ctx context.Context, db *store.DB, from, to int) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(`UPDATE t SET n = n - 1 WHERE id = $1`, from); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE t SET n = n + 1 WHERE id = $1`, to)
		return err
	})
}

// checkTotal adds up the accounts one statement at a time.
func checkTotal(t *testing.T, db *store.DB, accounts, total int) {
	err := db.View(t.Context(), func(tx *store.Tx) error {
		sum := 0
		for id := range accounts {
			n, err := store.One(tx, scalar[int], `SELECT n FROM t WHERE id = $1`, id)
			if err != nil {
				return err
			}
			sum += n
		}
		if sum != total {
			return fmt.Errorf("the snapshot adds up to %d, want %d", sum, total)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Only a file's readers go on while a change commits; in memory they take turns.
func TestSnapshotOutlivesACommit(t *testing.T) {
	db := storetest.File(t)
	exec(t, db, ids)
	err := db.View(t.Context(), func(tx *store.Tx) error {
		for range 2 {
			got, err := store.Collect(tx, scalar[string], `SELECT id FROM t`)
			if err != nil || got != nil {
				t.Errorf("the snapshot holds %q, %v", got, err)
			}
			committed := make(chan error)
			go func() {
				committed <- db.Update(t.Context(), func(tx *store.Tx) error {
					_, err := tx.Exec(`INSERT INTO t VALUES ('a') ON CONFLICT DO NOTHING`)
					return err
				})
			}()
			if err := <-committed; err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantIDs(t, db, "a")
}

func TestFailedCommit(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids, `CREATE TABLE c (id TEXT PRIMARY KEY REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)`)
		b := hold(t, db)
		good := b.add(t.Context(), insert("a"))
		orphan := b.add(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO c VALUES ('orphan')`)
			return err
		})
		b.commit()
		if *good == nil || *orphan == nil {
			t.Errorf("a batch whose COMMIT failed was acknowledged: %v, %v", *good, *orphan)
		}
		wantIDs(t, db)
		if err := db.Update(t.Context(), insert("b")); err != nil {
			t.Errorf("the writer did not recover: %v", err)
		}
		wantIDs(t, db, "b")
	})
}

// A change that ends the transaction under everyone's feet stands for SQLite's
// own rollback after some errors.
func TestLostTransaction(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, ids)
		b := hold(t, db)
		good := b.add(t.Context(), insert("a"))
		bad := b.add(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`ROLLBACK`)
			return err
		})
		later := b.add(t.Context(), insert("b"))
		b.commit()
		if *good == nil || *bad == nil {
			t.Errorf("a batch that was rolled back was acknowledged: %v, %v", *good, *bad)
		}
		if *later != nil {
			t.Errorf("the change after the lost batch: %v", *later)
		}
		wantIDs(t, db, "b")
	})
}

func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "db")
		db, err := store.Open(t.Context(), store.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		exec(t, db, ids)
		b := hold(t, db)
		var queued []*error
		var want []string
		for i := range 300 { // more than a batch
			id := fmt.Sprintf("%03d", i)
			queued, want = append(queued, b.add(t.Context(), insert(id))), append(want, id)
		}
		b.wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		b.commit()
		for i, err := range queued {
			if *err != nil {
				t.Errorf("change %d, queued before Close: %v", i, *err)
			}
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
		if err := db.Update(t.Context(), insert("late")); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Update after Close: %v", err)
		}
		if err := db.View(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrClosed) {
			t.Errorf("View after Close: %v", err)
		}
		db, err = store.Open(t.Context(), store.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		wantIDs(t, db, want...)
	})
}

func TestFullQueueBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := storetest.Memory(t)
		exec(t, db, ids)
		b := hold(t, db)
		const more = 1024
		for range more {
			b.wg.Go(func() {
				if err := db.Update(t.Context(), func(*store.Tx) error { return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		blocked := b.add(ctx, insert("a"))
		patient := b.add(t.Context(), insert("b"))
		cancel()
		synctest.Wait()
		if !errors.Is(*blocked, context.Canceled) {
			t.Errorf("cancelled before a full queue: %v", *blocked)
		}
		b.commit()
		if *patient != nil {
			t.Errorf("waited for room: %v", *patient)
		}
		wantIDs(t, db, "b")
	})
}

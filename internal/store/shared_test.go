package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// A thing is a row with a rev, as the wings have them.
type thing struct {
	id  string
	rev int64
}

func thingRow(v *thing) []any { return []any{&v.id, &v.rev} }

func things(db *store.DB) *store.Cache[thing] {
	load := func(tx *store.Tx, name string) (thing, error) {
		return store.One(tx, thingRow, `SELECT id, rev FROM things WHERE name = $1`, name)
	}
	return store.NewCache(db, 1<<20, func(thing) int64 { return 32 }, load).Checked(
		func(v thing) store.Stamp { return store.Stamp{ID: v.id, Rev: v.rev} },
		`SELECT id, rev FROM things WHERE id = ANY($1)`)
}

const makeThings = `CREATE TABLE things (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, rev BIGINT NOT NULL)`

// A node reads what others changed, deleted, or made anew, at once, and loads
// nothing that did not change.
func TestCheckedCache(t *testing.T) {
	at := storetest.PostgresURL(t)
	db, other := openNode(t, at), openNode(t, at)
	exec(t, other, makeThings, `INSERT INTO things VALUES ('1', 'a', 1)`)
	cache := things(db)
	want := func(id string, rev int64) {
		t.Helper()
		for range 3 {
			if v, err := cache.Get(t.Context(), nil, "a"); err != nil || v != (thing{id, rev}) {
				t.Errorf("got %v, %v; want %s with rev %d", v, err, id, rev)
			}
		}
	}
	want("1", 1)
	exec(t, other, `UPDATE things SET rev = rev + 1`)
	want("1", 2)
	exec(t, other, `DELETE FROM things`)
	if _, err := cache.Get(t.Context(), nil, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	exec(t, other, `INSERT INTO things VALUES ('2', 'a', 2)`)
	want("2", 2)
	if s := cache.Stats(); s.Hits != 6 || s.Misses != 4 || s.Entries != 1 {
		t.Errorf("stats %+v, want 6 hits, 4 misses, 1 entry", s)
	}
	if _, ok := cache.Peek("a"); ok {
		t.Error("Peek handed out what was not checked")
	}
}

// Nobody on any node reads less than what was acknowledged on any node before.
func TestNodesAreLinearizable(t *testing.T) {
	at := storetest.PostgresURL(t)
	nodes := []*store.DB{openNode(t, at), openNode(t, at)}
	exec(t, nodes[0], makeThings, `INSERT INTO things VALUES ('1', 'a', 0)`)
	caches := []*store.Cache[thing]{things(nodes[0]), things(nodes[1])}
	const changes, readers = 100, 4
	var seen atomic.Int64
	var writers, reading sync.WaitGroup
	done := make(chan struct{})
	for i, db := range nodes {
		writers.Go(func() {
			for range changes {
				var rev int64
				err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
					caches[i].Changed(tx, "a")
					rev, err = store.One(tx, scalar[int64], `UPDATE things SET rev = rev + 1 RETURNING rev`)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				raise(&seen, rev)
			}
		})
		for range readers {
			reading.Go(func() {
				for {
					before := seen.Load()
					v, err := caches[i].Get(t.Context(), nil, "a")
					if err != nil || v.rev < before {
						t.Errorf("read %d, %v after %d was acknowledged or read", v.rev, err, before)
						return
					}
					raise(&seen, v.rev)
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
	}
	writers.Wait()
	close(done)
	reading.Wait()
	if got := seen.Load(); got != 2*changes {
		t.Errorf("counted %d, want %d", got, 2*changes)
	}
}

package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// get is what a request is given of some things, before it confirms.
func get(t *testing.T, reads *store.Reads, cache *store.Cache[thing], names ...string) (all []thing) {
	t.Helper()
	for _, name := range names {
		v, err := cache.Get(t.Context(), reads, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// What a request has read is confirmed together, whichever caches it is from,
// and only what is out of date has to be loaded again.
func TestReads(t *testing.T) {
	at := storetest.PostgresURL(t)
	db, other := openNode(t, at), openNode(t, at)
	exec(t, other, makeThings, `INSERT INTO things SELECT CAST(n AS TEXT), CAST(n AS TEXT), 1 FROM generate_series(1, 20) AS n`)
	first, second := things(db), things(db)
	var names []string
	for n := range 20 {
		names = append(names, fmt.Sprint(n+1))
	}
	want := func(reads *store.Reads, want error) {
		t.Helper()
		if stale, err := reads.Confirm(t.Context()); stale || !errors.Is(err, want) {
			t.Errorf("confirm: %v, %v; want %v", stale, err, want)
		}
	}
	want(db.NewReads(), nil)
	for range 2 { // loaded, and cached
		reads := db.NewReads()
		get(t, reads, first, names...)
		get(t, reads, second, names[:3]...)
		want(reads, nil)
		want(reads, nil)
	}

	changed, not := db.NewReads(), db.NewReads()
	get(t, changed, first, names...)
	get(t, not, first, "1", "2")
	exec(t, other, `UPDATE things SET rev = 2 WHERE id = '20'`)
	want(changed, store.ErrOutdated)
	exec(t, other, `UPDATE things SET rev = 1 WHERE id = '20'`)
	want(changed, store.ErrOutdated) // for good
	want(not, nil)
	if s := first.Stats(); s.Misses != 20 || s.Entries != 19 {
		t.Errorf("stats %+v, want 20 misses, 19 entries", s)
	}

	gone := db.NewReads()
	get(t, gone, second, "3")
	exec(t, other, `DELETE FROM things WHERE id = '3'`)
	want(gone, store.ErrOutdated)

	// What was loaded for the request itself can be out of date, too.
	loaded := db.NewReads()
	get(t, loaded, first, "20")
	exec(t, other, `UPDATE things SET rev = 3 WHERE id = '20'`)
	want(loaded, store.ErrOutdated)
}

// What a request was given is true at one instant: of two things that are
// changed by turns nobody sees the second ahead of the first, or two behind.
func TestReadsAreOfOneInstant(t *testing.T) {
	at := storetest.PostgresURL(t)
	db, other := openNode(t, at), openNode(t, at)
	exec(t, other, makeThings, `INSERT INTO things VALUES ('1', 'a', 0), ('2', 'b', 0)`)
	cache := things(db)
	var writing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer writing.Wait()
	defer stop()
	writing.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			err := other.Update(context.Background(), func(tx *store.Tx) error {
				_, err := tx.Exec(`UPDATE things SET rev = rev + 1 WHERE name = $1`, []string{"a", "b"}[n%2])
				return err
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	const enough, most = 5, 100_000
	confirmed, outdated, last := 0, 0, int64(0)
	for confirmed < enough || outdated < enough {
		if confirmed+outdated == most {
			t.Fatalf("%d confirmed, %d out of date", confirmed, outdated)
		}
		reads := db.NewReads()
		got := get(t, reads, cache, "b", "a")
		_, err := reads.Confirm(t.Context())
		switch ahead := got[1].rev - got[0].rev; {
		case errors.Is(err, store.ErrOutdated):
			outdated++
		case err != nil:
			t.Fatal(err)
		case ahead < 0 || ahead > 1 || got[1].rev < last:
			t.Fatalf("read %v after %d", got, last)
		default:
			confirmed++
			last = got[1].rev
		}
	}
}

// A database of one process needs no confirmation.
func TestNoReads(t *testing.T) {
	reads := storetest.Memory(t).NewReads()
	if reads != nil {
		t.Errorf("got %v", reads)
	}
	if stale, err := reads.Confirm(t.Context()); stale || err != nil {
		t.Errorf("confirm: %v, %v", stale, err)
	}
}

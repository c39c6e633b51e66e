package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const counters = `CREATE TABLE c (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`

func loadCounter(tx *store.Tx, key string) (int64, error) {
	return store.One(tx, scalar[int64], `SELECT n FROM c WHERE id = $1`, key)
}

func eightBytes(int64) int64 { return 8 }

// increment adds one to a counter and returns what it is then.
func increment(ctx context.Context, db *store.DB, cache *store.Cache[int64], key string) (n int64, err error) {
	err = db.Update(ctx, func(tx *store.Tx) error {
		cache.Changed(tx, key)
		n, err = store.One(tx, scalar[int64],
			`INSERT INTO c VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = c.n + 1 RETURNING n`, key)
		return err
	})
	return n, err
}

// incrementTo is increment for who tells the cache the outcome.
func incrementTo(ctx context.Context, db *store.DB, cache *store.Cache[int64], key string) (n int64, err error) {
	err = db.Update(ctx, func(tx *store.Tx) error {
		n, err = store.One(tx, scalar[int64],
			`INSERT INTO c VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = c.n + 1 RETURNING n`, key)
		cache.Became(tx, key, n)
		return err
	})
	return n, err
}

func wantCounter(t *testing.T, cache *store.Cache[int64], key string, want int64) {
	t.Helper()
	if got, err := cache.Get(t.Context(), nil, key); err != nil || got != want {
		t.Errorf("Get(%s) = %d, %v; want %d", key, got, err, want)
	}
}

func TestCache(t *testing.T) {
	storetest.EachEmbedded(t, func(t *testing.T, db *store.DB) {
		exec(t, db, counters)
		cache := store.NewCache(db, 1<<20, eightBytes, loadCounter)
		for range 2 {
			if _, err := cache.Get(t.Context(), nil, "a"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a key without a row: %v", err)
			}
		}
		for want := int64(1); want <= 3; want++ {
			if _, err := increment(t.Context(), db, cache, "a"); err != nil {
				t.Fatal(err)
			}
			wantCounter(t, cache, "a", want)
			wantCounter(t, cache, "a", want)
		}
		stats := cache.Stats()
		if stats.Hits != 3 || stats.Misses != 5 || stats.Entries != 1 || stats.Bytes < 8 {
			t.Errorf("stats %+v, want 3 hits, 5 misses, 1 entry", stats)
		}
	})
}

// A change that tells what it makes spares the load, unless it fails.
func TestCacheIsToldAValue(t *testing.T) {
	storetest.EachEmbedded(t, func(t *testing.T, db *store.DB) {
		exec(t, db, counters)
		cache := store.NewCache(db, 1<<20, eightBytes, loadCounter)
		for want := int64(1); want <= 3; want++ {
			if _, err := incrementTo(t.Context(), db, cache, "a"); err != nil {
				t.Fatal(err)
			}
			wantCounter(t, cache, "a", want)
		}
		if s := cache.Stats(); s.Hits != 3 || s.Misses != 0 || s.Entries != 1 {
			t.Errorf("stats %+v, want 3 hits and no load", s)
		}
		refused := errors.New("refused")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			cache.Became(tx, "a", 100)
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		wantCounter(t, cache, "a", 3)
	})
}

func TestCacheOfAFailedChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, counters)
		cache := store.NewCache(db, 1<<20, eightBytes, loadCounter)
		if _, err := increment(t.Context(), db, cache, "a"); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			cache.Changed(tx, "a")
			_, err := tx.Exec(`UPDATE c SET n = 100`)
			return errors.Join(err, refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		wantCounter(t, cache, "a", 1)
		if _, err := increment(t.Context(), db, cache, "a"); err != nil {
			t.Fatal(err)
		}
		wantCounter(t, cache, "a", 2)
	})
}

// A load that began before a change must not publish after it.
func TestCacheRefusesASlowLoad(t *testing.T) {
	db := storetest.File(t) // in memory the load would hold up the change
	exec(t, db, counters)
	loaded, proceed := make(chan struct{}), make(chan struct{})
	var slow atomic.Bool
	cache := store.NewCache(db, 1<<20, eightBytes, func(tx *store.Tx, key string) (int64, error) {
		n, err := loadCounter(tx, key)
		if slow.CompareAndSwap(true, false) {
			close(loaded)
			<-proceed
		}
		return n, err
	})
	if _, err := increment(t.Context(), db, cache, "a"); err != nil {
		t.Fatal(err)
	}
	slow.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := cache.Get(t.Context(), nil, "a"); n != 1 || err != nil {
			t.Errorf("the slow load: %d, %v", n, err)
		}
	})
	<-loaded
	if _, err := increment(t.Context(), db, cache, "a"); err != nil {
		t.Fatal(err)
	}
	close(proceed)
	wg.Wait()
	if n := cache.Stats().Entries; n != 0 {
		t.Errorf("%d entries, want none: the load was older than the change", n)
	}
	wantCounter(t, cache, "a", 2)
}

func TestCacheBound(t *testing.T) {
	const limit = 4 << 20
	storetest.EachEmbedded(t, func(t *testing.T, db *store.DB) {
		cache := store.NewCache(db, limit, func(s string) int64 { return int64(len(s)) },
			func(tx *store.Tx, key string) (string, error) { return strings.Repeat(key[:1], 10_000), nil })
		for i := range 2000 {
			hot, cold := fmt.Sprintf("hot %d", i%20), fmt.Sprintf("cold %d", i)
			for _, key := range []string{hot, cold} {
				if got, err := cache.Get(t.Context(), nil, key); err != nil || len(got) != 10_000 || got[0] != key[0] {
					t.Fatalf("Get(%s) = %.3q..., %v", key, got, err)
				}
			}
			if s := cache.Stats(); s.Bytes > limit || s.Bytes < s.Entries*10_000 {
				t.Fatalf("stats %+v, limit %d", s, limit)
			}
		}
		s := cache.Stats()
		if s.Entries < 300 {
			t.Errorf("only %d entries, the limit has room for 400", s.Entries)
		}
		if s.Hits < 1900 {
			t.Errorf("%d hits of 1980: what is used often was evicted for what is used once", s.Hits)
		}
	})
}

// Keys that are used push out those that are not, however many there were.
func TestCacheMakesRoomForWhatIsUsed(t *testing.T) {
	db := storetest.Memory(t)
	const limit, size = 1 << 20, 800 // a thousand entries
	loads := 0
	cache := store.NewCache(db, limit, func(string) int64 { return size }, func(_ *store.Tx, key string) (string, error) {
		loads++
		return key, nil
	})
	get := func(kind string, keys int) {
		for n := range keys {
			if _, err := cache.Get(t.Context(), nil, fmt.Sprint(kind, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	get("idle", 2000)
	for range 5 {
		loads = 0
		get("busy", 700)
	}
	if loads != 0 {
		t.Errorf("%d of 700 keys that fit were loaded again", loads)
	}
}

func TestCacheKeepsNothing(t *testing.T) {
	storetest.EachEmbedded(t, func(t *testing.T, db *store.DB) {
		for name, cache := range map[string]*store.Cache[int64]{
			"limit 0":         store.NewCache(db, 0, eightBytes, func(*store.Tx, string) (int64, error) { return 1, nil }),
			"too large value": store.NewCache(db, 1<<20, func(int64) int64 { return 1 << 20 }, func(*store.Tx, string) (int64, error) { return 1, nil }),
		} {
			wantCounter(t, cache, "a", 1)
			wantCounter(t, cache, "a", 1)
			if s := cache.Stats(); s.Entries != 0 || s.Bytes != 0 || s.Misses != 2 {
				t.Errorf("%s: %+v", name, s)
			}
		}
	})
}

// Of one batch, the changes of a key are released together, after the commit.
func TestCacheManyChangesInABatch(t *testing.T) {
	eachBubble(t, func(t *testing.T, db *store.DB) {
		exec(t, db, counters)
		cache := store.NewCache(db, 1<<20, eightBytes, loadCounter)
		b := hold(t, db)
		for range 5 {
			b.wg.Go(func() {
				if _, err := increment(t.Context(), db, cache, "a"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		b.commit()
		wantCounter(t, cache, "a", 5)
		wantCounter(t, cache, "a", 5)
		if s := cache.Stats(); s.Hits != 1 {
			t.Errorf("stats %+v, want 1 hit", s)
		}
	})
}

// Readers and writers race on a few counters. Whoever starts to read after a
// value was acknowledged to a writer, or returned to another reader, must not
// be given a smaller one.
func TestCacheIsLinearizable(t *testing.T) {
	for name, limit := range map[string]int64{"roomy": 1 << 20, "evicting": 1200} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) { raceCounters(t, db, limit) })
		})
	}
}

func raceCounters(t *testing.T, db *store.DB, limit int64) {
	const keys, writers, readers, changes = 8, 8, 8, 150
	exec(t, db, counters)
	cache := store.NewCache(db, limit, eightBytes, loadCounter)
	var known [keys]atomic.Int64
	for k := range keys {
		if _, err := increment(t.Context(), db, cache, fmt.Sprint(k)); err != nil {
			t.Fatal(err)
		}
		known[k].Store(1)
	}
	var writing, reading sync.WaitGroup
	var done atomic.Bool
	for range writers {
		writing.Go(func() {
			for range changes {
				k := rand.IntN(keys)
				change := increment
				if rand.IntN(2) == 0 {
					change = incrementTo
				}
				n, err := change(t.Context(), db, cache, fmt.Sprint(k))
				if err != nil {
					t.Error(err)
				}
				raise(&known[k], n)
			}
		})
	}
	for range readers {
		reading.Go(func() {
			for !done.Load() {
				k := rand.IntN(keys)
				floor := known[k].Load()
				n, err := cache.Get(t.Context(), nil, fmt.Sprint(k))
				if err != nil {
					t.Error(err)
				}
				if n < floor {
					t.Errorf("counter %d went from %d back to %d", k, floor, n)
				}
				raise(&known[k], n)
			}
		})
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()
	for k := range keys {
		wantCounter(t, cache, fmt.Sprint(k), known[k].Load())
	}
}

func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); old < n && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

func TestPeekLoadsNothing(t *testing.T) {
	storetest.EachEmbedded(t, func(t *testing.T, db *store.DB) {
		loads := 0
		c := store.NewCache(db, 1<<20, func(string) int64 { return 1 }, func(*store.Tx, string) (string, error) {
			loads++
			return "v", nil
		})
		if _, ok := c.Peek("k"); ok || loads != 0 {
			t.Errorf("an empty cache gave a value, %d loads", loads)
		}
		if _, err := c.Get(t.Context(), nil, "k"); err != nil {
			t.Fatal(err)
		}
		if v, ok := c.Peek("k"); !ok || v != "v" || loads != 1 {
			t.Errorf("got %q, %v, %d loads", v, ok, loads)
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			c.Changed(tx, "k")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Peek("k"); ok {
			t.Error("a changed value was given")
		}
	})
}

package store_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// BenchmarkUpdate measures durable changes by concurrent callers; x-alone is
// how many times as many there are as with a commit each, in the same run.
func BenchmarkUpdate(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			db := storetest.File(b)
			exec(b, db, `CREATE TABLE v (id BIGINT PRIMARY KEY, data BYTEA NOT NULL)`)
			var id atomic.Int64
			data := make([]byte, 1500)
			update := func() error {
				return db.Update(context.Background(), func(tx *store.Tx) error {
					_, err := tx.Exec(`INSERT INTO v VALUES ($1, $2)`, id.Add(1), data)
					return err
				})
			}
			var mu sync.Mutex
			alone := timed(b, callers, min(b.N, 500), func() error {
				mu.Lock()
				defer mu.Unlock()
				return update()
			})
			b.ResetTimer()
			together := timed(b, callers, b.N, update)
			b.ReportMetric(float64(alone)/float64(together), "x-alone")
		})
	}
}

// timed returns how long one of n calls takes when callers share them.
func timed(b *testing.B, callers, n int, call func() error) time.Duration {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start) / time.Duration(n)
}

func BenchmarkView(b *testing.B) {
	db := storetest.File(b)
	exec(b, db, counters, `INSERT INTO c VALUES ('a', 1)`)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := db.View(context.Background(), func(tx *store.Tx) error {
				_, err := loadCounter(tx, "a")
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkCacheHit(b *testing.B) {
	const keys = 10_000
	db := storetest.Memory(b)
	cache := store.NewCache(db, 64<<20, eightBytes, func(*store.Tx, string) (int64, error) { return 1, nil })
	names := make([]string, keys)
	for i := range names {
		names[i] = fmt.Sprintf("111111111111/us-east-1/app/%d", i)
		if _, err := cache.Get(b.Context(), nil, names[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := cache.Get(context.Background(), nil, names[i%keys]); err != nil {
				b.Error(err)
			}
		}
	})
}

// Reads of one of 1,000 values of 1 KiB over PostgreSQL: loaded each time, and
// cached behind the shared look at their revs.
func BenchmarkSharedRead(b *testing.B) {
	db := storetest.Postgres(b)
	type row struct {
		id   string
		rev  int64
		data []byte
	}
	dest := func(r *row) []any { return []any{&r.id, &r.rev, &r.data} }
	err := db.Update(b.Context(), func(tx *store.Tx) error {
		if _, err := tx.Exec(`CREATE TABLE r (id TEXT PRIMARY KEY, rev BIGINT NOT NULL, data BYTEA NOT NULL)`); err != nil {
			return err
		}
		for n := range 1000 {
			if _, err := tx.Exec(`INSERT INTO r VALUES ($1, 1, $2)`, strconv.Itoa(n), make([]byte, 1024)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	cache := func() *store.Cache[row] {
		return store.NewCache(db, 64<<20, func(r row) int64 { return int64(len(r.data)) }, func(tx *store.Tx, key string) (row, error) {
			return store.One(tx, dest, `SELECT id, rev, data FROM r WHERE id = $1`, key)
		})
	}
	checked := cache().Checked(func(r row) store.Stamp { return store.Stamp{ID: r.id, Rev: r.rev} },
		`SELECT id, rev FROM r WHERE id = ANY($1)`)
	for name, c := range map[string]*store.Cache[row]{"loaded": cache(), "checked": checked} {
		for _, callers := range []int{1, 16, 64} {
			b.Run(name+"/callers="+strconv.Itoa(callers), func(b *testing.B) {
				var n atomic.Int64
				d := timed(b, callers, b.N, func() error {
					_, err := c.Get(b.Context(), nil, strconv.Itoa(int(n.Add(1)%1000)))
					return err
				})
				b.ReportMetric(1/d.Seconds(), "reads/s")
			})
		}
	}
}

package store

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	maxShards     = 64
	minShardBytes = 1 << 20 // so that a small cache still holds large values
	entryBytes    = 200     // what the tables take for an entry, besides key and value
)

// A Cache keeps values loaded from the database by key, within a limit of
// bytes. Get is linearizable: it returns the committed value of an instant
// between its call and its return. It may be used concurrently.
//
// Why that holds. Every change of a key calls Changed, so its commit goes
// through three steps on the writer's goroutine:
//
//  1. mark: the key counts as pending, its entry is dropped, loads of it that
//     are under way are spoiled;
//  2. COMMIT: from one instant on, every new snapshot shows the change;
//  3. release: the key is not pending any more; then the callers are answered.
//
// A Get that misses registers its load before it opens its snapshot, unless
// the key is pending, and publishes what it loaded only if the load is not
// spoiled. So a published value comes from a snapshot taken in an interval in
// which no commit of the key was between mark and release; it is the value
// after the last commit before that interval, and the next commit's mark drops
// it before that commit can show. Hence an entry found is the current value at
// that instant. While a key is pending there is no entry and none can appear:
// one reader cannot be given the new value by its own snapshot and another,
// later, the old one by a slow reader that loaded before the commit. A change
// that is answered has been released after its COMMIT, so every Get from then
// on finds an entry from a later snapshot, or takes one.
//
// A commit that fails goes through the same steps and costs a reload. With
// Became, release publishes what the change has made of the key, if no further
// change of it is pending: that is the value after the last commit, and the
// next one's mark is still to come.
//
// Where other processes change the data too, the steps above say nothing about
// their commits. There what an entry says counts only once a query that began
// after Get was called has found its stamp unchanged, see Checked and Reads;
// without stamps each Get loads. What is published may be old, and is found out
// when it is checked.
//
// Loads are not shared by concurrent misses: a Get that joined a load begun
// before it might be given a value older than an answer its caller has seen.
type Cache[V any] struct {
	db     *DB
	size   func(V) int64
	load   func(tx *Tx, key string) (V, error)
	seed   maphash.Seed
	shards []shard[V]

	checker *checker // nil if entries need no check, or cannot be checked
	kind    int      // for the checker
	stamp   func(V) Stamp
}

// CacheStats is a moment's view of a Cache.
type CacheStats struct {
	Hits, Misses   int64 // since the start
	Bytes, Entries int64 // now
}

// NewCache returns an empty cache that loads what it misses in a View of db.
// limit bounds the sum of the values' sizes, with the keys and a fixed overhead
// an entry; 0 keeps nothing. A value larger than its shard's part of the limit
// (1 MiB, or limit/64 if that is more) is loaded each time. size must answer
// the same for a value at all times.
func NewCache[V any](db *DB, limit int64, size func(V) int64, load func(tx *Tx, key string) (V, error)) *Cache[V] {
	n := min(maxShards, max(1, limit/minShardBytes))
	c := &Cache[V]{db: db, size: size, load: load, seed: maphash.MakeSeed(), shards: make([]shard[V], n)}
	for i := range c.shards {
		c.shards[i].init(limit / n)
	}
	return c
}

// Checked makes the cache of use on a database that other processes change
// too, where a cache that has no stamps loads each time.
//
// stamp is that of a value. query is the text of a SELECT, for PostgreSQL alone,
// of the ids and the revs of those of the ids in the array $1 that exist. A
// change of what load reads must change the stamp in the same transaction.
// Checked must be called before the cache is used; it returns the cache.
func (c *Cache[V]) Checked(stamp func(V) Stamp, query string) *Cache[V] {
	if c.db == nil {
		return c
	}
	if pg, shared := c.db.engine.(*pgEngine); shared {
		c.checker, c.kind, c.stamp = pg.checker, pg.checker.kind(query), stamp
	}
	return c
}

// Get returns the value of key. Callers share it and must not change it. An
// error of load is returned as it is and not cached. Get must not be called
// inside a transaction.
//
// With reads that are not nil it does not wait for the value to be confirmed,
// but leaves that to them.
func (c *Cache[V]) Get(ctx context.Context, reads *Reads, key string) (V, error) {
	s := c.shard(key)
	switch {
	case c.checker != nil:
		if v, ok, err := c.recall(ctx, reads, key); ok || err != nil {
			return v, err
		}
	case c.db.engine.sole():
		if v, ok := s.get(key); ok {
			return v, nil
		}
	default:
		return c.read(ctx, key)
	}
	l := s.begin(key)
	var loaded *entry[V]
	defer func() { s.end(key, l, loaded) }()
	var began int64
	if c.checker != nil {
		began = c.checker.now()
	}
	v, err := c.read(ctx, key)
	if err != nil {
		return v, err
	}
	loaded = c.entry(key, v)
	if c.checker != nil {
		loaded.confirm(began)
		reads.hold(loaded)
	}
	return v, nil
}

// recall is the cached value of key, if there is one. Without reads it is
// confirmed first.
func (c *Cache[V]) recall(ctx context.Context, reads *Reads, key string) (v V, ok bool, err error) {
	s := c.shard(key)
	e := s.find(key)
	if e == nil {
		return v, false, nil
	}
	if reads == nil {
		asked := c.checker.now()
		if ok, err = c.checker.current(ctx, []held{e}); !ok || err != nil {
			return v, false, err
		}
		e.confirm(asked)
	}
	reads.hold(e)
	s.hits.Add(1)
	return e.value, true, nil
}

func (c *Cache[V]) read(ctx context.Context, key string) (v V, err error) {
	err = c.db.View(ctx, func(tx *Tx) (err error) {
		v, err = c.load(tx, key)
		return err
	})
	if err != nil {
		return *new(V), err
	}
	return v, nil
}

// Peek is Get for a value that is there; it asks the database nothing. ok is
// false for one that is not there, or would have to be checked.
func (c *Cache[V]) Peek(key string) (value V, ok bool) {
	if !c.db.engine.sole() {
		return value, false
	}
	return c.shard(key).get(key)
}

// Changed says that the transaction changes what key stands for. Every Update
// that does must call it, before or after its statements.
func (c *Cache[V]) Changed(tx *Tx, key string) {
	s := c.shard(key)
	tx.hooks = append(tx.hooks, hook{
		before: func() { s.mark(key) },
		after:  func(bool) { s.release(key, nil) },
	})
}

// Became is Changed for a transaction that knows what load would now return:
// value, which is shared from the commit on. It spares the next Get the load,
// where nobody else changes the data.
func (c *Cache[V]) Became(tx *Tx, key string, value V) {
	s := c.shard(key)
	tx.hooks = append(tx.hooks, hook{
		before: func() { s.mark(key) },
		after: func(committed bool) {
			var e *entry[V]
			if committed && c.db.engine.sole() {
				e = c.entry(key, value)
			}
			s.release(key, e)
		},
	})
}

// A Named value knows its own key. The cache then keeps no other text of it,
// which would be one more object for the garbage collector to visit.
type Named interface{ Key() string }

func (c *Cache[V]) entry(key string, value V) *entry[V] {
	if named, ok := any(value).(Named); ok {
		key = named.Key()
	}
	return &entry[V]{of: c, key: key, value: value, bytes: c.size(value) + int64(len(key)) + entryBytes}
}

// Stats returns counters; they are read one after the other.
func (c *Cache[V]) Stats() CacheStats {
	var stats CacheStats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		stats.Hits += s.hits.Load()
		stats.Misses += s.misses
		stats.Bytes += s.bytes
		stats.Entries += int64(len(s.ring))
		s.mu.RUnlock()
	}
	return stats
}

func (c *Cache[V]) shard(key string) *shard[V] {
	return &c.shards[maphash.String(c.seed, key)%uint64(len(c.shards))]
}

// A shard is a cache of its own for a part of the keys. A hit only reads, so
// hits do not wait for each other.
type shard[V any] struct {
	mu      sync.RWMutex
	limit   int64
	bytes   int64
	entries map[string]*entry[V]
	ring    []*entry[V] // the same entries, in the order of the clock's hand
	hand    int
	pending map[string]int      // how many changes are between mark and release
	loading map[string]*loading // loads that may still publish
	hits    atomic.Int64
	misses  int64
}

type entry[V any] struct {
	of    *Cache[V]
	key   string
	value V
	bytes int64
	at    int         // index in the ring
	used  atomic.Bool // since the hand last passed

	checked atomic.Int64 // when the last question was asked that found it true, see checker.now
}

func (e *entry[V]) stamp() (kind int, s Stamp) { return e.of.kind, e.of.stamp(e.value) }
func (e *entry[V]) drop()                      { e.of.shard(e.key).drop(e) }
func (e *entry[V]) confirm(at int64)           { e.checked.Store(at) }

func (e *entry[V]) bearable(now int64) bool {
	return now-e.checked.Load() < int64(e.of.checker.maxStale) && e.of.shard(e.key).has(e)
}

// A loading stands for the loads of one key that began since its last change.
type loading struct {
	loads   int
	spoiled bool
}

func (s *shard[V]) init(limit int64) {
	s.limit = limit
	s.entries = make(map[string]*entry[V])
	s.pending = make(map[string]int)
	s.loading = make(map[string]*loading)
}

func (s *shard[V]) get(key string) (v V, ok bool) {
	e := s.find(key)
	if e == nil {
		return v, false
	}
	s.hits.Add(1)
	return e.value, true
}

func (s *shard[V]) find(key string) *entry[V] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.entries[key]
	if e != nil && !e.used.Load() {
		e.used.Store(true)
	}
	return e
}

// has says whether an entry is there still.
func (s *shard[V]) has(e *entry[V]) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[e.key] == e
}

// drop removes an entry, unless another has taken its place.
func (s *shard[V]) drop(e *entry[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.key] == e {
		s.remove(e)
	}
}

// begin registers a load; nil if what it loads may not be published.
func (s *shard[V]) begin(key string) *loading {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misses++
	if s.pending[key] > 0 {
		return nil
	}
	l := s.loading[key]
	if l == nil {
		l = new(loading)
		s.loading[key] = l
	}
	l.loads++
	return l
}

// end takes back what begin did and publishes e if that is allowed; e is nil
// if the load failed.
func (s *shard[V]) end(key string, l *loading, e *entry[V]) {
	if l == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.spoiled {
		return
	}
	if l.loads--; l.loads == 0 {
		delete(s.loading, key)
	}
	if e != nil && s.entries[key] == nil {
		s.insert(e)
	}
}

func (s *shard[V]) mark(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[key]++
	if l := s.loading[key]; l != nil {
		l.spoiled = true
		delete(s.loading, key)
	}
	if e := s.entries[key]; e != nil {
		s.remove(e)
	}
}

// release takes back what mark did. e is what the change has made of the key,
// or nil; it is published unless a further change of the key is pending.
func (s *shard[V]) release(key string, e *entry[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[key]--; s.pending[key] > 0 {
		return
	}
	delete(s.pending, key)
	if e != nil {
		s.insert(e)
	}
}

// insert makes room by the CLOCK rule: the hand goes round, spares once what
// was used since it last passed, and takes the rest. It goes on from what it
// has taken, too: in that place is now the entry that came last, which would
// else be the next to go, and what nobody uses would stay.
func (s *shard[V]) insert(e *entry[V]) {
	if e.bytes > s.limit {
		return
	}
	for s.bytes+e.bytes > s.limit {
		s.hand %= len(s.ring)
		if old := s.ring[s.hand]; !old.used.Swap(false) {
			s.remove(old)
		}
		s.hand++
	}
	e.at = len(s.ring)
	s.ring = append(s.ring, e)
	s.entries[e.key] = e
	s.bytes += e.bytes
}

// remove fills the gap with the ring's last entry.
func (s *shard[V]) remove(e *entry[V]) {
	last := len(s.ring) - 1
	moved := s.ring[last]
	s.ring[e.at], moved.at = moved, e.at
	s.ring[last] = nil
	s.ring = s.ring[:last]
	delete(s.entries, e.key)
	s.bytes -= e.bytes
}

package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Stamp tells the states of a thing apart: its id, never given to another,
// and a number that grows with every transaction that touches it.
type Stamp struct {
	ID  string
	Rev int64
}

// StampRow is where a Stamp's columns go.
func StampRow(s *Stamp) []any { return []any{&s.ID, &s.Rev} }

// InList is the placeholders of a list of n values, ($1, $2, $3).
func InList(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(", $")
		b.WriteString(strconv.Itoa(i + 1))
	}
	return "(" + strings.TrimPrefix(b.String(), ", ") + ")"
}

// Args are texts as the arguments of a statement.
func Args(texts []string) []any {
	args := make([]any, len(texts))
	for i, text := range texts {
		args[i] = text
	}
	return args
}

// maxRound bounds the ids of one query.
const maxRound = 256

// A checker asks the database for the revs of things, in rounds: one query is
// on its way at a time, and those that come meanwhile wait for the next. So
// what it answers was read by a query that began after the question, and the
// more ask the less each costs.
type checker struct {
	read func(ids []string) ([]Stamp, error)
	lost func() context.Context // ends while the database is away, with the error as its cause

	mu      sync.Mutex
	next    *round // gathers ids; nil if nobody waits for one
	running bool
}

// A round is one query. revs and err are set when done is closed.
type round struct {
	ids  map[string]struct{}
	done chan struct{}
	revs map[string]int64
	err  error
}

// current says whether s is the state of its thing at an instant between the
// call and the return. While the database is away nobody joins a round, and
// nobody waits for one.
func (c *checker) current(ctx context.Context, s Stamp) (bool, error) {
	lost := c.lost()
	if lost.Err() != nil {
		return false, context.Cause(lost)
	}
	r := c.join(s.ID)
	select {
	case <-r.done:
	case <-lost.Done():
		return false, context.Cause(lost)
	case <-ctx.Done():
		return false, fmt.Errorf("wait for the database: %w", ctx.Err())
	}
	rev, there := r.revs[s.ID]
	return there && rev == s.Rev, r.err
}

func (c *checker) join(id string) *round {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = &round{ids: make(map[string]struct{}), done: make(chan struct{})}
	}
	r := c.next
	r.ids[id] = struct{}{}
	if !c.running {
		c.running = true
		go c.run()
	}
	return r
}

// run goes on for as long as somebody waits.
func (c *checker) run() {
	for {
		c.mu.Lock()
		r := c.next
		c.next = nil // from here on the round takes nobody in
		c.running = r != nil
		c.mu.Unlock()
		if r == nil {
			return
		}
		r.err = c.ask(r)
		close(r.done)
	}
}

func (c *checker) ask(r *round) error {
	r.revs = make(map[string]int64, len(r.ids))
	ids := make([]string, 0, min(len(r.ids), maxRound))
	for id := range r.ids {
		if ids = append(ids, id); len(ids) == maxRound {
			if err := c.askSome(r, ids); err != nil {
				return err
			}
			ids = ids[:0]
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return c.askSome(r, ids)
}

// askSome repeats the last id up to the next power of four, so that there are
// few statement texts.
func (c *checker) askSome(r *round, ids []string) error {
	size := 1
	for size < len(ids) {
		size *= 4
	}
	for len(ids) < size {
		ids = append(ids, ids[len(ids)-1])
	}
	stamps, err := c.read(ids)
	for _, s := range stamps {
		r.revs[s.ID] = s.Rev
	}
	return err
}

// Checked makes the cache of use on a database that other processes change
// too, where a cache that has no stamps loads each time: a value is served
// once its stamp was compared with the database's, after Get was called.
//
// stamp is that of a value. read makes one statement, with InList, that
// returns the stamps of those of the ids that exist; ids may repeat. A change
// of what load reads must change the stamp in the same transaction. Checked
// must be called before the cache is used; it returns the cache.
func (c *Cache[V]) Checked(stamp func(V) Stamp, read func(tx *Tx, ids []string) ([]Stamp, error)) *Cache[V] {
	pg, shared := c.engine().(*pgEngine)
	if !shared {
		return c
	}
	c.stamp, c.maxStale = stamp, pg.maxStale
	c.checker = &checker{lost: pg.link.lost, read: func(ids []string) (stamps []Stamp, err error) {
		err = pg.peek(context.Background(), func(tx *Tx) (err error) {
			stamps, err = read(tx, ids)
			return err
		})
		return stamps, err
	}}
	return c
}

func (c *Cache[V]) engine() engine {
	if c.db == nil {
		return nil
	}
	return c.db.engine
}

// checked is the cached value of key if it is still true. old is what there is
// if that could not be found out.
func (c *Cache[V]) checked(ctx context.Context, key string) (v V, ok bool, old *entry[V], err error) {
	s := c.shard(key)
	e := s.find(key)
	if e == nil {
		return v, false, nil, nil
	}
	asked := c.now()
	if ok, err = c.checker.current(ctx, c.stamp(e.value)); err != nil {
		return v, false, e, err
	}
	if !ok {
		s.drop(e)
		return v, false, nil, nil
	}
	e.checked.Store(asked)
	s.hits.Add(1)
	return e.value, true, nil, nil
}

// GetOrStale is Get, but while the database is away it returns a value that was
// true at an instant of the last MaxStale of the store's Config, and says that
// it is stale. A value that this process has tried to change since then, with
// whatever success, is not returned.
func (c *Cache[V]) GetOrStale(ctx context.Context, key string) (v V, stale bool, err error) {
	v, old, err := c.get(ctx, key)
	if old == nil || !errors.Is(err, ErrUnavailable) || c.now()-old.checked.Load() >= int64(c.maxStale) || !c.shard(key).has(old) {
		return v, false, err
	}
	return old.value, true, nil
}

// now is a clock that is never set, in nanoseconds.
func (c *Cache[V]) now() int64 { return int64(time.Since(c.began)) }

package store

import (
	"context"
	"fmt"
	"runtime"
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

const (
	// maxRound bounds the ids of one query.
	maxRound = 1024

	// minList is more ids than PostgreSQL supposes in a list that it does not
	// know. The plan it has made for unknown lists is then never dearer, in its
	// view, than one made anew for a shorter list, which takes it longer than
	// the look-ups.
	minList = 16
)

// A checker asks a shared database for the revs of what caches hold, of all
// caches at once and in rounds: one query is on its way at a time, and those
// that come meanwhile wait for the next. So what it answers was read by a query
// that began after the question, and the more ask the less each costs.
type checker struct {
	read     func(query string, lists []any) ([]found, error)
	lost     func() context.Context // ends while the database is away, with the error as its cause
	maxStale time.Duration
	began    time.Time // where now counts from

	mu      sync.Mutex
	kinds   []string // their queries
	next    *round   // gathers entries; nil if nobody waits for one
	running bool
}

// A held value is an entry of a cache of any type.
type held interface {
	stamp() (kind int, s Stamp)
	// drop removes it from its cache.
	drop()
	// confirm takes note that a question asked at that time found it true.
	confirm(at int64)
	// bearable says whether it may still be served now without a question.
	bearable(now int64) bool
}

// A found stamp is that of a thing of a kind as the database has it.
type found struct {
	kind int
	Stamp
}

// A round is one question. refuted and err are set when done is closed.
type round struct {
	asked   map[held]struct{}
	done    chan struct{}
	refuted map[held]struct{} // those of asked that are not true any more
	err     error
}

// kind gives a cache the number by which its ids are told from those of others.
func (c *checker) kind(query string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds = append(c.kinds, query)
	return len(c.kinds) - 1
}

// current says whether all of some entries were true at an instant between the
// call and the return. While the database is away nobody joins a round, and
// nobody waits for one.
func (c *checker) current(ctx context.Context, all []held) (bool, error) {
	lost := c.lost()
	if lost.Err() != nil {
		return false, context.Cause(lost)
	}
	r := c.join(all)
	select {
	case <-r.done:
	case <-lost.Done():
		return false, context.Cause(lost)
	case <-ctx.Done():
		return false, fmt.Errorf("wait for the database: %w", ctx.Err())
	}
	if r.err != nil || len(r.refuted) == 0 {
		return r.err == nil, r.err
	}
	for _, h := range all {
		if _, untrue := r.refuted[h]; untrue {
			return false, nil
		}
	}
	return true, nil
}

func (c *checker) join(all []held) *round {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = &round{asked: make(map[held]struct{}), done: make(chan struct{})}
	}
	r := c.next
	for _, h := range all {
		r.asked[h] = struct{}{}
	}
	if !c.running {
		c.running = true
		go c.run()
	}
	return r
}

// run goes on for as long as somebody waits.
func (c *checker) run() {
	for {
		runtime.Gosched() // those who are about to ask share this round
		c.mu.Lock()
		r := c.next
		c.next = nil // from here on the round takes nobody in
		c.running = r != nil
		kinds := c.kinds
		c.mu.Unlock()
		if r == nil {
			return
		}
		r.err = c.ask(r, kinds)
		for h := range r.refuted {
			h.drop()
		}
		close(r.done)
	}
}

func (c *checker) ask(r *round, kinds []string) error {
	some := make([]held, 0, min(len(r.asked), maxRound))
	for h := range r.asked {
		if some = append(some, h); len(some) == maxRound {
			if err := c.askSome(r, some, kinds); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	if len(some) == 0 {
		return nil
	}
	return c.askSome(r, some, kinds)
}

func (c *checker) askSome(r *round, some []held, kinds []string) error {
	ids := make([][]string, len(kinds))
	for _, h := range some {
		kind, s := h.stamp()
		ids[kind] = append(ids[kind], s.ID)
	}
	var query strings.Builder
	var lists []any
	revs := make([]map[string]int64, len(kinds))
	for kind, list := range ids {
		if len(list) == 0 {
			continue
		}
		revs[kind] = make(map[string]int64, len(list))
		for len(list) < minList {
			list = append(list, list[0])
		}
		if lists = append(lists, list); len(lists) > 1 {
			query.WriteString(" UNION ALL ")
		}
		place := strconv.Itoa(len(lists))
		query.WriteString("SELECT " + strconv.Itoa(kind) + ", id, rev FROM (" + strings.ReplaceAll(kinds[kind], "$1", "$"+place) + ") AS s" + place + " (id, rev)")
	}
	rows, err := c.read(query.String(), lists)
	if err != nil {
		return err
	}
	for _, f := range rows {
		revs[f.kind][f.ID] = f.Rev
	}
	for _, h := range some {
		kind, s := h.stamp()
		if rev, there := revs[kind][s.ID]; !there || rev != s.Rev {
			r.refute(h)
		}
	}
	return nil
}

func (r *round) refute(h held) {
	if r.refuted == nil {
		r.refuted = make(map[held]struct{})
	}
	r.refuted[h] = struct{}{}
}

// now is a clock that is never set, in nanoseconds.
func (c *checker) now() int64 { return int64(time.Since(c.began)) }

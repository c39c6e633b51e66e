package store

import (
	"context"
	"errors"
)

// ErrOutdated says that something a request was given from memory was not true
// any more: what was made of it must be thrown away, and the request begin anew.
var ErrOutdated = errors.New("what was read is out of date")

// Reads is what a request has been given by the caches of a database that other
// processes change too, and has not confirmed yet. Cache.Get hands out what is
// cached at once; before anything made of it leaves, or changes something,
// Confirm asks the database about all of it together.
//
// Why that is linearizable. All values that a request holds were loaded before
// Confirm is called, and the query it waits for begins after that. It finds
// each thing with the rev that the value was loaded with, and since a rev grows
// with each change the value was true from its load to the query. So at the
// instant of the query, which lies between request and answer, all of them were
// true together. That holds for a refusal as well as for an answer.
//
// What a request reads from the database itself, such as that a thing does not
// exist, was true at an instant after all that it had been given before, and so
// together with it.
//
// A nil Reads is one of a request that waits at each Get until its value is
// confirmed. Other Reads are for one goroutine at a time.
type Reads struct {
	checker *checker
	held    []held
	usual   [6]held // the memory of held, if no more are needed
	changed bool
}

// NewReads begins a request that may be run again. It is nil on a database of
// one process, whose caches are true at all times.
func (db *DB) NewReads() *Reads {
	pg, shared := db.engine.(*pgEngine)
	if !shared {
		return nil
	}
	r := &Reads{checker: pg.checker}
	r.held = r.usual[:0]
	return r
}

// Confirm says that all values that Cache.Get has returned since the last
// success were true at an instant between the call and the return. ErrOutdated
// says that they were not; it stays so, and those that were not are dropped
// from their caches, so that a next try loads them.
//
// While the database is away the values may be stale: confirmed at an instant
// of the last MaxStale of the store's Config, each at its own, and not changed
// by this process since then, with whatever success. The error is
// ErrUnavailable if one of them is older.
func (r *Reads) Confirm(ctx context.Context) (stale bool, err error) {
	switch {
	case r == nil:
		return false, nil
	case r.changed:
		return false, ErrOutdated
	case len(r.held) == 0:
		return false, nil
	}
	asked := r.checker.now()
	current, err := r.checker.current(ctx, r.held)
	switch {
	case errors.Is(err, ErrUnavailable) && r.bearable():
		return true, nil
	case err != nil:
		return false, err
	case !current:
		r.changed = true
		return false, ErrOutdated
	}
	for _, h := range r.held {
		h.confirm(asked)
	}
	r.held = r.held[:0]
	return false, nil
}

func (r *Reads) bearable() bool {
	now := r.checker.now()
	for _, h := range r.held {
		if !h.bearable(now) {
			return false
		}
	}
	return true
}

// hold takes a value in that is to be confirmed.
func (r *Reads) hold(h held) {
	if r != nil {
		r.held = append(r.held, h)
	}
}

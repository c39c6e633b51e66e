// Package store keeps the server's data in a transactional SQL database.
//
// Every query is written once for all engines: placeholders are $N, times are
// BIGINT milliseconds, blobs are BYTEA, text compares by bytes, NULL order is
// written out, and there is no LIKE. A locking read ends in Tx.ForUpdate.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Config says where the data is.
type Config struct {
	// Path is the database file; its folder must exist. SQLite puts PATH-wal
	// and PATH-shm beside it, and PATH.lock keeps other processes out. The
	// empty path is a database in memory of which nothing reaches a disk.
	Path string

	// URL is that of a PostgreSQL database, in the place of Path:
	// postgres://user:password@host1,host2/name?sslmode=verify-full. Of several
	// hosts the one that accepts writes is used. The database must exist, order
	// text by bytes (LOCALE 'C' or 'C.UTF-8') and belong to the user. Several
	// processes may have it open.
	URL string

	// NeedStandby refuses a PostgreSQL server that names synchronous standbys
	// and has none connected: a primary that was cut off and replaced, whose
	// word is worth nothing. The user needs the role pg_monitor for that.
	NeedStandby bool

	// MaxStale is how long after its last check a cached value may be served
	// while a PostgreSQL server is away, see Reads.Confirm; 0 is never.
	MaxStale time.Duration

	// Log receives what an operator should know; nil discards it.
	Log *slog.Logger

	// Committed, if set, is told of each commit before its callers are
	// answered. Changes wait for it, on SQLite all of them; it may be called
	// concurrently and must not use the DB.
	Committed func(Commit)
}

// A Commit is what became of the changes that shared one.
type Commit struct {
	Changes int           // made durable together; of a failure, all that were lost
	Took    time.Duration // the COMMIT alone, which is the wait for the disk
	Err     error         // nil if the changes are durable
}

// A DB is an open database. It may be used concurrently.
type DB struct {
	engine engine
	holder string // of leases

	closing  sync.Once
	closeErr error
}

// An engine is a database system. Its methods keep the promises of DB's.
type engine interface {
	view(ctx context.Context, fn func(*Tx) error) error
	peek(ctx context.Context, fn func(*Tx) error) error
	update(ctx context.Context, fn func(*Tx) error) error

	queued() int
	copyTo(ctx context.Context, path string) error

	// sole says that nobody else changes the data, so that a value read stays
	// true until a change goes through update.
	sole() bool

	close() error
}

// Open opens the database, creates a file if there is none, and brings the
// schema up to date. A file never waits for another process: ErrLocked says that one has it already.
// ErrNewer says that a newer version of this program wrote the database
// (nothing is changed then). ErrUnfinished says that a Transfer into it has not
// ended.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Committed == nil {
		cfg.Committed = func(Commit) {}
	}
	if cfg.URL != "" {
		if cfg.Path != "" {
			return nil, errors.New("open the database: it is either a file or a PostgreSQL database, not both")
		}
		db, err := openPostgres(ctx, cfg)
		if err != nil {
			return nil, fmt.Errorf("open the PostgreSQL database: %w", err)
		}
		return db, nil
	}
	if cfg.Path == "" {
		db, err := openMemory(ctx, cfg)
		if err != nil {
			return nil, fmt.Errorf("open a database in memory: %w", err)
		}
		return db, nil
	}
	db, err := openFile(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", cfg.Path, err)
	}
	return db, nil
}

// Close commits what is queued, waits for the transactions and copies in
// progress and closes the database. Whatever is asked of it later answers
// ErrClosed. Close may be called again; it must not be called by a
// transaction's function.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.closeErr = db.engine.close()
	})
	return db.closeErr
}

// Queued is how many changes wait for their turn to write. Where it does not
// come down the disk is slower than the callers; the queue ends at 1024, and
// callers beyond that wait without being counted. Over PostgreSQL changes do
// not queue here, and it is 0.
func (db *DB) Queued() int { return db.engine.queued() }

// A PoolState is what the connections to a database server are doing.
type PoolState struct {
	Used, Idle, Most int           // connections: at work, at rest, and how many there may be
	Waits            int64         // for a connection, since the start
	Waited           time.Duration // together
}

// Pool says how the connections to PostgreSQL are used. For SQLite, which has
// none to run out of, it is false.
func (db *DB) Pool() (PoolState, bool) {
	if pg, ok := db.engine.(*pgEngine); ok {
		return pg.poolState(), true
	}
	return PoolState{}, false
}

// View runs fn in a transaction that only reads; all of it sees one snapshot,
// taken after View was called and holding every change acknowledged before.
// fn may run twice, must not keep the Tx, and must not call View, Update or
// Cache.Get. ctx ends the wait for a connection; it does not interrupt fn.
// The error is fn's own, or the database's. A panic in fn is an error too.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.view(ctx, fn)
}

// Look is View for a function that makes one query; it is spared what begins
// and ends a transaction. Anything more, and Exec, fails.
func (db *DB) Look(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.peek(ctx, fn)
}

// Update runs fn in a transaction, commits it if fn returned nil, and returns
// nil when the change is durable. fn may run twice, must not keep the Tx, must
// do nothing that a rollback does not undo, and must not call View, Update or
// Cache.Get. If fn returns an error (which Update then returns as it is) or
// panics, nothing is changed.
//
// When ctx ends before fn has started, nothing happens and ctx's error is
// returned. ErrUnknown says that the change may be durable, or about to be, or
// not: ctx ended later (its error is wrapped then), the disk failed during
// COMMIT, or the connection to the database broke then. Whoever repeats a change after that must have
// made it so that a second time does no harm.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.update(ctx, fn)
}

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

	// Log receives what an operator should know; nil discards it.
	Log *slog.Logger

	// Committed, if set, is told of each commit before its callers are
	// answered. It runs on the writer's goroutine: all changes wait for it,
	// and it must not use the DB.
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
	writer  *writer
	reads   *readPool
	release func() error // gives back what the connections stand on

	closing  sync.Once
	closeErr error
}

// Open opens the database, creates it if there is none, and brings its schema
// up to date. It never waits for another process: ErrLocked says that one has
// the database already, ErrNewer that a newer version of this program wrote it
// (nothing is changed then).
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Committed == nil {
		cfg.Committed = func(Commit) {}
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

// Close commits what is queued, waits for the transactions in progress and
// closes the database. Whatever is asked of it later answers ErrClosed. Close
// may be called again; it must not be called by a transaction's function.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.closeErr = errors.Join(db.reads.close(), db.writer.close(), db.release())
	})
	return db.closeErr
}

// Queued is how many changes wait for their turn to write. Where it does not
// come down the disk is slower than the callers; the queue ends at 1024, and
// callers beyond that wait without being counted.
func (db *DB) Queued() int { return len(db.writer.queue) }

// View runs fn in a transaction that only reads; all of it sees one snapshot,
// taken after View was called and holding every change acknowledged before.
// fn may run twice, must not keep the Tx, and must not call View, Update or
// Cache.Get. ctx ends the wait for a connection; it does not interrupt fn.
// The error is fn's own, or the database's. A panic in fn is an error too.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.reads.view(ctx, fn)
}

// Update runs fn in a transaction, commits it if fn returned nil, and returns
// nil when the change is durable. fn may run twice, must not keep the Tx, must
// do nothing that a rollback does not undo, and must not call View, Update or
// Cache.Get. If fn returns an error (which Update then returns as it is) or
// panics, nothing is changed.
//
// When ctx ends before fn has started, nothing happens and ctx's error is
// returned. When it ends later, the change goes on and the error is ctx's
// wrapped in ErrUnknown: the change may be durable, or about to be, or not.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.writer.update(ctx, fn)
}

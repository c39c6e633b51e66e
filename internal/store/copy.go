package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// A copier copies one database, over a connection that exists only meanwhile.
type copier struct {
	source  func(settings ...string) string
	gate    sync.Locker // held while it reads
	readers *readers
	copying sync.RWMutex // held to write by close, which so waits for copies
	closed  bool
}

// CopyTo writes one snapshot of the database, with every change acknowledged
// before the call, to a new file that only its owner can read; what the file
// was before is lost. Other transactions go on meanwhile. The copy is compact,
// its content is not forced to the disk. If there is an error, or ctx ends,
// there is no file. A PostgreSQL database is not copied so, see CopyPostgres.
func (db *DB) CopyTo(ctx context.Context, path string) error {
	return db.engine.copyTo(ctx, path)
}

func (c *copier) copyTo(ctx context.Context, path string) error {
	c.copying.RLock()
	defer c.copying.RUnlock()
	if c.closed {
		return ErrClosed
	}
	c.gate.Lock()
	defer c.gate.Unlock()
	defer c.readers.enter().Done()
	return copyTo(ctx, c.source, path)
}

func (c *copier) close() {
	c.copying.Lock()
	defer c.copying.Unlock()
	c.closed = true
}

// CopyFile is CopyTo for a database file that no process has open; ErrLocked
// if one has. Its schema stays as it is, which may be that of an older version
// of this program, or of a newer one.
func CopyFile(ctx context.Context, from, to string) (err error) {
	if from, err = filepath.Abs(from); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("copy the database: %w", translate(err))
	}
	unlock, err := lockFile(from)
	if err != nil {
		return fmt.Errorf("copy the database %s: %w", from, translate(err))
	}
	defer func() { err = errors.Join(err, unlock()) }()
	preferOFDLocks(slog.New(slog.DiscardHandler))
	return copyTo(ctx, fileSource(from), to)
}

// copyTo uses VACUUM INTO. The stepped backup API would not do: each commit of
// another connection makes it start again, and under load it never ends.
func copyTo(ctx context.Context, source func(...string) string, path string) (err error) {
	defer func() {
		if err != nil {
			os.Remove(path)
			err = fmt.Errorf("copy the database to %s: %w", path, translate(err))
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if err := newPrivateFile(path); err != nil {
		return err
	}
	pool, err := openPool(1, source(settings("_pragma=synchronous(OFF)", "_pragma=cache_size(-8192)")...))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	// Without the vfs the copy of a database in memory would be in memory too.
	_, err = pool.ExecContext(ctx, "VACUUM INTO $1", fileSource(path)("vfs=unix"))
	return err
}

// newPrivateFile makes an empty file in the place of what is there. SQLite
// accepts an empty file; one made here has the right mode.
func newPrivateFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// Contents is what a database holds.
type Contents struct {
	Schema int64            // number of the newest migration it has
	Rows   map[string]int64 // in each table
}

// Inspect says what a copy made by CopyTo holds, and runs ask, if it is not
// nil, in a transaction on it. The file is read only, and must not change
// meanwhile.
func Inspect(ctx context.Context, path string, ask func(*Tx) error) (Contents, error) {
	var c Contents
	err := readCopy(ctx, path, func(tx *Tx) (err error) {
		if c, err = contents(tx); err != nil || ask == nil {
			return err
		}
		return ask(tx)
	})
	if err != nil {
		return Contents{}, fmt.Errorf("read the copy %s of the database: %w", path, err)
	}
	return c, nil
}

// Check reads all of a copy made by CopyTo and returns an error if its
// structure is damaged or a reference between its tables leads nowhere.
func Check(ctx context.Context, path string) error {
	err := readCopy(ctx, path, func(tx *Tx) error {
		if err := intact(tx); err != nil {
			return err
		}
		broken, err := Collect(tx, func(s *string) []any { return []any{s} }, `SELECT DISTINCT "table" FROM pragma_foreign_key_check`)
		if err == nil && len(broken) > 0 {
			err = fmt.Errorf("%w: rows of %v refer to rows that are not there", errCorrupt, broken)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("check the copy %s of the database: %w", path, err)
	}
	return nil
}

// intact reads all of a SQLite database.
func intact(tx *Tx) error {
	found, err := One(tx, func(s *string) []any { return []any{s} }, "PRAGMA integrity_check(1)")
	if err == nil && found != "ok" {
		err = errCorrupt
	}
	return err
}

func readCopy(ctx context.Context, path string, fn func(*Tx) error) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	// immutable keeps SQLite from making -wal and -shm files beside it.
	pool, err := openPool(1, fileSource(path)(settings("mode=ro", "immutable=1", "_pragma=query_only(1)")...))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return readOnce(ctx, pool, fn)
}

func readOnce(ctx context.Context, pool *sql.DB, fn func(*Tx) error) error {
	c := &conn{db: pool}
	if err := c.connect(ctx); err != nil {
		return translate(err)
	}
	defer c.drop()
	return (&Tx{conn: c}).run(fn, slog.New(slog.DiscardHandler))
}

// versions is the table in which goose keeps what was applied.
const versions = "goose_db_version"

func contents(tx *Tx) (Contents, error) {
	c := Contents{Rows: map[string]int64{}}
	number := func(n *int64) []any { return []any{n} }
	tables, err := Collect(tx, func(s *string) []any { return []any{s} }, sqliteTables)
	if err != nil {
		return Contents{}, err
	}
	for _, table := range tables {
		if table == mark {
			return Contents{}, ErrUnfinished
		}
		if table == versions {
			c.Schema, err = One(tx, number, `SELECT max(version_id) FROM `+versions)
		} else {
			c.Rows[table], err = One(tx, number, `SELECT count(*) FROM "`+table+`"`)
		}
		if err != nil {
			return Contents{}, err
		}
	}
	return c, nil
}

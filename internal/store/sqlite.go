package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// A sqliteEngine owns its database: a writer that groups changes,
// and connections that read beside it.
type sqliteEngine struct {
	writer  *writer
	reads   *readPool
	copies  *copier
	anchor  *conn
	release func() error // gives back what the connections stand on
}

func (s *sqliteEngine) view(ctx context.Context, fn func(*Tx) error) error {
	return s.reads.view(ctx, fn)
}

func (s *sqliteEngine) peek(ctx context.Context, fn func(*Tx) error) error {
	return s.reads.peek(ctx, fn)
}

func (s *sqliteEngine) update(ctx context.Context, fn func(*Tx) error) error {
	return s.writer.update(ctx, fn)
}

func (s *sqliteEngine) queued() int { return len(s.writer.queue) }

func (s *sqliteEngine) copyTo(ctx context.Context, path string) error {
	return s.copies.copyTo(ctx, path)
}

func (s *sqliteEngine) sole() bool { return true }

func (s *sqliteEngine) close() error {
	s.copies.close()
	return errors.Join(s.reads.close(), s.writer.close(), s.anchor.drop(), s.release())
}

// A layout is what tells a database file from one in memory.
type layout struct {
	log       *slog.Logger
	committed func(Commit)
	source    func(settings ...string) string // makes the connection string
	journal   string
	writeGate sync.Locker
	readGate  sync.Locker
	release   func() error
}

// openFile opens a database file for this process alone.
func openFile(ctx context.Context, cfg Config) (*DB, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(path)
	if err != nil {
		return nil, translate(err)
	}
	l := layout{
		log:       cfg.Log,
		committed: cfg.Committed,
		source:    fileSource(path),
		journal:   "wal",
		writeGate: noGate{},
		readGate:  noGate{},
		release:   unlock,
	}
	if err := errors.Join(prepareFile(path), checkWAL(path)); err != nil {
		unlock()
		return nil, translate(err)
	}
	db, err := connectSQLite(ctx, l)
	if err != nil {
		unlock()
		return nil, err
	}
	return db, nil
}

// openMemory opens SQLite's memdb, one database in memory that several
// connections share. It has no WAL and so no snapshots: readers and the writer
// would poll for each other's locks, so a lock of ours keeps them apart.
func openMemory(ctx context.Context, cfg Config) (*DB, error) {
	gate := new(sync.RWMutex)
	return connectSQLite(ctx, layout{
		log:       cfg.Log,
		committed: cfg.Committed,
		source:    memorySource(rand.Text()),
		journal:   "memory",
		writeGate: gate,
		readGate:  gate.RLocker(),
		release:   func() error { return nil },
	})
}

type noGate struct{}

func (noGate) Lock()   {}
func (noGate) Unlock() {}

// lockFile takes PATH.lock, which the kernel gives back when the process ends,
// however it ends. The file stays: removing it would let two processes hold
// locks on two files of one name.
func lockFile(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err == nil {
		err = f.Chmod(0o600) // whatever the umask, so that it opens again
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return f.Close, nil
}

// prepareFile makes the database file before SQLite would, for its mode: it
// must not depend on the umask, and SQLite gives -wal and -shm the same mode.
// Its entry in the folder is durable before anything is in it.
func prepareFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if info.Size() > 0 {
		return nil
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the creation of a file in dir durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func fileSource(path string) func(...string) string {
	base := "file:" + (&url.URL{Path: path}).EscapedPath() + "?"
	return func(settings ...string) string { return base + strings.Join(settings, "&") }
}

func memorySource(name string) func(...string) string {
	base := "file:/" + name + "?vfs=memdb&"
	return func(settings ...string) string { return base + strings.Join(settings, "&") }
}

// settings are those of every connection. secure_delete overwrites what is
// deleted, so that a ciphertext does not outlive its row in a free page;
// temp_store keeps sorts and statement journals out of temporary files; _dqs=0
// makes "x" always an identifier, as in PostgreSQL.
func settings(more ...string) []string {
	return append([]string{
		"_dqs=0",
		"_error_rc=1",
		"_txlock=immediate",
		"_pragma=busy_timeout(5000)",
		"_pragma=foreign_keys(1)",
		"_pragma=secure_delete(1)",
		"_pragma=temp_store(MEMORY)",
		"_pragma=trusted_schema(0)",
	}, more...)
}

// connectSQLite opens one connection to write and a few to read. The first one
// turns the WAL on; the journal is kept to 64 MiB, a cache to 32 or 8 MiB.
// Checkpoints are the checkpointer's.
func connectSQLite(ctx context.Context, l layout) (_ *DB, err error) {
	preferOFDLocks(l.log)
	write, err := openPool(1, l.source(settings(
		"_pragma=journal_mode("+l.journal+")",
		"_pragma=synchronous(FULL)",
		"_pragma=cache_size(-32768)",
		"_pragma=wal_autocheckpoint(0)",
		"_pragma=journal_size_limit(67108864)")...))
	if err != nil {
		return nil, err
	}
	readers := min(4, max(2, runtime.GOMAXPROCS(0)))
	read, err := openPool(readers+1, l.source(settings(
		"_pragma=query_only(1)",
		"_pragma=cache_size(-8192)")...))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	defer func() {
		if err != nil {
			read.Close()
			write.Close()
		}
	}()
	if err := checkDurable(ctx, write, l.journal); err != nil {
		return nil, err
	}
	if err := settle(ctx, write, l.log); err != nil {
		return nil, err
	}
	if err := finishedSQLite(ctx, write); err != nil {
		return nil, err
	}
	if err := migrate(ctx, write, goose.DialectSQLite3, l.log); err != nil {
		return nil, err
	}
	return assemble(ctx, write, read, readers, l)
}

func openPool(size int, source string) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

func assemble(ctx context.Context, write, read *sql.DB, size int, l layout) (*DB, error) {
	anchor, err := dropAnchor(ctx, read)
	if err != nil {
		return nil, err
	}
	conns := make([]*conn, size)
	for i := range conns {
		conns[i] = &conn{db: read} // connects when it is needed
	}
	writing := &conn{db: write}
	if err := writing.connect(ctx); err != nil {
		return nil, translate(err)
	}
	present := newReaders()
	var wal *checkpointer
	if l.journal == "wal" {
		wal = &checkpointer{log: l.log, readers: present}
	}
	return &DB{holder: thisProcess(), engine: &sqliteEngine{
		writer: newWriter(writing, wal, l),
		reads:  newReadPool(conns, present, l),
		copies: &copier{source: l.source, gate: l.readGate, readers: present},
		anchor: anchor,
		release: func() error {
			return errors.Join(read.Close(), write.Close(), l.release())
		},
	}}, nil
}

// dropAnchor returns a connection that has the database open and is not used.
// The others are closed when their state is uncertain; with the last one
// SQLite would give up what it knows of the WAL, and the next would read it
// again, with a commit in it that had failed.
func dropAnchor(ctx context.Context, db *sql.DB) (*conn, error) {
	anchor := &conn{db: db}
	if err := anchor.connect(ctx); err != nil {
		return nil, translate(err)
	}
	if _, err := anchor.exec("SELECT COUNT(*) FROM sqlite_schema"); err != nil {
		return nil, translate(err)
	}
	return anchor, nil
}

// preferOFDLocks asks for locks that survive when anything else in this
// process opens and closes the database file; POSIX locks would be dropped.
func preferOFDLocks(log *slog.Logger) {
	if _, err := sqlite.OFDLocking(true); err != nil {
		log.Warn("the database file is guarded by POSIX locks only; do not open it by other means", "reason", err)
	}
}

// checkDurable reads back what makes a commit survive a loss of power: SQLite
// does not report a setting that it did not take, a file system without shared
// memory for one refuses the WAL silently.
func checkDurable(ctx context.Context, db *sql.DB, journal string) error {
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return fmt.Errorf("read journal_mode: %w", translate(err))
	}
	var synchronous int
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return fmt.Errorf("read synchronous: %w", translate(err))
	}
	const full = 2
	if mode != journal || synchronous != full {
		return fmt.Errorf("journal_mode is %s and synchronous is %d, not %s and %d, so a commit would not be durable: put the database on a local file system",
			mode, synchronous, journal, full)
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// A place is a database that is copied from or to, over one connection of its
// own, so that the run of a server with its pools, its retries and its newest
// schema is not in the way.
type place struct {
	conn    session
	read    []string // begins a transaction that sees one snapshot
	list    string   // the statement that lists the tables
	lock    string   // suffix of a locking read
	shared  bool     // others may change the data meanwhile
	migrate func(ctx context.Context, version int64) error
	bulk    func() error // before much is written
	close   func() error
}

// openSource opens what cfg names, which has to exist, as it is. A file is
// locked against other processes.
func openSource(ctx context.Context, cfg Config) (*place, error) {
	if cfg.URL == "" {
		if _, err := os.Stat(cfg.Path); err != nil {
			return nil, translate(err)
		}
	}
	return openPlace(ctx, cfg, func(string) error { return nil })
}

// openDestination opens what cfg names, a file also if it does not exist yet.
func openDestination(ctx context.Context, cfg Config) (*place, error) {
	return openPlace(ctx, cfg, prepareFile)
}

func openPlace(ctx context.Context, cfg Config, prepare func(path string) error) (*place, error) {
	if cfg.URL != "" {
		return postgresPlace(ctx, cfg)
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(path)
	if err != nil {
		return nil, translate(err)
	}
	if err := prepare(path); err != nil {
		return nil, errors.Join(translate(err), unlock())
	}
	p, err := sqlitePlace(path, "TRUNCATE", "FULL")
	if err != nil {
		return nil, errors.Join(translate(err), unlock())
	}
	closePool := p.close
	p.close = func() error { return errors.Join(closePool(), unlock()) }
	return p, nil
}

const sqliteTables = `SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name`

// postgresTables lists those of the schema that the server uses.
const postgresTables = `SELECT CAST(table_name AS TEXT) FROM information_schema.tables
	WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY 1`

// sqlitePlace touches nothing of the file before something is written, which
// is done with the journal mode and the setting of synchronous given.
func sqlitePlace(path, journal, synchronous string) (*place, error) {
	preferOFDLocks(slog.New(slog.DiscardHandler))
	pool, err := openPool(1, fileSource(path)(settings("_pragma=synchronous("+synchronous+")", "_pragma=cache_size(-32768)")...))
	if err != nil {
		return nil, err
	}
	c := &conn{db: pool}
	bulk := func() error {
		return c.query(func(func(...any) error) (bool, error) { return true, nil }, "PRAGMA journal_mode = "+journal)
	}
	return &place{
		conn: c, read: []string{"BEGIN"}, list: sqliteTables, bulk: bulk,
		migrate: func(ctx context.Context, version int64) error {
			if err := c.drop(); err != nil { // the pool has one connection
				return err
			}
			return errors.Join(migrateTo(ctx, pool, goose.DialectSQLite3, version), bulk())
		},
		close: func() error { return errors.Join(c.drop(), pool.Close()) },
	}, nil
}

// postgresPlace connects as a server would.
func postgresPlace(ctx context.Context, cfg Config) (_ *place, err error) {
	settings, err := poolSettings(cfg)
	if err != nil {
		return nil, err
	}
	c := settings.ConnConfig
	var db *pgx.Conn
	err = firstContact(ctx, func() (err error) {
		db, err = pgx.ConnectConfig(ctx, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", translate(err))
	}
	if err := checkServer(ctx, db); err != nil {
		return nil, errors.Join(translate(err), db.Close(ctx))
	}
	return &place{
		conn: &pgLink{ctx, db}, list: postgresTables, lock: " FOR UPDATE", shared: true,
		// Between two statements the other database may be at work, and a page of
		// a cold table may take longer than what a server allows its requests.
		read: []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
			"SET LOCAL idle_in_transaction_session_timeout = 0", "SET LOCAL statement_timeout = 0"},
		migrate: func(ctx context.Context, version int64) error {
			pool := stdlib.OpenDB(*c)
			return errors.Join(migrateTo(ctx, pool, goose.DialectPostgres, version), pool.Close())
		},
		bulk:  func() error { return nil },
		close: func() error { return db.Close(context.WithoutCancel(ctx)) },
	}, nil
}

// linkTimeout bounds a statement of a copy, of which the longest counts a table.
const linkTimeout = 10 * time.Minute

// A pgLink is a connection that ends with the copy that it is for.
type pgLink struct {
	ctx  context.Context
	conn *pgx.Conn
}

func (l *pgLink) now() string { return pgNow }

func (l *pgLink) exec(query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(l.ctx, linkTimeout)
	defer cancel()
	tag, err := l.conn.Exec(ctx, query, args...)
	if err == nil && query == "COMMIT" && tag.String() != query {
		err = errors.New("the database rolled back instead")
	}
	return tag.RowsAffected(), err
}

func (l *pgLink) query(each func(scan func(...any) error) (bool, error), query string, args ...any) error {
	ctx, cancel := context.WithTimeout(l.ctx, linkTimeout)
	defer cancel()
	return queryEach(ctx, l.conn, each, query, args...)
}

// view runs fn in a transaction that sees one snapshot.
func (p *place) view(fn func(*Tx) error) error { return p.within(p.read, fn) }

// update runs fn in a transaction that writes. It runs once: what fails is
// told to who started the copy.
func (p *place) update(fn func(*Tx) error) error { return p.within([]string{"BEGIN"}, fn) }

func (p *place) within(begin []string, fn func(*Tx) error) error {
	for _, statement := range begin {
		if _, err := p.conn.exec(statement); err != nil {
			return fmt.Errorf("begin: %w", translate(err))
		}
	}
	err := (&Tx{conn: p.conn, lock: p.lock}).run(fn, slog.New(slog.DiscardHandler))
	if err == nil {
		if _, err = p.conn.exec("COMMIT"); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", translate(err))
	}
	p.conn.exec("ROLLBACK") // fails on a connection that is gone, and with it the transaction
	return err
}

func (p *place) tables(tx *Tx) ([]string, error) {
	return Collect(tx, func(s *string) []any { return []any{s} }, p.list)
}

// version is the number of the newest migration that the database has; 0 if it
// has none.
func (p *place) version(tx *Tx) (int64, error) {
	names, err := p.tables(tx)
	if err != nil || !slices.Contains(names, versions) {
		return 0, err
	}
	return One(tx, func(n *int64) []any { return []any{n} }, `SELECT max(version_id) FROM `+versions)
}

// alone waits a little for other sessions to end, and is an error while there
// are some: those of the same user on the same database, which a server has
// from its start on. The lock of a file says the same.
func (p *place) alone(ctx context.Context) error {
	if !p.shared {
		return nil
	}
	type sessions struct {
		count int
		names sql.Null[string]
	}
	for tries := 0; ; tries++ {
		var s sessions
		err := p.update(func(tx *Tx) (err error) {
			s, err = One(tx, func(s *sessions) []any { return []any{&s.count, &s.names} },
				`SELECT count(*), string_agg(DISTINCT application_name, ', ') FROM pg_stat_activity
				WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
			return err
		})
		if err != nil || s.count == 0 {
			return err
		}
		if tries == 50 { // a backend outlives its client by some milliseconds
			return fmt.Errorf("%w: %d connections of the same user, which call themselves %q; stop every server of this database, and what else they are of, and run this again",
				errInUse, s.count, s.names.V)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

var errInUse = errors.New("the PostgreSQL database is in use")

// fits refuses text that PostgreSQL does not store.
func (p *place) fits(t *table, row []any) error {
	if !p.shared {
		return nil
	}
	for i, v := range row {
		if text, ok := v.(string); ok && (!utf8.ValidString(text) || strings.Contains(text, "\x00")) {
			return fmt.Errorf("column %s of table %s, key %q, holds text with a NUL or that is not UTF-8, which PostgreSQL cannot store: change it, and run this again",
				t.columns[i].name, t.name, t.keyOf(row))
		}
	}
	return nil
}

package store_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
	"azekura/test/pgproxy"

	"github.com/jackc/pgx/v5"
)

// statement runs SQL beside the store.
func statement(t *testing.T, databaseURL, query string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// database makes an empty database that a test describes itself.
func database(t *testing.T, name, options string) string {
	t.Helper()
	template := storetest.PostgresURL(t)
	statement(t, template, `CREATE DATABASE `+name+` TEMPLATE template0 `+options)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), template)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(template)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func openNode(t *testing.T, databaseURL string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func databaseOf(t *testing.T, databaseURL string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Database
}

func newProxy(t *testing.T, databaseURL string) *pgproxy.Proxy {
	t.Helper()
	p, err := pgproxy.New(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestUnfitDatabasesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ options, setting, want string }{
		"sorted":  {`LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C.UTF-8'`, ``, "does not order text by bytes"},
		"encoded": {`ENCODING 'LATIN1' LOCALE 'C'`, ``, "encoding is LATIN1"},
		"lossy":   {``, `ALTER DATABASE lossy SET synchronous_commit = off`, "synchronous_commit is off"},
	} {
		t.Run(name, func(t *testing.T) {
			at := database(t, name, tt.options)
			statement(t, at, tt.setting)
			_, err := store.Open(t.Context(), store.Config{URL: at})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestErrorsHoldNoPassword(t *testing.T) {
	for _, bad := range []string{
		"postgres://ann:hunter2@127.0.0.1:1/azekura?connect_timeout=1",
		"postgres://ann:hunter2@127.0.0.1:none/azekura",
		"postgres://ann:hunter2@127.0.0.1:1/azekura?sslmode=perhaps",
	} {
		_, err := store.Open(t.Context(), store.Config{URL: bad})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open %s: %v", bad, err)
		}
	}
}

func TestNewerPostgresIsLeftAlone(t *testing.T) {
	at := storetest.PostgresURL(t)
	statement(t, at, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9731, TRUE)`)
	if _, err := store.Open(t.Context(), store.Config{URL: at}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("Open: %v, want ErrNewer", err)
	}
}

// Several nodes that start on an empty database at once all come up.
func TestNodesMigrateTogether(t *testing.T) {
	at := database(t, "fresh", `LOCALE 'C.UTF-8'`)
	var nodes sync.WaitGroup
	for range 4 {
		nodes.Go(func() {
			db, err := store.Open(t.Context(), store.Config{URL: at})
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	nodes.Wait()
}

// What one node acknowledged another reads at once, and concurrent changes of
// one row are not lost.
func TestNodesShareADatabase(t *testing.T) {
	at := storetest.PostgresURL(t)
	nodes := []*store.DB{openNode(t, at), openNode(t, at)}
	exec(t, nodes[0], `CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`, `INSERT INTO t VALUES ('a', 0)`)
	const each = 50
	var writers sync.WaitGroup
	for _, db := range nodes {
		writers.Go(func() {
			for range each {
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					n, err := store.One(tx, scalar[int64], `SELECT n FROM t WHERE id = 'a'`+tx.ForUpdate())
					if err != nil {
						return err
					}
					_, err = tx.Exec(`UPDATE t SET n = $1`, n+1)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	for _, db := range nodes {
		if got := column[int64](t, db, `SELECT n FROM t`); got[0] != 2*each {
			t.Errorf("counted %d, want %d", got[0], 2*each)
		}
	}
}

// A row that another node inserts between a function's look and its insert is
// found by a second run, as it would be with one writer at a time.
func TestRivalInsertRunsAgain(t *testing.T) {
	at := storetest.PostgresURL(t)
	db := openNode(t, at)
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
	runs, found := 0, false
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		runs++
		_, err := store.One(tx, scalar[string], `SELECT id FROM t WHERE id = 'a'`)
		if found = err == nil; found {
			return nil
		}
		statement(t, at, `INSERT INTO t VALUES ('a') ON CONFLICT DO NOTHING`)
		_, err = tx.Exec(`INSERT INTO t VALUES ('a')`)
		return err
	})
	if err != nil || runs != 2 || !found {
		t.Errorf("%d runs, found %v, %v; want the second of two to find the row", runs, found, err)
	}
}

func TestDeadlockRunsAgain(t *testing.T) {
	at := storetest.PostgresURL(t)
	db := openNode(t, at)
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`, `INSERT INTO t VALUES ('a', 0), ('b', 0)`)
	var both, done sync.WaitGroup
	both.Add(2)
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		done.Go(func() {
			first := true
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				for i, id := range order {
					if _, err := tx.Exec(`UPDATE t SET n = n + 1 WHERE id = $1`, id); err != nil {
						return err
					}
					if i == 0 && first {
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if got := column[int64](t, db, `SELECT n FROM t ORDER BY id`); got[0] != 2 || got[1] != 2 {
		t.Errorf("counted %v, want 2 and 2", got)
	}
}

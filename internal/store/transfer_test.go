package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// filled is a database file with rows in every table.
func filled(t *testing.T, rows int) store.Config {
	t.Helper()
	cfg := store.Config{Path: filepath.Join(t.TempDir(), "source.db")}
	change(t, cfg, func(db *store.DB) { storetest.Fill(t, db, rows) })
	return cfg
}

// change has a database open while fn runs.
func change(t *testing.T, cfg store.Config, fn func(*store.DB)) {
	t.Helper()
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	fn(db)
}

func moved(t *testing.T, from, to store.Config) store.Copied {
	t.Helper()
	c, err := store.Transfer{From: from, To: to}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func emptyFile(t *testing.T) store.Config {
	return store.Config{Path: filepath.Join(t.TempDir(), "new.db")}
}

// There and back again, by each engine, every row of every table is the same.
func TestTransferRoundTrip(t *testing.T) {
	source := filled(t, 200)
	pg, file := store.Config{URL: storetest.PostgresURL(t)}, emptyFile(t)
	there, back, aside := moved(t, source, pg), moved(t, pg, file), moved(t, source, emptyFile(t))
	for _, c := range []store.Copied{back, aside} {
		if diff := cmp.Diff(there, c); diff != "" {
			t.Errorf("(-first copy +another):\n%s", diff)
		}
	}
	for table, rows := range there.Rows {
		if rows == 0 {
			t.Errorf("nothing of table %s was copied, so nothing is shown of it", table)
		}
	}
	if got := rows(t, source); got == "" || got != rows(t, file) {
		t.Error("what came back is not what was there")
	}
}

// rows is all that a file holds, as SQLite itself writes it.
func rows(t *testing.T, cfg store.Config) string {
	t.Helper()
	var all strings.Builder
	change(t, cfg, func(db *store.DB) {
		for _, table := range column[string](t, db, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('goose_db_version', 'sqlite_sequence') ORDER BY name`) {
			var quoted []string
			for _, c := range column[string](t, db, `SELECT name FROM pragma_table_info($1)`, table) {
				quoted = append(quoted, fmt.Sprintf(`quote(%q)`, c))
			}
			for _, row := range column[string](t, db, fmt.Sprintf(`SELECT %s FROM %q ORDER BY 1`, strings.Join(quoted, `||','||`), table)) {
				fmt.Fprintln(&all, table, row)
			}
		}
	})
	return all.String()
}

// broken copies until after the given number of pages, and is then as if the
// process had been killed.
func broken(t *testing.T, from, to store.Config, pages int) {
	t.Helper()
	brokenWhen(t, from, to, func(store.Progress) bool {
		pages--
		return pages == 0
	})
}

// brokenWhen is broken, but where it is time to.
func brokenWhen(t *testing.T, from, to store.Config, now func(store.Progress) bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := store.Transfer{From: from, To: to, Progress: func(p store.Progress) {
		if now(p) {
			cancel()
		}
	}}.Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// each runs f with an empty destination of each engine.
func each(t *testing.T, f func(t *testing.T, to store.Config)) {
	t.Run("sqlite", func(t *testing.T) { f(t, emptyFile(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, store.Config{URL: storetest.PostgresURL(t)}) })
}

// A copy that was broken off is refused as a database and goes on where it
// stopped; what is there is not written again.
func TestTransferGoesOn(t *testing.T) {
	source := filled(t, 1100)
	want := moved(t, source, emptyFile(t))
	each(t, func(t *testing.T, to store.Config) {
		for _, pages := range []int{1, 5, 16} {
			broken(t, source, to, pages)
			if _, err := store.Open(t.Context(), to); !errors.Is(err, store.ErrUnfinished) {
				t.Fatalf("opened after %d pages: %v", pages, err)
			}
			if _, err := (store.Transfer{From: to, To: emptyFile(t)}).Run(t.Context()); !errors.Is(err, store.ErrUnfinished) {
				t.Errorf("copied from: %v", err)
			}
		}
		if diff := cmp.Diff(want, moved(t, source, to)); diff != "" {
			t.Errorf("(-at once +in pieces):\n%s", diff)
		}
		change(t, to, func(*store.DB) {})
	})
}

// What an earlier run has copied is compared with the source before the next
// goes on.
func TestTransferOfAChangedSource(t *testing.T) {
	each(t, func(t *testing.T, to store.Config) {
		for name, statement := range map[string]string{
			"changed": `UPDATE keyring SET created_at = created_at + 1 WHERE number = (SELECT min(number) FROM keyring)`,
			"removed": `DELETE FROM keyring WHERE number = (SELECT min(number) FROM keyring)`,
			"emptied": `DELETE FROM keyring`,
			"added":   `INSERT INTO keyring SELECT min(number) - 1, 'new', x'00', 'x', 0 FROM keyring`,
		} {
			source := filled(t, 100)
			copied := false
			brokenWhen(t, source, to, func(p store.Progress) bool {
				copied = copied || p.Table == "keyring"
				return copied && p.Table != "keyring"
			})
			change(t, source, func(db *store.DB) { exec(t, db, statement) })
			if _, err := (store.Transfer{From: source, To: to}).Run(t.Context()); !errors.Is(err, store.ErrChanged) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := store.Open(t.Context(), to); !errors.Is(err, store.ErrUnfinished) {
				t.Errorf("%s: opened: %v", name, err)
			}
			if err := store.Undo(t.Context(), to); err != nil {
				t.Error(err)
			}
		}
		moved(t, filled(t, 10), to)
	})
}

// A source that somebody writes to although it should stand still.
func TestTransferNoticesChanges(t *testing.T) {
	source := store.Config{URL: storetest.PostgresURL(t)}
	moved(t, filled(t, 100), source)
	changed := false
	_, err := store.Transfer{From: source, To: emptyFile(t), Progress: func(p store.Progress) {
		if !changed && p.Rows > 0 {
			changed = true
			change(t, source, func(db *store.DB) { exec(t, db, `UPDATE keyring SET root = 'x'`) })
		}
	}}.Run(t.Context())
	if !errors.Is(err, store.ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestTransferOfADatabaseInUse(t *testing.T) {
	file, pg := filled(t, 10), store.Config{URL: storetest.PostgresURL(t)}
	change(t, file, func(*store.DB) {
		if _, err := (store.Transfer{From: file, To: pg}).Run(t.Context()); !errors.Is(err, store.ErrLocked) {
			t.Errorf("file: %v", err)
		}
	})
	moved(t, file, pg)
	change(t, pg, func(*store.DB) {
		if _, err := (store.Transfer{From: pg, To: emptyFile(t)}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), `call themselves "azekura"`) {
			t.Errorf("PostgreSQL: %v", err)
		}
	})
}

// Nothing is changed in a database that holds anything else.
func TestTransferRefusesWhatIsNotEmpty(t *testing.T) {
	source := filled(t, 10)
	for name, statement := range map[string]string{
		"row":   `INSERT INTO keyring VALUES (1, 'x', 'x', 'x', 0)`,
		"table": `CREATE TABLE somebodys (id TEXT)`,
		"newer": `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9731, true)`,
	} {
		each(t, func(t *testing.T, to store.Config) {
			var before []string
			tables := `SELECT name FROM sqlite_schema ORDER BY name`
			if to.URL != "" {
				tables = `SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`
			}
			change(t, to, func(db *store.DB) {
				exec(t, db, statement)
				before = column[string](t, db, tables)
			})
			want := store.ErrNotEmpty
			if name == "newer" {
				want = store.ErrNewer
			}
			if _, err := (store.Transfer{From: source, To: to}).Run(t.Context()); !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
			if err := store.Undo(t.Context(), to); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s: undone: %v", name, err)
			}
			if name == "newer" {
				return
			}
			change(t, to, func(db *store.DB) {
				if after := column[string](t, db, tables); !slices.Equal(before, after) {
					t.Errorf("%s: had %q, has %q", name, before, after)
				}
			})
		})
	}
}

// PostgreSQL stores no NUL in a text; the row is named, and nothing is lost.
func TestTransferOfTextThatPostgresRefuses(t *testing.T) {
	source := filled(t, 10)
	change(t, source, func(db *store.DB) { exec(t, db, `UPDATE secrets SET description = 'a' || char(0) || 'b'`) })
	_, err := store.Transfer{From: source, To: store.Config{URL: storetest.PostgresURL(t)}}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "column description of table secrets, key [") {
		t.Errorf("got %v", err)
	}
	moved(t, source, emptyFile(t))
}

// A copy of PostgreSQL holds one moment, whatever is written meanwhile, and is
// a database of the same rows.
func TestCopyPostgresUnderWrites(t *testing.T) {
	pg := store.Config{URL: storetest.PostgresURL(t)}
	moved(t, filled(t, 600), pg)
	db := openNode(t, pg.URL)
	exec(t, db, `DELETE FROM kms_aliases`, `DELETE FROM kms_material`, `DELETE FROM kms_keys`)
	// Each change adds to two tables, so that a copy of two moments would show.
	add := func(n int) {
		exec(t, db, fmt.Sprintf(`INSERT INTO kms_keys VALUES ('%[1]d', 'a', 'r', '%[1]d', 1, 'm', '', '', '', '', '', '', '[]', '', 0, 0, 0, 0, 0)`, n),
			fmt.Sprintf(`INSERT INTO kms_aliases VALUES ('a', 'r', '%[1]d', '%[1]d', 0, 0)`, n))
	}
	add(0)
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		n := 1
		for ; ctx.Err() == nil; n++ {
			add(n)
		}
		written <- n
	}()
	to := filepath.Join(t.TempDir(), "copy")
	err := store.CopyPostgres(t.Context(), pg, to)
	stop()
	n := <-written
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context(), to); err != nil {
		t.Error(err)
	}
	c, err := store.Inspect(t.Context(), to, nil)
	if err != nil || c.Rows["kms_keys"] < 1 || c.Rows["kms_keys"] != c.Rows["kms_aliases"] {
		t.Errorf("%+v after %d changes, %v", c, n, err)
	}
	change(t, store.Config{Path: to}, func(*store.DB) {})
}

// Rows that an index has lost are not left out.
func TestTransferOfADamagedFile(t *testing.T) {
	source, to := filled(t, 300), emptyFile(t)
	raw, err := os.ReadFile(source.Path)
	if err != nil {
		t.Fatal(err)
	}
	const (
		page      = 4096
		indexLeaf = 10 // the first byte of such a page: https://www.sqlite.org/fileformat2.html#b_tree_pages
	)
	at := len(raw) / 2 / page * page
	for raw[at] != indexLeaf {
		at += page
	}
	clear(raw[at : at+page])
	if err := os.WriteFile(source.Path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (store.Transfer{From: source, To: to}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(to.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the destination was begun: %v", err)
	}
}

// A server that opened the database before a copy began, and has made its
// first rows since, asks again and learns of it.
func TestFinished(t *testing.T) {
	to := store.Config{URL: storetest.PostgresURL(t)}
	db := openNode(t, to.URL)
	if err := db.Finished(t.Context()); err != nil {
		t.Error(err)
	}
	source := filled(t, 10)
	broken(t, source, to, 1)
	if err := db.Finished(t.Context()); !errors.Is(err, store.ErrUnfinished) {
		t.Errorf("begun: %v", err)
	}
	moved(t, source, to)
	if err := db.Finished(t.Context()); err != nil {
		t.Error(err)
	}
}

// Of two copies into one database the one that began later goes on, and the
// other writes nothing more.
func TestTransfersDoNotMix(t *testing.T) {
	source, to := filled(t, 200), store.Config{URL: storetest.PostgresURL(t)}
	other := false
	_, err := store.Transfer{From: source, To: to, Progress: func(p store.Progress) {
		if !other && p.Rows > 500 {
			other = true
			if err := os.Rename(source.Path+".lock", source.Path+".lock.old"); err != nil { // or it would be refused
				t.Error(err)
			}
			broken(t, source, to, 5)
		}
	}}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another copy into the same database has taken over") {
		t.Errorf("got %v", err)
	}
	if got, want := moved(t, source, to), moved(t, source, emptyFile(t)); got.Digest != want.Digest {
		t.Error("the copy that was taken over is not whole")
	}
}

package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"azekura/internal/store"
	"azekura/internal/store/storetest"

	"github.com/google/go-cmp/cmp"
)

// exec runs statements in one Update.
func exec(t testing.TB, db *store.DB, statements ...string) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func scalar[T any](v *T) []any { return []any{v} }

// column returns the only column of a query.
func column[T any](t testing.TB, db *store.DB, query string, args ...any) []T {
	t.Helper()
	var all []T
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		all, err = store.Collect(tx, scalar[T], query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type typed struct {
	ID   string
	Text string
	Int  int64
	Bool bool
	Blob []byte
	Null sql.Null[string]
}

func typedRow(r *typed) []any { return []any{&r.ID, &r.Text, &r.Int, &r.Bool, &r.Blob, &r.Null} }

func TestRoundTrip(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, txt TEXT NOT NULL, num BIGINT NOT NULL, flag BOOLEAN NOT NULL, bin BYTEA NOT NULL, opt TEXT)`)
		rows := []typed{
			{"1", "", math.MinInt64, false, []byte{}, sql.Null[string]{}},
			{"2", "校倉 'quoted' \"double\" 1e5", math.MaxInt64, true, []byte{0, 255, 0}, sql.Null[string]{V: "", Valid: true}},
			{"3", "0012", 0, true, bytes.Repeat([]byte("0123456789abcdef"), 1<<16), sql.Null[string]{V: "x", Valid: true}},
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			for _, r := range rows {
				n, err := tx.Exec(`INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)`, r.ID, r.Text, r.Int, r.Bool, r.Blob, r.Null)
				if err != nil || n != 1 {
					t.Errorf("insert %s: %d rows, %v", r.ID, n, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			got, err := store.Collect(tx, typedRow, `SELECT id, txt, num, flag, bin, opt FROM t ORDER BY id`)
			emptyIsNil := cmp.Comparer(bytes.Equal)
			if diff := cmp.Diff(rows, got, emptyIsNil); diff != "" {
				t.Errorf("rows changed (-stored +read):\n%s", diff)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := column[string](t, db, `SELECT id FROM t WHERE flag AND bin = $1`, []byte{0, 255, 0}); !slices.Equal(got, []string{"2"}) {
			t.Errorf("found %q by flag and blob, want row 2", got)
		}
	})
}

func TestPlaceholdersGoByNumber(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT)`, `INSERT INTO t VALUES ('k', 'old')`)
		got := column[string](t, db, `SELECT CAST($2 AS TEXT) || '-' || CAST($1 AS TEXT) || '-' || CAST($2 AS TEXT)`, "first", "second")
		if !slices.Equal(got, []string{"second-first-second"}) {
			t.Errorf("got %q", got)
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			n, err := tx.Exec(`UPDATE t SET name = $2 WHERE id = $1 AND name <> $2`, "k", "new")
			if n != 1 {
				t.Errorf("%d rows updated, want 1", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := column[string](t, db, `SELECT name FROM t`); !slices.Equal(got, []string{"new"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestOnConflictAndReturning(t *testing.T) {
	const upsert = `INSERT INTO t (id, n) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE t.n < excluded.n RETURNING n`
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			for _, n := range []int64{1, 5} {
				if got, err := store.One(tx, scalar[int64], upsert, "a", n); err != nil || got != n {
					t.Errorf("upsert %d: %d, %v", n, got, err)
				}
			}
			if _, err := store.One(tx, scalar[int64], upsert, "a", 3); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("upsert that its WHERE refuses: %v, want ErrNotFound", err)
			}
			if n, err := tx.Exec(`INSERT INTO t VALUES ('a', 9) ON CONFLICT DO NOTHING`); err != nil || n != 0 {
				t.Errorf("do nothing: %d rows, %v", n, err)
			}
			if n, err := tx.Exec(`INSERT INTO t VALUES ('b', 7), ('c', 8)`); err != nil || n != 2 {
				t.Errorf("two rows: %d rows, %v", n, err)
			}
			got, err := store.Collect(tx, scalar[int64], `DELETE FROM t WHERE n > $1 RETURNING n`, 6)
			if slices.Sort(got); !slices.Equal(got, []int64{7, 8}) {
				t.Errorf("deleted %v, want 7 and 8", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := column[int64](t, db, `SELECT n FROM t`); !slices.Equal(got, []int64{5}) {
			t.Errorf("left %v, want 5", got)
		}
	})
}

func TestOneOfMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (n BIGINT)`, `INSERT INTO t VALUES (1), (2), (3)`)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			n, err := store.One(tx, scalar[int64], `SELECT n FROM t ORDER BY n DESC`+tx.ForUpdate())
			if n != 3 {
				t.Errorf("first row is %d, want 3", n)
			}
			if err != nil {
				return err
			}
			// The statement above was left before its end and must not be in the way.
			_, err = store.One(tx, scalar[int64], `DELETE FROM t RETURNING n`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := column[int64](t, db, `SELECT n FROM t`); got != nil {
			t.Errorf("left %v", got)
		}
	})
}

func TestTextComparesByBytes(t *testing.T) {
	names := []string{"b", "B", "a", "A", "_", "é", "e", "z", "Z", "a/b", "a0", "日本", "ab\x7f"}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (name TEXT PRIMARY KEY)`)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			for _, name := range names {
				if _, err := tx.Exec(`INSERT INTO t VALUES ($1)`, name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(names))
		if diff := cmp.Diff(want, column[string](t, db, `SELECT name FROM t ORDER BY name`)); diff != "" {
			t.Errorf("order (-bytes +database):\n%s", diff)
		}
		if got := column[string](t, db, `SELECT name FROM t WHERE name = $1`, "b"); !slices.Equal(got, []string{"b"}) {
			t.Errorf("equal to b: %q", got)
		}
		want = slices.DeleteFunc(want, func(s string) bool { return !strings.HasPrefix(s, "a") })
		if diff := cmp.Diff(want, column[string](t, db, `SELECT name FROM t WHERE name >= $1 AND name < $2 ORDER BY name`, "a", "b")); diff != "" {
			t.Errorf("prefix a (-want +got):\n%s", diff)
		}
	})
}

func TestNull(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT)`, `INSERT INTO t VALUES ('a', 2), ('b', NULL), ('c', 1)`)
		for order, want := range map[string][]string{
			"n NULLS FIRST":      {"b", "c", "a"},
			"n NULLS LAST":       {"c", "a", "b"},
			"n DESC NULLS FIRST": {"b", "a", "c"},
		} {
			if got := column[string](t, db, `SELECT id FROM t ORDER BY `+order); !slices.Equal(got, want) {
				t.Errorf("order by %s: %q, want %q", order, got, want)
			}
		}
		got := column[*int64](t, db, `SELECT n FROM t WHERE id IN ('a', 'b') ORDER BY id`)
		if len(got) != 2 || got[0] == nil || *got[0] != 2 || got[1] != nil {
			t.Errorf("read %v, want 2 and nil", got)
		}
		if got := column[string](t, db, `SELECT id FROM t WHERE n IS NOT DISTINCT FROM $1`, (*int64)(nil)); !slices.Equal(got, []string{"b"}) {
			t.Errorf("null rows: %q, want b", got)
		}
	})
}

func TestConflict(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT NOT NULL)`,
			`CREATE UNIQUE INDEX t_by_name ON t (name) WHERE name <> ''`,
			`INSERT INTO t VALUES ('a', 'x'), ('b', '')`)
		for _, insert := range []string{
			`INSERT INTO t VALUES ('a', 'y')`, // primary key
			`INSERT INTO t VALUES ('c', 'x')`, // unique index
		} {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				if _, err := tx.Exec(`INSERT INTO t VALUES ('d', 'before')`); err != nil {
					return err
				}
				if _, err := tx.Exec(insert); !errors.Is(err, store.ErrConflict) {
					t.Errorf("%s: %v, want ErrConflict", insert, err)
				}
				if _, err := tx.Exec(`INSERT INTO t VALUES ('e', 'after')`); !errors.Is(err, store.ErrConflict) {
					t.Errorf("a statement after the one that failed: %v, want its error", err)
				}
				return nil
			})
			if !errors.Is(err, store.ErrConflict) {
				t.Errorf("Update: %v, want ErrConflict", err)
			}
		}
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO t VALUES ('f', NULL)`)
			return err
		})
		if err == nil || errors.Is(err, store.ErrConflict) {
			t.Errorf("null in a NOT NULL column: %v, want an error that is no conflict", err)
		}
		if got := column[string](t, db, `SELECT id FROM t ORDER BY id`); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("rows %q, want a and b", got)
		}
	})
}

func TestNotFoundIsNoFailure(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := store.One(tx, scalar[string], `SELECT id FROM t`); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("One of no rows: %v", err)
			}
			_, err := tx.Exec(`INSERT INTO t VALUES ('a')`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestForeignKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE p (id TEXT PRIMARY KEY)`,
			`CREATE TABLE c (id TEXT PRIMARY KEY REFERENCES p (id) ON DELETE CASCADE)`,
			`INSERT INTO p VALUES ('a')`, `INSERT INTO c VALUES ('a')`)
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO c VALUES ('orphan')`)
			return err
		})
		if err == nil {
			t.Error("a row without its parent was stored")
		}
		exec(t, db, `DELETE FROM p`)
		if got := column[string](t, db, `SELECT id FROM c`); got != nil {
			t.Errorf("children %q outlive their parent", got)
		}
	})
}

func TestViewOnlyReads(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
		for _, statement := range []string{`INSERT INTO t VALUES ('a') RETURNING id`, `DROP TABLE t`} {
			err := db.View(t.Context(), func(tx *store.Tx) error {
				_, err := store.Collect(tx, scalar[string], statement)
				return err
			})
			if err == nil {
				t.Errorf("View ran %s", statement)
			}
		}
		if got := column[string](t, db, `SELECT id FROM t`); got != nil {
			t.Errorf("rows %q", got)
		}
	})
}

func TestLook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE t (n BIGINT)`, `INSERT INTO t VALUES (7)`)
		seven := func(tx *store.Tx) error {
			n, err := store.One(tx, scalar[int64], `SELECT n FROM t`)
			if err == nil && n != 7 {
				t.Errorf("got %d, want 7", n)
			}
			return err
		}
		if err := db.Look(t.Context(), seven); err != nil {
			t.Error(err)
		}
		twice := func(tx *store.Tx) error { return errors.Join(seven(tx), seven(tx)) }
		change := func(tx *store.Tx) error { _, err := tx.Exec(`DELETE FROM t`); return err }
		for what, fn := range map[string]func(*store.Tx) error{"a second query": twice, "a change": change} {
			if err := db.Look(t.Context(), fn); err == nil {
				t.Errorf("%s went through", what)
			}
		}
		if err := db.View(t.Context(), seven); err != nil {
			t.Error(err)
		}
	})
}

func TestTxEndsWithItsFunction(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var kept []*store.Tx
		keep := func(tx *store.Tx) error { kept = append(kept, tx); return nil }
		if err := errors.Join(db.View(t.Context(), keep), db.Update(t.Context(), keep)); err != nil {
			t.Fatal(err)
		}
		for _, tx := range kept {
			if _, err := tx.Exec(`SELECT 1`); err == nil {
				t.Error("a transaction worked after its function had returned")
			}
		}
	})
}

func TestManyStatementTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		err := db.View(t.Context(), func(tx *store.Tx) error {
			for n := range 2000 {
				query := `SELECT 1` + strings.Repeat(" ", n)
				if got, err := store.One(tx, scalar[int64], query); err != nil || got != 1 {
					t.Fatalf("text %d: %d, %v", n, got, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

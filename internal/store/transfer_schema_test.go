package store

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"
)

// A copy knows every table of every version of the schema, whatever a
// migration adds: each has a key and columns of types that both engines have,
// and none comes before what it refers to.
func TestEverySchemaCanBeCopied(t *testing.T) {
	newest, err := newestSchema()
	if err != nil {
		t.Fatal(err)
	}
	for version := int64(1); version <= newest; version++ {
		s, err := schemaAt(t.Context(), version)
		if err != nil {
			t.Error(err)
			continue
		}
		for i, child := range s.tables {
			for _, parent := range child.parents {
				if !slices.ContainsFunc(s.tables[:i], func(t *table) bool { return t.name == parent }) {
					t.Errorf("version %d: %s comes before %s", version, child.name, parent)
				}
			}
		}
	}
	db := openTest(t) // with a table t beside those of the migrations
	var there []string
	err = db.View(t.Context(), func(tx *Tx) (err error) {
		there, err = Collect(tx, func(s *string) []any { return []any{s} }, sqliteTables)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := schemaAt(t.Context(), newest)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if known := s.has(name); known == (name == "t" || isGooses(name)) {
			t.Errorf("table %s: known is %v", name, known)
		}
	}
	if _, err := schemaAt(t.Context(), newest+1); !errors.Is(err, ErrNewer) {
		t.Errorf("a version to come: %v", err)
	}
}

// Tables that could not be copied are errors, not left out.
func TestTablesThatCannotBeCopied(t *testing.T) {
	for statement, want := range map[string]string{
		`CREATE TABLE x (a TEXT NOT NULL PRIMARY KEY, b REAL)`:                               "has the type real",
		`CREATE TABLE x (a TEXT)`:                                                            "no primary key",
		`CREATE TABLE x (a BIGINT NOT NULL, b BYTEA, c BOOLEAN, d TEXT, PRIMARY KEY (d, a))`: "",
	} {
		db, err := Open(t.Context(), Config{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *Tx) error {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
			x, err := describeTable(tx, "x")
			if err == nil && !slices.Equal(x.key, []int{3, 0}) {
				t.Errorf("key %v", x.key)
			}
			return err
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", statement, err)
		}
		db.Close()
	}
	circle := &schema{tables: []*table{{name: "a", parents: []string{"b"}}, {name: "b", parents: []string{"a"}}}}
	if err := circle.sort(); err == nil {
		t.Error("a circle was sorted")
	}
}

// A database of an older version is copied as it is, and brought up to date by
// whoever opens it.
func TestTransferOfAnOlderSchema(t *testing.T) {
	from, to := Config{Path: filepath.Join(t.TempDir(), "old")}, Config{Path: filepath.Join(t.TempDir(), "new")}
	pool, err := openPool(1, fileSource(from.Path)(settings()...))
	if err != nil {
		t.Fatal(err)
	}
	err = migrateTo(t.Context(), pool, goose.DialectSQLite3, 3)
	if err == nil {
		_, err = pool.Exec(`INSERT INTO iam_accounts (id, is_first, password_policy, created_at) VALUES ('1', true, '', 0)`)
	}
	if err := errors.Join(err, pool.Close()); err != nil {
		t.Fatal(err)
	}
	c, err := Transfer{From: from, To: to}.Run(t.Context())
	if err != nil || c.Schema != 3 || c.Rows["iam_accounts"] != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	db, err := Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(t.Context(), func(tx *Tx) error {
		_, err := One(tx, func(s *string) []any { return []any{s} }, `SELECT id FROM iam_accounts WHERE is_first`)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Whatever a table holds, little of it is in memory at once, and nothing is
// left out or read twice.
func TestPagesAreBounded(t *testing.T) {
	db, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const small, large = 5000, 100
	err = db.Update(t.Context(), func(tx *Tx) error {
		if _, err := tx.Exec(`CREATE TABLE x (a BIGINT NOT NULL, b BYTEA NOT NULL, PRIMARY KEY (b, a))`); err != nil {
			return err
		}
		for n := range small + large {
			blob := []byte{byte(n / 1000)}
			if n >= small {
				blob = make([]byte, 64<<10)
			}
			if _, err := tx.Exec(`INSERT INTO x VALUES ($1, $2)`, n, blob); err != nil {
				return err
			}
		}
		x, err := describeTable(tx, "x")
		if err != nil {
			return err
		}
		seen := map[int64]bool{}
		err = x.pages(t.Context(), tx, func(rows [][]any) error {
			size := 0
			for _, row := range rows {
				seen[row[0].(int64)] = true
				size += len(row[1].([]byte))
			}
			if len(rows) > pageRows || size > pageBytes+64<<10 {
				t.Errorf("a page of %d rows with %d bytes", len(rows), size)
			}
			return nil
		})
		if len(seen) != small+large {
			t.Errorf("saw %d rows", len(seen))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Rows that differ in anything have another digest.
func TestDigestTellsRowsApart(t *testing.T) {
	x := &table{name: "x", columns: []column{{"a", "text"}, {"b", "bytea"}, {"c", "boolean"}, {"d", "bigint"}, {"e", "text"}, {"f", "text"}}}
	other := &table{name: "x", columns: []column{{"a", "text"}, {"b", "bytea"}, {"c", "boolean"}, {"D", "bigint"}, {"e", "text"}, {"f", "text"}}}
	seen := map[[32]byte]string{}
	add := func(name string, of *table, rows ...[]any) {
		d := newDigest(of)
		for _, row := range rows {
			d.add(row)
		}
		if before, ok := seen[d.sum()]; ok {
			t.Errorf("%s has the digest of %s", name, before)
		}
		seen[d.sum()] = name
	}
	base := []any{"a", []byte("b"), true, int64(1), "ef", "g"}
	with := func(i int, v any) []any {
		row := slices.Clone(base)
		row[i] = v
		return row
	}
	add("nothing", x)
	add("nothing, other columns", other)
	add("base", x, base)
	add("twice", x, base, base)
	add("null text", x, with(0, nil))
	add("empty text", x, with(0, ""))
	add("longer text", x, with(0, "ab"))
	add("null blob", x, with(1, nil))
	add("empty blob", x, with(1, []byte{}))
	add("shifted", x, []any{"ab", []byte{}, true, int64(1), "ef", "g"})
	add("shifted text", x, []any{"a", []byte("b"), true, int64(1), "e", "fg"})
	add("false", x, with(2, false))
	add("null boolean", x, with(2, nil))
	add("number", x, with(3, int64(2)))
	add("negative", x, with(3, int64(-1)))
	add("order", x, base, with(0, ""))
	add("the other order", x, with(0, ""), base)
	add("wrong place", x, []any{[]byte("a"), "b", true, int64(1), "ef", "g"})
}

package storetest

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"azekura/internal/store"
)

// Fill puts about n rows into every table of a SQLite database that the
// migrations have made, of values that are easily changed on the way to
// another engine. They refer to each other and not to rows that were there.
// Rows that an index does not allow are left out, so a table may get fewer.
func Fill(t testing.TB, db *store.DB, n int) {
	t.Helper()
	f := filler{t: t, db: db, rows: n, before: map[string]int64{}}
	for _, name := range list[string](f, `SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_' AND substr(name, 1, 6) <> 'goose_'`) {
		f.fill(name)
	}
}

type filler struct {
	t      testing.TB
	db     *store.DB
	rows   int
	before map[string]int64 // the last row of a table, before it was filled
}

type column struct {
	name, kind string
	required   bool
	key        int
}

type reference struct {
	id              int
	table, from, to string
}

func list[T any](f filler, query string, args ...any) (all []T) {
	f.t.Helper()
	dest := func(v *T) []any {
		switch v := any(v).(type) {
		case *column:
			return []any{&v.name, &v.kind, &v.required, &v.key}
		case *reference:
			return []any{&v.id, &v.table, &v.from, &v.to}
		}
		return []any{v}
	}
	err := f.db.View(f.t.Context(), func(tx *store.Tx) (err error) {
		all, err = store.Collect(tx, dest, query, args...)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f filler) fill(table string) {
	if _, done := f.before[table]; done {
		return
	}
	f.before[table] = list[int64](f, fmt.Sprintf(`SELECT coalesce(max(rowid), 0) FROM %q`, table))[0]
	columns := list[column](f, `SELECT name, lower(type), "notnull", pk FROM pragma_table_info($1) ORDER BY cid`, table)
	references := list[reference](f, `SELECT id, "table", "from", "to" FROM pragma_foreign_key_list($1) ORDER BY id, seq`, table)
	// Values of one column of a parent are in the order of its rows, so that
	// those of several columns belong together.
	parents := map[string][]any{}
	for _, r := range references {
		f.fill(r.table)
		parents[r.from] = list[any](f, fmt.Sprintf(`SELECT %q FROM %q WHERE rowid > $1 ORDER BY rowid`, r.to, r.table), f.before[r.table])
	}
	statement := fmt.Sprintf(`INSERT INTO %q VALUES %s ON CONFLICT DO NOTHING`, table, store.InList(len(columns)))
	err := f.db.Update(f.t.Context(), func(tx *store.Tx) error {
		for n := range f.rows {
			row := make([]any, len(columns))
			for i, c := range columns {
				if from, ok := parents[c.name]; ok {
					row[i] = from[n%len(from)]
				} else {
					row[i] = value(c, n+i)
				}
			}
			if _, err := tx.Exec(statement, row...); err != nil {
				return fmt.Errorf("fill %s: %w", table, err)
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func value(c column, n int) any {
	if !c.required && c.key == 0 && n%3 == 0 {
		return nil
	}
	switch c.kind {
	case "bigint":
		return []int64{int64(n), math.MaxInt64 - int64(n), math.MinInt64 + int64(n), -int64(n)}[n%4]
	case "boolean":
		return n%2 == 0
	case "bytea":
		if n%40 == 7 {
			return bytes.Repeat([]byte{byte(n), 0}, 32<<10)
		}
		return [][]byte{{}, {0, 255, byte(n)}, []byte("12"), []byte("text")}[n%4]
	}
	awkward := []string{"", "\uffff", "\U0010ffff", "校倉", "'quoted' \"twice\"", "a\nb\\c", "é", "1e5", "Z", "z", strings.Repeat("x", 100)}[n%11]
	if c.key > 0 || n%2 == 0 {
		awkward += fmt.Sprint("-", n)
	}
	return awkward
}

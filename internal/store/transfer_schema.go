package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

// A schema is the tables that the migrations up to a version make, parents
// before the tables that refer to them.
type schema struct {
	version int64
	tables  []*table
}

// A table is what a copy has to know of one, whatever the engine.
type table struct {
	name    string
	columns []column
	key     []int // the columns of the primary key
	parents []string
	seeds   int64 // rows that the migrations themselves put there
}

type column struct {
	name string
	kind string // text, bigint, boolean or bytea
}

// schemaAt asks the migrations: it applies them to a database in memory and
// reads that. So no list of tables has to be kept, and none can be forgotten.
func schemaAt(ctx context.Context, version int64) (*schema, error) {
	pool, err := openPool(1, memorySource(rand.Text())(settings()...))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := migrateTo(ctx, pool, goose.DialectSQLite3, version); err != nil {
		return nil, err
	}
	s := &schema{version: version}
	err = readOnce(ctx, pool, func(tx *Tx) error {
		names, err := Collect(tx, func(s *string) []any { return []any{s} }, sqliteTables)
		for _, name := range slices.DeleteFunc(names, isGooses) {
			t, err := describeTable(tx, name)
			if err != nil {
				return err
			}
			s.tables = append(s.tables, t)
		}
		return err
	})
	if err == nil {
		err = s.sort()
	}
	if err != nil {
		return nil, fmt.Errorf("read the schema of version %d: %w", version, err)
	}
	return s, nil
}

// newestSchema is the version that this program's migrations end with.
func newestSchema() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, errors.Join(err, errors.New("there are no migrations"))
	}
	return goose.NumericComponent(files[len(files)-1])
}

// migrateTo brings a schema up to a version that may be older than the newest.
func migrateTo(ctx context.Context, db *sql.DB, dialect goose.Dialect, version int64) error {
	newest, err := newestSchema()
	if err != nil {
		return err
	}
	if version > newest {
		return fmt.Errorf("%w: its schema has version %d, this program knows %d: use the newer version", ErrNewer, version, newest)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, files, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	if version == 0 {
		return nil
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("make the schema of version %d: %w", version, translate(err))
	}
	return nil
}

// isGooses says whether a table is the migrations' own.
func isGooses(table string) bool { return strings.HasPrefix(table, "goose_") }

func describeTable(tx *Tx, name string) (*table, error) {
	type info struct {
		column
		key int
	}
	infos, err := Collect(tx, func(i *info) []any { return []any{&i.name, &i.kind, &i.key} },
		`SELECT name, lower(type), pk FROM pragma_table_info($1) ORDER BY cid`, name)
	if err != nil {
		return nil, err
	}
	t := &table{name: name}
	for i, info := range infos {
		switch info.kind {
		case "text", "bigint", "boolean", "bytea":
		default:
			return nil, fmt.Errorf("column %s of table %s has the type %s, which cannot be copied", info.name, name, info.kind)
		}
		t.columns = append(t.columns, info.column)
		if info.key > 0 {
			t.key = append(t.key, i)
		}
	}
	if len(t.key) == 0 {
		return nil, fmt.Errorf("table %s has no primary key, so its rows have no order to be copied in", name)
	}
	slices.SortFunc(t.key, func(a, b int) int { return infos[a].key - infos[b].key })
	if t.parents, err = Collect(tx, func(s *string) []any { return []any{s} },
		`SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`, name); err != nil {
		return nil, err
	}
	t.seeds, err = t.count(tx)
	return t, err
}

// sort puts parents first.
func (s *schema) sort() error {
	var sorted []*table
	done := map[string]bool{}
	for len(sorted) < len(s.tables) {
		before := len(sorted)
		for _, t := range s.tables {
			if !done[t.name] && !slices.ContainsFunc(t.parents, func(p string) bool { return !done[p] }) {
				sorted, done[t.name] = append(sorted, t), true
			}
		}
		if len(sorted) == before {
			return errors.New("its tables refer to each other in a circle, so none can be copied first")
		}
	}
	s.tables = sorted
	return nil
}

func (s *schema) has(name string) bool {
	return slices.ContainsFunc(s.tables, func(t *table) bool { return t.name == name })
}

func (t *table) count(tx *Tx) (int64, error) {
	return One(tx, func(n *int64) []any { return []any{n} }, `SELECT count(*) FROM `+quoted(t.name))
}

func quoted(name string) string { return `"` + name + `"` }

// list is names for a statement, ("a", "b").
func (t *table) list(of []int) string {
	names := make([]string, len(of))
	for i, n := range of {
		names[i] = quoted(t.columns[n].name)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func (t *table) all() []int {
	all := make([]int, len(t.columns))
	for i := range all {
		all[i] = i
	}
	return all
}

// pageRows and pageBytes bound what of a table is in memory at once; a row
// more than pageBytes may be.
const (
	pageRows  = 1024
	pageBytes = 1 << 20
)

// pages calls fn with the rows of a table in the order of its key, some at a
// time. The order is that of bytes on both engines.
func (t *table) pages(ctx context.Context, tx *Tx, fn func(rows [][]any) error) error {
	query := `SELECT ` + strings.Trim(t.list(t.all()), "()") + ` FROM ` + quoted(t.name)
	order := fmt.Sprintf(` ORDER BY %s LIMIT %d`, strings.Trim(t.list(t.key), "()"), pageRows)
	next, args := query+order, []any(nil)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := t.page(tx, next, args)
		if err != nil {
			return fmt.Errorf("read the table %s: %w", t.name, err)
		}
		if len(rows) == 0 {
			return nil
		}
		if err := fn(rows); err != nil {
			return err
		}
		next = query + ` WHERE ` + t.list(t.key) + ` > ` + InList(len(t.key)) + order
		args = t.keyOf(rows[len(rows)-1])
	}
}

func (t *table) page(tx *Tx, query string, args []any) (rows [][]any, err error) {
	size := 0
	err = tx.query(func(scan func(...any) error) (bool, error) {
		row, dest := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := scan(dest...); err != nil {
			return false, err
		}
		n, err := t.normalize(row)
		if err != nil {
			return false, err
		}
		rows, size = append(rows, row), size+n
		return size < pageBytes, nil
	}, query, args)
	return rows, err
}

func (t *table) keyOf(row []any) []any {
	key := make([]any, len(t.key))
	for i, n := range t.key {
		key[i] = row[n]
	}
	return key
}

// normalize makes values of one Go type for each kind of column of what a
// driver has read, and returns how many bytes they take. A blob without bytes
// is not nil, which would be stored as NULL.
func (t *table) normalize(row []any) (size int, err error) {
	for i, c := range t.columns {
		fits := row[i] == nil
		switch v := row[i].(type) {
		case int64:
			if fits = c.kind == "bigint"; c.kind == "boolean" && v>>1 == 0 { // SQLite has no other
				row[i], fits = v == 1, true
			}
		case bool:
			fits = c.kind == "boolean"
		case string:
			fits, size = c.kind == "text", size+len(v)
		case []byte:
			if fits, size = c.kind == "bytea", size+len(v); v == nil {
				row[i] = []byte{}
			}
		}
		if !fits {
			return 0, fmt.Errorf("%w: column %s holds a %T, which is no %s", errCorrupt, c.name, row[i], c.kind)
		}
		size += 8
	}
	return size, nil
}

// insert adds rows by few statements of few texts, which are prepared once.
func (t *table) insert(tx *Tx, rows [][]any) error {
	for size := 64; size > 0; size /= 2 {
		for len(rows) >= size {
			args := slices.Concat(rows[:size]...)
			if _, err := tx.Exec(t.insertion(size), args...); err != nil {
				return err
			}
			rows = rows[size:]
		}
	}
	return nil
}

func (t *table) insertion(rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO ` + quoted(t.name) + ` ` + t.list(t.all()) + ` VALUES `)
	for n := range rows * len(t.columns) {
		switch {
		case n == 0:
			b.WriteString("(")
		case n%len(t.columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", n+1)
	}
	b.WriteString(")")
	return b.String()
}

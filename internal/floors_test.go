package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// floors is the house from the ground up, as docs/DESIGN.md draws it. A
// package may import packages of lower floors only; packages of one floor do
// not know each other. A package inside a room, such as store/storetest, may
// import the room and what lies below the floor named here.
var floors = []string{
	"api arn pagelock store envelope material sigv4 totp oidc throttle",
	"api/shape policy seal api/secretsmanager api/iam api/sts api/organizations api/kms backup store/storetest/postgres oidc/oidctest",
	"api/gen api/apitest call store/storetest",
	"wire iam organizations",
	"kms",
	"secretsmanager sts metrics",
	"server",
	"server/servertest",
}

func TestFloors(t *testing.T) {
	floor := map[string]int{}
	for i, names := range floors {
		for _, name := range strings.Fields(names) {
			floor[name] = i + 1
		}
	}
	imports := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		from := filepath.ToSlash(filepath.Dir(file))
		if floor[from] == 0 {
			t.Errorf("%s stands on no floor", from)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			to, ok := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), "azekura/internal/")
			if !ok {
				continue
			}
			imports++
			if floor[to] >= floor[from] {
				t.Errorf("%s imports %s, which is not below it", from, to)
			}
		}
		return nil
	})
	if err != nil || imports == 0 {
		t.Fatalf("saw %d imports, %v", imports, err)
	}
}

// A table is named in one package's query.go, or query_TOPIC.go, only: who
// wants another's rows asks its owner.
func TestTablesHaveOneOwner(t *testing.T) {
	owners := map[string]string{}
	files, err := filepath.Glob("store/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, table := range createdTables(t, file) {
			owners[table] = ""
		}
	}
	err = filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		for _, table := range namedTables(t, file) {
			if _, is := owners[table]; !is {
				continue
			}
			dir := filepath.Dir(file)
			if base := path.Base(file); base != "query.go" && !strings.HasPrefix(base, "query_") {
				t.Errorf("%s names the table %s; only a query.go, or query_TOPIC.go, may", file, table)
			}
			if owners[table] != "" && owners[table] != dir {
				t.Errorf("%s and %s both name the table %s", owners[table], dir, table)
			}
			owners[table] = dir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for table, owner := range owners {
		if owner == "" {
			t.Errorf("the table %s is named nowhere", table)
		}
	}
}

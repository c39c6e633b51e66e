// Package crash kills servers and databases at random moments under a mixed
// write load, and checks that every acknowledged change is there after the next
// start, and that nothing is half there.
package crash

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"azekura/test/deployment"
	"azekura/test/process"
)

var rounds = flag.Int("rounds", 8, "how often something is killed, on each engine")

const writers = 8

var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "azekura-crash-")
	if err == nil {
		defer os.RemoveAll(dir)
		bin, err = process.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A crash kills something, and starts it again. Those that leave something
// running have the writers go on meanwhile, and say when they have.
type crash struct {
	name string
	make func(c *crew) error
}

func TestSQLite(t *testing.T) {
	d := deployment.SQLite(t, bin)
	c := newCrew(t, d)
	c.survive([]crash{{"the server", func(c *crew) error { c.stopAfter(d.Kill); return d.Start() }}})
	d.Kill()
	checkFile(t, filepath.Join(d.Data(0), "azekura.db"))
}

func TestPostgres(t *testing.T) {
	d := deployment.Postgres(t, bin, 2)
	newCrew(t, d).survive([]crash{
		{"one of two nodes", func(c *crew) error {
			n := rand.IntN(2)
			d.Kill(n)
			c.awaitChanges(40)
			defer c.stop()
			return d.Start(n)
		}},
		{"both nodes", func(c *crew) error { c.stopAfter(d.Kill); return d.Start() }},
		{"the database server", func(c *crew) error {
			defer c.stop()
			err := d.RestartDatabase()
			c.awaitChanges(40)
			return err
		}},
		{"all at once", func(c *crew) (err error) {
			c.stopAfter(func(...int) {
				var nodes sync.WaitGroup
				nodes.Go(func() { d.Kill() })
				err = d.Database.Kill()
				nodes.Wait()
			})
			if err == nil {
				err = d.Database.Restart()
			}
			if err == nil {
				err = d.Start()
			}
			return err
		}},
	})
}

// checkFile has SQLite look at every page and every row of a database.
func checkFile(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var said string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&said); err != nil || said != "ok" {
		t.Errorf("integrity_check: %s, %v", said, err)
	}
	var strays int
	err = db.QueryRow(`SELECT count(*) FROM pragma_foreign_key_check`).Scan(&strays)
	if err != nil || strays > 0 {
		t.Errorf("%d rows belong to nothing, %v", strays, err)
	}
	err = db.QueryRow(`SELECT count(*) FROM secrets s WHERE held <> (SELECT count(*) FROM secret_versions v WHERE v.secret_id = s.id)`).Scan(&strays)
	if err != nil || strays > 0 {
		t.Errorf("%d secrets count their versions wrong, %v", strays, err)
	}
}

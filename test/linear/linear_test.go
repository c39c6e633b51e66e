// Package linear checks that what clients see of a secret is linearizable:
// that all answers of a concurrent history could have been given by a secret
// that does one thing at a time, each between its call and its answer. Servers,
// database and what connects them are killed while the history is made.
package linear

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"azekura/test/deployment"
	"azekura/test/process"
)

var (
	rounds = flag.Int("rounds", 4, "how many histories are made and checked on each engine")
	calls  = flag.Int("calls", 60, "how many calls each client makes in a round")
)

const (
	clients = 16
	secrets = 10 // few, so that clients meet; fewer, and the check takes for ever
)

var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "azekura-linear-")
	if err == nil {
		defer os.RemoveAll(dir)
		bin, err = process.Build(filepath.Clean(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func TestSQLite(t *testing.T) {
	d := deployment.SQLite(t, bin)
	check(t, d, func() []fault {
		kill := fault{"kill the server", func() error { return d.Restart() }}
		return []fault{kill, kill, kill}
	})
}

func TestPostgres(t *testing.T) {
	d := deployment.Postgres(t, bin, 2)
	check(t, d, func() []fault { return postgresFaults(d) })
}

// check makes histories, with each of the faults in each of them, and has them
// checked, nearly all of them successfully.
func check(t *testing.T, d *deployment.Deployment, faults func() []fault) {
	undecided := 0
	for round := range *rounds {
		h := newHistory(d, round)
		if err := h.make(t.Context(), faults()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		began := time.Now()
		failed, open := h.check()
		if failed != "" {
			t.Errorf("round %d: %s", round, failed)
		}
		undecided += open
		t.Logf("round %d: %d calls, %d of them without an answer; checked in %v", round, len(h.calls), h.unknown(), time.Since(began).Round(time.Millisecond))
	}
	all := *rounds * secrets
	t.Logf("%d histories of a secret, %d of them undecided", all, undecided)
	if undecided > all/20+1 {
		t.Error("too many are undecided")
	}
}

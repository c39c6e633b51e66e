// Package deployment runs the built server in the two ways it can be run, one
// over SQLite and several over a PostgreSQL database, and kills parts of it.
package deployment

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"azekura/internal/store/storetest"
	"azekura/internal/store/storetest/postgres"
	"azekura/test/pgproxy"
	"azekura/test/process"
)

// A Deployment is one or several servers, its nodes, that are one to their
// clients. Its methods may be called concurrently, but each node and the
// database may be killed and started by one caller at a time.
type Deployment struct {
	Database *postgres.Server // nil on SQLite

	t       testing.TB
	nodes   []*node
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a node has come
	gone    map[*process.Server]time.Time
}

type node struct {
	config process.Config
	proxy  *pgproxy.Proxy  // to the database; nil on SQLite
	traps  []*pgproxy.Trap // that may not have sprung yet
	server *process.Server // nil while the node is down
}

// SQLite starts one node. It ends with t.
func SQLite(t testing.TB, bin string) *Deployment {
	t.Helper()
	d := newDeployment(t)
	d.nodes = []*node{{config: process.Config{Command: []string{bin}, DataDir: filepath.Join(t.TempDir(), "data")}}}
	d.start(0)
	return d
}

// Postgres starts nodes over a database server of their own, each through a
// proxy that can cut its connections. They serve nothing stale while the
// database is away, and end with t. Without PostgreSQL t is skipped.
func Postgres(t testing.TB, bin string, nodes int) *Deployment {
	t.Helper()
	d := newDeployment(t)
	d.Database = storetest.PostgresServer(t)
	if err := d.Database.Create(t.Context(), "azekura", "template0"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for n := range nodes {
		proxy, err := pgproxy.New(d.Database.URL("azekura"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		d.nodes = append(d.nodes, &node{proxy: proxy, config: process.Config{
			Command: []string{bin},
			DataDir: filepath.Join(dir, fmt.Sprint(n)),
			RootKey: filepath.Join(dir, "0", "root-key"),
			Args:    []string{"--database-url", pgproxy.URL(proxy), "--max-stale", "0s"},
		}})
	}
	d.nodes[0].config.RootKey = ""
	for n := range nodes {
		d.start(n)
	}
	return d
}

func newDeployment(t testing.TB) *Deployment {
	d := &Deployment{t: t, changed: make(chan struct{}), gone: map[*process.Server]time.Time{}}
	t.Cleanup(func() { d.Kill() })
	return d
}

func (d *Deployment) start(n int) {
	d.t.Helper()
	if err := d.Start(n); err != nil {
		d.t.Fatal(err)
	}
}

// Nodes is how many there are, numbered from 0.
func (d *Deployment) Nodes() int { return len(d.nodes) }

// Running are the servers of the nodes that run. It waits until one does; the
// error is ctx's. One of them may be killed at any moment.
func (d *Deployment) Running(ctx context.Context) ([]*process.Server, error) {
	for {
		d.mu.Lock()
		changed := d.changed
		var up []*process.Server
		for _, n := range d.nodes {
			if n.server != nil {
				up = append(up, n.server)
			}
		}
		d.mu.Unlock()
		if up != nil {
			return up, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Kill ends nodes as kill -9 does, all if it is given none, and returns when
// they have gone. Those that are down are left so.
func (d *Deployment) Kill(nodes ...int) {
	var wg sync.WaitGroup
	for _, n := range d.orAll(nodes) {
		d.mu.Lock()
		server := d.nodes[n].server
		d.nodes[n].server = nil // first, so that nobody new comes to it
		d.mu.Unlock()
		if server != nil {
			wg.Go(func() {
				server.Kill()
				d.mu.Lock()
				d.gone[server] = time.Now()
				d.mu.Unlock()
				if log := server.Log(); strings.Contains(log, "panic") {
					d.t.Errorf("node %d panicked:\n%s", n, log)
				}
			})
		}
	}
	wg.Wait()
}

// LoseCommits has 2n of a node's COMMITs end with its connection, half of them
// before the database has got them and half when it has done them. What is left
// of that when the node is started again is forgotten.
func (d *Deployment) LoseCommits(node, n int) {
	at := d.nodes[node]
	for range n {
		at.traps = append(at.traps, at.proxy.Before("COMMIT", pgproxy.Cut), at.proxy.After("COMMIT", pgproxy.Cut))
	}
}

// Start starts nodes that are down, all of them if it is given none.
func (d *Deployment) Start(nodes ...int) error {
	nodes = d.orAll(nodes)
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			for _, trap := range d.nodes[n].traps {
				trap.Remove()
			}
			d.nodes[n].traps = nil
			server, err := process.StartWith(d.nodes[n].config)
			for try := 1; err != nil && d.Database != nil && try < 5; try++ {
				// It gives up soon if a machine under load is slow to let it in.
				server, err = process.StartWith(d.nodes[n].config)
			}
			if err != nil {
				errs[i] = fmt.Errorf("start node %d: %w", n, err)
				return
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.nodes[n].server = server
			close(d.changed)
			d.changed = make(chan struct{})
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Restart kills nodes and starts them again, all if it is given none.
func (d *Deployment) Restart(nodes ...int) error {
	d.Kill(nodes...)
	return d.Start(nodes...)
}

// Gone says since when at the latest a server that was killed does nothing.
func (d *Deployment) Gone(s *process.Server) (since time.Time, killed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	since, killed = d.gone[s]
	return since, killed
}

func (d *Deployment) orAll(nodes []int) []int {
	if len(nodes) > 0 {
		return nodes
	}
	for n := range d.nodes {
		nodes = append(nodes, n)
	}
	return nodes
}

// Network is what lies between a node and the database, on PostgreSQL.
func (d *Deployment) Network(n int) *pgproxy.Proxy { return d.nodes[n].proxy }

// RestartDatabase kills the database server and starts it again on its data.
func (d *Deployment) RestartDatabase() error {
	if err := d.Database.Kill(); err != nil {
		return err
	}
	return d.Database.Restart()
}

// AwaitQuiet waits until the database does nothing any more that it had begun
// before the call, whoever asked for it. On SQLite it returns at once.
func (d *Deployment) AwaitQuiet(ctx context.Context) error {
	if d.Database == nil {
		return nil
	}
	var since time.Time
	for {
		busy, err := d.busy(ctx, &since)
		if err == nil && !busy {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(5 * time.Millisecond): // it may be down just now
		}
	}
}

// busy says whether there is a transaction that began before since, which is
// now if it is zero.
func (d *Deployment) busy(ctx context.Context, since *time.Time) (busy bool, err error) {
	conn, err := pgx.Connect(ctx, d.Database.URL("azekura"))
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	if since.IsZero() {
		*since = time.Now()
	}
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE xact_start <= $1 AND pid <> pg_backend_pid())`, *since).Scan(&busy)
	return busy, err
}

// Data is the data directory of a node.
func (d *Deployment) Data(n int) string { return d.nodes[n].config.DataDir }

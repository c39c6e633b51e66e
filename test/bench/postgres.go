package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"azekura/internal/store/storetest/postgres"
)

// cacheOfKeys is a cache-bytes with which a server keeps its access key, user
// and KMS key, and of secrets some dozens: nearly each read loads the rows of
// its own.
const cacheOfKeys = 200_000

// A cluster is a PostgreSQL server with the secrets of the working set, and two
// servers of ours over it.
type cluster struct {
	database      *postgres.Server
	cached, plain *node
}

// postgres compares reads from the cache, whose rows are checked against the
// database, with reads of the rows.
func (b *bench) postgres() (section, error) {
	s := section{title: "Over PostgreSQL"}
	secrets := min(workingSet, b.secrets)
	s.text = fmt.Sprintf(`GetSecretValue of %s unchanged secrets of 1 KiB at random. The reference is the same binary over the same database with
cache-bytes %d: enough for its access key, user and KMS key, and for some dozen secrets, so that nearly each read loads the
rows of its secret. Both servers and PostgreSQL (as Debian sets it up, after an ANALYZE) share one processor by turns, the load generator has the other:
what counts is what a read costs in both together. CPU is that of the server and PostgreSQL.`, thousands(secrets), cacheOfKeys)
	c, err := b.startCluster()
	if err != nil {
		return s, err
	}
	defer c.database.Close()
	defer c.cached.kill()
	defer c.plain.kill()
	b.say("storing %d secrets in PostgreSQL ...", secrets)
	for _, n := range []int{500, secrets} { // what is there already is created again by the same token
		if err := errors.Join(c.cached.fill(b, n), analyze(c.database)); err != nil {
			return s, err
		}
	}
	if err := c.cached.warm(b, spread(secrets, secrets)(0)); err != nil {
		return s, err
	}
	t := s.table("connections", "azekura", "rows each time")
	for _, connections := range []int{1, 16, 64} {
		if err := b.cachedPair(&s, t, c, connections, secrets); err != nil {
			return s, err
		}
	}
	return s, errors.Join(c.cached.stop(), c.plain.stop(), c.database.Close())
}

func (b *bench) startCluster() (c *cluster, err error) {
	c = &cluster{}
	b.say("starting PostgreSQL ...")
	if err := onProcessors(b.cpus.server, func() (err error) { c.database, err = postgres.Start(); return err }); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.database.Close()
		}
	}()
	if err := c.database.Create(context.Background(), "azekura", "template0"); err != nil {
		return nil, err
	}
	parent, err := postmaster(c.database)
	if err != nil {
		return nil, err
	}
	flags := append([]string{"--database-url", c.database.URL("azekura")}, showMetrics...)
	first, second := filepath.Join(b.work, "node-1"), filepath.Join(b.work, "node-2")
	if c.cached, err = b.serve(b.cpus.server, first, flags...); err != nil {
		return nil, err
	}
	if err := copyFile(filepath.Join(second, "root-key"), filepath.Join(first, "root-key")); err != nil {
		return nil, err
	}
	if c.plain, err = b.serve(b.cpus.server, second, append(flags, "--cache-bytes", fmt.Sprint(cacheOfKeys))...); err != nil {
		return nil, err
	}
	c.cached.parent, c.plain.parent = parent, parent
	return c, nil
}

// analyze lets PostgreSQL look at how much there is, which it does by itself
// within a minute or two.
func analyze(s *postgres.Server) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL("azekura"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// postmaster is the process whose children work for clients.
func postmaster(s *postgres.Server) (int, error) {
	file, err := os.Open(filepath.Join(s.Dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var pid int
	_, err = fmt.Fscan(file, &pid)
	return pid, err
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

func (b *bench) cachedPair(s *section, t *table, c *cluster, connections, secrets int) error {
	b.say("GetSecretValue over PostgreSQL, %d connections ...", connections)
	before, err := c.plain.scrape()
	if err != nil {
		return err
	}
	pick := spread(secrets, secrets)
	results, err := b.takeTurns(c.cached.reads(connections, pick), c.plain.reads(connections, pick))
	if err != nil {
		return err
	}
	after, err := c.plain.scrape()
	if err != nil {
		return err
	}
	const caches = `azekura_cache_%s_total{cache="secrets"}`
	hits, misses := after.since(before, fmt.Sprintf(caches, "hits")), after.since(before, fmt.Sprintf(caches, "misses"))
	if hits > 0.02*(hits+misses) {
		return fmt.Errorf("the reference served %.0f of %.0f reads from its cache: it is none", hits, hits+misses)
	}
	perSecond, cpu, p50, p99 := figures()
	var g *goal
	if connections == 64 {
		g = s.atLeast("Reads over PostgreSQL, 64 connections: requests/s against reading the rows each time", results[0].over(results[1], perSecond), 4)
	}
	name := fmt.Sprint(connections)
	t.compare(name, perSecond, results[0], results[1], g)
	for _, f := range []figure{cpu, p50, p99} {
		t.compare(name, f, results[0], results[1], nil)
	}
	return nil
}

// children are the processes that a process has started and that are there.
func children(pid int) (pids []int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	for field := range strings.FieldsSeq(string(text)) {
		var child int
		if _, err := fmt.Sscan(field, &child); err != nil {
			return nil, err
		}
		pids = append(pids, child)
	}
	return pids, nil
}

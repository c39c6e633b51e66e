package store_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
	"azekura/test/pgproxy"

	"github.com/jackc/pgx/v5"
)

// A journal is a log that a test can wait for.
type journal struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler               { return j }
func (j *journal) WithGroup(string) slog.Handler                    { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, r.Level.String()+" "+r.Message)
	close(j.more)
	j.more = make(chan struct{})
	return nil
}

// await returns the journal when it has n lines.
func (j *journal) await(t *testing.T, n int) []string {
	t.Helper()
	for {
		j.mu.Lock()
		lines, more := slices.Clone(j.lines), j.more
		j.mu.Unlock()
		if len(lines) >= n {
			return lines
		}
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("the log is %q", lines)
		}
	}
}

const (
	lineAway = "ERROR the database cannot be reached: changes are refused until it is back, and reads are served from memory for a while; " +
		"check that it runs, accepts connections and is the primary; this server need not be restarted"
	lineBack = "INFO the database is back: changes are accepted again"
)

// A node is a DB behind a proxy, with a cache and a log.
type node struct {
	*store.DB
	cache *store.Cache[thing]
	log   *journal
}

func openStale(t *testing.T, databaseURL string, maxStale time.Duration) *node {
	t.Helper()
	n := &node{log: newJournal()}
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL, MaxStale: maxStale, Log: slog.New(n.log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	n.DB, n.cache = db, things(db)
	return n
}

// read is what a request would get that reads a thing.
func (n *node) read(name string) (v thing, stale bool, err error) {
	reads := n.NewReads()
	if v, err = n.cache.Get(context.Background(), reads, name); err != nil {
		return v, false, err
	}
	stale, err = reads.Confirm(context.Background())
	return v, stale, err
}

// raise is a change of a thing through the node.
func (n *node) raise(name string) error {
	return n.Update(context.Background(), func(tx *store.Tx) error {
		n.cache.Changed(tx, name)
		_, err := tx.Exec(`UPDATE things SET rev = rev + 1 WHERE name = $1`, name)
		return err
	})
}

// While the database is away what was checked of late is served, and marked;
// all else fails at once, and nothing more is asked of the network than by the
// probe. When it is back all is as before.
func TestOutage(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*pgproxy.Proxy) }{
		"refused": {func(p *pgproxy.Proxy) { p.Refuse(); p.Cut() }, (*pgproxy.Proxy).Accept},
		"stalled": {(*pgproxy.Proxy).Stall, func(p *pgproxy.Proxy) { p.Cut(); p.Resume() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := storetest.PostgresURL(t)
			exec(t, openNode(t, at), makeThings, `INSERT INTO things VALUES ('1', 'a', 1), ('2', 'b', 1), ('3', 'c', 1)`)
			proxy := newProxy(t, at)
			hour, short, never := openStale(t, pgproxy.URL(proxy), time.Hour), openStale(t, pgproxy.URL(proxy), time.Nanosecond), openStale(t, pgproxy.URL(proxy), 0)
			for _, n := range []*node{hour, short, never} {
				for _, key := range []string{"a", "b"} {
					if _, stale, err := n.read(key); err != nil || stale {
						t.Fatalf("with the database there: %v, stale %v", err, stale)
					}
				}
			}
			cut := proxy.After("COMMIT", pgproxy.Cut)
			if err := hour.raise("b"); !errors.Is(err, store.ErrUnknown) || !cut.HasSprung() {
				t.Fatalf("a change whose answer is cut: %v", err)
			}

			fault.begin(proxy)
			if v, stale, err := hour.read("a"); err != nil || !stale || v != (thing{"1", 1}) {
				t.Errorf("got %v, stale %v, %v; want the cached value, stale", v, stale, err)
			}
			for name, n := range map[string]*node{"too old": short, "switched off": never} {
				if _, _, err := n.read("a"); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: %v, want ErrUnavailable", name, err)
				}
			}
			for _, n := range []*node{hour, short, never} {
				if lines := n.log.await(t, 1); lines[0] != lineAway {
					t.Errorf("the log is %q", lines)
				}
			}
			crowd(t, proxy, hour)

			fault.end(proxy)
			for _, n := range []*node{hour, short, never} {
				if lines := n.log.await(t, 2); !slices.Equal(lines, []string{lineAway, lineBack}) {
					t.Errorf("the log is %q", lines)
				}
			}
			if err := hour.raise("a"); err != nil {
				t.Errorf("a change after the outage: %v", err)
			}
			if v, stale, err := hour.read("a"); err != nil || stale || v != (thing{"1", 2}) {
				t.Errorf("after the outage: %v, stale %v, %v", v, stale, err)
			}
			if v, err := hour.cache.Get(t.Context(), nil, "b"); err != nil || v.rev != 2 {
				t.Errorf("what was changed before the outage: %v, %v", v, err)
			}
		})
	}
}

// crowd makes many calls of a node whose database is known to be away.
func crowd(t *testing.T, proxy *pgproxy.Proxy, n *node) {
	t.Helper()
	var served, refused atomic.Int64
	count := func(err error) {
		switch {
		case err == nil:
			served.Add(1)
		case errors.Is(err, store.ErrUnavailable):
			refused.Add(1)
		default:
			t.Error(err)
		}
	}
	_, before := proxy.Connections()
	var calls sync.WaitGroup
	const each = 300
	for range each {
		calls.Go(func() { count(n.raise("a")) })
		calls.Go(func() { _, err := n.cache.Get(context.Background(), nil, "a"); count(err) })
		// b was changed by this node, c never read.
		calls.Go(func() { _, _, err := n.read("b"); count(err) })
		calls.Go(func() { _, _, err := n.read("c"); count(err) })
		calls.Go(func() { _, _, err := n.read("a"); count(err) })
	}
	calls.Wait()
	if served.Load() != each || refused.Load() != 4*each {
		t.Errorf("%d served, %d refused; want %d and %d", served.Load(), refused.Load(), each, 4*each)
	}
	if _, after := proxy.Connections(); after-before >= each {
		t.Errorf("%d calls made %d connections", 5*each, after-before)
	}
}

// A statement that waits for a lock is slow, but the database is there.
func TestSlowStatementsAreNoOutage(t *testing.T) {
	at := storetest.PostgresURL(t)
	n, other := openStale(t, at, time.Hour), openNode(t, at)
	exec(t, other, makeThings, `INSERT INTO things VALUES ('1', 'a', 1)`)
	holder, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(context.Background())
	if _, err := holder.Exec(t.Context(), `BEGIN; UPDATE things SET rev = rev + 1`); err != nil {
		t.Fatal(err)
	}
	if err := n.raise("a"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a change behind a lock that is held: %v", err)
	}
	if v, stale, err := n.read("a"); err != nil || stale || v.rev != 1 {
		t.Errorf("a read meanwhile: %v, stale %v, %v", v, stale, err)
	}
	if _, err := holder.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := n.raise("a"); err != nil {
		t.Error(err)
	}
	if lines := n.log.await(t, 0); len(lines) > 0 {
		t.Errorf("the log is %q, want nothing", lines)
	}
}

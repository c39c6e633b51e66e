package pgproxy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"azekura/internal/store/storetest"
	"azekura/test/pgproxy"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func start(t *testing.T, databaseURL string) *pgproxy.Proxy {
	t.Helper()
	p, err := pgproxy.New(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func connect(t *testing.T, databaseURL string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func do(t *testing.T, c *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := c.Exec(t.Context(), s); err != nil {
			t.Fatal(s, err)
		}
	}
}

func count(t *testing.T, c *pgx.Conn) (n int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM t`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A trap cuts before a statement, which is then not done, or after it, when it
// is; the statement may be a prepared one.
func TestCutAtAStatement(t *testing.T) {
	const insert = `INSERT INTO t VALUES ($1)`
	for name, tt := range map[string]struct {
		set  func(*pgproxy.Proxy) *pgproxy.Trap
		rows int
	}{
		"before COMMIT":  {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("COMMIT", pgproxy.Cut) }, 0},
		"after COMMIT":   {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("COMMIT", pgproxy.Cut) }, 1},
		"before INSERT":  {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("INSERT", pgproxy.Cut) }, 0},
		"after INSERT":   {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("INSERT", pgproxy.Cut) }, 0},
		"hang at COMMIT": {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("COMMIT", pgproxy.Hang) }, 0},
		"hang after it":  {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("COMMIT", pgproxy.Hang) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			at := storetest.PostgresURL(t)
			direct := connect(t, at)
			do(t, direct, `CREATE TABLE t (n INT)`)
			p := start(t, at)
			c := connect(t, pgproxy.URL(p))
			if _, err := c.Prepare(t.Context(), "insert", insert); err != nil {
				t.Fatal(err)
			}
			trap := tt.set(p)
			failed := make(chan error, 1)
			go func() {
				failed <- pgx.BeginFunc(context.Background(), c, func(tx pgx.Tx) error {
					_, err := tx.Exec(context.Background(), "insert", 1)
					return err
				})
			}()
			<-trap.Sprung()
			p.Cut() // what hangs
			if err := <-failed; err == nil {
				t.Error("the client noticed nothing")
			}
			if got := count(t, direct); got != tt.rows {
				t.Errorf("%d rows, want %d", got, tt.rows)
			}
			again := connect(t, pgproxy.URL(p))
			do(t, again, `INSERT INTO t VALUES (2)`)
		})
	}
}

func TestStall(t *testing.T) {
	p := start(t, storetest.PostgresURL(t))
	c := connect(t, pgproxy.URL(p))
	p.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, `SELECT 1`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stalled statement: %v", err)
	}
	late := make(chan error, 1)
	go func() {
		c, err := pgx.Connect(context.Background(), pgproxy.URL(p))
		if err == nil {
			err = c.Close(context.Background())
		}
		late <- err
	}()
	// The first, this one, and the first's wish that its statement be cancelled.
	err := p.Await(t.Context(), func(_, accepted int) bool { return accepted == 3 })
	if err != nil {
		t.Fatal(err)
	}
	p.Resume()
	if err := <-late; err != nil {
		t.Errorf("a connection that was stalled and let go: %v", err)
	}
}

func TestSlow(t *testing.T) {
	p := start(t, storetest.PostgresURL(t))
	c := connect(t, pgproxy.URL(p))
	p.Slow(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, `SELECT 1`); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow statement: %v", err)
	}
	p.Slow(time.Microsecond)
	do(t, connect(t, pgproxy.URL(p)), `SELECT 1`)
}

func TestRefuse(t *testing.T) {
	p := start(t, storetest.PostgresURL(t))
	c := connect(t, pgproxy.URL(p))
	p.Refuse()
	if _, err := pgx.Connect(t.Context(), pgproxy.URL(p)); err == nil {
		t.Error("connected in spite of Refuse")
	}
	do(t, c, `SELECT 1`)
	p.RefuseWith("57P03", "the database system is starting up")
	_, err := pgx.Connect(t.Context(), pgproxy.URL(p))
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "57P03" {
		t.Errorf("refused with %v", err)
	}
	p.Accept()
	do(t, connect(t, pgproxy.URL(p)), `SELECT 1`)
}

func TestCut(t *testing.T) {
	p := start(t, storetest.PostgresURL(t))
	c := connect(t, pgproxy.URL(p))
	if n := p.Cut(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	if _, err := c.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("the connection was not cut")
	}
	if err := p.Await(t.Context(), func(open, _ int) bool { return open == 0 }); err != nil {
		t.Error(err)
	}
}

// New connections go where they are routed, whatever database they ask for.
func TestRoute(t *testing.T) {
	first, second := storetest.PostgresURL(t), storetest.PostgresURL(t)
	p := start(t, first)
	at := pgproxy.URL(p)
	name := func() (name string) {
		if err := connect(t, at).QueryRow(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if got := name(); !strings.Contains(first, got) {
		t.Errorf("in %s, want %s", got, first)
	}
	if err := p.Route(second); err != nil {
		t.Fatal(err)
	}
	if got := name(); !strings.Contains(second, got) {
		t.Errorf("in %s, want %s", got, second)
	}
}

// Of several proxies a client takes the first that lets it in.
func TestSeveralHosts(t *testing.T) {
	first, second := start(t, storetest.PostgresURL(t)), start(t, storetest.PostgresURL(t))
	first.Refuse()
	do(t, connect(t, pgproxy.URL(first, second)), `SELECT 1`)
	if _, accepted := second.Connections(); accepted != 1 {
		t.Errorf("the second accepted %d connections, want 1", accepted)
	}
}

package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
	"azekura/test/pgproxy"
)

// The retry classes. What certainly was not committed runs again; what may have
// been is ErrUnknown and is left to the caller; nothing waits for ever.

// insertA inserts the row a and counts how often it was run.
func insertA(db *store.DB, runs *int) func() error {
	return func() error {
		return db.Update(context.Background(), func(tx *store.Tx) error {
			*runs++
			_, err := tx.Exec(`INSERT INTO t VALUES ('a')`)
			return err
		})
	}
}

func TestBrokenConnections(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*pgproxy.Proxy) *pgproxy.Trap
		want error
		runs int
		rows int
	}{
		"at BEGIN": {func(p *pgproxy.Proxy) *pgproxy.Trap {
			return p.Before("BEGIN ISOLATION LEVEL READ COMMITTED", pgproxy.Cut)
		},
			nil, 1, 1},
		"at a statement":    {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("INSERT", pgproxy.Cut) }, nil, 2, 1},
		"after a statement": {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("INSERT", pgproxy.Cut) }, nil, 2, 1},
		"at COMMIT":         {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("COMMIT", pgproxy.Cut) }, store.ErrUnknown, 1, 0},
		"after COMMIT":      {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("COMMIT", pgproxy.Cut) }, store.ErrUnknown, 1, 1},
		"stalled statement": {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("INSERT", pgproxy.Hang) }, store.ErrUnavailable, 1, 0},
		"stalled COMMIT":    {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.Before("COMMIT", pgproxy.Hang) }, store.ErrUnknown, 1, 0},
		"stalled answer":    {func(p *pgproxy.Proxy) *pgproxy.Trap { return p.After("COMMIT", pgproxy.Hang) }, store.ErrUnknown, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := storetest.PostgresURL(t)
			direct := openNode(t, at)
			exec(t, direct, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
			proxy := newProxy(t, at)
			db := openNode(t, pgproxy.URL(proxy))
			trap := tt.set(proxy)
			runs := 0
			err := insertA(db, &runs)()
			if !errors.Is(err, tt.want) || runs != tt.runs {
				t.Errorf("%d runs, %v; want %d, %v", runs, err, tt.runs, tt.want)
			}
			if errors.Is(err, store.ErrUnknown) && errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v: it says both that the outcome is unknown and that nothing was changed", err)
			}
			if !trap.HasSprung() {
				t.Error("nothing happened to the connection")
			}
			proxy.Cut() // or closing the pool waits for what hangs
			if got := column[string](t, direct, `SELECT id FROM t`); len(got) != tt.rows {
				t.Errorf("%d rows, want %d", len(got), tt.rows)
			}
		})
	}
}

// A statement of which an error says that it may work the next time is run
// again with its transaction, and one of which it does not is not. The server
// is made to raise the error once; a sequence forgets nothing in a rollback.
func TestRetriedStates(t *testing.T) {
	for _, tt := range []struct {
		name, state string
		deferred    bool // raised by COMMIT
		runs        int
		want        error
	}{
		{"serialization failure", "40001", false, 2, nil},
		{"serialization failure at COMMIT", "40001", true, 2, nil},
		{"deadlock", "40P01", false, 2, nil},
		{"deadlock at COMMIT", "40P01", true, 2, nil},
		{"standby", "25006", false, 2, nil},
		{"check violation", "23514", false, 1, errAny},
		{"check violation at COMMIT", "23514", true, 1, errAny},
		{"syntax error", "42601", false, 1, errAny},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := storetest.PostgresURL(t)
			db := openNode(t, at)
			exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`, `CREATE SEQUENCE calls`)
			statement(t, at, `CREATE FUNCTION fail() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
				IF nextval('calls') = 1 THEN RAISE EXCEPTION 'raised' USING ERRCODE = '`+tt.state+`'; END IF;
				RETURN NEW; END $$`)
			when := `CREATE TRIGGER fails BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail()`
			if tt.deferred {
				when = `CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`
			}
			statement(t, at, when)
			runs := 0
			err := insertA(db, &runs)()
			if runs != tt.runs || (err != nil) != (tt.want != nil) || errors.Is(err, store.ErrUnknown) {
				t.Errorf("%d runs, %v; want %d, %v", runs, err, tt.runs, tt.want)
			}
			if got := column[string](t, db, `SELECT id FROM t`); (len(got) == 1) != (tt.want == nil) {
				t.Errorf("rows %v after %v", got, err)
			}
		})
	}
}

var errAny = errors.New("an error")

// A server that is shut down ends transactions with 57P01. Before COMMIT that
// is a reason to run again; in the place of COMMIT's answer it says nothing.
func TestShutdownDuringATransaction(t *testing.T) {
	at := storetest.PostgresURL(t)
	db := openNode(t, at)
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
	runs := 0
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if runs++; runs == 1 {
			self, err := store.One(tx, scalar[int32], `SELECT pg_backend_pid()`)
			if err != nil {
				return err
			}
			statement(t, at, `SELECT pg_terminate_backend(`+strconv.Itoa(int(self))+`, 10000)`)
		}
		_, err := tx.Exec(`INSERT INTO t VALUES ('a')`)
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v; want 2 and success", runs, err)
	}
	statement(t, at, `CREATE FUNCTION ends() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$`)
	statement(t, at, `CREATE CONSTRAINT TRIGGER ends AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ends()`)
	runs = 0
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		runs++
		_, err := tx.Exec(`INSERT INTO t VALUES ('b')`)
		return err
	})
	if !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) || runs != 1 {
		t.Errorf("%d runs, %v; want 1 and ErrUnknown", runs, err)
	}
}

// A server that lets nobody in for a moment is a pause for the callers.
func TestShortRefusals(t *testing.T) {
	for name, refuse := range map[string]func(*pgproxy.Proxy){
		"reset":                func(p *pgproxy.Proxy) { p.Refuse() },
		"starting up":          func(p *pgproxy.Proxy) { p.RefuseWith("57P03", "the database system is starting up") },
		"too many connections": func(p *pgproxy.Proxy) { p.RefuseWith("53300", "sorry, too many clients already") },
	} {
		t.Run(name, func(t *testing.T) {
			proxy := newProxy(t, storetest.PostgresURL(t))
			db := openNode(t, pgproxy.URL(proxy))
			exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
			refuse(proxy)
			proxy.Cut()
			_, before := proxy.Connections()
			runs, done := 0, make(chan error, 1)
			go func() { done <- insertA(db, &runs)() }()
			// Two refusals: the first attempt, and a second or the probe.
			if err := proxy.Await(t.Context(), func(_, accepted int) bool { return accepted >= before+2 }); err != nil {
				t.Fatal(err)
			}
			proxy.Accept()
			if err := <-done; err != nil || runs != 1 {
				t.Errorf("%d runs, %v; want 1 and success", runs, err)
			}
		})
	}
}

// A server that is started together with its database waits for it a little,
// and does not when the answer is no.
func TestFirstContact(t *testing.T) {
	proxy := newProxy(t, storetest.PostgresURL(t))
	proxy.RefuseWith("57P03", "the database system is starting up")
	opened := make(chan error, 1)
	go func() {
		db, err := store.Open(context.Background(), store.Config{URL: pgproxy.URL(proxy)})
		if err == nil {
			db.Close()
		}
		opened <- err
	}()
	if err := proxy.Await(t.Context(), func(_, accepted int) bool { return accepted >= 2 }); err != nil {
		t.Fatal(err)
	}
	proxy.Accept()
	if err := <-opened; err != nil {
		t.Error(err)
	}
	proxy.RefuseWith("28P01", "password authentication failed")
	_, before := proxy.Connections()
	if _, err := store.Open(t.Context(), store.Config{URL: pgproxy.URL(proxy)}); err == nil {
		t.Error("opened without a password")
	}
	if _, after := proxy.Connections(); after != before+1 {
		t.Errorf("asked %d times for an answer that was no", after-before)
	}
}

func TestSlowNetwork(t *testing.T) {
	proxy := newProxy(t, storetest.PostgresURL(t))
	db := openNode(t, pgproxy.URL(proxy))
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
	proxy.Slow(30 * time.Millisecond)
	runs := 0
	if err := insertA(db, &runs)(); err != nil || runs != 1 {
		t.Errorf("%d runs, %v; want 1 and success", runs, err)
	}
	if got := column[string](t, db, `SELECT id FROM t`); len(got) != 1 {
		t.Errorf("rows %v, want one", got)
	}
}

// Of several hosts the one that accepts changes is used, from the start and
// when it is another one all of a sudden.
func TestReadOnlyHosts(t *testing.T) {
	first, second := storetest.PostgresURL(t), storetest.PostgresURL(t)
	for _, at := range []string{first, second} {
		statement(t, at, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
	}
	db := openNode(t, pgproxy.URL(newProxy(t, first), newProxy(t, second)))
	runs := 0
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		if runs++; runs == 1 { // the server is set to read only under an open transaction
			statement(t, first, `ALTER DATABASE `+databaseOf(t, first)+` SET default_transaction_read_only = on`)
			if _, err := tx.Exec(`SET LOCAL transaction_read_only = on`); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`INSERT INTO t VALUES ('a')`)
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v; want 2 and success", runs, err)
	}
	if got := column[string](t, openNode(t, second), `SELECT id FROM t`); len(got) != 1 {
		t.Errorf("the second host has the rows %v, want one", got)
	}
	late := openNode(t, pgproxy.URL(newProxy(t, first), newProxy(t, second)))
	if got := column[string](t, late, `SELECT id FROM t`); len(got) != 1 {
		t.Errorf("a node that starts now reads %v from the first host that it finds", got)
	}
}

// loseStandby makes a server wait for a standby that is not there, and returns
// when its commits do: it takes a new setting up some time after it was told.
func loseStandby(t *testing.T, at string) {
	t.Helper()
	statement(t, at, `CREATE TABLE probe (n INT)`)
	statement(t, at, `ALTER SYSTEM SET synchronous_standby_names = 'gone'`)
	statement(t, at, `SELECT pg_reload_conf()`)
	watcher, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close(t.Context())
	for !commitWaits(t, at, watcher) {
	}
}

// commitWaits commits something and says whether that waits for a standby.
func commitWaits(t *testing.T, at string, watcher *pgx.Conn) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	committed := make(chan error, 1)
	go func() {
		defer conn.Close(context.Background())
		_, err := conn.Exec(ctx, `INSERT INTO probe VALUES (1)`)
		committed <- err
	}()
	defer stop()
	for {
		select {
		case err := <-committed:
			if err != nil {
				t.Fatal(err)
			}
			return false
		default:
		}
		waits := 0
		if err := watcher.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits > 0 {
			stop()
			<-committed
			return true
		}
	}
}

// A primary that waits for a synchronous standby in vain may have been
// replaced. Who asks for that is not let near it, and finds another.
func TestPrimaryWithoutStandby(t *testing.T) {
	lonely := storetest.PostgresServer(t)
	if err := lonely.Create(t.Context(), "cutoff", "template0"); err != nil {
		t.Fatal(err)
	}
	at := lonely.URL("cutoff")
	openNode(t, at) // makes the tables
	loseStandby(t, at)
	db, err := store.Open(t.Context(), store.Config{URL: at, NeedStandby: true})
	if err == nil {
		db.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "no synchronous standby confirms") {
		t.Errorf("opened the primary that nothing confirms: %v", err)
	}
	replaced, primary := newProxy(t, at), newProxy(t, storetest.PostgresURL(t))
	db, err = store.Open(t.Context(), store.Config{URL: pgproxy.URL(replaced, primary), NeedStandby: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	runs := 0
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
	if err := insertA(db, &runs)(); err != nil {
		t.Error(err)
	}
}

// A COMMIT that waits for a standby that is gone gets no answer. The deadline
// ends the wait, and what comes of it is not known.
func TestCommitWithoutStandby(t *testing.T) {
	server := storetest.PostgresServer(t)
	if err := server.Create(t.Context(), "cutoff", "template0"); err != nil {
		t.Fatal(err)
	}
	at := server.URL("cutoff")
	db := openNode(t, at)
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY)`)
	loseStandby(t, at)
	runs := 0
	if err := insertA(db, &runs)(); !errors.Is(err, store.ErrUnknown) || runs != 1 {
		t.Errorf("%d runs, %v; want 1 and ErrUnknown", runs, err)
	}
}

// Locks of a node that the network swallowed in the middle of a transaction go
// after a while: the server ends the transaction.
func TestLocksOfAVanishedNode(t *testing.T) {
	at := storetest.PostgresURL(t)
	db := openNode(t, at)
	exec(t, db, `CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`, `INSERT INTO t VALUES ('a', 0)`)
	proxy := newProxy(t, at)
	vanished := openNode(t, pgproxy.URL(proxy))
	trap := proxy.Before("COMMIT", pgproxy.Hang)
	var gone sync.WaitGroup
	gone.Go(func() {
		vanished.Update(context.Background(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE t SET n = n + 1`)
			return err
		})
	})
	<-trap.Sprung()
	proxy.Stall() // not a word more, neither that it is cancelled
	for {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE t SET n = n + 10`)
			return err
		})
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if got := column[int64](t, db, `SELECT n FROM t`); got[0] != 10 {
		t.Errorf("n is %d, want 10", got[0])
	}
	gone.Wait()
	proxy.Cut()
}

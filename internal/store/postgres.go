package store

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// statementTimeout bounds a statement and a COMMIT. The server's own
	// statement_timeout does not end the wait of a COMMIT for a synchronous
	// standby that is gone.
	statementTimeout = 3 * time.Second

	connectTimeout = 2 * time.Second // of one host, unless the URL has connect_timeout
	pingTimeout    = time.Second     // of a connection that was idle, before it is used
	poolSize       = 16              // unless the URL has pool_max_conns

	// patience bounds the attempts of a transaction whose caller has set no
	// deadline, and each wait for a connection.
	patience = 5 * time.Second
)

// How transactions begin. A change does not say READ WRITE: a standby, and a
// server that was set to read only, would then not answer as such. If this
// process, or its network, is gone in the middle of one, the server ends it:
// nobody waits for its locks for longer than that. Both statements are one
// message.
const (
	beginLook   = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	beginChange = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '5s'"
)

// A pgEngine is a database that several processes share. Each transaction has a
// connection to itself; none leaves anything behind on it, so that a pooler may
// sit in between.
type pgEngine struct {
	pool      *pgxpool.Pool
	link      *link
	checker   *checker
	log       *slog.Logger
	committed func(Commit)
	closed    atomic.Bool
}

func openPostgres(ctx context.Context, cfg Config) (_ *DB, err error) {
	settings, err := poolSettings(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	if err := firstContact(ctx, func() error { return checkServer(ctx, pool) }); err != nil {
		return nil, translate(err)
	}
	if err := finishedPostgres(ctx, pool); err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, settings.ConnConfig, cfg.Log); err != nil {
		return nil, err
	}
	p := &pgEngine{pool: pool, log: cfg.Log, committed: cfg.Committed}
	p.link = newLink(cfg, settings.ConnConfig, pool.Reset)
	p.checker = &checker{read: p.stamps, lost: p.link.lost, maxStale: cfg.MaxStale, began: time.Now()}
	return &DB{engine: p, holder: thisProcess()}, nil
}

// poolSettings reads the URL; what it leaves open is chosen here. Its errors
// hold no password.
func poolSettings(cfg Config) (*pgxpool.Config, error) {
	settings, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, err
	}
	given := url.Values{}
	if u, err := url.Parse(cfg.URL); err == nil {
		given = u.Query()
	}
	if !given.Has("pool_max_conns") {
		settings.MaxConns = poolSize
	}
	settings.PingTimeout = pingTimeout
	c := settings.ConnConfig
	if !given.Has("connect_timeout") {
		c.ConnectTimeout = connectTimeout
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "azekura"
	}
	if fips140.Enforced() && c.RequireAuth == "" {
		c.RequireAuth = "!md5" // which Go panics at, and so ends the process
	}
	switch {
	case cfg.NeedStandby:
		c.ValidateConnect = isPrimary
	case c.ValidateConnect == nil:
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return settings, nil
}

func (p *pgEngine) sole() bool { return false }

func (p *pgEngine) queued() int { return 0 }

func (p *pgEngine) poolState() PoolState {
	s := p.pool.Stat()
	return PoolState{
		Used: int(s.AcquiredConns()), Idle: int(s.IdleConns()), Most: int(s.MaxConns()),
		Waits: s.EmptyAcquireCount(), Waited: s.EmptyAcquireWaitTime(),
	}
}

func (p *pgEngine) copyTo(context.Context, string) error {
	return errors.New("copy the database: this is PostgreSQL, which CopyPostgres copies")
}

func (p *pgEngine) close() error {
	p.closed.Store(true)
	p.link.end()
	p.pool.Close()
	return nil
}

func (p *pgEngine) view(ctx context.Context, fn func(*Tx) error) error {
	return p.repeat(ctx, func() attempt { return p.look(ctx, fn) })
}

func (p *pgEngine) update(ctx context.Context, fn func(*Tx) error) error {
	return p.repeat(ctx, func() attempt { return p.change(ctx, fn) })
}

// An attempt is how one run of a transaction ended.
type attempt struct {
	err     error // for the caller; nil is success
	verdict verdict
	lost    bool // the database gave no answer
}

// A verdict says whether a transaction may run again.
type verdict int

const (
	final    verdict = iota // committed, or unknown, or it would fail again
	again                   // certainly not committed, and the cause passes
	rival                   // not committed: a row that its reads had not found is there now
	demoted                 // not committed: the server does not accept changes (any more)
	maxRival = 1            // a conflict that stays is one of the function's own
)

// repeat runs a transaction until it has a final result, its caller's deadline
// is near, patience is over, or the database is away.
func (p *pgEngine) repeat(ctx context.Context, run func() attempt) error {
	limit := time.Now().Add(patience)
	if deadline, ok := ctx.Deadline(); ok {
		limit = deadline
	}
	for rivals := 0; ; {
		if p.closed.Load() {
			return ErrClosed
		}
		lost := p.link.lost()
		if lost.Err() != nil {
			return context.Cause(lost)
		}
		a := run()
		if a.lost {
			p.link.doubt(a.err)
		}
		switch a.verdict {
		case final:
			return a.err
		case rival:
			if rivals++; rivals > maxRival {
				return a.err
			}
			continue
		case demoted:
			p.pool.Reset()
		}
		pause := rand.N(100 * time.Millisecond)
		if p.closed.Load() {
			return ErrClosed
		}
		if time.Until(limit) < pause {
			return a.err
		}
		p.log.Debug("a transaction runs again", "error", a.err)
		select {
		case <-ctx.Done():
			return a.err
		case <-lost.Done():
			return context.Cause(lost)
		case <-time.After(pause):
		}
	}
}

// look runs fn in a transaction that reads one snapshot.
func (p *pgEngine) look(ctx context.Context, fn func(*Tx) error) attempt {
	s, a := p.begin(ctx, beginLook)
	if s == nil {
		return a
	}
	defer s.end()
	tx := &Tx{conn: s}
	if err := tx.run(fn, p.log); err != nil {
		return failed(tx, err, s)
	}
	return attempt{}
}

// change runs fn in a transaction and commits it. Once COMMIT is sent nothing
// but its answer says what became of the transaction; a lost answer is never
// taken for a failure that may be repeated.
func (p *pgEngine) change(ctx context.Context, fn func(*Tx) error) attempt {
	s, a := p.begin(ctx, beginChange)
	if s == nil {
		return a
	}
	defer s.end()
	tx := &Tx{conn: s, lock: " FOR UPDATE"}
	if err := tx.run(fn, p.log); err != nil {
		a := failed(tx, err, s)
		if isState(tx.failed, readOnlyTransaction) {
			a.verdict = demoted
		}
		return a
	}
	if ctx.Err() != nil {
		return attempt{err: notStarted(ctx)}
	}
	for _, h := range tx.hooks {
		h.before()
	}
	defer func() {
		for _, h := range tx.hooks {
			h.after(a.err == nil)
		}
	}()
	began := time.Now()
	a = s.commit()
	p.committed(Commit{Changes: 1, Took: time.Since(began), Err: a.err})
	return a
}

// peek runs a function that makes one statement, which is a transaction of its
// own: BEGIN and ROLLBACK would each be a way to the server and back.
func (p *pgEngine) peek(ctx context.Context, fn func(*Tx) error) error {
	return p.repeat(ctx, func() attempt {
		s, a := p.acquire(ctx)
		if s == nil {
			return a
		}
		defer s.end()
		tx := &Tx{conn: s, lone: true}
		if err := tx.run(fn, p.log); err != nil {
			return failed(tx, err, s)
		}
		return attempt{}
	})
}

// stamps makes a checker's query.
func (p *pgEngine) stamps(query string, lists []any) (all []found, err error) {
	err = p.peek(context.Background(), func(tx *Tx) (err error) {
		all, err = Collect(tx, func(f *found) []any { return []any{&f.kind, &f.ID, &f.Rev} }, query, lists...)
		return err
	})
	return all, err
}

// begin takes a connection and starts a transaction on it; the session is nil
// if it could not.
func (p *pgEngine) begin(ctx context.Context, statement string) (*pgSession, attempt) {
	s, a := p.acquire(ctx)
	if s == nil {
		return nil, a
	}
	if _, err := s.exec(statement); err != nil {
		a := s.failure(fmt.Errorf("begin: %w", translate(err)), err)
		s.end()
		return nil, a
	}
	return s, attempt{}
}

// acquire takes a connection of the pool. The wait for one ends when the
// database is away, and after patience when so many wait that none is free.
func (p *pgEngine) acquire(ctx context.Context) (*pgSession, attempt) {
	lost := p.link.lost()
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(lost, cancel)()
	alarm := time.AfterFunc(suspicion, p.link.suspect)
	defer alarm.Stop()
	c, err := p.pool.Acquire(waiting)
	switch {
	case err == nil:
		return &pgSession{pooled: c, conn: c.Conn(), link: p.link}, attempt{}
	case ctx.Err() != nil:
		return nil, attempt{err: fmt.Errorf("wait for a connection, nothing was changed: %w", ctx.Err())}
	case lost.Err() != nil:
		return nil, attempt{err: context.Cause(lost), lost: true}
	case waiting.Err() != nil:
		err = fmt.Errorf("%w: no connection was free within %s: allow more by pool_max_conns in the database's URL", ErrUnavailable, patience)
		return nil, attempt{err: err, lost: true}
	}
	return nil, attempt{fmt.Errorf("connect: %w", translate(err)), again, true}
}

// failed is the end of a function that returned an error, or of which a
// statement failed.
func failed(tx *Tx, err error, s *pgSession) attempt {
	if tx.failed == nil {
		return attempt{err: err}
	}
	return s.failure(err, tx.failed)
}

// A pgSession is a transaction on a connection of the pool. No statement runs
// under a caller's context: its end would cost the connection.
type pgSession struct {
	pooled *pgxpool.Conn
	conn   *pgx.Conn
	link   *link
}

// limit is the context of a statement, and what ends it. One that takes long
// makes the link look whether the server is there.
func (s *pgSession) limit() (context.Context, func()) {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	alarm := time.AfterFunc(suspicion, s.link.suspect)
	return ctx, func() {
		alarm.Stop()
		cancel()
	}
}

func (s *pgSession) exec(query string, args ...any) (rowsAffected int64, err error) {
	ctx, end := s.limit()
	defer end()
	tag, err := s.conn.Exec(ctx, query, args...)
	if err == nil {
		s.link.fine()
	}
	return tag.RowsAffected(), err
}

func (s *pgSession) query(each func(scan func(...any) error) (bool, error), query string, args ...any) error {
	ctx, end := s.limit()
	defer end()
	err := queryEach(ctx, s.conn, each, query, args...)
	if err == nil {
		s.link.fine()
	}
	return err
}

// queryEach is session.query over one connection.
func queryEach(ctx context.Context, conn *pgx.Conn, each func(scan func(...any) error) (bool, error), query string, args ...any) error {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for more := true; more && rows.Next(); {
		if more, err = each(rows.Scan); err != nil {
			return err
		}
	}
	rows.Close() // a failure behind the last row that was wanted shows only now
	return rows.Err()
}

// pgNow is session.now.
const pgNow = `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`

func (s *pgSession) now() string { return pgNow }

func (s *pgSession) commit() attempt {
	ctx, end := s.limit()
	defer end()
	tag, err := s.conn.Exec(ctx, "COMMIT")
	if err == nil && tag.String() != "COMMIT" {
		err = errors.New("the database rolled back instead")
		return attempt{err: fmt.Errorf("commit: %w", err)}
	}
	if err != nil {
		return commitFailure(err)
	}
	return attempt{}
}

// failure is the attempt that ended with err, because a statement before COMMIT
// failed with cause.
func (s *pgSession) failure(err, cause error) attempt {
	broken := s.conn.IsClosed()
	if broken && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return attempt{err, verdictOf(cause, broken), broken}
}

// end gives the connection back, without a transaction. It runs also when the
// function has ended its goroutine.
func (s *pgSession) end() {
	if !s.conn.IsClosed() && s.conn.PgConn().TxStatus() != 'I' {
		s.exec("ROLLBACK") // if that fails Release drops the connection
	}
	s.pooled.Release()
}

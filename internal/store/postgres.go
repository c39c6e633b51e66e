package store

import (
	"context"
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
	poolSize       = 16              // unless the URL has pool_max_conns

	// patience bounds the attempts of a transaction whose caller has set no
	// deadline.
	patience = 5 * time.Second
)

// A pgEngine is a database that several processes share. Each transaction has a
// connection to itself; none leaves anything behind on it, so that a pooler may
// sit in between.
type pgEngine struct {
	pool      *pgxpool.Pool
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
	if err := checkServer(ctx, pool); err != nil {
		return nil, translate(err)
	}
	if err := finishedPostgres(ctx, pool); err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, settings.ConnConfig, cfg.Log); err != nil {
		return nil, err
	}
	return &DB{engine: &pgEngine{pool: pool, log: cfg.Log, committed: cfg.Committed}}, nil
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
	c := settings.ConnConfig
	if !given.Has("connect_timeout") {
		c.ConnectTimeout = connectTimeout
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "azekura"
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

func (p *pgEngine) copyTo(context.Context, string) error {
	return errors.New("copy the database: this is PostgreSQL, which CopyPostgres copies")
}

func (p *pgEngine) close() error {
	p.closed.Store(true)
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
// is near, or patience is over.
func (p *pgEngine) repeat(ctx context.Context, run func() attempt) error {
	limit := time.Now().Add(patience)
	if deadline, ok := ctx.Deadline(); ok {
		limit = deadline
	}
	for rivals := 0; ; {
		if p.closed.Load() {
			return ErrClosed
		}
		a := run()
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
		case <-time.After(pause):
		}
	}
}

// look runs fn in a transaction that reads one snapshot.
func (p *pgEngine) look(ctx context.Context, fn func(*Tx) error) attempt {
	s, a := p.begin(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	if s == nil {
		return a
	}
	defer s.end()
	tx := &Tx{conn: s}
	if err := tx.run(fn, p.log); err != nil {
		return failure(tx, err, s)
	}
	return attempt{}
}

// change runs fn in a transaction and commits it. Once COMMIT is sent nothing
// but its answer says what became of the transaction; a lost answer is never
// taken for a failure that may be repeated.
func (p *pgEngine) change(ctx context.Context, fn func(*Tx) error) attempt {
	s, a := p.begin(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
	if s == nil {
		return a
	}
	defer s.end()
	tx := &Tx{conn: s, lock: " FOR UPDATE"}
	if err := tx.run(fn, p.log); err != nil {
		a := failure(tx, err, s)
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
			h.after()
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
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.repeat(ctx, func() attempt {
		s, a := p.acquire(ctx)
		if s == nil {
			return a
		}
		defer s.end()
		tx := &Tx{conn: s, lone: true}
		if err := tx.run(fn, p.log); err != nil {
			return failure(tx, err, s)
		}
		return attempt{}
	})
}

// begin takes a connection and starts a transaction on it; the session is nil
// if it could not.
func (p *pgEngine) begin(ctx context.Context, statement string) (*pgSession, attempt) {
	s, a := p.acquire(ctx)
	if s == nil {
		return nil, a
	}
	if _, err := s.exec(statement); err != nil {
		a := attempt{fmt.Errorf("begin: %w", translate(err)), verdictOf(err, s.conn.IsClosed())}
		s.end()
		return nil, a
	}
	return s, attempt{}
}

func (p *pgEngine) acquire(ctx context.Context) (*pgSession, attempt) {
	c, err := p.pool.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, attempt{err: fmt.Errorf("wait for a connection, nothing was changed: %w", ctx.Err())}
		}
		return nil, attempt{fmt.Errorf("connect: %w", translate(err)), again}
	}
	return &pgSession{pooled: c, conn: c.Conn()}, attempt{}
}

// failure is the end of a function that returned an error, or of which a
// statement failed.
func failure(tx *Tx, err error, s *pgSession) attempt {
	if tx.failed == nil {
		return attempt{err: err}
	}
	return attempt{err, verdictOf(tx.failed, s.conn.IsClosed())}
}

// A pgSession is a transaction on a connection of the pool. No statement runs
// under a caller's context: its end would cost the connection.
type pgSession struct {
	pooled *pgxpool.Conn
	conn   *pgx.Conn
}

func (s *pgSession) exec(query string, args ...any) (rowsAffected int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	tag, err := s.conn.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (s *pgSession) query(each func(scan func(...any) error) (bool, error), query string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
	rows, err := s.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for more := true; more && rows.Next(); {
		if more, err = each(rows.Scan); err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

func (s *pgSession) commit() attempt {
	ctx, cancel := context.WithTimeout(context.Background(), statementTimeout)
	defer cancel()
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

// end gives the connection back, without a transaction. It runs also when the
// function has ended its goroutine.
func (s *pgSession) end() {
	if !s.conn.IsClosed() && s.conn.PgConn().TxStatus() != 'I' {
		s.exec("ROLLBACK") // if that fails Release drops the connection
	}
	s.pooled.Release()
}

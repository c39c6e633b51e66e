package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// suspicion is how long a statement may take before somebody asks whether
	// the server is there at all.
	suspicion = 500 * time.Millisecond

	// tolerance is how long the server may be out of reach before it counts as
	// away. Until then callers wait and try again, and a restart or a planned
	// switchover of the database is a pause to them and no error.
	tolerance = 2 * time.Second

	probePause = 200 * time.Millisecond
)

// A link knows whether the database can be reached. Without it each caller
// would find out for itself, after its own wait, and all that wait would keep
// their requests in memory.
//
// Any sign of trouble starts a probe on a connection of its own, which goes on
// until the database answers, to it or to anybody. If none has answered within
// tolerance the database is away: who waits is told so, and who comes is
// refused without a wait, until the probe gets through.
type link struct {
	log     *slog.Logger
	server  *pgx.ConnConfig
	stale   time.Duration // for the log
	changed func()        // called when the database has gone away, and when it is back

	open   context.Context // ended by end
	finish context.CancelFunc
	probes sync.WaitGroup

	mu      sync.Mutex
	down    context.Context // ends when the database is away; another one after that
	fail    context.CancelCauseFunc
	since   time.Time          // of the first sign of trouble, zero if all is well
	settle  context.CancelFunc // ends the probe that it started
	refuted time.Time          // when it was last found to be none

	troubled atomic.Bool // since is not zero
}

func newLink(cfg Config, server *pgx.ConnConfig, changed func()) *link {
	l := &link{log: cfg.Log, server: server, stale: cfg.MaxStale, changed: changed}
	l.open, l.finish = context.WithCancel(context.Background())
	l.down, l.fail = context.WithCancelCause(context.Background())
	return l
}

// end stops the probe.
func (l *link) end() {
	l.finish()
	l.probes.Wait()
}

// lost is a context that ends when the database is away, at once if it is now.
// Its cause matches ErrUnavailable.
func (l *link) lost() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

// suspect is doubt about a statement that takes long. Behind a lock that is
// held for long there are many, and one probe that got through speaks for all.
func (l *link) suspect() {
	l.mu.Lock()
	recent := time.Since(l.refuted) < suspicion
	l.mu.Unlock()
	if !recent {
		l.doubt(fmt.Errorf("no answer within %s", suspicion))
	}
}

// doubt takes note of a sign that the database cannot be reached.
func (l *link) doubt(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.since.IsZero() || l.open.Err() != nil {
		return
	}
	l.since = time.Now()
	l.troubled.Store(true)
	ctx, settle := context.WithCancel(l.open)
	l.settle = settle
	l.probes.Go(func() { l.probe(ctx, cause) })
}

// fine takes note that the database has answered.
func (l *link) fine() {
	if !l.troubled.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return
	}
	l.settle()
	began := l.since
	l.since, l.refuted = time.Time{}, time.Now()
	l.troubled.Store(false)
	if l.down.Err() == nil {
		return
	}
	l.down, l.fail = context.WithCancelCause(context.Background())
	l.changed()
	l.log.Info("the database is back: changes are accepted again", "after", time.Since(began).Round(time.Millisecond))
}

// probe runs until the database has answered somebody, which ends ctx.
func (l *link) probe(ctx context.Context, cause error) {
	var last atomic.Pointer[error]
	last.Store(&cause)
	limit := time.AfterFunc(tolerance, func() { l.declare(ctx, *last.Load()) })
	defer limit.Stop()
	for {
		err := l.ask(ctx)
		if err == nil {
			l.fine()
			return
		}
		last.Store(&err) // says more than the first sign
		select {
		case <-ctx.Done():
			return
		case <-time.After(probePause):
		}
	}
}

// ask is one attempt to get an answer, on a connection that nobody else uses:
// those of the pool may all be taken, or be dead without a sign of it. The
// connection is made as all are, so a server that must not be written to is
// none.
func (l *link) ask(ctx context.Context) error {
	c, err := pgx.ConnectConfig(ctx, l.server.Copy())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	defer c.Close(ctx)
	return c.Ping(ctx)
}

// declare says that the database is away, unless the trouble that ctx stands
// for is over.
func (l *link) declare(ctx context.Context, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	l.fail(fmt.Errorf("%w: %w", ErrUnavailable, cause))
	l.changed()
	l.log.Error("the database cannot be reached: changes are refused until it is back, and reads are served from memory for a while; "+
		"check that it runs, accepts connections and is the primary; this server need not be restarted",
		"reads_served_for", l.stale, "error", cause)
}

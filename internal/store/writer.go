package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	maxBatch = 256  // changes that share a COMMIT and its fsync
	maxQueue = 1024 // changes that wait; then callers do
)

// A writer owns the one connection that writes. Its goroutine takes changes
// from a queue and commits all that wait in one transaction, a savepoint each,
// so that they share an fsync. There is no timer: the next batch gathers while
// one commits, and a lone change never waits for company.
type writer struct {
	log       *slog.Logger
	committed func(Commit)
	conn      *conn
	wal       *checkpointer // nil in memory
	gate      sync.Locker   // held from BEGIN to COMMIT
	queue     chan *change
	done      chan struct{} // the goroutine has ended

	mu     sync.RWMutex // held to read while sending to queue
	closed bool
}

// A change is one call of Update. Its function runs on the caller's goroutine
// when the writer gives it the turn, so a panic keeps the caller's stack, and
// runtime.Goexit (a test's Fatal) ends the caller and not the writer.
type change struct {
	ctx     context.Context
	turn    chan *Tx   // unbuffered: a caller that has gone cannot be given a turn
	ran     chan error // the function's result, after a turn
	outcome chan error // the last word; buffered, nobody need wait for it

	tx  *Tx
	err error // the reason why this change of a batch is not kept
}

// errAbandoned is the result of a function that ended its goroutine.
var errAbandoned = errors.New("transaction function did not return")

func newWriter(c *conn, wal *checkpointer, l layout) *writer {
	w := &writer{
		log:       l.log,
		committed: l.committed,
		conn:      c,
		wal:       wal,
		gate:      l.writeGate,
		queue:     make(chan *change, maxQueue),
		done:      make(chan struct{}),
	}
	go w.run()
	return w
}

func (w *writer) update(ctx context.Context, fn func(*Tx) error) error {
	c := &change{
		ctx:     ctx,
		turn:    make(chan *Tx),
		ran:     make(chan error, 1),
		outcome: make(chan error, 1),
	}
	if err := w.enqueue(c); err != nil {
		return err
	}
	select {
	case tx := <-c.turn:
		c.take(tx, fn, w.log)
	case err := <-c.outcome:
		return err
	case <-ctx.Done():
		return notStarted(ctx)
	}
	select {
	case err := <-c.outcome:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-c.outcome:
		return err
	default:
		return fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// enqueue holds the lock while it waits for room, so that close cannot close
// the queue under a sender.
func (w *writer) enqueue(c *change) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.queue <- c:
		return nil
	case <-c.ctx.Done():
		return notStarted(c.ctx)
	}
}

func notStarted(ctx context.Context) error {
	return fmt.Errorf("wait for a turn to write, nothing was changed: %w", ctx.Err())
}

func (c *change) take(tx *Tx, fn func(*Tx) error, log *slog.Logger) {
	err := errAbandoned
	defer func() { c.ran <- err }()
	err = tx.run(fn, log)
}

// close lets the writer finish its queue.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.done
	return w.conn.drop()
}

func (w *writer) run() {
	defer close(w.done)
	for first := range w.queue {
		w.commit(first)
	}
}

// commit runs one batch, of first and what waits behind it.
//
// All answers wait for COMMIT, those of changes that failed too: such a
// failure may rest on what a neighbour of the batch wrote, and must not be
// told if that was not kept.
func (w *writer) commit(first *change) {
	w.gate.Lock()
	defer w.gate.Unlock()
	if _, err := w.conn.exec("BEGIN IMMEDIATE"); err != nil {
		w.conn.rollback()
		err = fmt.Errorf("begin: %w", translate(err))
		w.committed(Commit{Changes: 1, Err: err})
		first.outcome <- err
		return
	}
	batch, err := w.gather(first)
	kept := hooks(batch)
	for _, h := range kept {
		h.before()
	}
	var took time.Duration
	if err == nil {
		began := time.Now()
		if _, err = w.conn.exec("COMMIT"); err != nil {
			err = notCommitted(err)
		}
		took = time.Since(began)
	}
	if err != nil {
		w.conn.rollback()
		w.log.Error("a batch of changes was not committed", "changes", len(batch), "error", err)
	}
	for _, h := range kept {
		h.after(err == nil)
	}
	w.tell(batch, took, err)
	for _, c := range batch {
		if err != nil {
			c.err = err
		}
		c.outcome <- c.err
	}
	if err == nil && w.wal != nil {
		w.wal.committed(w.conn, len(batch))
	}
}

// notCommitted explains an error of COMMIT. After a failed fsync the disk may
// hold all of it, and the next start would find it there; until then nobody
// sees it, and the next COMMIT writes over it.
func notCommitted(err error) error {
	err = fmt.Errorf("commit: %w", translate(err))
	if errors.Is(err, errIO) {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return err
}

// tell reports a commit, unless there was nothing to make durable in it.
func (w *writer) tell(batch []*change, took time.Duration, err error) {
	c := Commit{Took: took, Err: err}
	for _, change := range batch {
		if change.err == nil || err != nil {
			c.Changes++
		}
	}
	if c.Changes > 0 || err != nil {
		w.committed(c)
	}
}

// gather gives first and those who wait behind it their turns and returns who
// took one. The error means that the transaction is lost, with all of them.
func (w *writer) gather(first *change) (batch []*change, err error) {
	next, within := first, alone
	for {
		ran, err := w.apply(next, within)
		if ran {
			batch = append(batch, next)
		}
		if ran && next.err == nil {
			within = beside
		}
		if err != nil || len(batch) == maxBatch {
			return batch, err
		}
		select {
		case c, ok := <-w.queue:
			if !ok {
				return batch, nil
			}
			next = c
		default:
			return batch, nil
		}
	}
}

// A scope is what keeps a change of a batch apart from the others: the
// statements before it, after it, and instead of that if it failed.
type scope struct{ begin, keep, undo []string }

var (
	// Nothing is in the transaction yet, so undoing the change is undoing all.
	// A lone change is spared the two statements of a savepoint.
	alone = scope{undo: []string{"ROLLBACK", "BEGIN IMMEDIATE"}}

	beside = scope{
		begin: []string{"SAVEPOINT change"},
		keep:  []string{"RELEASE change"},
		undo:  []string{"ROLLBACK TO change", "RELEASE change"},
	}
)

// apply runs one change within its scope and undoes it if it fails. The error
// means that the transaction around it is lost: SQLite rolls back all of it
// after some errors, such as a full disk.
func (w *writer) apply(c *change, within scope) (ran bool, err error) {
	if c.ctx.Err() != nil {
		return false, nil
	}
	if err := w.execAll(within.begin); err != nil {
		c.outcome <- fmt.Errorf("begin: %w", translate(err))
		return false, fmt.Errorf("begin: %w", translate(err))
	}
	c.tx = &Tx{conn: w.conn}
	select {
	case c.turn <- c.tx:
		ran, c.err = true, <-c.ran
	case <-c.ctx.Done():
		c.err = c.ctx.Err()
	}
	end := within.keep
	if c.err != nil {
		end = within.undo
	}
	if err := w.execAll(end); err != nil {
		return ran, w.lost(c, err)
	}
	return ran, nil
}

func (w *writer) execAll(statements []string) error {
	for _, statement := range statements {
		if _, err := w.conn.exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// lost explains why the transaction is gone: by the statement that failed
// last, if one did, and else by the error of the savepoint that is missing.
func (w *writer) lost(c *change, err error) error {
	if c.tx.failed != nil {
		return fmt.Errorf("transaction lost: %w", c.tx.failed)
	}
	return fmt.Errorf("transaction lost: %w", translate(err))
}

// hooks returns those of the changes that will be kept.
func hooks(batch []*change) []hook {
	var all []hook
	for _, c := range batch {
		if c.err == nil {
			all = append(all, c.tx.hooks...)
		}
	}
	return all
}

package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// A readPool is a handful of connections that only read. Who comes is given the
// one that was used last, so that there are no more connections, with a page
// cache each, than readers at a time.
type readPool struct {
	log     *slog.Logger
	conns   []*conn
	idle    chan struct{} // one for each of free
	gate    sync.Locker   // held while a transaction reads
	readers *readers
	closed  chan struct{}

	mu   sync.Mutex
	free []*conn // used last, last
}

func newReadPool(conns []*conn, readers *readers, l layout) *readPool {
	p := &readPool{log: l.log, conns: conns, idle: make(chan struct{}, len(conns)), gate: l.readGate, readers: readers, closed: make(chan struct{})}
	for _, c := range conns {
		p.give(c)
	}
	return p
}

func (p *readPool) view(ctx context.Context, fn func(*Tx) error) error {
	return p.with(ctx, func(c *conn) error {
		if _, err := c.exec("BEGIN"); err != nil {
			c.rollback()
			return fmt.Errorf("begin: %w", translate(err))
		}
		defer c.rollback()
		tx := &Tx{conn: c}
		return tx.run(fn, p.log)
	})
}

// peek leaves BEGIN and ROLLBACK out: a statement without them is a transaction.
func (p *readPool) peek(ctx context.Context, fn func(*Tx) error) error {
	return p.with(ctx, func(c *conn) error {
		tx := &Tx{conn: c, lone: true}
		return tx.run(fn, p.log)
	})
}

func (p *readPool) with(ctx context.Context, read func(*conn) error) error {
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer p.give(c)
	p.gate.Lock()
	defer p.gate.Unlock()
	defer p.readers.enter().Done()
	return read(c)
}

func (p *readPool) take(ctx context.Context) (*conn, error) {
	select {
	case <-p.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case <-p.idle:
		return p.last(), nil
	case <-p.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection to read: %w", ctx.Err())
	}
}

func (p *readPool) last() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return c
}

func (p *readPool) give(c *conn) {
	p.mu.Lock()
	p.free = append(p.free, c)
	p.mu.Unlock()
	p.idle <- struct{}{}
}

// close waits for the transactions in progress.
func (p *readPool) close() error {
	close(p.closed)
	var errs []error
	for range p.conns {
		<-p.idle
		errs = append(errs, p.last().drop())
	}
	return errors.Join(errs...)
}

// Package pgproxy is a network, between a PostgreSQL server and its clients,
// that fails when it is told to.
package pgproxy

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Proxy passes connections on to a PostgreSQL server. It listens on one port
// of the loopback from New to Close, whatever becomes of the server. All its
// methods may be called concurrently, and what they ask for holds for
// connections that are there and for those that come.
type Proxy struct {
	listener net.Listener
	ended    sync.WaitGroup

	mu       sync.Mutex
	backend  *pgx.ConnConfig
	conns    map[*conn]struct{}
	accepted int
	closed   bool
	refusal  *refusal // nil if connections are accepted
	traps    []*Trap
	delay    time.Duration
	flowing  chan struct{} // closed while bytes may pass
	changed  chan struct{} // closed and replaced when accepted or conns changes
}

// A refusal is how new connections are turned away: by SQLSTATE, or without a
// word.
type refusal struct{ state, message string }

// New starts a proxy for the database that a URL names, without TLS. It passes
// its clients off as the URL's user and puts them into the URL's database,
// whatever they ask for, so that one URL of several hosts can lead to several
// databases of one server. A password is not its business: the client gives it.
func New(databaseURL string) (*Proxy, error) {
	backend, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	flowing := make(chan struct{})
	close(flowing)
	p := &Proxy{
		listener: l, backend: backend, flowing: flowing,
		conns: map[*conn]struct{}{}, changed: make(chan struct{}),
	}
	p.ended.Go(p.accept)
	return p, nil
}

// Addr is host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is the database as it is reached through the proxies, of which clients
// try the first first. There must be one at least.
func URL(proxies ...*Proxy) string {
	first := proxies[0]
	first.mu.Lock()
	backend := first.backend
	first.mu.Unlock()
	u := url.URL{Scheme: "postgres", Path: "/" + backend.Database, RawQuery: "sslmode=disable"}
	u.User = url.User(backend.User)
	if backend.Password != "" {
		u.User = url.UserPassword(backend.User, backend.Password)
	}
	u.Host = first.Addr()
	for _, p := range proxies[1:] {
		u.Host += "," + p.Addr()
	}
	return u.String()
}

// Close ends the proxy and its connections. It may be called again.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.Cut()
	p.ended.Wait()
}

// Route sends new connections to another database, as New does.
func (p *Proxy) Route(databaseURL string) error {
	backend, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.backend = backend
	return nil
}

// Cut breaks all connections and returns how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.cut()
	}
	return len(p.conns)
}

// Refuse resets new connections until Accept, as a machine without a database
// server does. Those that are there stay.
func (p *Proxy) Refuse() { p.refuse(&refusal{}) }

// RefuseWith is Refuse with an answer: the SQLSTATE of a server that starts,
// has no connections left, or does not know the user.
func (p *Proxy) RefuseWith(state, message string) { p.refuse(&refusal{state, message}) }

// Accept ends Refuse and RefuseWith.
func (p *Proxy) Accept() { p.refuse(nil) }

func (p *Proxy) refuse(r *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = r
}

// Stall passes nothing on, in either direction, until Resume. Connections are
// still accepted: it is a network that swallows packets, or a machine that
// hangs.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flowing:
		p.flowing = make(chan struct{})
	default:
	}
}

// Resume ends Stall; what was held is passed on.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flowing:
	default:
		close(p.flowing)
	}
}

// Slow holds back each message for a time, in each direction; 0 ends it.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Connections is how many are open now, and how many have been accepted since
// the start, refused ones included.
func (p *Proxy) Connections() (open, accepted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns), p.accepted
}

// Await waits until the numbers that Connections returns meet a condition.
func (p *Proxy) Await(ctx context.Context, condition func(open, accepted int) bool) error {
	for {
		p.mu.Lock()
		open, accepted, changed := len(p.conns), p.accepted, p.changed
		p.mu.Unlock()
		if condition(open, accepted) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d connections open, %d accepted: %w", open, accepted, ctx.Err())
		}
	}
}

// note tells who waits that the connections changed. The lock is held.
func (p *Proxy) note() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // it was closed: nothing else ends a listener of the loopback
		}
		c := &conn{proxy: p, client: client, done: make(chan struct{}), statements: map[string]string{}, portals: map[string]string{}}
		p.mu.Lock()
		p.accepted++
		p.note()
		if p.closed {
			client.Close()
		} else {
			p.conns[c] = struct{}{}
			p.ended.Go(c.serve)
		}
		p.mu.Unlock()
	}
}

func (p *Proxy) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	p.note()
}

package pgproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A conn is a client's connection and the one to the server behind it.
type conn struct {
	proxy  *Proxy
	client net.Conn
	done   chan struct{} // closed by cut
	once   sync.Once

	// What Parse and Bind have named; used by the client's goroutine only.
	statements, portals map[string]string
}

// cut ends the connection; serve ends soon after.
func (c *conn) cut() {
	c.once.Do(func() {
		close(c.done)
		c.client.Close()
	})
}

func (c *conn) serve() {
	defer c.proxy.forget(c)
	defer c.cut()
	c.pass() // of its error both ends see what they would of a network's
}

// pass opens the connection to the server and carries messages until one of the
// two is closed.
func (c *conn) pass() error {
	c.proxy.mu.Lock()
	turnedAway, backend := c.proxy.refusal, c.proxy.backend
	c.proxy.mu.Unlock()
	if turnedAway != nil && turnedAway.state == "" {
		return c.client.(*net.TCPConn).SetLinger(0) // closing it now is a reset
	}
	fromClient := bufio.NewReader(c.client)
	hello, err := startup(fromClient, c.client, backend)
	if err != nil {
		return err
	}
	if turnedAway != nil {
		return c.turnAway(turnedAway)
	}
	if err := c.wait(); err != nil {
		return err
	}
	server, err := dial(backend)
	if err != nil {
		return err
	}
	if _, err := server.Write(hello); err != nil {
		server.Close()
		return err
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		defer c.cut()
		c.carry(bufio.NewReader(server), c.client, c.answered)
	})
	defer func() {
		server.Close()
		c.cut()
		answers.Wait()
	}()
	return c.carry(fromClient, server, c.asked)
}

func dial(backend *pgx.ConnConfig) (net.Conn, error) {
	if strings.HasPrefix(backend.Host, "/") {
		return net.Dial("unix", filepath.Join(backend.Host, fmt.Sprintf(".s.PGSQL.%d", backend.Port)))
	}
	return net.Dial("tcp", net.JoinHostPort(backend.Host, fmt.Sprint(backend.Port)))
}

// The codes that a first message can have in the place of a version.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	cancelRequest = 80877102
	tlsRequest    = 80877103
	gssRequest    = 80877104
)

// startup reads the first message and makes it one for the backend's user and
// database. Encryption is declined.
func startup(r io.Reader, w io.Writer, backend *pgx.ConnConfig) ([]byte, error) {
	for {
		raw, err := readBody(r)
		if err != nil {
			return nil, err
		}
		if len(raw) < 8 {
			return nil, errors.New("the first message is too short")
		}
		switch binary.BigEndian.Uint32(raw[4:]) {
		case tlsRequest, gssRequest:
			if _, err := w.Write([]byte("N")); err != nil {
				return nil, err
			}
		case cancelRequest:
			return raw, nil
		default:
			var m pgproto3.StartupMessage
			if err := m.Decode(raw[4:]); err != nil {
				return nil, err
			}
			m.Parameters["user"], m.Parameters["database"] = backend.User, backend.Database
			return m.Encode(nil)
		}
	}
}

// readBody reads a length, which counts itself, and what it is the length of.
func readBody(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 4 || n > 1<<30 {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	raw := make([]byte, n)
	copy(raw, length[:])
	_, err := io.ReadFull(r, raw[4:])
	return raw, err
}

func (c *conn) turnAway(r *refusal) error {
	e := &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: r.state, Message: r.message}
	raw, err := e.Encode(nil)
	if err != nil {
		return err
	}
	_, err = c.client.Write(raw)
	return err
}

// carry passes messages on, as they are, until one direction breaks or a trap
// is sprung. look says what a message does or answers; "" is nothing of note.
func (c *conn) carry(r *bufio.Reader, to io.Writer, look func(kind byte, body []byte) (text string, answer bool)) error {
	w := bufio.NewWriter(to)
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return err
		}
		raw, err := readBody(r)
		if err != nil {
			return err
		}
		if t := c.proxy.spring(look(kind, raw[4:])); t != nil {
			err := w.Flush()
			c.spring(t)
			return err
		}
		if err := c.wait(); err != nil {
			return err
		}
		w.WriteByte(kind)
		w.Write(raw)
		if r.Buffered() == 0 { // else more can go with it
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}

// spring does to the connection what the trap is for. Of one that hangs the
// other direction may go on; nobody has anything to say there.
func (c *conn) spring(t *Trap) {
	close(t.sprung)
	if t.fault == Hang {
		<-c.done
		return
	}
	c.cut()
}

// wait holds a message back for as long as the proxy is slow or stalled.
func (c *conn) wait() error {
	c.proxy.mu.Lock()
	delay, flowing := c.proxy.delay, c.proxy.flowing
	c.proxy.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-c.done:
			return net.ErrClosed
		}
	}
	select {
	case <-flowing:
		return nil
	case <-c.done:
		return net.ErrClosed
	}
}

// asked is the SQL of a statement that a client's message executes.
func (c *conn) asked(kind byte, body []byte) (string, bool) {
	switch kind {
	case 'Q':
		var m pgproto3.Query
		if m.Decode(body) == nil {
			return m.String, false
		}
	case 'P':
		var m pgproto3.Parse
		if m.Decode(body) == nil {
			c.statements[m.Name] = m.Query
		}
	case 'B':
		var m pgproto3.Bind
		if m.Decode(body) == nil {
			c.portals[m.DestinationPortal] = c.statements[m.PreparedStatement]
		}
	case 'E':
		var m pgproto3.Execute
		if m.Decode(body) == nil {
			return c.portals[m.Portal], false
		}
	}
	return "", false
}

// answered is the command tag of a server's message.
func (c *conn) answered(kind byte, body []byte) (string, bool) {
	if kind != 'C' {
		return "", true
	}
	var m pgproto3.CommandComplete
	if m.Decode(body) != nil {
		return "", true
	}
	return string(m.CommandTag), true
}

package pgproxy

import (
	"slices"
	"strings"
)

// A Fault is what a Trap does to the connection that springs it.
type Fault int

const (
	Cut  Fault = iota // break it
	Hang              // pass nothing on any more, and leave it open
)

// A Trap waits for one statement or one answer, of whichever connection is
// first.
type Trap struct {
	proxy  *Proxy
	begin  string
	answer bool
	fault  Fault
	sprung chan struct{}
}

// Before sets a trap for the next statement that begins with a text, as it is
// executed, in small or capital letters. The server does not see it.
func (p *Proxy) Before(statement string, f Fault) *Trap {
	return p.set(&Trap{begin: statement, fault: f})
}

// After sets a trap for the answer to the next statement that succeeds and has
// a command tag that begins with a text, such as COMMIT or INSERT. The server
// has done it, and the client does not learn of it.
// https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COMMANDCOMPLETE
func (p *Proxy) After(tag string, f Fault) *Trap {
	return p.set(&Trap{begin: tag, answer: true, fault: f})
}

func (p *Proxy) set(t *Trap) *Trap {
	t.proxy, t.sprung = p, make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traps = append(p.traps, t)
	return t
}

// Sprung is closed when the fault is made, before the client can notice.
func (t *Trap) Sprung() <-chan struct{} { return t.sprung }

// HasSprung says whether the fault has been made.
func (t *Trap) HasSprung() bool {
	select {
	case <-t.sprung:
		return true
	default:
		return false
	}
}

// Remove takes the trap away if it has not sprung. What hangs stays.
func (t *Trap) Remove() {
	t.proxy.mu.Lock()
	defer t.proxy.mu.Unlock()
	t.proxy.traps = slices.DeleteFunc(t.proxy.traps, func(other *Trap) bool { return other == t })
}

// spring finds the trap for a statement or an answer and takes it down.
func (p *Proxy) spring(text string, answer bool) *Trap {
	if text == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, t := range p.traps {
		if t.answer == answer && len(text) >= len(t.begin) && strings.EqualFold(text[:len(t.begin)], t.begin) {
			p.traps = slices.Delete(p.traps, i, i+1)
			return t
		}
	}
	return nil
}

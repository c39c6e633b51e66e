package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// overdue is how long after the end of a run an answer may come.
const overdue = 30 * time.Second

// A poller sends a load over its connections on one thread that never sleeps.
// A generator that sleeps while it has nothing to do would have to be woken by
// each answer, which costs the server 4 µs of its processor that a client on
// another machine would not; and a fast server would be spared that, since it
// leaves no time to sleep.
type poller struct {
	load  load
	next  func(connection, n int) []byte
	epoll int
	lines []line
	took  []time.Duration
	idle  time.Duration // in turns that found nothing to do
}

// A line is a connection with what has come of an answer.
type line struct {
	fd   int
	n    int // requests sent
	sent time.Time
	in   []byte // its length is what has come
	want int    // length of the whole answer, 0 while the headers are not complete
}

// poll is run for plain HTTP.
func (l load) poll(next func(connection, n int) []byte, duration time.Duration) (sample, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := &poller{load: l, next: next, lines: make([]line, l.connections), took: make([]time.Duration, 0, 1<<17)}
	defer p.close()
	if err := p.open(); err != nil {
		return sample{}, err
	}
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the run's requests are there already
	return measured(l.target, func() ([]time.Duration, time.Duration, error) {
		err := p.run(time.Now().Add(duration))
		return p.took, p.idle, err
	})
}

func (p *poller) open() (err error) {
	for i := range p.lines {
		p.lines[i].fd = -1
	}
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make an epoll: %w", err)
	}
	u, err := url.Parse(p.load.target.url)
	if err != nil {
		return err
	}
	address, err := net.ResolveTCPAddr("tcp4", u.Host)
	if err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte(address.IP.To4())}
	for i := range p.lines {
		l := &p.lines[i]
		l.in = make([]byte, 0, 32<<10)
		if l.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("make a socket: %w", err)
		}
		if err := errors.Join(unix.Connect(l.fd, to), unix.SetNonblock(l.fd, true),
			unix.SetsockoptInt(l.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, l.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})); err != nil {
			return fmt.Errorf("connect to %s: %w", u.Host, err)
		}
	}
	return nil
}

func (p *poller) close() {
	for _, l := range p.lines {
		if l.fd >= 0 {
			unix.Close(l.fd)
		}
	}
	unix.Close(p.epoll)
}

// run sends until the deadline and then waits for the answers that are due.
func (p *poller) run(deadline time.Time) error {
	for i := range p.lines {
		if err := p.send(i); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, len(p.lines))
	due := len(p.lines)
	for turn := time.Now(); due > 0; {
		n, err := unix.EpollWait(p.epoll, events, 0)
		now := time.Now()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("wait for answers: %w", err)
		case n == 0 && now.After(deadline.Add(overdue)):
			return fmt.Errorf("%d answers did not come within %v", due, overdue)
		case n == 0:
			p.idle += now.Sub(turn)
		}
		for _, e := range events[:n] {
			whole, err := p.receive(int(e.Fd))
			if err != nil {
				return err
			}
			if !whole {
				continue
			}
			if due--; time.Now().Before(deadline) {
				if err := p.send(int(e.Fd)); err != nil {
					return err
				}
				due++
			}
		}
		turn = now
	}
	return nil
}

func (p *poller) send(i int) error {
	l := &p.lines[i]
	request := p.next(i, l.n)
	l.n++
	l.in, l.want = l.in[:0], 0
	for l.sent = time.Now(); len(request) > 0; {
		n, err := unix.Write(l.fd, request)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			return fmt.Errorf("send a request: %w", err)
		}
		request = request[max(n, 0):]
	}
	return nil
}

// receive reads what has come on a connection, and says whether the answer is
// whole.
func (p *poller) receive(i int) (whole bool, err error) {
	l := &p.lines[i]
	if len(l.in) == cap(l.in) {
		l.in = append(l.in, make([]byte, len(l.in))...)[:len(l.in)]
	}
	n, err := unix.Read(l.fd, l.in[len(l.in):cap(l.in)])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read an answer: %w", err)
	case n == 0:
		return false, errors.New("the server closed a connection")
	}
	l.in = l.in[:len(l.in)+n]
	if l.want == 0 {
		headers, body, err := answerSize(l.in)
		if err != nil || headers == 0 {
			return false, err
		}
		if l.want = headers + body; body < p.load.least {
			return false, fmt.Errorf("an answer of %d bytes, where a right one has %d", body, p.load.least)
		}
	}
	if len(l.in) > l.want {
		return false, fmt.Errorf("%d bytes more than one answer has", len(l.in)-l.want)
	}
	if len(l.in) < l.want {
		return false, nil
	}
	p.took = append(p.took, time.Since(l.sent))
	return true, nil
}

// answerSize is the size of an answer's headers and of its body; both are 0
// while the headers are not complete. An answer other than 200 is an error.
func answerSize(in []byte) (headers, body int, err error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, 0, nil
	}
	headers = end + len("\r\n\r\n")
	if !bytes.HasPrefix(in, []byte("HTTP/1.1 200")) {
		return 0, 0, fmt.Errorf("refused: %s", in)
	}
	_, after, found := bytes.Cut(in[:headers], []byte("\r\nContent-Length: "))
	if !found {
		return 0, 0, errors.New("an answer without Content-Length")
	}
	digits, _, _ := bytes.Cut(after, []byte("\r\n"))
	body, err = strconv.Atoi(string(digits))
	return headers, body, err
}

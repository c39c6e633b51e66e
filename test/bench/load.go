package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A load is requests to one server over some connections, each of which sends
// its next request when it has the answer to the last.
type load struct {
	target      target
	connections int

	// requests prepares one run. What it returns makes the bytes of the next
	// request of a connection; it must be cheap, since it takes the generator's
	// time.
	requests func(round int) (next func(connection, n int) []byte, err error)

	least int // bytes that a right answer has

	// sleepy loads have a goroutine for each connection, which sleeps until its
	// answer comes, as TLS needs; the others one thread that polls.
	sleepy bool

	// beside, if set, is done while the requests are sent, and ends with ctx.
	beside func(ctx context.Context) error
}

// A sample is what one run of a load measured.
type sample struct {
	perSecond float64
	cpu       time.Duration // of the server's process, per request
	busy      float64       // the part of the time that the server's process had a processor
	idle      float64       // the part of the time that a polling generator had nothing to do
	p50, p99  time.Duration
}

// run sends a load's requests for a time. Connections are opened before the
// clock starts.
func (l load) run(round int, duration time.Duration) (_ sample, err error) {
	if l.beside != nil {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.beside(ctx) }()
		defer func() {
			stop()
			err = errors.Join(err, <-done)
		}()
	}
	next, err := l.requests(round)
	if err != nil {
		return sample{}, err
	}
	if !l.sleepy {
		return l.poll(next, duration)
	}
	conns := make([]net.Conn, l.connections)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for i := range conns {
		if conns[i], err = l.target.dial(); err != nil {
			return sample{}, err
		}
	}
	return clocked(l.target, l.connections, duration, func(c int, deadline time.Time) ([]time.Duration, error) {
		return l.drive(conns[c], deadline, func(n int) []byte { return next(c, n) })
	})
}

// clocked runs workers until a deadline and sums up what they measured, each of
// its own requests to t.
func clocked(t target, workers int, duration time.Duration, work func(n int, deadline time.Time) ([]time.Duration, error)) (sample, error) {
	return measured(t, func() ([]time.Duration, time.Duration, error) {
		results := make([][]time.Duration, workers)
		errs := make([]error, workers)
		deadline := time.Now().Add(duration)
		var wg sync.WaitGroup
		for n := range workers {
			wg.Go(func() { results[n], errs[n] = work(n, deadline) })
		}
		wg.Wait()
		return slices.Concat(results...), 0, errors.Join(errs...)
	})
}

// measured calls send, which returns how long each of its requests took and how
// long it had nothing to do.
func measured(t target, send func() (took []time.Duration, idle time.Duration, err error)) (sample, error) {
	before, err := t.cpuTime()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	all, idle, err := send()
	elapsed := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	after, err := t.cpuTime()
	if err != nil {
		return sample{}, err
	}
	if len(all) == 0 {
		return sample{}, errors.New("no request was answered")
	}
	slices.Sort(all)
	return sample{
		perSecond: float64(len(all)) / elapsed.Seconds(),
		cpu:       (after - before) / time.Duration(len(all)),
		busy:      (after - before).Seconds() / elapsed.Seconds(),
		idle:      idle.Seconds() / elapsed.Seconds(),
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
	}, nil
}

// drive sends requests over one connection, one after the other.
func (l load) drive(conn net.Conn, deadline time.Time, next func(n int) []byte) ([]time.Duration, error) {
	in := bufio.NewReaderSize(conn, 16<<10)
	took := make([]time.Duration, 0, 1<<14)
	for n := 0; time.Now().Before(deadline); n++ {
		request := next(n)
		sent := time.Now()
		if _, err := conn.Write(request); err != nil {
			return took, err
		}
		length, err := readAnswer(in, nil)
		if err != nil {
			return took, err
		}
		took = append(took, time.Since(sent))
		if length < l.least {
			return took, fmt.Errorf("an answer of %d bytes, where a right one has %d", length, l.least)
		}
	}
	return took, nil
}

// dial opens a connection, and shakes hands if the target speaks TLS.
func (t target) dial() (net.Conn, error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, err
	}
	if t.tls != nil {
		return tls.Dial("tcp", u.Host, t.tls)
	}
	return net.Dial("tcp", u.Host)
}

// readAnswer reads one answer of status 200 with a Content-Length, and no more
// of it than that takes: net/http's client would cost more than the server that
// is measured. The body is written to body unless that is nil. It returns the
// body's length.
func readAnswer(in *bufio.Reader, body *bytes.Buffer) (int, error) {
	length, ok := -1, false
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if first {
			ok = bytes.HasPrefix(line, []byte("HTTP/1.1 200"))
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("an answer without Content-Length")
	}
	if !ok {
		refusal, err := io.ReadAll(io.LimitReader(in, int64(length)))
		return 0, errors.Join(fmt.Errorf("refused: %s", refusal), err)
	}
	if body != nil {
		_, err := io.CopyN(body, in, int64(length))
		return length, err
	}
	_, err := in.Discard(length)
	return length, err
}

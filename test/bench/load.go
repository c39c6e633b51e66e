package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A sample is what one run of a load measured.
type sample struct {
	perSecond float64
	cpu       time.Duration // of the server's process, per request
	p50, p99  time.Duration
}

// run sends requests over so many connections for a time. next makes the bytes
// of the next request of a connection; it must be cheap, since it shares the
// generator's core.
func run(server target, connections int, duration time.Duration, next func(connection, n int) []byte) (sample, error) {
	before, err := cpuTime(server.pid)
	if err != nil {
		return sample{}, err
	}
	results := make([][]time.Duration, connections)
	errs := make([]error, connections)
	start := time.Now()
	deadline := start.Add(duration)
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() { results[c], errs[c] = drive(server.url, deadline, func(n int) []byte { return next(c, n) }) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	after, err := cpuTime(server.pid)
	if err := errors.Join(append(errs, err)...); err != nil {
		return sample{}, err
	}
	all := slices.Concat(results...)
	slices.Sort(all)
	if len(all) == 0 {
		return sample{}, errors.New("no request was answered")
	}
	return sample{
		perSecond: float64(len(all)) / elapsed.Seconds(),
		cpu:       (after - before) / time.Duration(len(all)),
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
	}, nil
}

// drive sends requests over one connection, one after the other.
func drive(base string, deadline time.Time, next func(n int) []byte) ([]time.Duration, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 16<<10)
	var took []time.Duration
	for n := 0; time.Now().Before(deadline); n++ {
		request := next(n)
		sent := time.Now()
		if _, err := conn.Write(request); err != nil {
			return took, err
		}
		if err := readAnswer(in); err != nil {
			return took, err
		}
		took = append(took, time.Since(sent))
	}
	return took, nil
}

// readAnswer reads one answer of status 200 with a Content-Length, and no
// more of it than that takes: net/http's client would cost more than the
// server that is measured.
func readAnswer(in *bufio.Reader) error {
	length, ok := -1, false
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first {
			ok = bytes.HasPrefix(line, []byte("HTTP/1.1 200"))
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	if !ok {
		body := make([]byte, length)
		io.ReadFull(in, body)
		return fmt.Errorf("refused: %s", body)
	}
	_, err := in.Discard(length)
	return err
}

// raw is a request as it goes over the wire.
func raw(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	err := r.Write(&b)
	return b.Bytes(), err
}

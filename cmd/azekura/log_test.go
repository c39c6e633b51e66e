package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a writer that knows how often it was written to.
type counted struct {
	mu     sync.Mutex
	writes int
	bytes.Buffer
}

func (c *counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	return c.Buffer.Write(b)
}

func (c *counted) lines() (lines, writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Count(c.String(), "\n"), c.writes
}

func testLogger(t *testing.T, w *counted) (log *slog.Logger, flush func()) {
	t.Helper()
	log, flush, err := newLogger(&config{logLevel: "info", logFormat: "text"}, w)
	if err != nil {
		t.Fatal(err)
	}
	return log, flush
}

// Lines wait for each other a little, a warning for nothing.
func TestLogGathersLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out counted
		log, flush := testLogger(t, &out)
		want := func(lines, writes int) {
			t.Helper()
			if l, w := out.lines(); l != lines || w != writes {
				t.Errorf("%d lines in %d writes, want %d in %d", l, w, lines, writes)
			}
		}
		for range 10 {
			log.Info("request")
		}
		want(0, 0)
		time.Sleep(lineDelay)
		synctest.Wait()
		want(10, 1)
		log.Info("request")
		log.With("a", 1).WithGroup("g").Warn("broken")
		want(12, 2)
		log.Info("request")
		flush()
		want(13, 3)
		flush()
		want(13, 3)
	})
}

// Many writers: every line arrives, whole, those of one writer in their order;
// what waits is bounded.
func TestLogKeepsLinesWhole(t *testing.T) {
	var out counted
	log, flush := testLogger(t, &out)
	const writers, each = 8, 2000
	filler := strings.Repeat("x", 200)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				log.Info(filler, "writer", w, "n", n)
			}
		})
	}
	wg.Wait()
	flush()
	next := make([]int, writers)
	for line := range strings.Lines(out.String()) {
		var w, n int
		at := strings.Index(line, "writer=")
		if at < 0 {
			t.Fatalf("a line in pieces: %q", line)
		}
		if _, err := fmt.Sscanf(line[at:], "writer=%d n=%d\n", &w, &n); err != nil || n != next[w] {
			t.Fatalf("%q, %v; want number %d", line, err, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("%d lines of writer %d, want %d", n, w, each)
		}
	}
}

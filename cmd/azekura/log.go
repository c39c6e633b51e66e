package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// newLogger makes the log that the settings ask for. What is written to it
// reaches w at the latest when flush is called.
func newLogger(cfg *config, w io.Writer) (log *slog.Logger, flush func(), err error) {
	var level slog.Level
	switch cfg.logLevel {
	case "debug", "info", "warn", "error":
		if err := level.UnmarshalText([]byte(cfg.logLevel)); err != nil {
			return nil, nil, err
		}
	default:
		return nil, nil, fmt.Errorf("log-level %q: it can be debug, info, warn or error", cfg.logLevel)
	}
	lines := newLineWriter(w)
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	switch cfg.logFormat {
	case "text":
		h = newTextHandler(lines, options)
	case "json":
		h = slog.NewJSONHandler(lines, options)
	default:
		return nil, nil, fmt.Errorf("log-format %q: it can be text or json", cfg.logFormat)
	}
	return slog.New(urgent{h, lines}), lines.flush, nil
}

// urgent is a handler whose warnings and errors are written before the program
// goes on: it may not go on for long.
type urgent struct {
	slog.Handler
	lines *lineWriter
}

func (u urgent) Handle(ctx context.Context, r slog.Record) error {
	err := u.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		u.lines.flush()
	}
	return err
}

func (u urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{u.Handler.WithAttrs(attrs), u.lines}
}

func (u urgent) WithGroup(name string) slog.Handler {
	return urgent{u.Handler.WithGroup(name), u.lines}
}

const (
	lineDelay  = 2 * time.Millisecond // the longest that a line waits for others
	linesBound = 256 << 10            // bytes that wait; then writers do
)

// A lineWriter gathers lines and writes those of two milliseconds at once: a
// line for each request would cost each a system call of its own. It may be
// used concurrently. Who kills the process loses what has not been written.
type lineWriter struct {
	to io.Writer

	mu      sync.Mutex
	waiting []byte
	timed   bool // a flush is on its way

	writing sync.Mutex // held while written is on its way to the writer
	written []byte
}

func newLineWriter(to io.Writer) *lineWriter { return &lineWriter{to: to} }

// Write takes a line. An error of the writer below is nowhere to be told.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	l.waiting = append(l.waiting, line...)
	full := len(l.waiting) >= linesBound
	if !l.timed && !full {
		l.timed = true
		time.AfterFunc(lineDelay, l.flush)
	}
	l.mu.Unlock()
	if full {
		l.flush()
	}
	return len(line), nil
}

// flush writes what waits. Lines are written in the order in which they came.
func (l *lineWriter) flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	l.waiting, l.written = l.written[:0], l.waiting
	l.timed = false
	l.mu.Unlock()
	if len(l.written) > 0 {
		l.to.Write(l.written)
	}
}

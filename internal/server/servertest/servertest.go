// Package servertest runs a whole, real server in a test.
package servertest

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"

	"azekura/internal/server"
)

// A Server runs on loopback until its test ends. The embedded Client calls it
// as the first administrator.
type Server struct {
	*Client
	Config server.Config // what it was built with

	MetricsURL string // of /metrics; empty if the Config has none

	stop func() error
}

// New starts a server on a data directory of its own.
func New(t testing.TB) *Server {
	t.Helper()
	return Start(t, Config(t))
}

// Config is what New builds a server with: the defaults, but for the data
// directory, a free port, and calls as fast as they come.
func Config(t testing.TB) server.Config {
	t.Helper()
	cfg := server.Defaults()
	cfg.DataDir = filepath.Join(t.TempDir(), "data")
	cfg.Listen = "127.0.0.1:0"
	cfg.RateLimits = []string{"off"}
	return cfg
}

// Start starts a server as configured. Its data directory may be that of a
// server that has stopped.
func Start(t testing.TB, cfg server.Config) *Server {
	t.Helper()
	srv, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("build the server: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	s := &Server{Config: cfg, Client: clientOf(srv), MetricsURL: srv.MetricsURL()}
	s.stop = func() error {
		cancel()
		err := <-served
		if closing := srv.Close(); err == nil {
			err = closing
		}
		return err
	}
	t.Cleanup(func() { s.Stop(t) })
	return s
}

func clientOf(srv *server.Server) *Client {
	c := NewClient(srv.Environment())
	c.URL = srv.Address()
	return c
}

// Stop stops the server gracefully. It may be called more than once.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if s.stop == nil {
		return
	}
	stop := s.stop
	s.stop = nil
	s.HTTP.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Errorf("stop the server: %v", err)
	}
}

// Restart stops the server and starts another on the same data directory.
func (s *Server) Restart(t testing.TB) *Server {
	t.Helper()
	s.Stop(t)
	return Start(t, s.Config)
}

// Call calls an operation of Secrets Manager as the first administrator and
// fails the test only if there is no answer at all.
func (s *Server) Call(t testing.TB, op string, in any) (status int, body map[string]any) {
	t.Helper()
	status, body, err := s.Do(t.Context(), op, in)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return status, body
}

// MustCall is Call for calls that have to succeed.
func (s *Server) MustCall(t testing.TB, op string, in any) map[string]any {
	t.Helper()
	status, body := s.Call(t, op, in)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d, %v", op, status, body["__type"])
	}
	return body
}

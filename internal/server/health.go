package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"azekura/internal/store"
)

// routes answers the two health questions, which need no signature, and hands
// everything else to the API untouched: a mux would redirect paths that it
// finds unclean, and the path is part of what was signed.
func (s *Server) routes(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case asked && r.URL.Path == "/healthz":
			io.WriteString(w, "ok\n")
		case asked && r.URL.Path == "/readyz":
			s.ready(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// ready says whether requests can be served. A stranger learns yes or no; the
// log is told why.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.stopping.Load() {
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	if s.sealed.Load() {
		http.Error(w, "sealed", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := s.db.View(ctx, func(tx *store.Tx) error {
		_, err := store.One(tx, func(n *int64) []any { return []any{n} }, "SELECT 1")
		return err
	})
	if err != nil {
		// Of a database that is away the store has told once.
		if !errors.Is(err, store.ErrUnavailable) {
			s.cfg.Log.Error("not ready: read the store", "error", err)
		}
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}

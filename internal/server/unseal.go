package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"azekura/internal/api"
	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// The pause before the seal is asked again doubles from one to the other.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// unseal opens the keyring with the root key, wherever it sleeps, and makes what
// a first start makes with it. It may be called again until it succeeds; from
// then on requests are served.
func (s *Server) unseal(ctx context.Context) error {
	s.sealed.Store(true)
	root := seal.Memory()
	if s.cfg.DataDir != "" {
		release, err := lock(s.cfg.DataDir) // two first starts must not each make a root key
		if err != nil {
			return err
		}
		defer release()
		if root, err = s.openRootKey(ctx); err != nil {
			return err
		}
	}
	if err := s.keyring.Unseal(ctx, root); err != nil {
		return err
	}
	if s.cfg.DatabaseURL != "" {
		if err := s.db.Finished(ctx); err != nil { // again, now that a copy would see the keyring
			return err
		}
	}
	s.root.Store(&root)
	env, err := s.administrator(ctx, s.users)
	if err != nil {
		return err
	}
	if err := s.accounts.Bootstrap(ctx); err != nil {
		return err
	}
	s.env.Store(&env)
	s.sealed.Store(false)
	return nil
}

// openRootKey opens the root key of the data directory, or makes that of a
// first start. It never gives a database that is sealed a new one: what it
// holds could not be opened any more, and the mistake would show only then.
func (s *Server) openRootKey(ctx context.Context) (envelope.Root, error) {
	where := s.cfg.Seal.In(s.cfg.DataDir)
	if err := seal.Settle(ctx, where, s.db); err != nil {
		return nil, fmt.Errorf("finish a rotation of the root key: %w", err)
	}
	root, err := seal.Open(ctx, where)
	if !errors.Is(err, seal.ErrNoRootKey) {
		return root, err
	}
	switch used, err := seal.Sealed(ctx, s.db); {
	case err != nil:
		return nil, err
	case used:
		return nil, errRootKeyMissing(where)
	}
	return seal.Create(ctx, where)
}

// staysSealed says whether an error of unseal is one that may pass. It is told.
func (s *Server) staysSealed(err error) bool {
	if !errors.Is(err, seal.ErrUnreachable) || s.cfg.DataDir == "" {
		return false
	}
	if errors.Is(err, seal.ErrLocks) {
		s.locks.Store(true)
		s.cfg.Log.Error("sealed, and the seal is not asked again, which could lock it: set it right, then start the server again", "error", err)
		return true
	}
	s.cfg.Log.Error("sealed: no request is served before the seal can be reached, which is tried again", "error", err)
	return true
}

// awaitSeal unseals a server that started sealed, and says whether it came to
// that before ctx ended. An error is one that does not pass by itself, such as a
// seal that came back with another key. A seal that locks itself is not asked
// again.
func (s *Server) awaitSeal(ctx context.Context) (bool, error) {
	for pause := firstPause; s.sealed.Load(); pause = min(2*pause, longestPause) {
		if s.locks.Load() {
			<-ctx.Done()
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(pause/2 + rand.N(pause)): // nodes that lost one seal do not all come back at once
		}
		err := s.unseal(ctx)
		switch {
		case err == nil:
			s.cfg.Log.Info("unsealed: requests are served")
		case ctx.Err() != nil:
			return false, nil
		case errors.Is(err, seal.ErrLocks):
			s.staysSealed(err)
		case errors.Is(err, seal.ErrUnreachable), errors.Is(err, store.ErrUnavailable):
			s.cfg.Log.Error("still sealed", "error", err, "next_try_within", min(2*pause, longestPause)*3/2)
		default:
			return false, err
		}
	}
	return true, nil
}

// closed is why no request is served now; nil if they are. SDKs try again what
// is answered so.
func (s *Server) closed() *api.Error {
	if !s.sealed.Load() {
		return nil
	}
	return &api.Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "The server is sealed: its root key cannot be reached."}
}

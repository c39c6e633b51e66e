package sts

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"azekura/internal/api"
	"azekura/internal/sigv4"
	"azekura/internal/throttle"
)

// Wrong signatures with one access key from one address, and unknown access
// keys from one address: so many pass, then one in each pause. A client with a
// mistyped secret is still told so once a second.
const (
	freeGuesses = 100
	guessPause  = time.Second
)

// guesses slow who tries secrets, or looks for access keys that exist. A key is
// slowed for one address only: its id is no secret, and who knows it must not
// be able to keep its owner out.
type guesses struct {
	secrets, keys *throttle.Failures
	slowed        atomic.Uint64
}

func newGuesses() *guesses {
	return &guesses{secrets: throttle.NewFailures(freeGuesses, guessPause), keys: throttle.NewFailures(freeGuesses, guessPause)}
}

// before refuses a request whose signature is not even looked at.
func (g *guesses) before(from netip.Addr, accessKeyID string, now time.Time) error {
	if !g.secrets.Any() {
		return nil
	}
	return g.refuse(g.secrets.Wait(throttle.Sender(from), accessKeyID, now))
}

// wrong counts a signature that does not match.
func (g *guesses) wrong(from netip.Addr, accessKeyID string, now time.Time) {
	g.secrets.Failed(throttle.Sender(from), accessKeyID, now)
}

// unknown counts a refusal for want of a known access key, and is what the
// sender is told of it: too soon after too many that is nothing of the key.
func (g *guesses) unknown(from netip.Addr, now time.Time, err error) error {
	if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Kind != sigv4.UnknownKey {
		return err
	}
	sender := throttle.Sender(from)
	if refused := g.refuse(g.keys.Wait(sender, "", now)); refused != nil {
		return refused
	}
	g.keys.Failed(sender, "", now)
	return err
}

func (g *guesses) refuse(wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	g.slowed.Add(1)
	return api.Throttled(wait)
}

// Slowed is how many requests were refused because of too many wrong ones
// before them.
func (s *Service) Slowed() uint64 { return s.guesses.slowed.Load() }

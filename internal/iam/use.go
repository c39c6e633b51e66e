package iam

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"azekura/internal/api"
	"azekura/internal/store"
)

// notePause is how long after a noted use of an access key or a role the next
// one is noted: LastUsedDate is that coarse. AWS's own is hours late at times.
const notePause = 15 * time.Minute

// maxUses bounds the uses that wait to be written. What comes beyond that is
// noted at its next use.
const maxUses = 4096

// uses gathers which access keys and roles were used, for Run to write down.
type uses struct {
	some chan struct{} // holds a token while there is something to write

	mu      sync.Mutex
	waiting map[string]use // by id
}

type use struct {
	service, region string
	at              api.Timestamp
}

func newUses() *uses {
	return &uses{some: make(chan struct{}, 1), waiting: map[string]use{}}
}

// Used notes that a credential has signed a request that was let in. It costs
// a read of memory but for once in a quarter of an hour, and never waits for
// the database: Run writes it down soon.
func (s *Service) Used(c *Credential, service, region string, now time.Time) {
	s.uses.note(c.AccessKeyID, &c.noted, use{service, region, api.At(now)})
}

// RoleUsed notes that a session of a role has made a call, like Used.
func (s *Service) RoleUsed(i *Identity, region string, now time.Time) {
	s.uses.note(i.ID, &i.noted, use{region: region, at: api.At(now)})
}

func (u *uses) note(id string, noted *atomic.Int64, what use) {
	last := noted.Load()
	if int64(what.at) < last+notePause.Milliseconds() || !noted.CompareAndSwap(last, int64(what.at)) {
		return
	}
	u.mu.Lock()
	if len(u.waiting) < maxUses {
		u.waiting[id] = what
	}
	u.mu.Unlock()
	select {
	case u.some <- struct{}{}:
	default:
	}
}

func (u *uses) take() map[string]use {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.waiting
	u.waiting = map[string]use{}
	return taken
}

// Run writes down what Used and RoleUsed note, many at once, until ctx ends. A
// use that cannot be written is passed over: the next one is a quarter of an
// hour away at most.
func (s *Service) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.uses.some:
			s.writeUses(ctx)
		}
	}
}

func (s *Service) writeUses(ctx context.Context) error {
	taken := s.uses.take()
	if len(taken) == 0 {
		return nil
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(taken)) { // as all nodes do, so that none waits for another in a circle
			u := taken[id]
			note := noteKey
			if kindOf(id) == roleKind {
				note = noteRole
			}
			if err := note(tx, id, u.service, u.region, u.at); err != nil {
				return err
			}
		}
		return nil
	})
}

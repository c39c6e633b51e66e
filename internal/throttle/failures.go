package throttle

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Failures slows guessing: who fails too often at one thing has to wait before
// the next try is even looked at. It may be used concurrently. Its memory is
// fixed: a try is counted in a slot that its key hashes to under a seed that is
// secret to the process, so that nobody can choose whom to share one with; who
// does share one waits a little for another's failures.
type Failures struct {
	free  int           // failures that are not slowed
	delay time.Duration // between tries, beyond them; one free failure comes back in this time
	seed  maphash.Seed

	total atomic.Uint64

	mu   sync.Mutex
	full []int64 // as in take, by slot
}

// failureSlots bounds the memory of one Failures to half a megabyte.
const failureSlots = 1 << 16

// NewFailures lets free failures pass, and then a try for each delay. The
// memory is taken at the first failure.
func NewFailures(free int, delay time.Duration) *Failures {
	return &Failures{free: free, delay: delay, seed: maphash.MakeSeed()}
}

// Wait is how long the next try of the thing named by who and what, such as an
// address and an access key id, has to wait; 0 if it may be made now.
func (f *Failures) Wait(who, what string, now time.Time) time.Duration {
	if !f.Any() {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wait(who, what, now.UnixNano())
}

func (f *Failures) wait(who, what string, at int64) time.Duration {
	if f.full == nil {
		return 0
	}
	depth := f.depth()
	full := &f.full[f.slot(who, what)]
	*full = min(*full, at+depth) // further away only if the clock was set back
	return time.Duration(max(0, *full+int64(f.delay)-depth-at))
}

// Failed counts a try that failed.
func (f *Failures) Failed(who, what string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail(who, what, now.UnixNano())
}

func (f *Failures) fail(who, what string, at int64) {
	if f.full == nil {
		f.full = make([]int64, failureSlots)
	}
	f.total.Add(1)
	full := &f.full[f.slot(who, what)]
	*full = min(max(*full, at)+int64(f.delay), at+f.depth())
}

// Begin is Wait and, if there is nothing to wait for, Failed in one: of many
// tries at once no more than may are looked at. A try that then succeeds is
// taken back with Succeeded.
func (f *Failures) Begin(who, what string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := f.wait(who, what, now.UnixNano())
	if wait == 0 {
		f.fail(who, what, now.UnixNano())
	}
	return wait
}

// Succeeded takes back a try that Begin has counted.
func (f *Failures) Succeeded(who, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full == nil {
		return
	}
	f.total.Add(^uint64(0))
	f.full[f.slot(who, what)] -= int64(f.delay)
}

func (f *Failures) depth() int64 { return int64(f.delay) * int64(f.free) }

// Total is how many tries have failed.
func (f *Failures) Total() uint64 { return f.total.Load() }

// Any says whether any try has failed. It costs next to nothing.
func (f *Failures) Any() bool { return f.total.Load() > 0 }

func (f *Failures) slot(who, what string) uint64 {
	var h maphash.Hash
	h.SetSeed(f.seed)
	h.WriteString(who)
	h.WriteByte(0)
	h.WriteString(what)
	return h.Sum64() % failureSlots
}

// Sender names, for Failures, who a request came from: an address, of IPv6 the
// network of 64 bits that it is in. Whoever has one of its addresses has them
// all, and would have a fresh start with each.
func Sender(from netip.Addr) string {
	const network = 64
	if from = from.Unmap().WithZone(""); from.Is6() {
		if p, err := from.Prefix(network); err == nil {
			return p.String()
		}
	}
	return from.String()
}

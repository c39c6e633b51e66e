package linear

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"azekura/test/deployment"
	"azekura/test/model"
	"azekura/test/process"
)

// unknown is the answer of a call that may have been done, or may be done
// later, or neither: its connection was cut, or the server said that it failed.
const unknown = "unknown"

// A history is what clients asked and were answered in a round.
type history struct {
	deployment *deployment.Deployment
	round      int
	begun      time.Time
	secrets    []*knowledge
	answers    chan struct{} // one for each call that has ended

	quiet []quietness

	mu    sync.Mutex
	calls []called
}

// A called is a call that has ended. If it has no answer it may yet be done, at
// any moment until end.
type called struct {
	client     int
	call       model.Call
	begin, end int64
	answer     string
	server     *process.Server // that it went to
}

func newHistory(d *deployment.Deployment, round int) *history {
	h := &history{
		deployment: d, round: round, begun: time.Now(),
		answers: make(chan struct{}, clients**calls),
	}
	for n := range secrets {
		h.secrets = append(h.secrets, &knowledge{name: fmt.Sprintf("round-%d/secret-%d", round, n)})
	}
	return h
}

func (h *history) now() int64 { return time.Since(h.begun).Nanoseconds() }

// make lets the clients call, and the faults happen meanwhile, one after the
// other.
func (h *history) make(ctx context.Context, faults []fault) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var calling, watching sync.WaitGroup
	for id := range clients {
		calling.Go(func() { newCaller(h, id).run(ctx) })
	}
	ended := make(chan struct{})
	var watched error
	watching.Go(func() { watched = h.watch(ctx, ended) })
	disturbed := h.disturb(ctx, faults)
	if disturbed != nil {
		stop()
	}
	calling.Wait()
	close(ended)
	watching.Wait()
	h.close()
	return errors.Join(disturbed, watched)
}

func (h *history) add(c called) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// close sets until when the calls without an answer may be done.
func (h *history) close() {
	for i := range h.calls {
		if c := &h.calls[i]; c.answer == unknown {
			c.end = max(c.begin, h.settled(c))
		}
	}
}

// settled says from when on nothing of a call without an answer can happen any
// more. On SQLite nothing outlives the server.
func (h *history) settled(c *called) int64 {
	if gone, ok := h.deployment.Gone(c.server); ok && h.deployment.Database == nil {
		return gone.Sub(h.begun).Nanoseconds()
	}
	for _, q := range h.quiet {
		if q.asked >= c.end {
			return q.seen
		}
	}
	return math.MaxInt64 - 1
}

// A quietness is that at some moment between two nothing was under way in the
// database that had begun before the first.
type quietness struct{ asked, seen int64 }

// watch notes when the database is quiet, until the calls have ended and what
// they began has, too. A server may do a COMMIT that it has received when the
// node that sent it, or the connection, is long gone, but it knows of the
// transaction until then: nodes begin one by a round trip of its own.
func (h *history) watch(ctx context.Context, ended <-chan struct{}) error {
	for last := false; !last; {
		select {
		case <-ended:
			last = true
		case <-time.After(10 * time.Millisecond):
		}
		asked := h.now()
		if err := h.deployment.AwaitQuiet(ctx); err != nil {
			return err
		}
		h.quiet = append(h.quiet, quietness{asked, h.now()})
	}
	return nil
}

func (h *history) unknown() (n int) {
	for _, c := range h.calls {
		if c.answer == unknown {
			n++
		}
	}
	return n
}

// check says what is wrong with the history; "" is nothing. Secrets know
// nothing of each other, so each has a history of its own. Of some the checker
// does not find out in time.
func (h *history) check() (failed string, undecided int) {
	for _, k := range h.secrets {
		var part []called
		for _, c := range h.calls {
			if c.call.Secret == k.name {
				part = append(part, c)
			}
		}
		switch explain(part) {
		case porcupine.Illegal:
			failed += fmt.Sprintf("%s: no order explains the last answer:\n%s", k.name, text(shortest(part)))
		case porcupine.Unknown:
			undecided++
		}
	}
	return failed, undecided
}

// shortest is the part of an illegal history up to the first answer that makes
// it one.
func shortest(calls []called) []called {
	ends := make([]int64, len(calls))
	for i, c := range calls {
		ends[i] = c.end
	}
	slices.Sort(ends)
	first := sort.Search(len(ends), func(i int) bool { return explain(until(calls, ends[i])) == porcupine.Illegal })
	return until(calls, ends[min(first, len(ends)-1)])
}

// until is a history as it was known at a moment.
func until(calls []called, end int64) (part []called) {
	for _, c := range calls {
		if c.end > end {
			c.answer, c.end = unknown, end+1
		}
		if c.begin <= end {
			part = append(part, c)
		}
	}
	return part
}

// text shows calls in the order in which they began, with times in
// microseconds.
func text(calls []called) string {
	slices.SortFunc(calls, func(a, b called) int { return cmp.Compare(a.begin, b.begin) })
	var b strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&b, "%9d %9d client %2d: %s %s from=%s label=%s: %s\n", c.begin/1000, c.end/1000, c.client,
			c.call.Op, c.call.Version, c.call.From, c.call.Label, c.answer)
	}
	return b.String()
}

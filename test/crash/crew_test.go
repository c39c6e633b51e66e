package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"azekura/test/deployment"
	"azekura/test/model"
	"azekura/test/process"
)

// A crew is writers, each with secrets of its own, and what they know of them.
type crew struct {
	t          *testing.T
	deployment *deployment.Deployment
	writers    []*writer

	// Of a round.
	changes chan struct{} // one for each acknowledged change
	ended   chan struct{} // closed when all writers have ended
	stopped context.Context
	stop    func()
}

func newCrew(t *testing.T, d *deployment.Deployment) *crew {
	c := &crew{t: t, deployment: d}
	for n := range writers {
		w := &writer{deployment: d, http: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}, acknowledged: map[string]int{}}
		t.Cleanup(w.http.CloseIdleConnections)
		for k := range secrets {
			w.secrets = append(w.secrets, &belief{name: fmt.Sprintf("writer-%d/secret-%d", n, k), may: []model.State{{}}})
		}
		c.writers = append(c.writers, w)
	}
	return c
}

// survive makes the crashes in turn, for as many rounds as asked for.
func (c *crew) survive(crashes []crash) {
	c.t.Helper()
	for round := range *rounds {
		kind := crashes[round%len(crashes)]
		c.start(round)
		c.awaitChanges(20 + rand.IntN(200))
		err := kind.make(c)
		c.stop()
		<-c.ended
		if err != nil {
			c.t.Fatalf("round %d, %s killed: %v", round, kind.name, err)
		}
		c.verify()
		if c.t.Failed() {
			c.t.Fatalf("in round %d, %s killed", round, kind.name)
		}
	}
	total := map[string]int{}
	for _, w := range c.writers {
		for op, n := range w.acknowledged {
			total[op] += n
		}
	}
	c.t.Logf("%d rounds, acknowledged: %v", *rounds, total)
	for _, op := range writes {
		if total[op] == 0 && *rounds > 10 {
			c.t.Errorf("%q was never acknowledged", op)
		}
	}
}

// start lets the writers write.
func (c *crew) start(round int) {
	c.changes, c.ended = make(chan struct{}, 1<<16), make(chan struct{})
	c.stopped, c.stop = context.WithCancel(c.t.Context())
	var wg sync.WaitGroup
	for _, w := range c.writers {
		wg.Go(func() { w.run(c, round) })
	}
	go func() { wg.Wait(); close(c.ended) }()
}

// awaitChanges waits for acknowledged changes: for a number and not for a time,
// so that a crash falls into the work on a slow machine, too.
func (c *crew) awaitChanges(n int) {
	for range n {
		select {
		case <-c.changes:
		case <-c.ended:
			return
		}
	}
}

// stopAfter kills what serves the writers, and sends them home.
func (c *crew) stopAfter(kill func(...int)) {
	kill()
	c.stop()
	<-c.ended
}

// verify compares every secret with what its writer knows.
func (c *crew) verify() {
	if err := c.deployment.AwaitQuiet(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, w := range c.writers {
		wg.Go(func() {
			for _, b := range w.secrets {
				if err := w.verify(c.t.Context(), b); err != nil {
					c.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// A writer changes its secrets one call after the other.
type writer struct {
	deployment   *deployment.Deployment
	http         *http.Client
	secrets      []*belief
	made         int
	acknowledged map[string]int // by operation
}

func (w *writer) run(c *crew, round int) {
	for c.stopped.Err() == nil {
		w.made++
		b := w.secrets[rand.IntN(len(w.secrets))]
		call := b.next(fmt.Sprintf("%s-round-%05d-call-%08d", b.name, round, w.made))
		changed, err := w.change(c, b, call)
		if err != nil {
			c.t.Errorf("%s: %v", b.name, err)
			return
		}
		if changed {
			w.acknowledged[call.Op]++
			c.changes <- struct{}{}
		}
	}
}

// change makes a call and notes what came of it; the error says that the
// answer fits nothing that the secret may be. A call that was begun is not
// broken off by the end of a round: it might be done later.
func (w *writer) change(c *crew, b *belief, call model.Call) (changed bool, err error) {
	up, err := w.deployment.Running(c.stopped)
	if err != nil {
		return false, nil
	}
	answer, err := call.Send(c.t.Context(), up[rand.IntN(len(up))], w.http)
	if errors.Is(err, model.Unsent) {
		return false, nil
	}
	if err != nil {
		b.doubt(call)
		w.deployment.AwaitQuiet(c.stopped) // it ends with the round, of which verify begins so, too
		return false, nil
	}
	return answer == model.Done, b.learn(call, answer)
}

// verify reads a secret through a node, and takes from its writer what doubt it
// had.
func (w *writer) verify(ctx context.Context, b *belief) error {
	seen, err := w.observe(ctx, b)
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(slices.Clone(b.may), func(s model.State) bool { return s.Shown() != seen })
	if len(known) == 0 {
		return fmt.Errorf("%s is\n%+v\nbut it may only be\n%+v", b.name, seen, b.may)
	}
	b.may = known
	return nil
}

// observe reads again what a node could not read: under load it takes a while
// to get over a database that was gone.
func (w *writer) observe(ctx context.Context, b *belief) (model.State, error) {
	for try := 1; ; try++ {
		up, err := w.deployment.Running(ctx)
		if err != nil {
			return model.State{}, err
		}
		seen, err := model.Observe(ctx, up[rand.IntN(len(up))], w.http, b.name)
		refusal, refused := errors.AsType[*process.Refusal](err)
		if !refused || refusal.Status < http.StatusInternalServerError || try == 10 {
			return seen, err
		}
	}
}

package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"azekura/test/model"
)

// knowledge is what clients have heard of a secret, so that they ask for what
// may be there.
type knowledge struct {
	name string

	mu       sync.Mutex
	versions []string
	holder   map[string]string // of a label, once
}

// any is a version that somebody has tried to make; "" if nobody has.
func (k *knowledge) any() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.versions) == 0 {
		return ""
	}
	return k.versions[rand.IntN(len(k.versions))]
}

func (k *knowledge) made(version string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.versions = append(k.versions, version)
}

// heard notes the answer to a Get by label.
func (k *knowledge) heard(c model.Call, answer string) {
	version, _, revealed := strings.Cut(answer, " ")
	if c.Op != model.Get || c.Label == "" || !revealed {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holder == nil {
		k.holder = map[string]string{}
	}
	k.holder[c.Label] = version
}

func (k *knowledge) on(label string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.holder[label]
}

// A caller is one client. Like an SDK it sends a call again, with the same
// token and to whichever node answers, when it does not know what became of
// it; unlike an SDK it sometimes does not.
type caller struct {
	*history
	id    int
	made  int
	again *model.Call // whose outcome it does not know
	pause time.Duration
	http  *http.Client
}

func newCaller(h *history, id int) *caller {
	return &caller{history: h, id: id, http: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
}

func (c *caller) run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for range *calls {
		if err := c.call(ctx); err != nil {
			return
		}
		c.answers <- struct{}{}
	}
}

// call makes one call; the error is ctx's.
func (c *caller) call(ctx context.Context) error {
	about := c.secrets[rand.IntN(secrets)]
	in := c.next(about)
	if c.again != nil && rand.IntN(3) > 0 {
		in = *c.again
	}
	c.again = nil
	for {
		up, err := c.deployment.Running(ctx)
		if err != nil {
			return err
		}
		server := up[rand.IntN(len(up))]
		began := c.now()
		answer, err := in.Send(ctx, server, c.http)
		ended := c.now()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, model.Unsent):
			continue
		case err != nil && in.Reads():
			return c.backOff(ctx)
		case err != nil:
			answer, c.again = unknown, &in
		}
		about.heard(in, answer)
		c.add(called{client: c.id, call: in, begin: began, end: ended, answer: answer, server: server})
		if err != nil {
			return c.backOff(ctx)
		}
		c.pause = 0
		return nil
	}
}

// backOff waits a while, as SDKs do, and longer each time: a node says at once
// that the database is away, and all calls would be made before it is back.
func (c *caller) backOff(ctx context.Context) error {
	c.pause = min(max(2*c.pause, 50*time.Millisecond), time.Second)
	select {
	case <-time.After(rand.N(c.pause)):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// next makes up a call.
func (c *caller) next(about *knowledge) model.Call {
	c.made++
	in := model.Call{Secret: about.name, Version: fmt.Sprintf("client-%02d-call-%05d-%016d", c.id, c.made, 0)}
	switch n := rand.IntN(100); {
	case n < 10:
		in.Op = model.Create
	case n < 24:
		in.Op = model.Put
	case n < 34:
		in.Op = model.PutPending
	case n < 40:
		in.Op, in.Text = model.Update, fmt.Sprint("description ", in.Version)
	case n < 54:
		return move(about)
	case n < 57:
		return model.Call{Op: model.Delete, Secret: about.name}
	case n < 61:
		return model.Call{Op: model.Schedule, Secret: about.name}
	case n < 68:
		return model.Call{Op: model.Restore, Secret: about.name}
	case n < 74:
		return model.Call{Op: model.Describe, Secret: about.name}
	default:
		return get(about)
	}
	about.made(in.Version)
	return in
}

// move is of a label to a version, or to none, mostly from the one that was
// seen to have it.
func move(about *knowledge) model.Call {
	labels := []string{model.Current, model.Current, model.Pending, model.Release}
	in := model.Call{Op: model.Move, Secret: about.name, Label: labels[rand.IntN(len(labels))], Version: about.any()}
	switch n := rand.IntN(10); {
	case n < 7:
		in.From = about.on(in.Label)
	case n < 8:
		in.From = about.any()
	}
	switch n := rand.IntN(4); {
	case in.Label != model.Current && n == 0:
		in.Version = ""
	case in.Label == model.Current && n < 2: // as a rotation ends
		in.Version = about.on(model.Pending)
	}
	return in
}

// get is by version or by label.
func get(about *knowledge) model.Call {
	in := model.Call{Op: model.Get, Secret: about.name}
	if in.Version = about.any(); in.Version != "" && rand.IntN(3) == 0 {
		return in
	}
	labels := append(model.Labels(), model.Current, model.Current)
	in.Version, in.Label = "", labels[rand.IntN(len(labels))]
	return in
}

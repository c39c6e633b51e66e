package linear

import (
	"context"
	"fmt"
	"math/rand/v2"

	"azekura/test/deployment"
)

// A fault breaks something and mends it, while the clients go on.
type fault struct {
	name string
	make func() error
}

// disturb makes the faults, spread over the calls by their number and not by
// time, so that they fall into the work on a slow machine, too.
func (h *history) disturb(ctx context.Context, faults []fault) error {
	rand.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	share := clients * *calls / (len(faults) + 1)
	for _, f := range faults {
		for range share/2 + rand.IntN(share/2) {
			select {
			case <-h.answers:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := f.make(); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

func postgresFaults(d *deployment.Deployment) []fault {
	one := func() int { return rand.IntN(d.Nodes()) }
	return []fault{
		{"kill a node", func() error { return d.Restart(one()) }},
		{"kill all nodes", func() error { return d.Restart() }},
		{"kill the database server", d.RestartDatabase},
		{"cut a node's connections to the database", func() error { d.Network(one()).Cut(); return nil }},
		{"lose COMMITs, and answers to them", func() error {
			for n := range d.Nodes() {
				d.LoseCommits(n, 6)
			}
			return nil
		}},
	}
}

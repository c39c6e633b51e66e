package main

import (
	"fmt"
	"os"
	"path/filepath"

	"azekura/internal/sigv4"
)

// workingSet is how many secrets clients read: few enough for the cache of a
// server with default settings, which holds about 20,000 of 1 KiB.
const workingSet = 10_000

// The credentials and the region that the floor knows.
var floorCredentials = sigv4.Credentials{AccessKeyID: "AKIAFLOORFLOORFLOORF", Secret: "floor-secret-access-key"}

const floorRegion = "us-east-1"

func (b *bench) floorCommand() []string { return []string{b.floor, filepath.Join(b.work, "journal")} }

// startFloor starts the floor, on the server's processor.
func (b *bench) startFloor() (*node, error) {
	c, err := b.launch(b.cpus.server, os.Stderr, nil, b.floorCommand()...)
	if err != nil {
		return nil, err
	}
	return &node{c, target{url: c.address, region: floorRegion, credentials: floorCredentials, pid: c.cmd.Process.Pid}}, nil
}

// withFloor runs f beside a server over the store that reads and writes share,
// and the floor.
func (b *bench) withFloor(f func(ours, floor *node) error) error {
	dir, err := b.store(b.secrets, 1)
	if err != nil {
		return err
	}
	ours, err := b.serve(b.cpus.server, dir, showMetrics...)
	if err != nil {
		return err
	}
	defer ours.kill()
	floor, err := b.startFloor()
	if err != nil {
		return err
	}
	defer floor.kill()
	if err := f(ours, floor); err != nil {
		return err
	}
	return ours.stop()
}

// reads compares GetSecretValue with the floor's.
func (b *bench) reads() (section, error) {
	s := section{title: fmt.Sprintf("GetSecretValue, %s secrets of 1 KiB stored", thousands(b.secrets))}
	s.text = fmt.Sprintf(`Secrets are read at random, in a set of %s that are spread over all and fit the cache; then, over %d
connections, at random out of all, of which the cache of the default size holds a part.`, thousands(min(workingSet, b.secrets)), 16)
	t := s.table("connections", "azekura", "floor")
	err := b.withFloor(func(ours, floor *node) error {
		b.say("reading every secret, which notes the day of its first read ...")
		if err := ours.readAll(b, b.secrets); err != nil {
			return err
		}
		pick := spread(workingSet, b.secrets)
		if err := ours.warm(b, pick(0)); err != nil {
			return err
		}
		for _, connections := range []int{1, 16, 64} {
			name := fmt.Sprintf("%d", connections)
			if err := b.readPair(&s, t, name, ours, floor, connections, pick); err != nil {
				return err
			}
		}
		return b.readPair(nil, t, "16, out of all", ours, floor, 16, anywhere(5*workingSet, b.secrets))
	})
	return s, err
}

// readPair measures one load on both; goals go to s unless that is nil.
func (b *bench) readPair(s *section, t *table, name string, ours, floor *node, connections int, pick func(int) []int) error {
	b.say("GetSecretValue, %s ...", name)
	before, err := ours.scrape()
	if err != nil {
		return err
	}
	results, err := b.takeTurns(ours.reads(connections, pick), floor.reads(connections, pick))
	if err != nil {
		return err
	}
	after, err := ours.scrape()
	if err != nil {
		return err
	}
	hits, misses := after.since(before, `azekura_cache_hits_total{cache="secrets"}`), after.since(before, `azekura_cache_misses_total{cache="secrets"}`)
	b.say("... %.1f %% from the cache", 100*hits/(hits+misses))
	perSecond, cpu, p50, p99 := figures()
	if s == nil {
		name += fmt.Sprintf(" (%.0f %% from the cache)", 100*hits/(hits+misses))
		for _, f := range []figure{perSecond, cpu, p50, p99} {
			t.compare(name, f, results[0], results[1], nil)
		}
		t.busy(results[0], results[1])
		return nil
	}
	what := fmt.Sprintf("GetSecretValue, %s connections: ", name)
	if connections == 1 {
		what = "GetSecretValue, 1 connection: "
	}
	t.compare(name, perSecond, results[0], results[1], s.atLeast(what+"requests/s against the floor", results[0].over(results[1], perSecond), 0.75))
	t.compare(name, cpu, results[0], results[1], s.atMost(what+"CPU a request against the floor", results[0].over(results[1], cpu), 1.4))
	t.compare(name, p50, results[0], results[1], nil)
	t.compare(name, p99, results[0], results[1], s.atMost(what+"p99 against the floor", results[0].over(results[1], p99), 2))
	t.busy(results[0], results[1])
	return nil
}

// since is how much a counter has grown.
func (g gauge) since(before gauge, name string) float64 { return g[name] - before[name] }

package main

import (
	"errors"
	"fmt"
	"time"
)

// The store that the large one is compared with: in reads, so that both fit the
// cache, and in lists.
const (
	fewSecrets  = 1_000
	someSecrets = 10_000
)

// millionSecrets shows what the number of secrets changes.
func (b *bench) millionSecrets() (section, error) {
	s := section{title: thousands(b.million) + " secrets"}
	large, err := b.store(b.million, 1)
	if err != nil {
		return s, err
	}
	some, err := b.store(someSecrets, 1)
	if err != nil {
		return s, err
	}
	few, err := b.store(fewSecrets, 1)
	if err != nil {
		return s, err
	}
	t := s.table("comparison", thousands(b.million), "reference")
	if err := b.largeStart(&s, t, large); err != nil {
		return s, err
	}
	if err := b.readPass(&s, large); err != nil {
		return s, err
	}
	if err := b.largeReads(&s, t, large, few); err != nil {
		return s, err
	}
	return s, b.lists(&s, large, some)
}

func (b *bench) largeStart(s *section, t *table, large string) error {
	empty, err := b.store(1, 1)
	if err != nil {
		return err
	}
	ours, err := b.overStore(large)
	if err != nil {
		return err
	}
	reference, err := b.overStore(empty)
	if err != nil {
		return err
	}
	b.say("starting with %d secrets and with one, %d times ...", b.million, startRounds*b.rounds+1)
	times, err := b.startTimes(ours, reference)
	if err != nil {
		return err
	}
	compareStarts(s, t, "against an empty store", fmt.Sprintf("Start to first answer with %s secrets against an empty store's", thousands(b.million)),
		times[0], times[1], 2)
	return nil
}

// readPass reads every secret once, on all processors, and looks at the
// server's memory.
func (b *bench) readPass(s *section, large string) error {
	n, err := b.serve(b.cpus.all, large)
	if err != nil {
		return err
	}
	defer n.kill()
	b.say("reading every secret ...")
	began := time.Now()
	if err := n.readAll(b, b.million); err != nil {
		return err
	}
	took := time.Since(began)
	m, err := memoryOf(n.pid)
	if err != nil {
		return err
	}
	g := s.atMost(fmt.Sprintf("RSS after reading %s secrets, MB", thousands(b.million)), spreadOver([]float64{float64(m.now) / 1e6}), 200)
	s.note("Each of the %s secrets was read once, by 128 connections, in %v; the first read of a day is also noted in the store. Then the\n"+
		"server's RSS was %.0f MB, and %.0f MB at its highest; the target is %s: %s.", thousands(b.million), took.Round(time.Second),
		float64(m.now)/1e6, float64(m.peak)/1e6, g.target, g.verdict())
	return n.stop()
}

// largeReads compares reads with those of a store that the cache can hold.
func (b *bench) largeReads(s *section, t *table, large, few string) error {
	return b.both(large, few, func(ours, reference *node) error {
		const connections = 16
		if err := errors.Join(ours.warm(b, spread(fewSecrets, b.million)(0)), reference.warm(b, spread(fewSecrets, fewSecrets)(0))); err != nil {
			return err
		}
		b.say("GetSecretValue, %d secrets against %d ...", b.million, fewSecrets)
		results, err := b.takeTurns(
			ours.reads(connections, spread(fewSecrets, b.million)),
			reference.reads(connections, spread(fewSecrets, fewSecrets)),
			ours.reads(connections, anywhere(5*workingSet, b.million)))
		if err != nil {
			return err
		}
		perSecond, cpu, p50, p99 := figures()
		s.text = fmt.Sprintf(`Reads over %d connections: of a set of %s, which the cache holds, spread over all secrets, against a store that has no more; and
of secrets at random out of all, of which hardly any is in the cache of the default size, against the same.`, connections, thousands(fewSecrets))
		name := fmt.Sprintf("reads of %s of them, against %s stored", thousands(fewSecrets), thousands(fewSecrets))
		what := fmt.Sprintf("GetSecretValue with %s secrets against %s: requests/s", thousands(b.million), thousands(fewSecrets))
		t.compare(name, perSecond, results[0], results[1], s.atLeast(what, results[0].over(results[1], perSecond), 0.85))
		for _, f := range []figure{cpu, p50, p99} {
			t.compare(name, f, results[0], results[1], nil)
		}
		name = "reads out of all, against the same"
		for _, f := range []figure{perSecond, cpu, p50, p99} {
			t.compare(name, f, results[2], results[1], nil)
		}
		return nil
	})
}

// both runs f beside two servers, which share the server's processor by turns.
func (b *bench) both(first, second string, f func(first, second *node) error) error {
	one, err := b.serve(b.cpus.server, first, showMetrics...)
	if err != nil {
		return err
	}
	defer one.kill()
	other, err := b.serve(b.cpus.server, second, showMetrics...)
	if err != nil {
		return err
	}
	defer other.kill()
	if err := f(one, other); err != nil {
		return err
	}
	if err := one.stop(); err != nil {
		return err
	}
	return other.stop()
}

package main

import (
	"fmt"
	"slices"
	"time"
)

// A series is what one of several loads measured, round by round.
type series []sample

// takeTurns runs loads by turns. The first round warms up and does not count;
// every other round goes the other way, so that no load always has the same one
// before it.
func (b *bench) takeTurns(loads ...load) ([]series, error) {
	results := make([]series, len(loads))
	for round := range b.rounds + 1 {
		order := make([]int, len(loads))
		for i := range order {
			order[i] = i
		}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, i := range order {
			s, err := loads[i].run(round, b.duration)
			if err != nil {
				return nil, fmt.Errorf("load %d of %d: %w", i+1, len(loads), err)
			}
			if round > 0 {
				results[i] = append(results[i], s)
			}
		}
	}
	return results, nil
}

// A figure is one thing of a sample, in the unit that it is shown in.
type figure struct {
	name, unit string
	of         func(sample) float64
}

func figures() (perSecond, cpu, p50, p99 figure) {
	micro := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	return figure{"requests/s", "", func(s sample) float64 { return s.perSecond }},
		figure{"CPU a request", " µs", func(s sample) float64 { return micro(s.cpu) }},
		figure{"p50", " ms", func(s sample) float64 { return micro(s.p50) / 1e3 }},
		figure{"p99", " ms", func(s sample) float64 { return micro(s.p99) / 1e3 }}
}

func (s series) all(f figure) []float64 {
	var values []float64
	for _, one := range s {
		values = append(values, f.of(one))
	}
	return values
}

// over is the ratio of two series in one thing, round by round.
func (s series) over(reference series, f figure) spreadOf {
	var ratios []float64
	for i := range s {
		ratios = append(ratios, f.of(s[i])/f.of(reference[i]))
	}
	return spreadOver(ratios)
}

// A spreadOf is the median of some values, with the least and the most.
type spreadOf struct{ low, median, high float64 }

func spreadOver(values []float64) spreadOf {
	sorted := slices.Sorted(slices.Values(values))
	middle := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		middle = (middle + sorted[len(sorted)/2-1]) / 2
	}
	return spreadOf{sorted[0], middle, sorted[len(sorted)-1]}
}

func (s spreadOf) String() string {
	return fmt.Sprintf("%s (%s to %s)", short(s.median), short(s.low), short(s.high))
}

func (s series) median(f figure) float64 { return spreadOver(s.all(f)).median }

// short is a number with three digits, or with all before the point.
func short(x float64) string {
	if x >= 100 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

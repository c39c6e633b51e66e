package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cpuTime is the processor time that a process has used, from /proc.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command's name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// median, with the least and the most.
func spread(values []float64) (low, middle, high float64) {
	slices.Sort(values)
	return values[0], values[len(values)/2], values[len(values)-1]
}

func (p pair) ratio(of func(sample) float64) string {
	var ratios []float64
	for i := range p.ours {
		ratios = append(ratios, of(p.ours[i])/of(p.floor[i]))
	}
	low, middle, high := spread(ratios)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", middle, low, high)
}

func middle(samples []sample, of func(sample) float64) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, of(s))
	}
	_, m, _ := spread(values)
	return m
}

func perSecond(s sample) float64 { return s.perSecond }
func cpu(s sample) float64       { return float64(s.cpu.Nanoseconds()) / 1e3 }
func p50(s sample) float64       { return float64(s.p50.Nanoseconds()) / 1e6 }
func p99(s sample) float64       { return float64(s.p99.Nanoseconds()) / 1e6 }

const preface = `# Performance

Made by ` + "`make bench`" + `, which overwrites this page. The floor is a bare net/http server of about 150 lines
(` + "`test/bench/floor.go`" + `) that verifies the same signature, decrypts 1 KiB with AES-256-GCM and writes the same JSON; its
PutSecretValue appends to a file and syncs it, once a request. It has no store, no policy and no second secret.

Server and load generator have a processor each; the two servers take turns, run by run. Trust the ratios, not the
absolute figures: a ratio is taken within a round, and the table shows its median, with the least and the most.
`

func render(pairs []pair) string {
	var b strings.Builder
	b.WriteString(preface)
	fmt.Fprintf(&b, "\n%d rounds of %v, %d secrets of 1 KiB, %s. Every setting is the default: each request of ours is\nlogged, to a file.\n", *rounds, *duration, *secrets, runtime.Version())
	fmt.Fprintf(&b, "\n| operation | connections | requests/s | floor | ratio | CPU µs | floor | ratio | p50 ms | floor | p99 ms | floor | ratio |\n")
	fmt.Fprintf(&b, "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range pairs {
		fmt.Fprintf(&b, "| %s | %d | %.0f | %.0f | %s | %.0f | %.0f | %s | %.2f | %.2f | %.2f | %.2f | %s |\n", p.op, p.connections,
			middle(p.ours, perSecond), middle(p.floor, perSecond), p.ratio(perSecond),
			middle(p.ours, cpu), middle(p.floor, cpu), p.ratio(cpu),
			middle(p.ours, p50), middle(p.floor, p50),
			middle(p.ours, p99), middle(p.floor, p99), p.ratio(p99))
	}
	return b.String()
}

// Command bench measures the server against its floor, a bare net/http server
// that does the least a server of this API can do, and against itself in other
// circumstances, and writes docs/performance.md.
//
// Whatever is compared takes turns, run by run, so that a machine whose speed
// drifts drifts for all; what counts is the ratio within a round, and its
// median.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	server   string // the binary
	floor    string // likewise
	only     string
	report   string
	dir      string
	stores   string
	rounds   int
	duration time.Duration
	secrets  int
	million  int
}

const wholeReport = "docs/performance.md"

func parse() settings {
	var s settings
	flag.StringVar(&s.server, "server", "bin/azekura", "the server's binary, as make build makes it")
	flag.StringVar(&s.floor, "floor", ".cache/floor", "the floor's binary, of test/bench/floor")
	flag.StringVar(&s.only, "only", "", "sections to run, separated by commas, instead of all: "+strings.Join(names(), ","))
	flag.StringVar(&s.report, "report", wholeReport, "the file to write")
	flag.StringVar(&s.dir, "dir", ".cache", "where a directory for the data is made, on the file system that is to be measured")
	flag.StringVar(&s.stores, "stores", "", "keep the filled stores there for a next run, and use those that are there")
	flag.IntVar(&s.rounds, "rounds", 5, "how often everything is measured, after a first time that does not count")
	flag.DurationVar(&s.duration, "duration", 2*time.Second, "how long one run of a load takes")
	flag.IntVar(&s.secrets, "secrets", 100_000, "how many secrets are stored for reads and writes")
	flag.IntVar(&s.million, "million", 1_000_000, "how many secrets a large store has")
	flag.Parse()
	return s
}

// A part is one section of the report, as it is run.
type part struct {
	name string
	run  func(*bench) (section, error)
}

func parts() []part {
	return []part{
		{"start", (*bench).start},
		{"reads", (*bench).reads},
		{"writes", (*bench).writes},
		{"access", (*bench).access},
		{"keys", (*bench).keys},
		{"postgres", (*bench).postgres},
		{"rotation", (*bench).rotation},
		{"million", (*bench).millionSecrets},
		{"tls", (*bench).tls},
	}
}

func names() []string {
	var all []string
	for _, p := range parts() {
		all = append(all, p.name)
	}
	return all
}

func main() {
	if err := measure(parse()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure runs the sections that are asked for and writes the report.
func measure(s settings) (err error) {
	chosen, err := s.chosen()
	if err != nil {
		return err
	}
	cpus, err := pinGenerator()
	if err != nil {
		return err
	}
	b := &bench{settings: s, cpus: cpus}
	if err := b.check(chosen); err != nil {
		return err
	}
	if b.work, err = os.MkdirTemp(s.dir, "bench-"); err != nil {
		return err
	}
	if b.work, err = filepath.Abs(b.work); err != nil {
		return err
	}
	defer b.cleanUp()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-interrupted
		b.cleanUp()
		os.Exit(1)
	}()
	r := report{machine: b.machine(), settings: s, began: time.Now()}
	for _, p := range chosen {
		b.say("%s:", p.name)
		result, err := p.run(b)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		r.sections = append(r.sections, result)
	}
	r.took = time.Since(r.began)
	text := r.render()
	fmt.Print(text)
	return os.WriteFile(s.report, []byte(text), 0o644)
}

// chosen is the sections to run, in their order. A part of them may not
// overwrite the report of a whole run.
func (s settings) chosen() ([]part, error) {
	all := parts()
	if s.only == "" {
		return all, nil
	}
	if filepath.Clean(s.report) == wholeReport {
		return nil, fmt.Errorf("-only %s: %s is always one whole run; give another file with -report", s.only, wholeReport)
	}
	wanted := strings.Split(s.only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("-only %s: there is no section %q; there are %s", s.only, name, strings.Join(names(), ","))
		}
	}
	return slices.DeleteFunc(all, func(p part) bool { return !slices.Contains(wanted, p.name) }), nil
}

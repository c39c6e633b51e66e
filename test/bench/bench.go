package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"azekura/internal/store/storetest/postgres"
)

// A bench is one run of the program.
type bench struct {
	settings
	cpus processors
	work string // for what this run leaves behind, absolute

	mu       sync.Mutex
	children []*child // to be ended whatever happens
}

// say tells who waits what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// check refuses at once what would fail after twenty minutes.
func (b *bench) check(chosen []part) error {
	for _, program := range []string{b.server, b.floor} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("look for what is measured: %w; make bench builds it", err)
		}
	}
	if b.rounds < 1 || b.duration <= 0 || b.secrets < 1000 || b.million < 10_000 {
		return errors.New("it takes at least one round, some duration, 1,000 -secrets and 10,000 for -million")
	}
	if slices.ContainsFunc(chosen, func(p part) bool { return p.name == "postgres" }) {
		server, err := postgres.Start()
		if err != nil {
			return err
		}
		return server.Close()
	}
	return nil
}

// launch starts a server on some processors and waits until it listens.
func (b *bench) launch(cpus []int, log *os.File, env []string, command ...string) (*child, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = log
	c, err := launch(cpus, cmd)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.children = append(b.children, c)
	return c, nil
}

// cleanUp ends what still runs and removes what this run has written.
func (b *bench) cleanUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.children {
		c.kill()
	}
	b.children = nil
	os.RemoveAll(b.work)
}

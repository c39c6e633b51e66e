package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// processors says who runs where: what is measured has one, the load generator
// another. What is not measured, such as filling a store, may use all.
type processors struct {
	server, generator []int
	all               []int
}

const processorsVariable = "AZEKURA_BENCH_PROCESSORS"

// pinGenerator binds this program to the second of the processors that it may
// use. It starts the program again for that, because Go's threads are there
// already and its scheduler has counted the processors.
func pinGenerator() (processors, error) {
	if list := os.Getenv(processorsVariable); list != "" {
		return parseProcessors(list)
	}
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return processors{}, fmt.Errorf("ask for the processors: %w", err)
	}
	var list []string
	for cpu := range len(may) * 64 {
		if may.IsSet(cpu) {
			list = append(list, strconv.Itoa(cpu))
		}
	}
	p, err := parseProcessors(strings.Join(list, ","))
	if err != nil {
		return p, err
	}
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	return p, onProcessors(p.generator, func() error {
		return syscall.Exec(self, os.Args, append(os.Environ(), processorsVariable+"="+strings.Join(list, ",")))
	})
}

func parseProcessors(list string) (p processors, err error) {
	for text := range strings.SplitSeq(list, ",") {
		cpu, err := strconv.Atoi(text)
		if err != nil {
			return p, fmt.Errorf("read %s: %w", processorsVariable, err)
		}
		p.all = append(p.all, cpu)
	}
	if len(p.all) < 2 {
		return p, errors.New("it takes two processors, one for the server and one for the load")
	}
	p.server, p.generator = p.all[:1], p.all[1:2]
	return p, nil
}

// onProcessors calls f on a thread that is bound to some processors; a process
// that f starts inherits that. taskset would do the same for a millisecond
// more, which is a part of what a start takes.
func onProcessors(cpus []int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, now unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("ask for the thread's processors: %w", err)
	}
	for _, cpu := range cpus {
		now.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &now); err != nil {
		return fmt.Errorf("bind to processors %v: %w", cpus, err)
	}
	defer unix.SchedSetaffinity(0, &before)
	return f()
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A child is a server that runs: ours or the floor.
type child struct {
	address string // URL

	cmd     *exec.Cmd
	exited  chan error
	metrics chan string // the URL, if it serves any
	ending  sync.Mutex
}

// launch starts a server and waits until it says where it listens.
func launch(cpus []int, cmd *exec.Cmd) (*child, error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := onProcessors(cpus, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c := &child{cmd: cmd, exited: make(chan error, 1), metrics: make(chan string, 1)}
	listening := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				listening <- url
			}
			if url, ok := strings.CutPrefix(lines.Text(), "metrics on "); ok {
				c.metrics <- url
			}
		}
		close(listening)
		c.exited <- cmd.Wait()
		close(c.exited)
	}()
	if c.address = <-listening; c.address == "" {
		return nil, errors.Join(fmt.Errorf("start %s: it did not listen", cmd.Path), <-c.exited)
	}
	return c, nil
}

// stop ends the server as a user does.
func (c *child) stop() error {
	c.ending.Lock()
	defer c.ending.Unlock()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := <-c.exited; err != nil {
		return fmt.Errorf("stop %s: %w", c.cmd.Path, err)
	}
	return nil
}

// end ends the server in order if it knows how to; the floor does not.
func (c *child) end() {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.cmd.Process.Signal(syscall.SIGTERM)
	<-c.exited
}

// kill ends the server, if it still runs.
func (c *child) kill() {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.cmd.Process.Kill()
	<-c.exited
}

// cpuTime is the processor time that a process has used, with its threads that
// have ended: the clock that clock_getcpuclockid(3) names, whose unit is a
// nanosecond. /proc/PID/stat counts ticks of ten milliseconds.
func cpuTime(pid int) (time.Duration, error) {
	const schedulerClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedulerClock), &t); err != nil {
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// A memory is what a process has of it in RAM, in bytes.
type memory struct{ now, peak int64 }

func memoryOf(pid int) (m memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var to *int64
		switch name {
		case "VmRSS":
			to = &m.now
		case "VmHWM":
			to = &m.peak
		default:
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, err
		}
		*to = n << 10
	}
	return m, nil
}

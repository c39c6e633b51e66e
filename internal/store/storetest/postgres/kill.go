package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill ends the server as the loss of its machine does, but for what the
// kernel still writes: kill -9 for all of its processes, of which none can
// clean up. It returns when they have gone. The data stays for Restart.
func (s *Server) Kill() error {
	server, err := s.process()
	if err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	// Stopped, the parent neither makes another process nor sees one die.
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	if err := awaitState(server, 'T'); err != nil {
		return err
	}
	family, err := children(server)
	if err != nil {
		return err
	}
	family = append(family, server)
	for _, pid := range family {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill PostgreSQL: %w", err)
		}
	}
	for _, pid := range family {
		if err := awaitState(pid, 'Z'); err != nil {
			return err
		}
	}
	return nil
}

// process is the first line of the file that the server keeps while it runs.
func (s *Server) process() (int, error) {
	content, err := os.ReadFile(filepath.Join(s.Dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return strconv.Atoi(line)
}

// awaitState waits until a process is in a state, or is gone.
func awaitState(pid int, state byte) error {
	for range 10_000 {
		p, err := status(pid)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) || err == nil && (p.state == state || p.state == 'Z') {
			return nil
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("process %d of PostgreSQL did not come to the state %c", pid, state)
}

// children lists the processes that a process has started and that are there
// still. They have process groups of their own, and cannot be killed as one.
func children(parent int) (pids []int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(file))
		if err != nil {
			return nil, err
		}
		// One that cannot be read is none of ours, or has just gone.
		if p, err := status(pid); err == nil && p.parent == parent {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

type processStatus struct {
	state  byte // as proc(5) has it
	parent int
}

func status(pid int) (p processStatus, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	// The second field, the name in parentheses, may hold anything.
	after := string(text[strings.LastIndexByte(string(text), ')')+1:])
	if _, err := fmt.Sscanf(after, " %c %d", &p.state, &p.parent); err != nil {
		return p, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	return p, nil
}

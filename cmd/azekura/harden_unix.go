//go:build unix && !linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps the process's memory and files to itself.
func harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// harden keeps the process's memory and files to itself. The core limit alone
// would not do: where core_pattern is a pipe (systemd-coredump, apport) Linux
// ignores it, and the crash of a process that holds keys would be written out.
// A process that is not dumpable is not dumped at all, and cannot be attached
// to by the same user's other processes.
func harden() error {
	unix.Umask(0o077)
	if err := limitCore(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process not dumpable: %w", err)
	}
	return nil
}

// allowCoreDumps undoes what harden does about them, for who looks for a fault.
func allowCoreDumps(log *slog.Logger) error {
	if err := unlimitCore(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process dumpable: %w", err)
	}
	log.Warn("core dumps are allowed: one holds every key of the server, and values that it is serving")
	return nil
}

// hasSwap says whether the system has any, as far as it tells.
func hasSwap() bool {
	text, err := os.ReadFile("/proc/swaps")
	return err != nil || strings.Count(string(text), "\n") > 1 // below its headline
}

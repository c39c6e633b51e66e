package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps the process's memory and files to itself. The core limit alone
// would not do: where core_pattern is a pipe (systemd-coredump, apport) Linux
// ignores it, and the crash of a process that holds keys would be written out.
// A process that is not dumpable is not dumped at all, and cannot be attached
// to by the same user's other processes.
func harden() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make the process not dumpable: %w", err)
	}
	return nil
}

//go:build unix && !linux

package main

import (
	"log/slog"

	"golang.org/x/sys/unix"
)

// harden keeps the process's memory and files to itself.
func harden() error {
	unix.Umask(0o077)
	return limitCore()
}

// allowCoreDumps undoes what harden does about them, for who looks for a fault.
func allowCoreDumps(log *slog.Logger) error {
	if err := unlimitCore(); err != nil {
		return err
	}
	log.Warn("core dumps are allowed: one holds every key of the server, and values that it is serving")
	return nil
}

func hasSwap() bool { return true }

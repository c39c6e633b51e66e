//go:build unix

package main

import (
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"azekura/internal/pagelock"
)

// limitCore forbids core dumps. The hard limit stays, by which they can be
// allowed again.
func limitCore() error { return setCore(func(limit *unix.Rlimit) { limit.Cur = 0 }) }

func unlimitCore() error { return setCore(func(limit *unix.Rlimit) { limit.Cur = limit.Max }) }

// forbidCore forbids core dumps for good.
func forbidCore() error { return setCore(func(limit *unix.Rlimit) { *limit = unix.Rlimit{} }) }

func setCore(change func(*unix.Rlimit)) error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	if err == nil {
		change(&limit)
		err = unix.Setrlimit(unix.RLIMIT_CORE, &limit)
	}
	if err != nil {
		return fmt.Errorf("set the limit for core dumps: %w", err)
	}
	return nil
}

// guardMemory says once what becomes of the server's memory: whether it may be
// dumped, which is as coreDumps says, and whether it may be swapped out.
func guardMemory(log *slog.Logger, coreDumps bool) error {
	switch err := pagelock.All(); {
	case err == nil:
		log.Debug("all memory is locked, and stays out of swap")
	case hasSwap():
		log.Warn("memory may be swapped out, but for the root key and the keyring where they fit into the limit: give LimitMEMLOCK=infinity (systemd) "+
			"or --ulimit memlock=-1 (containers), or encrypt the swap, or turn it off", "lock", err)
	default:
		log.Debug("memory is not locked; there is no swap", "lock", err)
	}
	if coreDumps {
		return allowCoreDumps(log)
	}
	return forbidCore()
}

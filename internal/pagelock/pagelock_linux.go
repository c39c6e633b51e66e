package pagelock

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All locks all memory of the process, what it has now and what it gets later,
// as it is first touched: what is reserved only takes nothing. The error is
// ErrForbidden if the system has a limit for that.
//
// Under a limit nothing is done: what is mapped beyond it later, by Go's
// runtime too, would fail, and end the process.
func All() error {
	if !unlimited() {
		return ErrForbidden
	}
	return translate(unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT))
}

// unlimited says whether the process may lock as much as it likes. Who has
// CAP_IPC_LOCK in a user namespace only has a limit all the same, so the one
// way to know is to try: a mapping that nobody touches takes nothing.
func unlimited() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return false
	}
	if limit.Cur == unix.RLIM_INFINITY {
		return true
	}
	const most = 1 << 40
	if limit.Cur > most {
		return false
	}
	beyond, err := unix.Mmap(-1, 0, int(limit.Cur)+unix.Getpagesize(), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return false
	}
	defer unix.Munmap(beyond)
	_, _, failed := unix.Syscall(unix.SYS_MLOCK2, base(beyond), uintptr(len(beyond)), unix.MLOCK_ONFAULT)
	return failed == 0
}

func lock(b []byte) error { return translate(unix.Mlock(b)) }

func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.EPERM), errors.Is(err, unix.EAGAIN):
		return ErrForbidden
	}
	return fmt.Errorf("lock memory: %w", err)
}

func base(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

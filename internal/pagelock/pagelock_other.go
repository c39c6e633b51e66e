//go:build !linux

package pagelock

import "golang.org/x/sys/unix"

// All would lock all memory of the process. It is ErrForbidden here: other
// systems count what is reserved and never touched, of which Go has much.
func All() error { return ErrForbidden }

func lock(b []byte) error {
	if unix.Mlock(b) != nil {
		return ErrForbidden
	}
	return nil
}

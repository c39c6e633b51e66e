package pagelock

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is like what holds keys: a cipher of the standard library, behind an
// interface and types that nobody else sees, and bytes.
type ring struct {
	aead   cipher.AEAD
	parent *[32]byte
	more   []any
	self   *ring
	nobody *ring
}

// The schedule of a key is found where the library keeps it, and its pages are
// locked.
func TestHold(t *testing.T) {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	r := &ring{aead: aead, parent: new([32]byte), more: []any{new([64]byte), nil, 1}}
	r.self = r
	h := holder{seen: map[unsafe.Pointer]uintptr{}}
	h.value(reflect.ValueOf(r))
	if errors.Is(h.err, ErrForbidden) {
		t.Skip(h.err)
	}
	if h.err != nil {
		t.Fatal(h.err)
	}
	locked := lockedRanges(t)
	found := false
	for at, size := range h.seen {
		if !locked(uintptr(at)) {
			t.Errorf("%v is not locked", at)
		}
		found = found || bytes.Contains(unsafe.Slice((*byte)(at), size), key)
	}
	if !found {
		t.Error("the key's schedule was not found")
	}
	if len(h.seen) < 5 {
		t.Errorf("saw %d pieces of memory", len(h.seen))
	}
	runtime.KeepAlive(r)
}

// lockedRanges says of an address whether it is in a mapping that is locked.
func lockedRanges(t *testing.T) func(uintptr) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	type mapping struct{ from, to uintptr }
	var here mapping
	var all []mapping
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var m mapping
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &m.from, &m.to); n == 2 {
			here = m
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && strings.Contains(flags+" ", " lo ") {
			all = append(all, here)
		}
	}
	return func(at uintptr) bool {
		for _, m := range all {
			if m.from <= at && at < m.to {
				return true
			}
		}
		return false
	}
}

// Under a limit nothing is begun that later ends the process.
func TestAllUnderALimit(t *testing.T) {
	runtime.LockOSThread() // and never unlock it: the thread ends with its capabilities
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 0, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &before)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	if err := All(); !errors.Is(err, ErrForbidden) {
		t.Errorf("All: %v", err)
	}
	if err := Hold(new([16]byte)); !errors.Is(err, ErrForbidden) {
		t.Errorf("Hold: %v", err)
	}
}

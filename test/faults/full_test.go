package faults

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"azekura/test/process"
)

// On a full disk changes are refused with an error that clients try again, and
// reads go on. When there is room the same server takes changes again.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=200m,mode=0700"); err != nil {
		t.Skipf("no file system of a limited size: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	dir := filepath.Join(disk, "data")
	s := start(t, dir)
	create(t, s, "s")
	l := startLoad(t, s, "l")
	for round := range 3 {
		l.await(t, 100)
		ballast := filepath.Join(disk, "ballast")
		os.WriteFile(ballast, make([]byte, 200<<20), 0o600) // as much of it as there is room for
		eventuallyRefused(t, s, round)
		call(t, s, "GetSecretValue", get("s"))
		call(t, s, "ListSecrets", map[string]any{"MaxResults": 100})
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		l.await(t, 100)
		create(t, s, fmt.Sprintf("after-%d", round))
	}
	l.end()
	l.check(t, s)
	s.Kill()
	if !strings.Contains(s.Log(), "the disk is full: free some space") {
		t.Errorf("the log does not say what is wrong:\n%.2000s", s.Log())
	}
	s = start(t, dir)
	l.check(t, s)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// eventuallyRefused makes changes until one is refused for want of room. A
// little may still fit into what the database has set aside.
func eventuallyRefused(t *testing.T, s *process.Server, round int) {
	t.Helper()
	n := 0
	eventually(t, "a refusal", func() bool {
		n++
		in := map[string]any{"Name": fmt.Sprintf("f-%d-%d", round, n), "SecretString": strings.Repeat("f", 60_000), "ClientRequestToken": strings.Repeat("f", 32)}
		err := s.Call(t.Context(), http.DefaultClient, "CreateSecret", in, nil)
		refusal, refused := errors.AsType[*process.Refusal](err)
		if err != nil && (!refused || refusal.Status != http.StatusInternalServerError) {
			t.Fatalf("a change on a full disk: %v", err)
		}
		return refused
	})
}

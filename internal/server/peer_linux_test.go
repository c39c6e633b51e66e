package server_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"azekura/internal/server"
	"azekura/internal/server/servertest"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// Who is another user gets no word from the server, even where somebody has
// opened the directory and the socket to all.
func TestBackupDoorIsForItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to become another user takes root")
	}
	dir, err := os.MkdirTemp("", "azekura-door-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg := servertest.Config(t)
	cfg.DataDir = dir
	servertest.Start(t, cfg)
	socket := filepath.Join(dir, "azekura.sock")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := knockAs(t, 0, socket); !strings.HasPrefix(got, "HTTP/1.1 404") {
		t.Errorf("root got %q", got)
	}
	if got := knockAs(t, nobody, socket); got != "" {
		t.Errorf("another user got %q", got)
	}
}

// knockAs asks for what is not there as the user uid. Only one thread changes
// its user; it ends with its goroutine, since it is never unlocked.
func knockAs(t *testing.T, uid int, socket string) string {
	answer := make(chan string)
	go func() {
		runtime.LockOSThread()
		defer close(answer)
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
			t.Error(e)
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
			t.Error(err)
			return
		}
		conn := os.NewFile(uintptr(fd), "socket")
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		text, _ := io.ReadAll(conn) // a reset is an end, too
		answer <- string(text)
	}()
	return <-answer
}

// Two who ask at once both get a backup, one after the other.
func TestBackupsQueue(t *testing.T) {
	s := servertest.New(t)
	s.MustCall(t, "CreateSecret", map[string]any{"Name": "a", "SecretString": "b"})
	done := make(chan error, 4)
	folder := t.TempDir()
	for i := range cap(done) {
		go func() {
			_, err := server.Backup(t.Context(), server.Config{DataDir: s.Config.DataDir, Version: ""}, filepath.Join(folder, strconv.Itoa(i)))
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != cap(done) {
		t.Errorf("%d files, %v", len(files), err)
	}
}

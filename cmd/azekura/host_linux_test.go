package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount gives the test a file system of its own, or skips it where that takes
// rights that the test does not have.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// refusedWith runs a server that must not start, and wants one line.
func refusedWith(t *testing.T, want string, args ...string) {
	t.Helper()
	p, err := launch(t.TempDir(), os.Environ(), append([]string{"server", "--listen", "127.0.0.1:0"}, args...)...)
	if err == nil {
		p.kill()
		t.Fatal("the server started")
	}
	said := p.stderr.String()
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.HasPrefix(said, "azekura: ") || strings.Count(said, "\n") != 1 || !strings.Contains(said, want) {
		t.Errorf("it said %q, want one line with %q", said, want)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	disk := mount(t, "size=16m,mode=0700")
	used := filepath.Join(disk, "used")
	if err := start(t, "--data-dir", used).stop(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("remount read-only: %v", err)
	}
	refusedWith(t, "read-only", "--data-dir", filepath.Join(disk, "new"))
	refusedWith(t, "read-only", "--data-dir", used)
}

func TestFullDisk(t *testing.T) {
	disk := mount(t, "size=64k,mode=0700")
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for chunk := make([]byte, 4096); ; {
		if _, err := filler.Write(chunk); err != nil {
			break
		}
	}
	refusedWith(t, "free some space", "--data-dir", filepath.Join(disk, "data"))

	// With a little room the database does not fit either.
	if err := filler.Truncate(32 << 10); err != nil {
		t.Fatal(err)
	}
	refusedWith(t, "full", "--data-dir", filepath.Join(disk, "data"))

	// When there is room again the same first start is completed.
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Skipf("grow the disk: %v", err)
	}
	if err := start(t, "--data-dir", filepath.Join(disk, "data")).stop(); err != nil {
		t.Error(err)
	}
}

// A backup that finds no room, for itself or for the copy it is made from, says
// so and leaves the one of before.
func TestBackupToAFullDisk(t *testing.T) {
	disk, dir := mount(t, "size=2m,mode=0700"), filepath.Join(t.TempDir(), "data")
	start(t, "--data-dir", dir)
	file := filepath.Join(disk, "kept.backup")
	azekura(t, "backup", file, "--data-dir", dir)
	big := map[string]any{"Name": "", "SecretString": strings.Repeat("x", 60000)}
	for i := range 40 {
		big["Name"] = strconv.Itoa(i)
		mustDo(t, administrator(t, dir), "CreateSecret", big)
	}
	out, err := exec.Command("azekura", "backup", file, "--data-dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the disk is full, free some space") {
		t.Errorf("no room for the backup: %v, %s", err, out)
	}
	azekura(t, "backup", "verify", file, "--root-key", filepath.Join(dir, "root-key"))
	if left, err := os.ReadDir(disk); err != nil || len(left) != 1 {
		t.Errorf("left on the disk: %v, %v", left, err)
	}

	small := mount(t, "size=12m,mode=0700")
	p := start(t, "--data-dir", filepath.Join(small, "data"))
	admin := administrator(t, filepath.Join(small, "data"))
	for i := range 30 {
		big["Name"] = strconv.Itoa(i)
		mustDo(t, admin, "CreateSecret", big)
	}
	filler := filepath.Join(small, "filler")
	os.WriteFile(filler, make([]byte, 12<<20), 0o600) // as much of it as there is room for
	out, err = exec.Command("azekura", "backup", filepath.Join(t.TempDir(), "kept.backup"), "--data-dir", filepath.Join(small, "data")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the server made no backup: back up: copy the database to") || !strings.Contains(string(out), "the disk is full: free some space") {
		t.Errorf("no room for the copy: %v, %s", err, out)
	}
	mustDo(t, admin, "GetSecretValue", map[string]any{"SecretId": "7"})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	azekura(t, "backup", filepath.Join(t.TempDir(), "kept.backup"), "--data-dir", filepath.Join(small, "data"))
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestProcessKeepsToItself(t *testing.T) {
	p := start(t, "--data-dir", filepath.Join(t.TempDir(), "data"))
	proc := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	for file, line := range map[string]string{
		"status": `(?m)^Umask:\s+0077$`,
		"limits": `(?m)^Max core file size\s+0\s+0\s`,
	} {
		text, err := os.ReadFile(filepath.Join(proc, file))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(line).Match(text) {
			t.Errorf("%s has no line like %s", file, line)
		}
	}
}

// What memory may be written to a disk: none, or the log says so.
func TestMemoryStaysInMemory(t *testing.T) {
	p := start(t, "--data-dir", filepath.Join(t.TempDir(), "data"), "--log-level", "debug")
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	locked := !regexp.MustCompile(`(?m)^VmLck:\s+0 kB$`).Match(status)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	said := p.stderr.String()
	if all := strings.Contains(said, "all memory is locked"); all && !locked {
		t.Errorf("it says that its memory is locked; the system says:\n%s", status)
	} else if told := strings.Contains(said, "may be swapped out") || strings.Contains(said, "there is no swap"); !all && !told {
		t.Errorf("its memory is not locked, and it says\n%s", said)
	}
}

// Core dumps are for who asks for them, and is warned.
func TestCoreDumps(t *testing.T) {
	p := start(t, "--data-dir", filepath.Join(t.TempDir(), "data"), "--core-dumps")
	proc := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid))
	limits, err := os.ReadFile(filepath.Join(proc, "limits"))
	if err != nil {
		t.Fatal(err)
	}
	var mine unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &mine); err != nil {
		t.Fatal(err)
	}
	if mine.Max > 0 && regexp.MustCompile(`(?m)^Max core file size\s+0\s`).Match(limits) {
		t.Errorf("its core dumps are limited:\n%s", limits)
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	if said := p.stderr.String(); !strings.Contains(said, "core dumps are allowed") {
		t.Errorf("it says\n%s", said)
	}
}

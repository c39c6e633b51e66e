package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes where this run takes place.
func (b *bench) machine() machine {
	m := machine{processors: len(b.cpus.all), processor: procField("/proc/cpuinfo", "model name"), memory: procField("/proc/meminfo", "MemTotal"),
		kernel: "of unknown version", disk: fileSystem(b.work), server: b.server}
	var kb float64
	if _, err := fmt.Sscanf(m.memory, "%f kB", &kb); err == nil {
		m.memory = fmt.Sprintf("%.0f GB", kb*1024/1e9)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		m.kernel = unix.ByteSliceToString(name.Release[:])
	}
	if out, err := exec.Command(b.server, "version").Output(); err == nil {
		m.server = strings.TrimSpace(string(out))
	}
	return m
}

// procField is the first value of a name in a file of /proc.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// fileSystem is the type and device of the file system that a directory is on:
// of the mounts above it, the nearest.
// https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts
func fileSystem(dir string) string {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "an unknown file system"
	}
	found, nearest := "an unknown file system", ""
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if !ok || len(where) < 5 || len(what) < 2 {
			continue
		}
		inside, err := filepath.Rel(where[4], dir)
		if err != nil || inside == ".." || strings.HasPrefix(inside, "../") || len(where[4]) < len(nearest) {
			continue
		}
		found, nearest = fmt.Sprintf("%s (%s)", what[0], what[1]), where[4]
	}
	return found
}

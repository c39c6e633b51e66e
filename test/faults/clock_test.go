package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/sigv4"
	"azekura/test/process"
)

// A clock is the wall clock of a server that was built to have one that jumps.
type clock struct {
	file   string
	offset atomic.Int64 // seconds
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load()) * time.Second) }

func (c *clock) jump(t *testing.T, offset time.Duration) {
	t.Helper()
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], uint64(offset/time.Second))
	f, err := os.OpenFile(c.file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b[:], 0); err != nil {
		t.Fatal(err)
	}
	c.offset.Store(int64(offset / time.Second))
}

// jumping is added to package time: the seconds in the file that the variable
// names, which is mapped into memory so that a jump takes effect at once.
const jumping = `package time

import (
	"syscall"
	"unsafe"
)

var jumpedBy = func() *int64 {
	path, ok := syscall.Getenv("FAULTS_CLOCK")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	page, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&page[0]))
}()
`

// buildWithClock builds the server over a standard library whose time.Now adds
// what the clock has jumped by. The monotonic clock, which timers go by, does
// not jump, as it does not on a machine.
func buildWithClock(t *testing.T) (bin string, c *clock) {
	t.Helper()
	dir := t.TempDir()
	output := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.Output()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("%s: %v\n%s", name, err, exit.Stderr)
		} else if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	folder := filepath.Join(output("go", "env", "GOROOT"), "src", "time")
	source, err := os.ReadFile(filepath.Join(folder, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const reading = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), reading) != 1 {
		t.Fatal("this Go's time.Now is not the one that the test knows how to change: adapt the test")
	}
	source = []byte(strings.Replace(string(source), reading, reading+"\tsec += *jumpedBy\n", 1))
	files := map[string]string{}
	for name, text := range map[string][]byte{"time.go": source, "jumping.go": []byte(jumping)} {
		files[filepath.Join(folder, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	bin = filepath.Join(dir, "azekura")
	output("go", "build", "-trimpath", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "azekura/cmd/azekura")
	c = &clock{file: filepath.Join(dir, "clock")}
	c.jump(t, 0)
	return bin, c
}

// A jumper calls a server whose clock jumps, with a clock that jumps along. A
// request that a jump overtakes is signed again, as SDKs do.
type jumper struct {
	*process.Server
	clock *clock
}

func (j *jumper) call(ctx context.Context, op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for {
		r, err := j.Request(ctx, op, in)
		if err != nil {
			return err
		}
		sigv4.Sign(r, j.Credentials, j.Region, "secretsmanager", sha256.Sum256(body), j.clock.now())
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case err != nil:
			return err
		case bytes.Contains(text, []byte("Signature expired")), bytes.Contains(text, []byte("Signature not yet current")):
			continue
		case answer.StatusCode != http.StatusOK:
			return &process.Refusal{Status: answer.StatusCode, Body: string(text)}
		case out == nil:
			return nil
		}
		return json.Unmarshal(text, out)
	}
}

func (j *jumper) must(t *testing.T, op string, in, out any) {
	t.Helper()
	if err := j.call(t.Context(), op, in, out); err != nil {
		t.Errorf("%s: %v", op, err)
	}
}

// The clock jumps by hours, forth and back, under clients whose clocks jump
// along. Nothing is lost, what is current is what was put last, pages are
// complete, and nothing is purged before its time.
func TestClockJumps(t *testing.T) {
	jumpingBin, c := buildWithClock(t)
	dir := t.TempDir() + "/data"
	s := startClock(t, jumpingBin, dir, c)
	const listed = 40
	for i := range listed {
		c.jump(t, time.Duration(rand.IntN(25)-12)*time.Hour)
		s.must(t, "CreateSecret", map[string]any{"Name": fmt.Sprintf("listed-%d", i), "ClientRequestToken": strings.Repeat("t", 32), "SecretString": "v"}, nil)
	}
	for _, name := range []string{"listed-0", "listed-1"} {
		s.must(t, "DeleteSecret", map[string]any{"SecretId": name, "RecoveryWindowInDays": 7}, nil)
	}
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() { putAndRead(t, s, fmt.Sprintf("put-%d", n)) })
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	for over := false; !over; {
		var names []string
		page := struct {
			SecretList []struct{ Name string }
			NextToken  *string
		}{}
		for more := true; more; more = page.NextToken != nil {
			c.jump(t, time.Duration(rand.IntN(25)-12)*time.Hour)
			in := map[string]any{"MaxResults": 7, "NextToken": page.NextToken, "Filters": []map[string]any{{"Key": "name", "Values": []string{"listed"}}}}
			page.SecretList, page.NextToken = nil, nil
			s.must(t, "ListSecrets", in, &page)
			for _, entry := range page.SecretList {
				names = append(names, entry.Name)
			}
		}
		slices.Sort(names)
		if unique := slices.Compact(slices.Clone(names)); len(names) != listed-2 || len(unique) != len(names) {
			t.Errorf("%d secrets listed, %d different ones, want %d", len(names), len(unique), listed-2)
		}
		select {
		case <-written:
			over = true
		default:
		}
	}
	strangerIsTold(t, s)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}

	for _, hours := range []time.Duration{12, -12} { // each start purges
		c.jump(t, hours*time.Hour)
		s = startClock(t, jumpingBin, dir, c)
		s.must(t, "RestoreSecret", map[string]any{"SecretId": "listed-0"}, nil)
		s.must(t, "DeleteSecret", map[string]any{"SecretId": "listed-0", "RecoveryWindowInDays": 7}, nil)
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	c.jump(t, 9*24*time.Hour)
	s = startClock(t, jumpingBin, dir, c)
	eventually(t, "the purge", func() bool {
		err := s.call(t.Context(), "DescribeSecret", map[string]any{"SecretId": "listed-1"}, nil)
		return err != nil && strings.Contains(err.Error(), "ResourceNotFoundException")
	})
	s.must(t, "GetSecretValue", get("listed-2"), nil)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func startClock(t *testing.T, bin, dir string, c *clock) *jumper {
	t.Helper()
	s, err := process.Start(dir, "env", "FAULTS_CLOCK="+c.file, bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return &jumper{s, c}
}

// putAndRead puts one version after the other and wants the last to be current
// and the one before to be the previous.
func putAndRead(t *testing.T, s *jumper, name string) {
	const puts = 60
	s.must(t, "CreateSecret", map[string]any{"Name": name, "ClientRequestToken": fmt.Sprintf("%032d", 0), "SecretString": "0"}, nil)
	for i := 1; i <= puts && !t.Failed(); i++ {
		s.must(t, "PutSecretValue", map[string]any{"SecretId": name, "ClientRequestToken": fmt.Sprintf("%032d", i), "SecretString": fmt.Sprint(i)}, nil)
		for stage, want := range map[string]int{"AWSCURRENT": i, "AWSPREVIOUS": i - 1} {
			var got struct{ SecretString string }
			s.must(t, "GetSecretValue", map[string]any{"SecretId": name, "VersionStage": stage}, &got)
			if got.SecretString != fmt.Sprint(want) {
				t.Errorf("%s of %s is %q, want %d", stage, name, got.SecretString, want)
			}
		}
	}
}

// strangerIsTold calls with a clock that has not jumped along: the refusal says
// why, and by what clock.
func strangerIsTold(t *testing.T, s *jumper) {
	t.Helper()
	for hours, want := range map[time.Duration]string{3: "Signature expired", -3: "Signature not yet current"} {
		s.clock.jump(t, hours*time.Hour)
		r, err := s.Request(t.Context(), "GetSecretValue", get("listed-2"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		date, err := http.ParseTime(answer.Header.Get("Date"))
		if answer.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte(want)) {
			t.Errorf("%d %s, want %s", answer.StatusCode, body, want)
		}
		if off := s.clock.now().Sub(date).Abs(); err != nil || off > 10*time.Minute {
			t.Errorf("the Date of the answer is %s off the server's clock: %v", off, err)
		}
	}
}

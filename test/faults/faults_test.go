// Package faults makes the world around the server fail, and checks that it
// goes on serving who it can, says clearly what is wrong, and recovers by
// itself when the fault is gone.
package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"azekura/test/process"
)

var bin string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "azekura-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if bin, err = process.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(t *testing.T, dir string, wrap ...string) *process.Server {
	t.Helper()
	s, err := process.Start(dir, append(wrap, bin)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// call must succeed, on a connection of its own.
func call(t *testing.T, s *process.Server, op string, in any) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	if err := s.Call(t.Context(), client, op, in, nil); err != nil {
		t.Fatalf("%s: %v", op, err)
	}
}

func create(t *testing.T, s *process.Server, name string) {
	t.Helper()
	call(t, s, "CreateSecret", map[string]any{"Name": name, "ClientRequestToken": strings.Repeat("t", 32), "SecretString": "value of " + name})
}

func get(name string) map[string]any { return map[string]any{"SecretId": name} }

// connect opens connections that say nothing, or begin a request and stop.
func connect(t *testing.T, s *process.Server, n int, begin string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, 0, n)
	t.Cleanup(func() { hangUp(conns) })
	for range n {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := io.WriteString(c, begin); err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

func hangUp(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// Connections that do nothing cost memory and nothing else.
func TestIdleConnections(t *testing.T) {
	s := start(t, t.TempDir()+"/data")
	create(t, s, "s")
	connect(t, s, 10_000, "")
	call(t, s, "GetSecretValue", get("s"))
	create(t, s, "t")
	const limit = 400 << 10 // KiB
	if resident := residentKiB(t, s.PID()); resident > limit {
		t.Errorf("%d KiB resident under 10,000 idle connections, more than %d", resident, limit)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

// Senders that begin a request and never finish it hold nobody up.
func TestUnfinishedRequests(t *testing.T) {
	s := start(t, t.TempDir()+"/data")
	create(t, s, "s")
	connect(t, s, 500, "POST / HTTP/1.1\r\nHost: a\r\nX-Amz-")
	connect(t, s, 500, "POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\nContent-Length: 1000000\r\n\r\n{")
	call(t, s, "GetSecretValue", get("s"))
	create(t, s, "t")
	s.Kill()
}

// When file descriptors run out new connections wait, and are served when
// others have gone. Who is connected goes on, whatever that has to open.
func TestFileDescriptors(t *testing.T) {
	s := start(t, t.TempDir()+"/data", "bash", "-c", `ulimit -n 64; exec "$0" "$@"`)
	create(t, s, "s")
	connected := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: time.Minute}
	defer connected.CloseIdleConnections()
	change := func(n int) {
		t.Helper()
		in := map[string]any{"Name": fmt.Sprintf("c-%d", n), "ClientRequestToken": strings.Repeat("t", 32), "SecretString": strings.Repeat("v", 30_000)}
		if err := s.Call(t.Context(), connected, "CreateSecret", in, nil); err != nil {
			t.Errorf("a change on a connection from before: %v", err)
		}
	}
	change(0)
	var others []*http.Client // that read at once, over more connections to the database than there were
	for range 4 {
		c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: time.Minute}
		defer c.CloseIdleConnections()
		if err := s.Call(t.Context(), c, "GetSecretValue", get("s"), nil); err != nil {
			t.Fatal(err)
		}
		others = append(others, c)
	}
	conns := connect(t, s, 100, "")
	served := make(chan error, 1)
	go func() {
		client := &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
		served <- s.Call(t.Context(), client, "GetSecretValue", get("s"), nil)
	}()
	for n := range 200 {
		change(n + 1)
	}
	var readers sync.WaitGroup
	for _, c := range others {
		readers.Go(func() {
			for range 20 {
				if err := s.Call(t.Context(), c, "ListSecrets", map[string]any{"MaxResults": 100}, nil); err != nil {
					t.Errorf("a read on a connection from before: %v", err)
					return
				}
			}
		})
	}
	readers.Wait()
	hangUp(conns)
	if err := <-served; err != nil {
		t.Error(err)
	}
	create(t, s, "t")
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if log := s.Log(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "used up the file descriptors") || !strings.Contains(log, "raise the limit") {
		t.Errorf("the log, which should say in one line what is wrong:\n%.2000s", log)
	}
}

// A page of the database that is damaged costs what lies on it. The server
// starts, says so, serves the rest, and does not answer with garbage; or it
// says so and does not start.
func TestDamagedPage(t *testing.T) {
	const ( // https://www.sqlite.org/fileformat2.html#b_tree_pages
		tableLeaf, tableInner = 0x0d, 0x05
		indexLeaf, indexInner = 0x0a, 0x02
	)
	const secrets = 200
	dir := t.TempDir() + "/data"
	s := start(t, dir)
	for i := range secrets {
		create(t, s, fmt.Sprintf("secret-%03d", i))
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "azekura.db"))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, kind := range []struct {
		name string
		page byte
		text string
		most int // such pages: of an index, one in each that secrets are looked up by
	}{
		{"leaf of a table", tableLeaf, "secret-100", 1},
		{"leaves of indexes", indexLeaf, "secret-150", 9},
		{"inner page of a table", tableInner, "", 1},
		{"inner pages of indexes", indexInner, "secret-", 9},
	} {
		t.Run(kind.name, func(t *testing.T) {
			damaged, found := damage(whole, kind.page, kind.text, kind.most)
			if !found {
				t.Fatal("the database has no such page")
			}
			if err := os.WriteFile(filepath.Join(dir, "azekura.db"), damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			served, log := serveDamaged(t, dir, secrets)
			total += served
			t.Logf("%d of %d secrets served", served, secrets)
			if served == secrets || !strings.Contains(log, "damaged") {
				t.Errorf("the log does not say what is wrong:\n%.2000s", log)
			}
		})
	}
	if total == 0 {
		t.Error("whatever page is damaged, nothing is served")
	}
}

// serveDamaged counts the secrets that a server still serves, all of them
// unharmed, and returns what it logged, or why it did not start.
func serveDamaged(t *testing.T, dir string, secrets int) (served int, log string) {
	t.Helper()
	s, err := process.Start(dir, bin)
	if err != nil {
		return 0, err.Error()
	}
	t.Cleanup(s.Kill)
	client := &http.Client{Timeout: time.Minute}
	for i := range secrets {
		name := fmt.Sprintf("secret-%03d", i)
		var out struct{ SecretString string }
		err := s.Call(t.Context(), client, "GetSecretValue", get(name), &out)
		refusal, refused := errors.AsType[*process.Refusal](err)
		switch {
		case err == nil && out.SecretString == "value of "+name:
			served++
		case refused && refusal.Status == http.StatusInternalServerError:
		default:
			t.Fatalf("%s: %q, %v", name, out.SecretString, err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	return served, s.Log()
}

// damage overwrites the first pages of a kind that hold a text, after the page
// of the schema.
func damage(content []byte, kind byte, text string, most int) (damaged []byte, found bool) {
	const page = 4096
	damaged = bytes.Clone(content)
	for at := page; at < len(content) && most > 0; at += page {
		if content[at] == kind && bytes.Contains(content[at:at+page], []byte(text)) {
			copy(damaged[at:], bytes.Repeat([]byte{0xff}, page))
			most--
			found = true
		}
	}
	return damaged, found
}

func residentKiB(t *testing.T, pid int) (kib int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

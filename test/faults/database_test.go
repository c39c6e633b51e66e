package faults

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"azekura/internal/store/storetest"
	"azekura/test/pgproxy"
	"azekura/test/process"
)

// The default is longer than any wait of the server's own.
var outage = flag.Duration("outage", 20*time.Second, "how long the database is gone")

// An outageServer is a server whose database goes away.
type outageServer struct {
	*process.Server
	t      *testing.T
	client *http.Client
	log    string
}

func startOver(t *testing.T, databaseURL string) *outageServer {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	s, err := process.StartWith(process.Config{
		Command: []string{bin}, DataDir: t.TempDir() + "/data", Log: log,
		Args: []string{"--database-url", databaseURL, "--max-stale", (*outage / 2).String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return &outageServer{Server: s, t: t, client: &http.Client{Timeout: time.Minute}, log: log.Name()}
}

// read is the value of a secret.
func (s *outageServer) read(name string) (value string, err error) {
	var got struct{ SecretString string }
	err = s.Call(s.t.Context(), s.client, "GetSecretValue", get(name), &got)
	return got.SecretString, err
}

func (s *outageServer) put(name, value string, n int) error {
	token := fmt.Sprintf("%.20s-%032d", value, n)
	return s.Call(s.t.Context(), s.client, "PutSecretValue",
		map[string]any{"SecretId": name, "ClientRequestToken": token, "SecretString": value}, nil)
}

func (s *outageServer) ready() bool {
	r, err := s.client.Get(s.URL + "/readyz")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func (s *outageServer) logged(text string) int {
	s.t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// isRetryable says whether an answer makes a client try again later: the SDKs
// do for every status of 500.
func isRetryable(err error) bool {
	refusal, ok := errors.AsType[*process.Refusal](err)
	return ok && refusal.Status == http.StatusInternalServerError && strings.Contains(refusal.Body, "InternalServiceError")
}

// While the database is gone reads are served from memory for as long as
// max-stale allows, and then refused; changes are refused. When it is back the
// server goes on, the same process as before, and has lost nothing.
func TestDatabaseGone(t *testing.T) {
	for name, fault := range map[string]func(t *testing.T) (databaseURL string, begin, end func()){
		"refusing": refusing,
		"stalled":  stalled,
		"killed":   killed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, begin, end := fault(t)
			s := startOver(t, url)
			for _, name := range []string{"s", "t"} {
				create(t, s.Server, name)
				for range 2 { // the first read of a day is noted, which is a change
					if _, err := s.read(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := s.put("t", "changed", 0); err != nil { // and not read since
				t.Fatal(err)
			}

			begin()
			gone := time.Now()
			if value, err := s.read("s"); err != nil || value != "value of s" {
				t.Errorf("a read without the database: %q, %v", value, err)
			}
			if _, err := s.read("t"); !isRetryable(err) {
				t.Errorf("a read of what was changed before: %v", err)
			}
			s.refuseAll(200)
			if s.ready() {
				t.Error("ready without the database")
			}
			eventually(t, "reads end", func() bool { _, err := s.read("s"); return isRetryable(err) })
			time.Sleep(time.Until(gone.Add(*outage))) // not a wait for anything: it is the fault's length
			end()

			eventually(t, "the server is ready", s.ready)
			for i, name := range []string{"s", "t"} {
				if err := s.put(name, "new", i); err != nil {
					t.Errorf("a change after the outage: %v", err)
				}
				if value, err := s.read(name); err != nil || value != "new" {
					t.Errorf("a read after the outage: %q, %v", value, err)
				}
			}
			eventually(t, "the log is written", func() bool { return s.logged("the database is back") == 1 })
			if n := s.logged("the database cannot be reached"); n != 1 {
				t.Errorf("the log says %d times that the database is gone", n)
			}
			if s.logged("stale=true") == 0 {
				t.Error("no call is marked as stale")
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// refuseAll makes many changes at once, which are all refused, and cost little
// memory.
func (s *outageServer) refuseAll(n int) {
	s.t.Helper()
	large := strings.Repeat("x", 32<<10)
	var changes sync.WaitGroup
	for i := range n {
		changes.Go(func() {
			if err := s.put("s", large+fmt.Sprint(i), i); !isRetryable(err) {
				s.t.Errorf("a change without the database: %v", err)
			}
		})
	}
	changes.Wait()
	const limit = 200 << 10 // KiB
	if resident := residentKiB(s.t, s.PID()); resident > limit {
		s.t.Errorf("%d KiB resident, more than %d", resident, limit)
	}
}

func proxied(t *testing.T) *pgproxy.Proxy {
	t.Helper()
	p, err := pgproxy.New(storetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// refusing is a machine on which nothing listens.
func refusing(t *testing.T) (url string, begin, end func()) {
	p := proxied(t)
	return pgproxy.URL(p), func() { p.Refuse(); p.Cut() }, p.Accept
}

// stalled is a network that swallows everything, and forgets the connections.
func stalled(t *testing.T) (url string, begin, end func()) {
	p := proxied(t)
	return pgproxy.URL(p), p.Stall, func() { p.Cut(); p.Resume() }
}

// killed is kill -9 of PostgreSQL, and a start on what it left.
func killed(t *testing.T) (url string, begin, end func()) {
	server := storetest.PostgresServer(t)
	if err := server.Create(t.Context(), "azekura", "template0"); err != nil {
		t.Fatal(err)
	}
	must := func(do func() error) func() {
		return func() {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return server.URL("azekura"), must(server.Kill), must(server.Restart)
}

package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/store"
)

func inMemory(t *testing.T) *Server {
	t.Helper()
	cfg := Defaults()
	cfg.DataDir, cfg.Listen = "", "127.0.0.1:0"
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestReadyTellsTheTruth(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(*Server)
		want   int
	}{
		"serving":  {func(*Server) {}, http.StatusOK},
		"stopping": {func(s *Server) { s.stopping.Store(true) }, http.StatusServiceUnavailable},
		"no store": {func(s *Server) { s.db.Close() }, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := inMemory(t)
			test.damage(s)
			for path, want := range map[string]int{"/readyz": test.want, "/healthz": http.StatusOK} {
				w := httptest.NewRecorder()
				s.http.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				if w.Code != want {
					t.Errorf("%s: status %d, want %d", path, w.Code, want)
				}
			}
		})
	}
}

func TestEndpoint(t *testing.T) {
	for _, test := range []struct{ listen, bound, cert, want string }{
		{"127.0.0.1:0", "127.0.0.1:4584", "", "http://127.0.0.1:4584"},
		{"localhost:0", "127.0.0.1:4584", "", "http://localhost:4584"},
		{":4584", "[::]:4584", "", "http://127.0.0.1:4584"},
		{"0.0.0.0:4584", "0.0.0.0:4584", "", "http://127.0.0.1:4584"},
		{"[::]:4584", "[::]:4584", "", "http://[::1]:4584"},
		{"secrets.example.com:4584", "10.0.0.1:4584", "cert.pem", "https://secrets.example.com:4584"},
	} {
		bound, err := net.ResolveTCPAddr("tcp", test.bound)
		if err != nil {
			t.Fatal(err)
		}
		if got := endpoint(Config{Listen: test.listen, TLSCert: test.cert}, bound); got != test.want {
			t.Errorf("endpoint(%s) = %s, want %s", test.listen, got, test.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"account short":     func(c *Config) { c.AccountID = "11111111111" },
		"account letters":   func(c *Config) { c.AccountID = "11111111111a" },
		"account and more":  func(c *Config) { c.AccountID = "111111111111\n" },
		"no region":         func(c *Config) { c.Regions = nil },
		"no such region":    func(c *Config) { c.Regions = []string{"us-east-1", "Frankfurt"} },
		"cert only":         func(c *Config) { c.TLSCert = "cert.pem" },
		"key only":          func(c *Config) { c.TLSKey = "key.pem" },
		"endpoint no URL":   func(c *Config) { c.EndpointURL = "secrets.example.com" },
		"endpoint newline":  func(c *Config) { c.EndpointURL = "https://secrets.example.com\nX=y" },
		"endpoint with key": func(c *Config) { c.EndpointURL = "https://secrets.example.com/?key=x" },
	} {
		cfg := Defaults()
		if err := cfg.check(); err != nil {
			t.Fatalf("the defaults: %v", err)
		}
		spoil(&cfg)
		if cfg.check() == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestAdminEnvFollowsTheServer(t *testing.T) {
	dir := t.TempDir()
	// By now the file holds another key than the first, and more.
	vars := []Variable{{"AWS_ACCESS_KEY_ID", "z"}, {"AWS_SECRET_ACCESS_KEY", "b=c"}, {"AWS_ENDPOINT_URL", "http://127.0.0.1:1"}, {"AWS_PROFILE", ""}}
	if err := writeAdminEnv(dir, vars); err != nil {
		t.Fatal(err)
	}
	if _, err := moveAdminEnv(dir, "http://127.0.0.1:2"); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAdminEnv(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Variable{{"AWS_ACCESS_KEY_ID", "z"}, {"AWS_SECRET_ACCESS_KEY", "b=c"}, {"AWS_ENDPOINT_URL", "http://127.0.0.1:2"}, {"AWS_PROFILE", ""},
		{"AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("only the endpoints change (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(AdminEnvPath(dir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDamagedAdminEnvTellsTheLineOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "admin.env"), []byte("# x\n\nA=b\nplanted-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadAdminEnv(dir)
	if err == nil || !strings.Contains(err.Error(), "line 4") || strings.Contains(err.Error(), "planted") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseEnv(f *testing.F) {
	for _, seed := range []string{"", "A=b\n", "A=b=c", "=x", "a b=c\n", "A=\r\n#\n", "A=$(id)", "A=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := parseEnv(text)
		if err != nil {
			return
		}
		for _, v := range vars {
			if strings.ContainsAny(v.Name, "='\"$`;& \n") || strings.ContainsAny(v.Value, "\n\r\x00") {
				t.Errorf("took %q", v.Name)
			}
		}
		var again strings.Builder
		for _, v := range vars {
			again.WriteString(v.Name + "=" + v.Value + "\n")
		}
		if back, err := parseEnv(again.String()); err != nil || !cmp.Equal(vars, back) {
			t.Errorf("written and read again: %v", err)
		}
	})
}

// A server that is told to stop before it has begun to listen stops.
func TestStopBeforeStart(t *testing.T) {
	for range 10 {
		s := inMemory(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Serve(ctx); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("readyz after the stop: status %d, want 503", w.Code)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoFirstStartsMakeOneKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	fingerprints := make(chan string, 8)
	for range cap(fingerprints) {
		db, err := store.Open(t.Context(), store.Config{}) // each has a database of its own, and they one directory
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		go func() {
			release, err := openDataDir(dir)
			if err != nil {
				fingerprints <- err.Error()
				return
			}
			defer release()
			s := &Server{cfg: Config{DataDir: dir}, db: db}
			root, err := s.openRootKey(t.Context())
			if err != nil {
				fingerprints <- err.Error()
				return
			}
			fingerprints <- root.Fingerprint()
		}()
	}
	first := <-fingerprints
	for range cap(fingerprints) - 1 {
		if next := <-fingerprints; next != first {
			t.Errorf("one start has the root key %s, another %s", first, next)
		}
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

// Purging begins with the server, and goes on whatever one attempt comes to.
func TestPurgeBeginsAtOnce(t *testing.T) {
	s := inMemory(t)
	s.db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var log strings.Builder
	s.cfg.Log = slog.New(slog.NewTextHandler(writerFunc(func(line []byte) { log.Write(line); cancel() }), nil))
	s.work(ctx)
	if !strings.Contains(log.String(), "a chore of each minute failed") {
		t.Errorf("the log says %q", log.String())
	}
}

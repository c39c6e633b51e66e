package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/server"
	"azekura/internal/server/servertest"
	"azekura/internal/store/storetest"
)

// A vault keeps a key as Vault's transit engine does, and is away or has lost
// its key if told so.
type vault struct {
	*httptest.Server
	key  atomic.Pointer[envelope.Sealer]
	away atomic.Bool
}

func newVault(t *testing.T) *vault {
	v := new(vault)
	v.newKey()
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vault) newKey() { v.key.Store(envelope.NewSealer(new(envelope.NewKey()))) }

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if v.away.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var in struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		AAD        []byte `json:"associated_data"`
	}
	json.NewDecoder(r.Body).Decode(&in)
	data := map[string]any{}
	if strings.Contains(r.URL.Path, "/encrypt/") {
		data["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(v.key.Load().Seal(in.Plaintext, in.AAD))
	} else {
		blob, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(in.Ciphertext, "vault:v1:"))
		plaintext, err := v.key.Load().Open(blob, in.AAD)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"errors":["cipher: message authentication failed"]}`)
			return
		}
		data["plaintext"] = plaintext
	}
	json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func (v *vault) config() seal.Config {
	return seal.Config{Kind: seal.KindTransit, Endpoint: v.URL, Key: "root", Mount: "transit", Token: "t"}
}

// serve runs a server that may be sealed, until the test ends; its end's error
// comes through the channel.
func serve(t *testing.T, cfg server.Config) (*server.Server, <-chan error) {
	t.Helper()
	s, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		served <- s.Serve(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		s.Close()
	})
	return s, served
}

func ask(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func requestOf(t *testing.T, method, url, body string, header ...string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	for {
		if status, _ := ask(t, requestOf(t, "GET", url+"/readyz", "")); status == http.StatusOK {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The first start may be sealed as well as a later one, of one node or of two.
func TestSealedStart(t *testing.T) {
	for name, databases := range map[string]func() string{
		"file":     func() string { return "" },
		"postgres": func() string { return storetest.PostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.away.Store(true)
			cfg := servertest.Config(t)
			cfg.Seal, cfg.DatabaseURL = v.config(), databases()
			nodes := []server.Config{cfg}
			if cfg.DatabaseURL != "" {
				other := servertest.Config(t)
				other.Seal, other.DatabaseURL = cfg.Seal, cfg.DatabaseURL
				nodes = append(nodes, other)
			}
			for _, planted := range []bool{false, true} {
				v.away.Store(true)
				t.Run("", func(t *testing.T) {
					var running []*server.Server
					for _, node := range nodes {
						s, _ := serve(t, node)
						checkSealed(t, s)
						running = append(running, s)
					}
					v.away.Store(false)
					for _, s := range running {
						awaitReady(t, s.Address())
						c := servertest.NewClient(s.Environment())
						defer c.HTTP.CloseIdleConnections()
						if c.URL = s.Address(); !planted {
							planted = true
							if status, body, err := c.Do(t.Context(), "CreateSecret", map[string]string{"Name": "s", "SecretString": "v"}); err != nil || status != http.StatusOK {
								t.Fatal(status, body, err)
							}
						}
						if _, body, err := c.Do(t.Context(), "GetSecretValue", map[string]string{"SecretId": "s"}); err != nil || body["SecretString"] != "v" {
							t.Errorf("unsealed it answers %v, %v", body, err)
						}
					}
				})
			}
		})
	}
}

// checkSealed sees that a server is alive, not ready, and tells callers to come
// again in the words of their protocol.
func checkSealed(t *testing.T, s *server.Server) {
	t.Helper()
	url := s.Address()
	if s.Environment() != nil {
		t.Error("it is not sealed")
	}
	for name, test := range map[string]struct {
		r      *http.Request
		status int
		want   string
	}{
		"alive": {requestOf(t, "GET", url+"/healthz", ""), 200, "ok"},
		"ready": {requestOf(t, "GET", url+"/readyz", ""), 503, "sealed"},
		"json": {requestOf(t, "POST", url, "{}", "X-Amz-Target", "secretsmanager.ListSecrets", "Content-Type", "application/x-amz-json-1.1"),
			503, `{"__type":"ServiceUnavailable","message":"`},
		"query": {requestOf(t, "POST", url, "Action=GetCallerIdentity&Version=2011-06-15", "Content-Type", "application/x-www-form-urlencoded"),
			503, "<Error><Type>Receiver</Type><Code>ServiceUnavailable</Code><Message>"},
	} {
		if status, said := ask(t, test.r); status != test.status || !strings.Contains(said, test.want) || strings.Contains(said, "http://127") {
			t.Errorf("%s: %d %s", name, status, said)
		}
	}
}

// A seal that comes back as another ends the server, as it does at a start.
func TestSealThatComesBackWrong(t *testing.T) {
	v := newVault(t)
	cfg := servertest.Config(t)
	cfg.Seal = v.config()
	servertest.Start(t, cfg).Stop(t)
	v.away.Store(true)
	v.newKey()
	s, served := serve(t, cfg)
	v.away.Store(false)
	if err := <-served; err == nil || !strings.Contains(err.Error(), "restore the data from a backup") {
		t.Errorf("it ends with %v", err)
	}
	s.Close()
	if _, err := server.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "restore the data from a backup") {
		t.Errorf("it starts with %v", err)
	}
}

func TestStopWhileSealed(t *testing.T) {
	v := newVault(t)
	v.away.Store(true)
	cfg := servertest.Config(t)
	var mu sync.Mutex
	var said strings.Builder
	cfg.Log = slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(b)
	}), nil))
	cfg.Seal = v.config()
	s, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Serve(ctx); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(said.String(), "sealed: no request is served") {
		t.Errorf("the log says %s", said.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

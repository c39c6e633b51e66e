package process_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"azekura/internal/store/storetest"
	"azekura/test/process"
)

// Two servers that share a database and its root key are one; a third without
// the key says what it lacks.
func TestNodes(t *testing.T) {
	bin, err := process.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, dir := filepath.Join(t.TempDir(), "first"), t.TempDir()
	cfg := process.Config{Command: []string{bin}, DataDir: first, Args: []string{"--database-url", storetest.PostgresURL(t)}}
	start := func() *process.Server {
		s, err := process.StartWith(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		return s
	}
	a := start()
	cfg.DataDir, cfg.RootKey = filepath.Join(dir, "second"), filepath.Join(first, "root-key")
	b := start()
	in := map[string]any{"Name": "s", "SecretString": "v", "ClientRequestToken": strings.Repeat("t", 32)}
	if err := a.Call(t.Context(), http.DefaultClient, "CreateSecret", in, nil); err != nil {
		t.Fatal(err)
	}
	a.Kill()
	var got struct{ SecretString string }
	if err := b.Call(t.Context(), http.DefaultClient, "GetSecretValue", map[string]any{"SecretId": "s"}, &got); err != nil || got.SecretString != "v" {
		t.Errorf("got %q, %v", got.SecretString, err)
	}
	cfg.DataDir, cfg.RootKey = filepath.Join(dir, "third"), ""
	if _, err := process.StartWith(cfg); err == nil || !strings.Contains(err.Error(), "root key") {
		t.Errorf("without the root key: %v", err)
	}
}

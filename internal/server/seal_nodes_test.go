package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
)

// sealing does what azekura seal does, through the door of a node.
func sealing(s *servertest.Server) server.Sealing {
	return server.Sealing{DataDir: s.Config.DataDir, DatabaseURL: s.Config.DatabaseURL, Seal: s.Config.Seal}
}

// readAll reads secrets through servers.
func readAll(t *testing.T, when string, servers []*servertest.Server, names ...string) {
	t.Helper()
	for n, s := range servers {
		for _, name := range names {
			if status, body := s.Call(t, "GetSecretValue", map[string]string{"SecretId": name}); status != http.StatusOK || body["SecretString"] != name {
				t.Errorf("%s, server %d: %s: %d %v", when, n, name, status, body["__type"])
			}
		}
	}
}

// What one node does to the root key the others outlive, with no restart, and
// each starts again once the new file was copied to it, and not before.
func TestNodesOutliveARotation(t *testing.T) {
	servers := nodes(t)
	create := func(n int, name string) {
		servers[n].MustCall(t, "CreateSecret", map[string]string{"Name": name, "SecretString": name})
	}
	create(0, "before")
	readAll(t, "at first", servers, "before")

	// A key of the ring is wrapped under the root key that all have.
	old, err := os.ReadFile(filepath.Join(servers[0].Config.DataDir, "root-key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealing(servers[0]).Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(filepath.Join(servers[0].Config.DataDir, "root-key")); err != nil || string(now) != string(old) {
		t.Errorf("--keyring changed the root key of one node, %v", err)
	}
	create(0, "under-the-second")
	create(1, "by-the-other")
	readAll(t, "with two keys", servers, "before", "under-the-second", "by-the-other")

	// The root key is changed on one node; the other goes on, and may not add a
	// key under the key that it still has.
	if _, err := sealing(servers[0]).Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	create(1, "after")
	readAll(t, "under another root key", servers, "before", "under-the-second", "by-the-other", "after")
	if _, err := sealing(servers[1]).Rotate(t.Context(), true); err == nil || !strings.Contains(err.Error(), "is not the one that sealed this data") {
		t.Errorf("a key was added under the old root key: %v", err)
	}
	servers[1].Stop(t)
	if _, err := server.New(t.Context(), servers[1].Config); err == nil || !strings.Contains(err.Error(), "is not the one that sealed this data") {
		t.Errorf("it starts with the old root key: %v", err)
	}
	key, err := os.ReadFile(filepath.Join(servers[0].Config.DataDir, "root-key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(servers[1].Config.DataDir, "root-key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	servers[1] = servertest.Start(t, servers[1].Config)
	readAll(t, "started again", servers, "before", "under-the-second", "by-the-other", "after")

	// A node that has the file learns what is wrapped under it while it runs.
	if _, err := sealing(servers[0]).Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := sealing(servers[0]).Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	create(0, "under-the-third")
	if key, err = os.ReadFile(filepath.Join(servers[0].Config.DataDir, "root-key")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(servers[1].Config.DataDir, "root-key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	readAll(t, "with the file copied", servers, "before", "after", "under-the-third")
}

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// rounds is how often something is killed: fewer where time is short.
func rounds(usual int) int {
	if testing.Short() {
		return 3
	}
	return usual
}

// Whenever the server is killed while its root key is changed, with the verb
// that asked for it or not, and whenever the verb is that does it alone, the
// directory opens again, and everything in it.
func TestKilledRotation(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	args := []string{"server", "--data-dir", data, "--listen", "127.0.0.1:0"}
	first, err := launch(dir, os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, administrator(t, data), "CreateSecret", map[string]any{"Name": "planted", "SecretString": "hunter2"})
	running := first
	for round := range rounds(30) {
		if round%2 == 0 { // every other time no server runs
			running.kill()
		}
		verb := exec.Command("azekura", "seal", "rotate", "--data-dir", data, "--keyring")
		if err := verb.Start(); err != nil {
			t.Fatal(err)
		}
		end := running.kill
		if round%2 == 0 || round%3 == 0 {
			end = func() { verb.Process.Kill() }
		}
		<-time.After(rand.N(60 * time.Millisecond)) // a random moment of what it does
		end()
		verb.Wait()
		running.kill()
		if running, err = launch(dir, os.Environ(), args...); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if out := mustDo(t, administrator(t, data), "GetSecretValue", map[string]any{"SecretId": "planted"}); out["SecretString"] != "hunter2" {
			t.Fatalf("round %d: it answers %v", round, out)
		}
		if _, err := os.Lstat(filepath.Join(data, "root-key.next")); err == nil {
			t.Errorf("round %d: a rotation was left unsettled", round)
		}
	}
	running.kill()
}

// Whenever the server is killed while secrets are taken to another key, each
// version is under the one or the other, and opens.
func TestKilledRekeying(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	args := []string{"server", "--data-dir", data, "--listen", "127.0.0.1:0"}
	running, err := launch(dir, os.Environ(), args...)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for range 2 {
		made := kmsCall(t, data, "CreateKey", map[string]any{})["KeyMetadata"].(map[string]any)
		keys = append(keys, made["Arn"].(string))
	}
	admin := administrator(t, data)
	const secrets = 4
	for i := range secrets {
		name := fmt.Sprint("s", i)
		mustDo(t, admin, "CreateSecret", map[string]any{"Name": name, "SecretString": name + "/1", "KmsKeyId": keys[0]})
		mustDo(t, admin, "PutSecretValue", map[string]any{"SecretId": name, "SecretString": name + "/2"})
	}
	for round := range rounds(20) {
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for n := 0; ; n++ {
				status, _, err := admin.Do(t.Context(), "UpdateSecret", map[string]any{"SecretId": fmt.Sprint("s", n%secrets), "KmsKeyId": keys[n/secrets%2]})
				if err != nil || status != http.StatusOK {
					return
				}
			}
		}()
		<-time.After(rand.N(80 * time.Millisecond)) // a random moment of a change
		running.kill()
		<-stopped
		if running, err = launch(dir, os.Environ(), args...); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		admin = administrator(t, data)
		for i := range secrets {
			name := fmt.Sprint("s", i)
			for stage, value := range map[string]string{"AWSCURRENT": name + "/2", "AWSPREVIOUS": name + "/1"} {
				if out := mustDo(t, admin, "GetSecretValue", map[string]any{"SecretId": name, "VersionStage": stage}); out["SecretString"] != value {
					t.Errorf("round %d: %s of %s is another value", round, stage, name)
				}
			}
		}
	}
	running.kill()
}

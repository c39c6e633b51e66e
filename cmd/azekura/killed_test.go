package main

import (
	"crypto/fips140"
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

// Whenever something is killed while the root key is taken from one seal to
// another, there and back, one of the two opens the directory, and everything
// in it.
func TestKilledSealMigration(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("a passphrase takes Argon2id")
	}
	dir := t.TempDir()
	data, words := filepath.Join(dir, "data"), filepath.Join(dir, "words")
	if err := os.WriteFile(words, []byte("six words that nobody guesses"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := map[string][]string{"file": {"--seal", "file"}, "passphrase": {"--seal", "passphrase", "--seal-passphrase-file", words}}
	other := map[string]string{"file": "passphrase", "passphrase": "file"}
	for name, text := range map[string]string{"file": "seal: file\n", "passphrase": "seal: passphrase\nseal-passphrase-file: " + words + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start := func(seal string) (*process, error) {
		return launch(dir, os.Environ(), append([]string{"server", "--data-dir", data, "--listen", "127.0.0.1:0"}, flags[seal]...)...)
	}
	now := "file"
	running, err := start(now)
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, administrator(t, data), "CreateSecret", map[string]any{"Name": "planted", "SecretString": "hunter2"})
	moved := 0
	for round := range rounds(16) {
		alone := round%2 == 0 // every other time no server runs
		if alone {
			running.kill()
		}
		to := other[now]
		verb := exec.Command("azekura", append([]string{"seal", "migrate", "--data-dir", data, "--to", filepath.Join(dir, to+".yaml")}, flags[now]...)...)
		if err := verb.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(rand.N(500 * time.Millisecond)) // a random moment of what it does
		if alone {
			verb.Process.Kill()
		}
		running.kill()
		verb.Wait()
		if running, err = start(to); err == nil {
			now = to
			moved++
		} else if running, err = start(now); err != nil {
			t.Fatalf("round %d: neither seal opens it: %v", round, err)
		}
		if out := mustDo(t, administrator(t, data), "GetSecretValue", map[string]any{"SecretId": "planted"}); out["SecretString"] != "hunter2" {
			t.Fatalf("round %d: it answers %v", round, out)
		}
	}
	running.kill()
	t.Logf("%d of %d migrations came to their end", moved, rounds(16))
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

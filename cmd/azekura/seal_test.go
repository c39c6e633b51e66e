package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"azekura/internal/server"
	"azekura/internal/sigv4"
)

// kmsCall calls an operation of KMS at a server as its administrator.
func kmsCall(t *testing.T, dir, op string, in any) map[string]any {
	t.Helper()
	vars, err := server.ReadAdminEnv(dir)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, v := range vars {
		env[v.Name] = v.Value
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, env["AWS_ENDPOINT_URL"]+"/", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService."+op)
	sigv4.Sign(r, sigv4.Credentials{AccessKeyID: env["AWS_ACCESS_KEY_ID"], Secret: env["AWS_SECRET_ACCESS_KEY"]},
		env["AWS_DEFAULT_REGION"], "kms", sha256.Sum256(text), time.Now())
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	var out map[string]any
	if err != nil || resp.StatusCode != http.StatusOK || len(answer) > 0 && json.Unmarshal(answer, &out) != nil {
		t.Fatalf("%s: %d %s, %v", op, resp.StatusCode, answer, err)
	}
	return out
}

// A second Azekura seals the first: what AWS KMS would do for it.
func TestSealedByAnotherAzekura(t *testing.T) {
	home := t.TempDir()
	keys, data := filepath.Join(home, "keys"), filepath.Join(home, "data")
	keeper, err := launch(home, os.Environ(), "server", "--data-dir", keys, "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.kill()
	made, _ := kmsCall(t, keys, "CreateKey", map[string]any{})["KeyMetadata"].(map[string]any)
	arn, _ := made["Arn"].(string)
	vars, err := server.ReadAdminEnv(keys)
	if err != nil {
		t.Fatal(err)
	}
	env := os.Environ()
	for _, v := range vars {
		if strings.HasPrefix(v.Name, "AWS_ACCESS") || strings.HasPrefix(v.Name, "AWS_SECRET") {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	args := []string{"server", "--data-dir", data, "--listen", "127.0.0.1:0", "--seal", "awskms", "--seal-key", arn, "--seal-endpoint", keeper.url}
	first, err := launch(home, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer first.kill()
	mustDo(t, administrator(t, data), "CreateSecret", map[string]any{"Name": "planted", "SecretString": "under the other's key"})
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(data, "root-key")); err == nil {
		t.Error("a root key lies on the disk")
	}
	again, err := launch(home, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer again.kill()
	if out := mustDo(t, administrator(t, data), "GetSecretValue", map[string]any{"SecretId": "planted"}); out["SecretString"] != "under the other's key" {
		t.Errorf("it answers %v", out)
	}
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}

	// With its key disabled a server starts sealed and says why, and serves as
	// soon as the key can be used again.
	kmsCall(t, keys, "DisableKey", map[string]any{"KeyId": arn})
	last, err := launch(home, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer last.kill()
	if status, text := get(t, last.url+"/readyz"); status != http.StatusServiceUnavailable || text != "sealed\n" {
		t.Errorf("readyz: %d %q", status, text)
	}
	if status, _ := get(t, last.url+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	sealed := administrator(t, data)
	sealed.URL = last.url // admin.env has that of the start before
	if status, body, err := sealed.Do(t.Context(), "GetSecretValue", map[string]any{"SecretId": "planted"}); status != http.StatusServiceUnavailable || body["__type"] != "ServiceUnavailable" {
		t.Errorf("a sealed server answers %d %v, %v", status, body, err)
	}
	if said := last.stderr.String(); !strings.Contains(said, "DisabledException") || !strings.Contains(said, "enable the key") {
		t.Errorf("with the key disabled it says %s", said)
	}
	kmsCall(t, keys, "EnableKey", map[string]any{"KeyId": arn})
	for status := 0; status != http.StatusOK && t.Context().Err() == nil; {
		status, _ = get(t, last.url+"/readyz")
	}
	if out := mustDo(t, administrator(t, data), "GetSecretValue", map[string]any{"SecretId": "planted"}); out["SecretString"] != "under the other's key" {
		t.Errorf("it answers %v", out)
	}
}

func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

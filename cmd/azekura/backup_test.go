package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"azekura/internal/server/servertest"
	"azekura/internal/store/storetest"
)

var backupSecrets = flag.Int("backup-secrets", 200, "how many secrets TestBackupUnderLoad stores before it backs up")

var backupRounds = flag.Int("backup-rounds", 1, "how many times TestBackupUnderLoad backs up")

const backupWriters = 8

// azekura runs a verb that has to succeed.
func azekura(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("azekura", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("azekura %s: %v: %s", args, err, out)
	}
	return string(out)
}

// A worker writes secrets of its own, and knows what was acknowledged.
type worker struct {
	mu     sync.Mutex
	values map[string]string
	took   []time.Duration
}

func (w *worker) put(ctx context.Context, c *servertest.Client, name, value string) error {
	began := time.Now()
	status, body, err := c.Do(ctx, "CreateSecret", map[string]any{"Name": name, "SecretString": value})
	if err != nil || status != 200 {
		return fmt.Errorf("create: %v %v %w", status, body["__type"], err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.values[name] = value
	w.took = append(w.took, time.Since(began))
	return nil
}

// known is what was acknowledged by now.
func known(workers []*worker) map[string]string {
	values := map[string]string{}
	for _, w := range workers {
		w.mu.Lock()
		maps.Copy(values, w.values)
		w.mu.Unlock()
	}
	return values
}

// A pace is how long writes took.
type pace struct {
	count              int
	median, p99, worst time.Duration
}

func (p pace) String() string {
	return fmt.Sprintf("%d writes, median %v, 99th percentile %v, worst %v", p.count, p.median, p.p99, p.worst)
}

// paced is the pace since it was last asked for.
func paced(workers []*worker) pace {
	var all []time.Duration
	for _, w := range workers {
		w.mu.Lock()
		all, w.took = append(all, w.took...), nil
		w.mu.Unlock()
	}
	if len(all) == 0 {
		return pace{}
	}
	slices.Sort(all)
	return pace{len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1]}
}

// A home is where a deployment keeps its data.
type home struct{ dir, url string }

// newHome is a directory that is not there yet, and for PostgreSQL an empty
// database.
func newHome(t *testing.T, engine string) home {
	t.Helper()
	h := home{dir: filepath.Join(t.TempDir(), "data")}
	if engine == "postgres" {
		h.url = storetest.PostgresURL(t)
	}
	return h
}

func (h home) args(more ...string) []string {
	if h.url != "" {
		more = append(more, "--database-url", h.url)
	}
	return append(more, "--data-dir", h.dir)
}

func (h home) rootKey() string { return filepath.Join(h.dir, "root-key") }

// eachHome runs f as a subtest on each engine.
func eachHome(t *testing.T, f func(t *testing.T, h home)) {
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { f(t, newHome(t, engine)) })
	}
}

// Backed up while eight clients write, and restored elsewhere, also into the
// other engine, a server serves every secret that was acknowledged before the
// backup began. The backup shows nobody anything.
func TestBackupUnderLoad(t *testing.T) {
	eachHome(t, func(t *testing.T, h home) {
		file := filepath.Join(t.TempDir(), "kept.backup")
		p := start(t, h.args("--log-level", "warn")...)
		admin := administrator(t, h.dir)
		before := backUpUnderLoad(t, h, file, admin)
		showsNothing(t, file, admin)
		t.Log(azekura(t, "backup", "verify", file, "--root-key", h.rootKey()))
		p.kill()
		eachHome(t, func(t *testing.T, restored home) {
			azekura(t, restored.args("restore", file, "--root-key", h.rootKey())...)
			start(t, restored.args("--log-level", "warn")...)
			again := administrator(t, restored.dir)
			checked := 0
			for name, value := range before { // in random order
				if checked++; checked > 500 {
					break
				}
				if got := mustDo(t, again, "GetSecretValue", map[string]any{"SecretId": name})["SecretString"]; got != value {
					t.Errorf("%s: got another value", name)
				}
			}
		})
	})
}

// backUpUnderLoad returns what was acknowledged before the backup began.
func backUpUnderLoad(t *testing.T, h home, file string, admin *servertest.Client) map[string]string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	workers := make([]*worker, backupWriters)
	reached := make(chan struct{}, backupWriters)
	var writing sync.WaitGroup
	for n := range workers {
		workers[n] = &worker{values: map[string]string{}}
		writing.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name, value := fmt.Sprintf("planted-name-%d-%d", n, i), fmt.Sprintf("planted-value-%d-%d-0123456789", n, i)
				if err := workers[n].put(ctx, admin, name, value); err != nil && ctx.Err() == nil {
					t.Error(err)
					break
				}
				if i == *backupSecrets/backupWriters {
					reached <- struct{}{}
				}
			}
		})
	}
	for range workers {
		<-reached
	}
	var before map[string]string
	for range *backupRounds {
		before = known(workers)
		paced(workers)
		began := time.Now()
		said := azekura(t, h.args("backup", file)...)
		took := time.Since(began)
		beside := paced(workers)
		<-time.After(took) // for as many writes without a backup; nothing depends on it
		alone := paced(workers)
		t.Logf("%d secrets before; the backup took %v\nmeanwhile: %v\nas long without: %v\n%s", len(before), took, beside, alone, said)
	}
	stop()
	writing.Wait()
	return before
}

func showsNothing(t *testing.T, file string, admin *servertest.Client) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(`"account":"111111111111"`)) {
		t.Error("the search does not even find what is not secret")
	}
	for _, planted := range []string{"planted-value", "planted-name", admin.Credentials.Secret, admin.Credentials.AccessKeyID} {
		for form, needle := range forms(planted) {
			if bytes.Contains(content, needle) {
				t.Errorf("the backup shows something, as %s", form)
			}
		}
	}
}

// untilExists polls; whether something is there is all that a process which is
// about to be killed tells.
func untilExists(t *testing.T, pattern string) {
	t.Helper()
	for t.Context().Err() == nil {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return
		}
	}
}

// Whoever is killed in the middle of a backup, the server or who asked, the
// backup of before stays, and the next one is made.
func TestKilledBackup(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	file := filepath.Join(folder, "kept.backup")
	p := start(t, "--data-dir", dir)
	admin := administrator(t, dir)
	for i := range 40 {
		mustDo(t, admin, "CreateSecret", map[string]any{"Name": fmt.Sprint(i), "SecretString": strings.Repeat("x", 60000)})
	}
	azekura(t, "backup", file, "--data-dir", dir)
	for tries, victim := 0, "who asked"; victim != ""; tries++ {
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		asking := exec.Command("azekura", "backup", file, "--data-dir", dir)
		var said bytes.Buffer
		asking.Stderr = &said
		if err := asking.Start(); err != nil {
			t.Fatal(err)
		}
		untilExists(t, filepath.Join(dir, "backup.scratch"))
		if victim == "who asked" {
			asking.Process.Kill()
		} else {
			p.kill()
		}
		if err := asking.Wait(); err == nil { // on a busy machine it may be through before
			if tries == 50 {
				t.Fatalf("%s was never killed in the middle", victim)
			}
			if victim == "the server" {
				p = start(t, "--data-dir", dir)
			}
			continue
		}
		if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, old) {
			t.Errorf("%s was killed, and the backup is not what it was: %v", victim, err)
		}
		if victim == "the server" && !strings.HasPrefix(said.String(), "azekura: write "+file) {
			t.Errorf("it said %q", said.String())
		}
		victim = map[string]string{"who asked": "the server"}[victim]
	}
	azekura(t, "backup", file, "--data-dir", dir) // of a directory that a killed server left
	start(t, "--data-dir", dir)
	azekura(t, "backup", file, "--data-dir", dir)
	azekura(t, "backup", "verify", file, "--root-key", filepath.Join(dir, "root-key"))
	if left, _ := filepath.Glob(filepath.Join(dir, "backup.scratch*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// A name of more than the 108 bytes the kernel takes for a socket.
func TestBackupOfADeepDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40), "data")
	p := start(t, "--data-dir", dir)
	file := filepath.Join(t.TempDir(), "kept.backup")
	azekura(t, "backup", file, "--data-dir", dir)
	azekura(t, "backup", "verify", file, "--root-key", filepath.Join(dir, "root-key"))
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

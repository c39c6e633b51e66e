package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"azekura/internal/server/servertest"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

var migrateRows = flag.Int("migrate-rows", 200, "about how many rows TestMigrate puts into each table")

// refused runs a verb that has to fail, and returns what it said.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("azekura", args...)
	cmd.Stderr = &said
	if _, ok := errors.AsType[*exec.ExitError](cmd.Run()); !ok {
		t.Fatalf("azekura %s did not fail: %s", args, &said)
	}
	return said.String()
}

func wantSaid(t *testing.T, said, want string) {
	t.Helper()
	if !regexp.MustCompile(want).MatchString(said) {
		t.Errorf("it said %q, not %q", said, want)
	}
}

// keep stores a secret of each kind, or puts a next version of them.
func keep(t *testing.T, admin *servertest.Client, value string) {
	t.Helper()
	mustDo(t, admin, "CreateSecret", map[string]any{"Name": "text-" + value, "SecretString": value, "Description": "校倉\uffff"})
	mustDo(t, admin, "CreateSecret", map[string]any{"Name": "binary-" + value, "SecretBinary": []byte(value),
		"Tags": []map[string]string{{"Key": "k", "Value": ""}}})
	mustDo(t, admin, "CreateSecret", map[string]any{"Name": "bare-" + value})
	mustDo(t, admin, "PutSecretValue", map[string]any{"SecretId": "bare-" + value, "SecretString": strings.Repeat(value, 64<<10/len(value))})
	mustDo(t, admin, "CreateSecret", map[string]any{"Name": "gone-" + value, "SecretString": value})
	mustDo(t, admin, "DeleteSecret", map[string]any{"SecretId": "gone-" + value})
}

// kept is that all of it is there.
func kept(t *testing.T, admin *servertest.Client, value string) {
	t.Helper()
	get := func(id string) map[string]any {
		return mustDo(t, admin, "GetSecretValue", map[string]any{"SecretId": id})
	}
	for id, want := range map[string]string{"text-": value, "bare-": strings.Repeat(value, 64<<10/len(value))} {
		if got := get(id + value)["SecretString"]; got != want {
			t.Errorf("%s%s holds another value", id, value)
		}
	}
	if got := fmt.Sprint(mustDo(t, admin, "DescribeSecret", map[string]any{"SecretId": "binary-" + value})["Tags"]); got != "[map[Key:k Value:]]" {
		t.Errorf("tags %s", got)
	}
	mustDo(t, admin, "RestoreSecret", map[string]any{"SecretId": "gone-" + value})
	if got := get("gone-" + value)["SecretString"]; got != value {
		t.Error("what was deleted and restored holds another value")
	}
	mustDo(t, admin, "DeleteSecret", map[string]any{"SecretId": "gone-" + value})
}

// digestOf is the digest that migrate printed.
func digestOf(t *testing.T, said string) string {
	t.Helper()
	found := regexp.MustCompile(`digest ([0-9a-f]{64})\n`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("no digest in %q", said)
	}
	return found[1]
}

// From SQLite to PostgreSQL and back, with changes on each, under one root key.
func TestMigrate(t *testing.T) {
	h := newHome(t, "postgres")
	file := home{dir: h.dir}
	serve := func(h home, fn func(*servertest.Client)) {
		p := start(t, h.args("--log-level", "warn")...)
		fn(administrator(t, h.dir))
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
	}
	serve(file, func(admin *servertest.Client) {
		keep(t, admin, "first")
		wantSaid(t, refused(t, h.args("migrate", "--to", "postgres")...), `copy .*azekura.db to the PostgreSQL database: open the source: .*another process uses this database`)
	})
	fill(t, h.dir, *migrateRows)
	there := timed(t, h.args("migrate", "--to", "postgres")...)
	wantSaid(t, there, `compare: \d+ of \d+ rows \(100 %\)`)
	serve(h, func(admin *servertest.Client) {
		kept(t, admin, "first")
		keep(t, admin, "second")
		wantSaid(t, refused(t, h.args("migrate", "--to", "sqlite")...), `the PostgreSQL database is in use: .* call themselves "azekura"`)
	})
	wantSaid(t, refused(t, h.args("migrate", "--to", "sqlite")...), `is not empty: name one that is, nothing was changed \(its table .* has \d+ rows\)`)
	wantSaid(t, refused(t, h.args("migrate", "--to", "postgres")...), `is not empty: name one that is, nothing was changed`)
	serve(file, func(admin *servertest.Client) { kept(t, admin, "first") }) // refused, and so as it was

	if err := os.Rename(filepath.Join(h.dir, "azekura.db"), filepath.Join(h.dir, "old.db")); err != nil {
		t.Fatal(err)
	}
	back := timed(t, h.args("migrate", "--to", "sqlite")...)
	other := home{filepath.Join(t.TempDir(), "other"), storetest.PostgresURL(t)}
	if err := errors.Join(os.CopyFS(other.dir, os.DirFS(h.dir)), os.Chmod(other.dir, 0o700), os.Chmod(other.rootKey(), 0o600)); err != nil {
		t.Fatal(err)
	}
	again := azekura(t, other.args("migrate", "--to", "postgres")...)
	if digestOf(t, back) != digestOf(t, again) || digestOf(t, back) == digestOf(t, there) {
		t.Errorf("digests of first, back and again:\n%s\n%s\n%s", there, back, again)
	}
	serve(file, func(admin *servertest.Client) {
		kept(t, admin, "first")
		kept(t, admin, "second")
	})
}

func TestMigrateRefusals(t *testing.T) {
	h := newHome(t, "postgres")
	wantSaid(t, refused(t, "migrate", "--data-dir", h.dir), `required flag.*"to"`)
	wantSaid(t, refused(t, "migrate", "--data-dir", h.dir, "--to", "sqlite"), `--database-url, or the variable AZEKURA_DATABASE_URL, has to name`)
	wantSaid(t, refused(t, h.args("migrate", "--to", "mysql")...), `--to "mysql": it can be sqlite, .* or postgres`)
	wantSaid(t, refused(t, h.args("migrate", "--to", "postgres")...), `no such file`)
	wantSaid(t, refused(t, h.args("migrate", "--to", "postgres", "--undo")...), `there is none, nothing was changed`)
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, refused(t, h.args("migrate", "--to", "sqlite")...), `there is no root key in .*copy its root-key here`)
	wantSaid(t, azekura(t, "migrate", "--help"), `Examples:`)

	// The root key of somebody else.
	p := start(t, "--data-dir", h.dir)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	azekura(t, h.args("migrate", "--to", "postgres")...)
	stranger := filepath.Join(t.TempDir(), "stranger")
	if err := start(t, "--data-dir", stranger).stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(stranger, "azekura.db")); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, refused(t, "migrate", "--to", "sqlite", "--data-dir", stranger, "--database-url", h.url), `is not the one that sealed this data`)
	file := filepath.Join(t.TempDir(), "kept.backup")
	wantSaid(t, refused(t, "backup", file, "--data-dir", stranger, "--database-url", h.url), `is not the one that sealed this data`)
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a backup that nobody can restore")
	}
}

// fill adds rows to the database of a directory, which then still opens.
func fill(t *testing.T, dir string, rows int) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "azekura.db")})
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, db, rows)
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM keyring WHERE number <> 1`) // they open nothing
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// timed is azekura that tells what it took.
func timed(t *testing.T, args ...string) string {
	t.Helper()
	began := time.Now()
	cmd := exec.Command("azekura", args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("azekura %s: %v: %s", args, err, out)
	}
	memory := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
	t.Logf("%s %s: %v, at most %d MiB of memory\n%s", args[0], args[2], time.Since(began), memory, out)
	return string(out)
}

// unfinished says whether a copy into a database has begun and not ended, and
// of a database that is whole the digest.
func unfinished(t *testing.T, cfg store.Config) (digest string, open bool) {
	t.Helper()
	nowhere := store.Config{Path: filepath.Join(t.TempDir(), "x.db")}
	c, err := store.Transfer{From: cfg, To: nowhere}.Run(t.Context())
	if err == nil {
		return c.Digest, false
	}
	return "", errors.Is(err, store.ErrUnfinished)
}

// Killed at random moments a migration goes on when it is run again, and no
// server takes what is there for whole.
func TestKilledMigration(t *testing.T) {
	h := newHome(t, "postgres")
	file := home{dir: h.dir}
	p := start(t, file.args()...)
	keep(t, administrator(t, h.dir), "first")
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	database := store.Config{Path: filepath.Join(h.dir, "azekura.db")}
	fill(t, h.dir, 1000)
	whole := killedAndFinished(t, h, "postgres", store.Config{URL: h.url})
	if err := os.Rename(database.Path, filepath.Join(h.dir, "old.db")); err != nil {
		t.Fatal(err)
	}
	if back := killedAndFinished(t, h, "sqlite", database); back != whole {
		t.Errorf("there %s, back %s", whole, back)
	}
	start(t, file.args()...)
	kept(t, administrator(t, h.dir), "first")
}

// killedAndFinished migrates with kills in between, and returns the digest.
func killedAndFinished(t *testing.T, h home, to string, destination store.Config) string {
	t.Helper()
	args := h.args("migrate", "--to", to)
	begun, notYet, undone := 0, 0, 0
	for limit := time.Duration(0); ; limit = limit*5/4 + 20*time.Millisecond {
		said, killed := killedAfter(t, limit, args...)
		if !killed {
			t.Logf("into %s: killed with a copy begun %d times, before %d times, undone %d times", to, begun, notYet, undone)
			return digestOf(t, said)
		}
		digest, open := unfinished(t, destination)
		switch {
		case digest != "":
			t.Logf("into %s: killed when the copy was finished, and before that begun %d times", to, begun)
			return digest
		case open:
		case limit == 0:
			t.Fatal("there is progress and no mark")
		default:
			notYet++
			continue
		}
		begun++
		refuses(t, h, to)
		if rand.N(6) == 0 {
			azekura(t, append(args, "--undo")...)
			undone++
		}
	}
}

// killedAfter kills a verb at a random moment, near to limit, or as soon as it
// says something if that is 0. If it was too late the output is returned.
func killedAfter(t *testing.T, limit time.Duration, args ...string) (said string, killed bool) {
	t.Helper()
	cmd := exec.Command("azekura", args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	stderr, err := cmd.StderrPipe()
	if err := errors.Join(err, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	if limit == 0 {
		stderr.Read(make([]byte, 1))
		cmd.Process.Kill()
	} else {
		defer time.AfterFunc(limit/2+rand.N(limit), func() { cmd.Process.Kill() }).Stop()
		lines.ReadFrom(stderr)
	}
	err = cmd.Wait()
	if err != nil && cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("%v: %s", err, &lines)
	}
	return out.String(), err != nil
}

// refuses is that nothing takes an unfinished copy for a database.
func refuses(t *testing.T, h home, engine string) {
	t.Helper()
	if engine == "sqlite" {
		h.url = ""
	}
	const want = `holds an unfinished copy: run the command that began it`
	wantSaid(t, refused(t, h.args("server", "--listen", "127.0.0.1:0")...), want)
	wantSaid(t, refused(t, h.args("backup", filepath.Join(t.TempDir(), "x"))...), want)
}

// A restore into PostgreSQL changes nothing if it is refused, and goes on when
// it is run again after a kill.
func TestRestoreIntoPostgres(t *testing.T) {
	source := newHome(t, "sqlite")
	p := start(t, source.args()...)
	keep(t, administrator(t, source.dir), "first")
	file := filepath.Join(t.TempDir(), "kept.backup")
	azekura(t, source.args("backup", file)...)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	h := newHome(t, "postgres")
	database := store.Config{URL: h.url}
	restore := func(file string) []string { return h.args("restore", file, "--root-key", source.rootKey()) }
	untouched := func(said string) {
		t.Helper()
		if left, _ := os.ReadDir(h.dir); len(left) > 0 {
			t.Errorf("after %q there is %s", said, left[0].Name())
		}
		if _, open := unfinished(t, database); open {
			t.Errorf("after %q there is a copy", said)
		}
	}

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at, damaged := range map[int][]byte{1: whole[:len(whole)-1], 2: whole[:len(whole)/2], 3: append(bytes.Clone(whole), 0)} {
		cut := filepath.Join(t.TempDir(), fmt.Sprint(at))
		if err := os.WriteFile(cut, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		said := refused(t, restore(cut)...)
		wantSaid(t, said, `the backup is damaged`)
		untouched(said)
	}
	taken := newHome(t, "postgres")
	if err := start(t, taken.args()...).stop(); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, refused(t, "restore", file, "--root-key", source.rootKey(), "--data-dir", taken.dir, "--database-url", h.url), `has another root key`)
	said := refused(t, "restore", file, "--root-key", source.rootKey(), "--data-dir", h.dir, "--database-url", taken.url)
	wantSaid(t, said, `is not empty: name one that is, nothing was changed`)
	untouched(said)

	// Killed as soon as it copies, it leaves what no server takes for whole.
	if _, killed := killedAfter(t, 0, restore(file)...); !killed {
		t.Fatal("it was not killed")
	}
	if _, open := unfinished(t, database); open {
		refuses(t, h, "postgres")
	}
	azekura(t, restore(file)...)
	start(t, h.args()...)
	kept(t, administrator(t, h.dir), "first")
	for name := range readDir(t, h.dir) {
		if strings.HasPrefix(name, "azekura.db") {
			t.Errorf("%s is left", name)
		}
	}
	wantSaid(t, refused(t, restore(file)...), `is not empty`)

	// A killed backup of it leaves a copy, which the next one uses up.
	again := filepath.Join(t.TempDir(), "again.backup")
	scratch := filepath.Join(h.dir, "backup-postgres.scratch")
	if err := os.WriteFile(scratch, []byte("half a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	azekura(t, h.args("backup", again)...)
	if _, err := os.Stat(scratch); err == nil {
		t.Error("the copy is left")
	}
	wantSaid(t, azekura(t, "backup", "verify", again, "--root-key", h.rootKey()), `is whole and authentic`)
	wantSaid(t, refused(t, "backup", again, "--data-dir", h.dir), `if the data is in PostgreSQL, give --database-url`)
}

// Progress is lines for a log, and one line on a terminal.
func TestMeter(t *testing.T) {
	var out strings.Builder
	m := newMeter(&out)
	for rows := range int64(1001) {
		m.report(store.Progress{Step: "copy", Table: "a", Rows: rows, Total: 1000})
	}
	m.report(store.Progress{Step: "compare", Table: "b", Rows: 0, Total: 0})
	m.close()
	const want = "copy: 0 of 1000 rows (0 %), table a\ncopy: 1000 of 1000 rows (100 %), table a\ncompare: 0 of 0 rows (100 %), table b\n"
	if out.String() != want {
		t.Errorf("got %q", out.String())
	}
	if got := progressLine(store.Progress{Step: "copy", Table: "a", Rows: 500, Total: 1000}, 2*time.Second); got != "copy: 500 of 1000 rows (50 %), 250 rows a second, table a" {
		t.Errorf("got %q", got)
	}
}

package store

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
)

func TestOpenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	stdout := captureStdout(t)
	for i := range 3 {
		db, err := Open(t.Context(), Config{Path: path})
		if err != nil {
			t.Fatalf("Open %d: %v", i, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if text := stdout(); text != "" {
		t.Errorf("the migrations printed %q", text)
	}
}

// captureStdout sends what the process prints into a file; the result stops
// that and returns it.
func captureStdout(t *testing.T) func() string {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = f, f
	t.Cleanup(func() { os.Stdout, os.Stderr = out, errs })
	return func() string {
		os.Stdout, os.Stderr = out, errs
		data, err := os.ReadFile(f.Name())
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
}

func TestNewerDatabaseIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9731, 1)`)
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), Config{Path: path})
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "9731") || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("Open: %v, want ErrNewer, the version and what to do", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestMigrations(t *testing.T) {
	db, err := sql.Open("sqlite", memorySource("migrations")("_txlock=immediate"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	up := func(files fstest.MapFS) error { return migrateFrom(t.Context(), db, goose.DialectSQLite3, files, log) }
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)} }

	files := fstest.MapFS{"0001_a.sql": file("CREATE TABLE a (id TEXT);")}
	if err := errors.Join(up(files), up(files)); err != nil {
		t.Fatal(err)
	}
	files["0002_b.sql"] = file("CREATE TABLE b (id TEXT);\nCREATE TABLE a (id TEXT);")
	if err := up(files); err == nil || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Errorf("a migration that fails: %v, want its name", err)
	}
	files["0002_b.sql"] = file("CREATE TABLE b (id TEXT);\nINSERT INTO a VALUES ('x');")
	if err := up(files); err != nil {
		t.Errorf("the same migration, mended: %v", err)
	}
	var rows int
	if err := db.QueryRow(`SELECT COUNT(*) FROM a, (SELECT COUNT(*) FROM b)`).Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows, %v; want 1", rows, err)
	}
}

// The default keys of a database from before keys had more than that stay what
// they were, with their material and aliases.
func TestKeysBecomeWhole(t *testing.T) {
	db, err := sql.Open("sqlite", memorySource("keys")("_txlock=immediate"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	log := slog.New(slog.DiscardHandler)
	old := fstest.MapFS{}
	for _, file := range []string{"0001_keyring.sql", "0002_kms.sql"} {
		text, err := migrations.ReadFile("migrations/" + file)
		if err != nil {
			t.Fatal(err)
		}
		old[file] = &fstest.MapFile{Data: text}
	}
	if err := migrateFrom(t.Context(), db, goose.DialectSQLite3, old, log); err != nil {
		t.Fatal(err)
	}
	for _, insert := range []string{
		`INSERT INTO kms_keys VALUES ('k1', '111111111111', 'us-east-1', 'AWS', 5)`,
		`INSERT INTO kms_material VALUES ('k1', 1, x'0102', 6)`,
		`INSERT INTO kms_aliases VALUES ('111111111111', 'us-east-1', 'alias/aws/secretsmanager', 'k1')`,
	} {
		if _, err := db.Exec(insert); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate(t.Context(), db, goose.DialectSQLite3, log); err != nil {
		t.Fatal(err)
	}
	var found int
	err = db.QueryRow(`SELECT COUNT(*) FROM kms_keys k JOIN kms_aliases a ON a.key_arn = k.arn JOIN kms_material m ON m.key_id = k.id
		WHERE k.arn = 'arn:aws:kms:us-east-1:111111111111:key/k1' AND k.state = 'Enabled' AND k.manager = 'AWS' AND k.created_at = 5
		AND a.name = 'alias/aws/secretsmanager' AND m.version = 1 AND m.material = x'0102'`).Scan(&found)
	if err != nil || found != 1 {
		t.Errorf("%d keys, %v", found, err)
	}
}

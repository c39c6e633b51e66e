package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// grow makes changes of twice the pages that make a checkpoint due, and
// returns how many pages the database file lacks then.
func grow(t *testing.T, db *DB) (frames int) {
	t.Helper()
	blob := bytes.Repeat([]byte{7}, 64<<10)
	for range 2*checkpointFrames/(len(blob)>>12) - 10 {
		err := db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO b VALUES ($1)`, blob)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// The turn of another change: the writer has done what follows the last.
	if err := db.Update(t.Context(), func(*Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	frames, err := checkpoint(db.engine.(*sqliteEngine).anchor, "NOOP")
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

// A reader of an older state would let SQLite copy a part, and forget whether
// it has reached the disk.
func TestCheckpointIsWholeOrNone(t *testing.T) {
	db := openTest(t)
	err := db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`CREATE TABLE b (data BYTEA)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before := 0
	err = db.View(t.Context(), func(tx *Tx) error {
		if _, err := One(tx, func(n *int) []any { return []any{n} }, `SELECT COUNT(*) FROM b`); err != nil {
			return err
		}
		before = grow(t, db)
		_, copied := walLength(t, db)
		if copied != 0 {
			t.Errorf("%d pages were copied under a reader of an older state", copied)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := grow(t, db); after >= checkpointFrames {
		t.Errorf("%d pages are left to copy, with no reader in the way; there were %d with one", after, before)
	}
}

func walLength(t *testing.T, db *DB) (length, copied int) {
	t.Helper()
	err := db.engine.(*sqliteEngine).anchor.query(func(scan func(...any) error) (bool, error) {
		var busy int
		return true, scan(&busy, &length, &copied)
	}, "PRAGMA wal_checkpoint(NOOP)")
	if err != nil {
		t.Fatal(err)
	}
	return length, copied
}

// What an earlier process left in the WAL may not have reached the disk,
// however it looks; it is written anew before anything is built on it.
func TestOpenSettlesTheWAL(t *testing.T) {
	db := openTest(t)
	if err := db.Update(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copyAsKilled(t, db, dir)
	if info, err := os.Stat(filepath.Join(dir, "db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("no WAL was left: %v", err)
	}
	again, err := Open(t.Context(), Config{Path: filepath.Join(dir, "db")})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if info, err := os.Stat(filepath.Join(dir, "db-wal")); err != nil || info.Size() != 0 {
		t.Errorf("the WAL was left as it was: %v", err)
	}
	if !visible(t, again) {
		t.Error("the row in the WAL is lost")
	}
}

// copyAsKilled copies the files as kill -9 would leave them.
func copyAsKilled(t *testing.T, db *DB, dir string) {
	t.Helper()
	path := databasePath(t, db)
	for _, name := range []string{"db", "db-wal"} {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func databasePath(t *testing.T, db *DB) (path string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *Tx) (err error) {
		path, err = One(tx, func(s *string) []any { return []any{s} }, `SELECT file FROM pragma_database_list`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// When errors close every connection that is used, the WAL must not be read
// anew: a commit that failed would be found in it.
func TestWALStaysOpen(t *testing.T) {
	db := openTest(t)
	e := db.engine.(*sqliteEngine)
	if err := db.Update(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), func(*Tx) error { return nil }); err != nil { // the writer is idle
		t.Fatal(err)
	}
	wal := databasePath(t, db) + "-wal"
	for _, c := range append(e.reads.conns, e.writer.conn) {
		if err := c.drop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(wal); err != nil {
		t.Errorf("the WAL was closed: %v", err)
	}
	if err := db.Update(t.Context(), insert("b")); err != nil {
		t.Error(err)
	}
}

// SQLite takes a damaged page of the WAL for its end, and would lose what was
// acknowledged after it without a word.
func TestDamagedWAL(t *testing.T) {
	for name, test := range map[string]struct {
		after   int // commits behind the damaged one
		damage  int // bytes
		refused bool
	}{
		"the last commit, as a loss of power leaves it": {0, 1, false},
		"a byte in the middle":                          {20, 1, true},
		"a page in the middle":                          {20, 8192, true},
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t)
			if err := db.Update(t.Context(), insert("kept")); err != nil {
				t.Fatal(err)
			}
			length, _ := walLength(t, db)
			for i := range 1 + test.after {
				if err := db.Update(t.Context(), insert(string(rune('a'+i)))); err != nil {
					t.Fatal(err)
				}
			}
			dir := t.TempDir()
			copyAsKilled(t, db, dir)
			path := filepath.Join(dir, "db")
			wal, err := os.ReadFile(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			if lost, err := commitsLost(path + "-wal"); lost != 0 || err != nil {
				t.Fatalf("%d commits of a whole WAL are lost, %v", lost, err)
			}
			for i := range test.damage {
				wal[walHeader+length*(frameHeader+4096)+i] ^= 0xff
			}
			if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := Open(t.Context(), Config{Path: path})
			if err == nil {
				defer again.Close()
			}
			if refused := err != nil && strings.Contains(err.Error(), "is damaged"); refused != test.refused || err != nil && !refused {
				t.Fatalf("Open: %v", err)
			}
			if err == nil {
				return
			}
			if left, err := os.ReadFile(path + "-wal"); err != nil || !bytes.Equal(left, wal) {
				t.Errorf("what was refused was changed: %v", err)
			}
		})
	}
}

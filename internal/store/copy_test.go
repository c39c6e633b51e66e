package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const insertKey = `INSERT INTO keyring (number, id, wrapped, root, created_at) VALUES ($1, $2, $3, $4, $5)`

func addKeys(t *testing.T, db *DB, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		err := db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(insertKey, n, rune(n), make([]byte, 2000), "root", 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A copy is one snapshot, with all that was acknowledged before, while others
// write; and nobody else can read it.
func TestCopyUnderWrites(t *testing.T) {
	for name, path := range map[string]string{"file": filepath.Join(t.TempDir(), "db"), "memory": ""} {
		t.Run(name, func(t *testing.T) {
			db, err := Open(t.Context(), Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			addKeys(t, db, 1, 200)
			var writing sync.WaitGroup
			writing.Go(func() { addKeys(t, db, 200, 600) })
			to := filepath.Join(t.TempDir(), "copy")
			if err := os.WriteFile(to, []byte("what was there before"), 0o644); err != nil {
				t.Fatal(err)
			}
			err = db.CopyTo(t.Context(), to)
			writing.Wait()
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(to)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if err := Check(t.Context(), to); err != nil {
				t.Error(err)
			}
			var last int64
			c, err := Inspect(t.Context(), to, func(tx *Tx) (err error) {
				last, err = One(tx, func(n *int64) []any { return []any{n} }, `SELECT max(number) FROM keyring`)
				return err
			})
			if err != nil || c.Schema < 4 || c.Rows["keyring"] != last || last < 199 {
				t.Errorf("%+v, last %d, %v", c, last, err)
			}
		})
	}
}

func TestCopyThatEndsEarlyLeavesNoFile(t *testing.T) {
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.CopyTo(ctx, to); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.CopyTo(t.Context(), to); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

func TestCopyFile(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "db"), filepath.Join(t.TempDir(), "copy")
	if err := CopyFile(t.Context(), from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	db, err := Open(t.Context(), Config{Path: from})
	if err != nil {
		t.Fatal(err)
	}
	addKeys(t, db, 1, 10)
	if err := CopyFile(t.Context(), from, to); !errors.Is(err, ErrLocked) {
		t.Errorf("in use: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := CopyFile(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	c, err := Inspect(t.Context(), to, nil)
	if diff := cmp.Diff(int64(9), c.Rows["keyring"]); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// Damage in a page, and a row whose parent is gone, are found.
func TestCheckFindsDamage(t *testing.T) {
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	addKeys(t, db, 1, 200)
	to := filepath.Join(t.TempDir(), "copy")
	if err := db.CopyTo(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for at := len(raw) / 2 / page * page; at < len(raw); at++ {
		raw[at] = 0xff
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), to); err == nil {
		t.Error("half of the file is overwritten, and nobody noticed")
	}
}

package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

func openAt(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestFileModes(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		path := filepath.Join(t.TempDir(), "db")
		old := syscall.Umask(umask)
		db, err := store.Open(t.Context(), store.Config{Path: path})
		if err == nil {
			err = db.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(ids); return err })
		}
		syscall.Umask(old)
		if err != nil {
			t.Fatalf("umask %03o: %v", umask, err)
		}
		wantPrivate(t, path, "", "-wal", "-shm", ".lock")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		openAt(t, path)
		wantPrivate(t, path, "", "-wal", "-shm", ".lock")
	}
}

func wantPrivate(t *testing.T, path string, suffixes ...string) {
	t.Helper()
	for _, suffix := range suffixes {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Error(err)
		} else if info.Mode() != 0o600 {
			t.Errorf("mode of db%s is %v, want 0600", suffix, info.Mode())
		}
	}
}

func TestPathIsTakenLiterally(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"plain", "a b?mode=memory&c#d%41;e", "file:x", ":memory:", "日本"} {
		exec(t, openAt(t, name), ids, `INSERT INTO t VALUES ('a')`)
		for _, file := range []string{name, name + ".lock"} {
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	first := openAt(t, path)
	_, err := store.Open(t.Context(), store.Config{Path: path})
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("second Open: %v, want ErrLocked and the path", err)
	}
	exec(t, first, ids)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	exec(t, openAt(t, path), `INSERT INTO t VALUES ('a')`)
}

func TestOpenNeedsADatabase(t *testing.T) {
	damaged := func(change func([]byte)) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			db := openAt(t, path)
			exec(t, db, ids)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			change(data)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name, file, want string
		prepare          func(t *testing.T, path string)
	}{
		{"no folder", "none/db", "folder exists", nil},
		{"folder is a file", "file/db", "folder exists", func(t *testing.T, path string) {
			if err := os.WriteFile(filepath.Dir(path), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"is a folder", "db", "is a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"other file", "db", "not a database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("a letter to a friend "), 500), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"overwritten start", "db", "not a database", damaged(func(b []byte) { clear(b[:50]) })},
		{"overwritten page", "db", "damaged", damaged(func(b []byte) {
			for i := 100; i < len(b); i++ {
				b[i] = 0xff
			}
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			if test.prepare != nil {
				test.prepare(t, path)
			}
			before, _ := os.ReadFile(path)
			db, err := store.Open(t.Context(), store.Config{Path: path})
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q, want %q and the path in it", err, test.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenInAFolderItMayNotWrite(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "db")})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "writable") {
		t.Errorf("Open: %v", err)
	}
}

func TestFullDatabase(t *testing.T) {
	storetest.EachEmbedded(t, func(t *testing.T, db *store.DB) {
		exec(t, db, `CREATE TABLE b (data BYTEA)`, `PRAGMA max_page_count = 200`)
		var full error
		for range 100 {
			if full = db.Update(t.Context(), insertBlob(64<<10)); full != nil {
				break
			}
		}
		if !errors.Is(full, store.ErrFull) {
			t.Fatalf("a full database: %v, want ErrFull", full)
		}
		kept := column[int64](t, db, `SELECT COUNT(*) FROM b`)
		exec(t, db, `DELETE FROM b`)
		if err := db.Update(t.Context(), insertBlob(64<<10)); err != nil || kept[0] == 0 {
			t.Errorf("after making room (%d rows had fitted): %v", kept[0], err)
		}
	})
}

func insertBlob(size int) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO b VALUES ($1)`, bytes.Repeat([]byte{7}, size))
		return err
	}
}

// A disk without room makes COMMIT itself fail.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Skipf("no file system of a limited size: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	db := openAt(t, filepath.Join(dir, "db"))
	exec(t, db, `CREATE TABLE b (data BYTEA)`)
	if err := db.Update(t.Context(), insertBlob(1<<10)); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := db.Update(t.Context(), insertBlob(500<<10)); !errors.Is(err, store.ErrFull) {
				t.Errorf("on a full disk: %v, want ErrFull", err)
			}
		})
	}
	wg.Wait()
	if got := column[int64](t, db, `SELECT COUNT(*) FROM b`); !slices.Equal(got, []int64{1}) {
		t.Errorf("%v rows, want the one from before", got)
	}
	_, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "second")})
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("start on a full disk: %v, want ErrFull", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(t.Context(), insertBlob(100<<10)); err != nil {
		t.Errorf("after the disk was freed: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// fill writes to a file until the disk is full.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

func TestDeletedIsOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db := openAt(t, path)
	secret := bytes.Repeat([]byte("the deleted ciphertext"), 1000)
	exec(t, db, `CREATE TABLE b (data BYTEA)`)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO b VALUES ($1)`, secret)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, `DELETE FROM b`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, secret[:20]) {
		t.Errorf("the file still holds what was deleted (%v)", err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the WAL was left behind: %v", err)
	}
}

// In memory, nothing may reach a disk: no file in the working or temporary
// folder, and none held open that has no name any more.
func TestMemoryLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("TMPDIR", dir)
	t.Setenv("SQLITE_TMPDIR", dir)
	before := openFiles(t)
	db := storetest.Memory(t)
	exec(t, db, `CREATE TABLE b (data BYTEA)`)
	err := db.Update(t.Context(), func(tx *store.Tx) error {
		for range 200 {
			if err := insertBlob(32 << 10)(tx); err != nil {
				return err
			}
		}
		_, err := store.Collect(tx, scalar[[]byte], `SELECT data FROM b ORDER BY data DESC`)
		if files := openFiles(t); !slices.Equal(files, before) {
			t.Errorf("open files: %q, before: %q", files, before)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// openFiles lists the regular files that the process has open.
func openFiles(t *testing.T) []string {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	var files []string
	for _, fd := range fds {
		name, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		info, err := os.Stat("/proc/self/fd/" + fd.Name())
		if err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return files
}

func TestMemoriesAreSeparate(t *testing.T) {
	one, two := storetest.Memory(t), storetest.Memory(t)
	exec(t, one, ids, `INSERT INTO t VALUES ('a')`)
	exec(t, two, ids)
	wantIDs(t, two)
}

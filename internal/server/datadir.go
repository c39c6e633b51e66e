package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"azekura/internal/envelope"
	"azekura/internal/seal"
)

func rootKeyPath(dir string) string { return filepath.Join(dir, "root-key") }

// databasePath is empty, which is a database in memory, where nothing is kept.
func databasePath(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "azekura.db")
}

// restoringPath is the database of a restore that is not complete.
func restoringPath(dir string) string { return databasePath(dir) + ".new" }

// openDataDir makes the directory, or checks the one that is there, and keeps
// other processes out until release is called. Each step of a first start
// leaves something that the next start completes.
func openDataDir(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := checkPrivate(dir); err != nil {
		return nil, err
	}
	return lock(dir)
}

// openExisting is openDataDir for a directory that has to hold data already,
// and its root key, while no server runs.
func openExisting(ctx context.Context, dir string, where seal.Config) (root envelope.Root, release func(), err error) {
	if err := checkPrivate(databasePath(dir)); err != nil {
		return nil, nil, fmt.Errorf("there is no database to use: %w; if the data is in PostgreSQL, give --database-url", err)
	}
	if release, err = openDataDir(dir); err != nil {
		return nil, nil, err
	}
	if root, err = openSettled(ctx, dir, where); errors.Is(err, seal.ErrNoRootKey) {
		err = errRootKeyMissing(where.In(dir))
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return root, release, nil
}

// openSettled opens a root key that is there, and that no rotation was to
// replace when it was broken off.
func openSettled(ctx context.Context, dir string, where seal.Config) (envelope.Root, error) {
	where = where.In(dir)
	if err := checkRootKey(dir, where); err != nil {
		return nil, err
	}
	if seal.Unsettled(where) {
		return nil, fmt.Errorf("a rotation of the root key %s was broken off: start a server, or run azekura seal rotate, which finish it", where.Path)
	}
	return seal.Open(ctx, where)
}

func lock(dir string) (release func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the data directory: %w", err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		d.Close()
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

// checkRootKey refuses a directory of which a restore was broken off, and a root
// key file that others can read, before the database is touched.
func checkRootKey(dir string, where seal.Config) error {
	if err := checkRestored(dir); err != nil {
		return err
	}
	where = where.In(dir)
	if where.Path == "" {
		return nil
	}
	if err := checkPrivate(where.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func errRootKeyMissing(where seal.Config) error {
	return fmt.Errorf("there is a database, but its root key %s is missing: restore the file from your backup, "+
		"or copy it from another server of this database; without it nothing in the database can be opened. "+
		"If its root key sleeps elsewhere, give the settings of that seal", where.Path)
}

// checkRestored refuses a directory whose database was restored in part. One
// with a root key file was used since.
func checkRestored(dir string) error {
	for _, path := range []string{databasePath(dir), rootKeyPath(dir)} {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
	}
	if _, err := os.Lstat(restoringPath(dir)); err == nil {
		return fmt.Errorf("%s holds a restore that was broken off: empty it, and restore again", dir)
	}
	return nil
}

// checkPrivate refuses a file or directory that other users of the machine
// could read or change.
func checkPrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s is open to other users (mode %04o): run chmod go-rwx %s", path, mode, path)
	}
	return nil
}

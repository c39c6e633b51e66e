package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"azekura/internal/backup"
	"azekura/internal/iam"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// scratchPath is where a backup's copy of the database lies until it is
// encrypted: beside the database, since it says as much.
func scratchPath(dir string) string { return filepath.Join(dir, "backup.scratch") }

// Backup writes a backup of a data directory into a file, which gets its name
// when it is whole. If a server has the directory, that server is asked for it
// and goes on serving; version is what to call this program if it makes the
// backup itself.
func Backup(ctx context.Context, dir, file, version string) (backup.Manifest, error) {
	if err := checkPrivate(dir); err != nil {
		return backup.Manifest{}, fmt.Errorf("back up: %w", err)
	}
	var m backup.Manifest
	err := backup.Save(file, func(w io.Writer) (err error) {
		stream, err := askForBackup(ctx, dir)
		if errors.Is(err, errNobodyThere) {
			m, err = backupStopped(ctx, dir, version, w)
			return err
		}
		if err != nil {
			return err
		}
		defer stream.Close()
		m, err = receive(stream, w)
		return err
	})
	return m, err
}

// receive copies a backup and sees to it that all of it is there.
func receive(stream io.Reader, w io.Writer) (backup.Manifest, error) {
	r, err := backup.NewReader(io.TeeReader(stream, w))
	if err != nil {
		return backup.Manifest{}, err
	}
	return r.Manifest, r.Skim()
}

// backupStopped backs up a data directory that no server has.
func backupStopped(ctx context.Context, dir, version string, w io.Writer) (backup.Manifest, error) {
	root, release, err := openExisting(dir)
	if err != nil {
		return backup.Manifest{}, err
	}
	defer release()
	database := databasePath(dir)
	source := backup.Source{
		Copy:    func(ctx context.Context, path string) error { return store.CopyFile(ctx, database, path) },
		Account: iam.FirstAccount,
		Root:    root,
		Version: version,
		Scratch: scratchPath(dir),
	}
	return source.Write(ctx, w)
}

// Restore makes a data directory, which may exist if it is empty, of a backup
// and the root key it was made under. The root key comes last: no
// server starts in a directory where the database is not whole.
func Restore(ctx context.Context, file, rootKey, dir string) (_ backup.Manifest, err error) {
	root, err := seal.File(rootKey)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: make the data directory: %w", err)
	}
	release, err := lock(dir)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	defer release()
	if err := checkEmpty(dir); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	draft := restoringPath(dir)
	m, err := backup.Extract(ctx, file, root, draft)
	if err != nil {
		return backup.Manifest{}, err
	}
	if err := os.Rename(draft, databasePath(dir)); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	if _, err := seal.CopyFile(rootKey, rootKeyPath(dir)); err != nil {
		return backup.Manifest{}, errors.Join(fmt.Errorf("restore: %w", err), os.Remove(databasePath(dir)))
	}
	return m, nil
}

func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty (it holds %s, for one): name a directory that is empty or does not exist yet", dir, entries[0].Name())
	}
	return nil
}

// VerifyBackup reads all of a backup file, and with the root key in the file
// rootKey, if that is not empty, proves and checks what it holds. For that it
// needs room for the database in the directory for temporary files.
func VerifyBackup(ctx context.Context, file, rootKey string) (_ backup.Manifest, err error) {
	if rootKey == "" {
		return backup.Skim(file)
	}
	root, err := seal.File(rootKey)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("verify: %w", err)
	}
	scratch, err := os.MkdirTemp("", "azekura-verify-")
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("verify: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	return backup.Extract(ctx, file, root, filepath.Join(scratch, "azekura.db"))
}

// removeScratch removes what a killed backup has left.
func removeScratch(dir string) error {
	if err := os.Remove(scratchPath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an interrupted backup left: %w", err)
	}
	return nil
}

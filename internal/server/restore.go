package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"azekura/internal/backup"
	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/store"
)

// A Restoration makes a deployment of a backup and the root key it was made
// under.
type Restoration struct {
	File string // the backup

	// Seal is where the root key sleeps. If that is a file, Path is where it
	// is, and it is copied to DataDir.
	Seal seal.Config

	// DataDir may exist if it is empty. If the data is to be in PostgreSQL it
	// may also be that of a server of the same root key.
	DataDir string

	// DatabaseURL, if not empty, is that of an empty database for the data.
	DatabaseURL     string
	DatabaseStandby bool // as in Config

	Progress func(store.Progress) // of the copy into PostgreSQL
}

// Run restores. A backup that cannot be trusted to the last byte changes
// nothing. It may be run again after an error or a kill.
func (r Restoration) Run(ctx context.Context) (_ backup.Manifest, err error) {
	root, err := seal.Open(ctx, r.Seal)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(r.DataDir, 0o700); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: make the data directory: %w", err)
	}
	release, err := lock(r.DataDir)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	defer release()
	if r.DatabaseURL != "" {
		return r.intoPostgres(ctx, root)
	}
	return r.intoDirectory(ctx, root)
}

// intoDirectory puts a root key file there last: no server starts in a directory
// where the database is not whole. Where there is no such file, it sees the
// database's draft.
func (r Restoration) intoDirectory(ctx context.Context, root envelope.Root) (backup.Manifest, error) {
	dir := r.DataDir
	if err := checkEmpty(dir); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	draft := restoringPath(dir)
	m, err := backup.Extract(ctx, r.File, root, draft)
	if err != nil {
		return backup.Manifest{}, err
	}
	if err := os.Rename(draft, databasePath(dir)); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	if err := r.copyRootKey(); err != nil {
		return backup.Manifest{}, errors.Join(fmt.Errorf("restore: %w", err), os.Remove(databasePath(dir)))
	}
	return m, nil
}

// intoPostgres puts the root key there before the data: once that is complete
// a restore could not be run again, and until then no server starts on it.
func (r Restoration) intoPostgres(ctx context.Context, root envelope.Root) (_ backup.Manifest, err error) {
	draft := restoringPath(r.DataDir)
	clean := func() error { return errors.Join(removeIfThere(draft), removeIfThere(draft+".lock")) }
	if err := clean(); err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	made, err := r.rootKeyFor(root)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	defer func() {
		if err != nil && made {
			err = errors.Join(err, removeIfThere(rootKeyPath(r.DataDir)))
		}
	}()
	defer func() { err = errors.Join(err, clean()) }()
	m, err := backup.Extract(ctx, r.File, root, draft)
	if err != nil {
		return backup.Manifest{}, err
	}
	_, err = store.Transfer{
		From:     store.Config{Path: draft},
		To:       store.Config{URL: r.DatabaseURL, NeedStandby: r.DatabaseStandby},
		Progress: r.Progress,
	}.Run(ctx)
	if err != nil {
		return backup.Manifest{}, fmt.Errorf("restore: %w", err)
	}
	return m, nil
}

// rootKeyFor sees to it that the directory has the root key of the backup, and
// says whether it had none before.
func (r Restoration) rootKeyFor(root envelope.Root) (made bool, err error) {
	if r.Seal.Kind != seal.KindFile {
		return false, os.Chmod(r.DataDir, 0o700) // there is nothing to put there
	}
	switch there, err := seal.File(rootKeyPath(r.DataDir)); {
	case errors.Is(err, seal.ErrNoRootKey):
	case err != nil:
		return false, err
	case there.Fingerprint() != root.Fingerprint():
		return false, fmt.Errorf("%s has another root key (fingerprint %s) than the backup is to be opened with (fingerprint %s): name another data directory",
			r.DataDir, there.Fingerprint(), root.Fingerprint())
	default:
		return false, checkPrivate(r.DataDir)
	}
	if err := checkEmpty(r.DataDir); err != nil {
		return false, err
	}
	if err := os.Chmod(r.DataDir, 0o700); err != nil {
		return false, err
	}
	err = r.copyRootKey()
	return err == nil, err
}

// copyRootKey puts a root key that is a file where a server looks for it.
func (r Restoration) copyRootKey() error {
	if r.Seal.Kind != seal.KindFile {
		return nil
	}
	_, err := seal.CopyFile(r.Seal.Path, rootKeyPath(r.DataDir))
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

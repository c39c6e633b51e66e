package server

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Backup writes a backup of the data into a file, which gets its name when it
// is whole. If a server has the data directory, that server is asked for it
// and goes on serving; so do those of a PostgreSQL database, which is read
// directly.
func Backup(ctx context.Context, cfg Config, file string) (backup.Manifest, error) {
	if err := checkPrivate(cfg.DataDir); err != nil {
		return backup.Manifest{}, fmt.Errorf("back up: %w", err)
	}
	var m backup.Manifest
	err := backup.Save(file, func(w io.Writer) (err error) {
		if cfg.DatabaseURL != "" {
			m, err = backupPostgres(ctx, cfg, w)
			return err
		}
		stream, err := askForBackup(ctx, cfg.DataDir)
		if errors.Is(err, errNobodyThere) {
			m, err = backupStopped(ctx, cfg, w)
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
func backupStopped(ctx context.Context, cfg Config, w io.Writer) (backup.Manifest, error) {
	root, release, err := openExisting(ctx, cfg.DataDir, cfg.Seal)
	if err != nil {
		return backup.Manifest{}, err
	}
	defer release()
	database := databasePath(cfg.DataDir)
	source := backup.Source{
		Copy:    func(ctx context.Context, path string) error { return store.CopyFile(ctx, database, path) },
		Account: iam.FirstAccount,
		Root:    root,
		Version: cfg.Version,
		Scratch: scratchPath(cfg.DataDir),
	}
	return source.Write(ctx, w)
}

// backupPostgres backs up a database that servers may use. It keeps other
// backups with the same directory away, and no server: so the lock is one of a
// file, which servers do not lock.
func backupPostgres(ctx context.Context, cfg Config, w io.Writer) (backup.Manifest, error) {
	root, err := existingRootKey(ctx, cfg.DataDir, cfg.Seal)
	if err != nil {
		return backup.Manifest{}, err
	}
	release, err := lockBackups(cfg.DataDir)
	if err != nil {
		return backup.Manifest{}, err
	}
	defer release()
	database := store.Config{URL: cfg.DatabaseURL, NeedStandby: cfg.DatabaseStandby}
	source := backup.Source{
		Copy: func(ctx context.Context, path string) error { return store.CopyPostgres(ctx, database, path) },
		Account: func(tx *store.Tx) (string, error) {
			if err := seal.Opens(ctx, tx, root); err != nil {
				return "", err
			}
			return iam.FirstAccount(tx)
		},
		Root:    root,
		Version: cfg.Version,
		Scratch: filepath.Join(cfg.DataDir, "backup-postgres.scratch"),
	}
	return source.Write(ctx, w)
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

// VerifyBackup reads all of a backup file, and with the root key that sleeps
// where, unless that is a file without a Path, proves and checks what it holds.
// For that it needs room for the database in the directory for temporary files.
func VerifyBackup(ctx context.Context, file string, where seal.Config) (_ backup.Manifest, err error) {
	if where == (seal.Config{Kind: seal.KindFile}) {
		return backup.Skim(file)
	}
	root, err := seal.Open(ctx, where)
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
	if err := removeIfThere(scratchPath(dir)); err != nil {
		return fmt.Errorf("remove what an interrupted backup left: %w", err)
	}
	return nil
}

// lockBackups keeps other backups of a database with the same directory away.
func lockBackups(dir string) (release func(), err error) {
	path := filepath.Join(dir, "backup-postgres.lock")
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory for a backup: %w", err)
	}
	f.Close()
	return lock(path)
}

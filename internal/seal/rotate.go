package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"azekura/internal/envelope"
	"azekura/internal/store"
)

// A root key file is replaced in three steps, so that there is a moment in none
// of them at which what is on the disk does not open the keyring: the new key is
// made beside the old one, the keyring is put under it in one transaction, the
// files change their names. Settle finds out where a loss of power came between.
func nextPath(path string) string { return path + ".next" }

// oldPath is where the key goes that older backups need.
func oldPath(path string) string { return path + ".old" }

// Unsettled says whether a rotation of a root key file has begun and not ended.
func Unsettled(c Config) bool {
	if c.Kind != "" && c.Kind != KindFile || c.Path == "" {
		return false
	}
	_, err := os.Lstat(nextPath(c.Path))
	return err == nil
}

// Settle ends a rotation of a root key file that was broken off: forwards if
// the keyring is under the new key, and backwards if not. It must not be called
// while another process may do the same.
func Settle(ctx context.Context, c Config, db *store.DB) error {
	if !Unsettled(c) {
		return nil
	}
	next, err := File(nextPath(c.Path))
	if err != nil {
		return err
	}
	var ring Status
	err = db.View(ctx, func(tx *store.Tx) error {
		ring, err = StatusOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	if slices.Contains(ring.Roots, next.Fingerprint()) {
		return promote(c.Path)
	}
	return errors.Join(os.Remove(nextPath(c.Path)), syncFolder(filepath.Dir(c.Path)))
}

// promote gives the new key the name of the old one, which stays beside it.
func promote(path string) error {
	folder := filepath.Dir(path)
	if err := putAside(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(syncFolder(folder), os.Rename(nextPath(path), path), syncFolder(folder))
}

// putAside gives a root key the name of an old one. One that has that name gets
// its fingerprint into its own: the backups of its time need it.
func putAside(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return err
	}
	switch older, err := File(oldPath(path)); {
	case errors.Is(err, ErrNoRootKey):
	case err != nil:
		return err
	default:
		if err := os.Rename(oldPath(path), oldPath(path)+"."+older.Fingerprint()); err != nil {
			return err
		}
	}
	return os.Rename(path, oldPath(path))
}

// Rotate puts the keyring of a store under a new root key, and returns it. A
// file is replaced: the old key stays in FILE.old, since older backups need it.
// Of a key that sleeps elsewhere the keeper makes new versions, and the keyring
// is wrapped again under the newest. from is the root key in use; progress is
// as in Rewrap. Nothing is lost if it is broken off anywhere: see Settle.
func Rotate(ctx context.Context, c Config, db *store.DB, from envelope.Root, progress func(done, all int)) (envelope.Root, error) {
	if c.Kind == KindPassphrase {
		return nil, errors.New("a passphrase is changed by azekura seal migrate, to a seal with the new one")
	}
	if c.Kind != "" && c.Kind != KindFile {
		return from, Rewrap(ctx, db, from, from, progress)
	}
	if err := Settle(ctx, c, db); err != nil {
		return nil, err
	}
	next, err := CreateFile(nextPath(c.Path))
	if err != nil {
		return nil, err
	}
	if err := Rewrap(ctx, db, from, next, progress); err != nil {
		if !errors.Is(err, store.ErrUnknown) { // then the new key may be in use
			err = errors.Join(err, os.Remove(nextPath(c.Path)))
		}
		return nil, err
	}
	if err := promote(c.Path); err != nil {
		return nil, fmt.Errorf("the keyring is under the new root key, which lies in %s; the next start moves it: %w", nextPath(c.Path), err)
	}
	return next, nil
}

// Migrate puts the keyring of a store under the root key of another seal, which
// is made if it is a file, or may be made as Create does; and returns it. A root
// key file that is not used any more stays as FILE.old, since older backups need
// it. from and root are the seal and the root key in use; progress is as in
// Rewrap. If it is broken off, one of the two seals opens the keyring.
func Migrate(ctx context.Context, from, to Config, db *store.DB, root envelope.Root, progress func(done, all int)) (envelope.Root, error) {
	if err := to.Check(); err != nil {
		return nil, err
	}
	fromFile, toFile := from.Kind == "" || from.Kind == KindFile, to.Kind == "" || to.Kind == KindFile
	switch {
	case fromFile && toFile:
		return nil, errors.New("both seals are files: azekura seal rotate makes a new root key file")
	case toFile:
		return intoFile(ctx, to, db, root, progress)
	}
	next, err := Create(ctx, to)
	if err != nil {
		return nil, err
	}
	if err := Rewrap(ctx, db, root, next, progress); err != nil {
		return nil, err
	}
	if !fromFile {
		return next, nil
	}
	if err := errors.Join(putAside(from.Path), syncFolder(filepath.Dir(from.Path))); err != nil {
		return nil, fmt.Errorf("the keyring is under the new root key, and the old one lies in %s still: move it away: %w", from.Path, err)
	}
	return next, nil
}

// intoFile puts a keyring under a new root key file. One that is there is of
// before, and is put aside: a migration from it may have been broken off.
func intoFile(ctx context.Context, to Config, db *store.DB, root envelope.Root, progress func(done, all int)) (envelope.Root, error) {
	if err := Settle(ctx, to, db); err != nil {
		return nil, err
	}
	next, err := CreateFile(nextPath(to.Path))
	if err != nil {
		return nil, err
	}
	if err := Rewrap(ctx, db, root, next, progress); err != nil {
		if !errors.Is(err, store.ErrUnknown) { // then the new key may be in use
			err = errors.Join(err, os.Remove(nextPath(to.Path)))
		}
		return nil, err
	}
	return next, promote(to.Path)
}

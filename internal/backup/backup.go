// Package backup writes a database into one encrypted file and reads it back.
//
// A backup is
//
//	azekura-backup-1 | newline
//	manifest, JSON in one line | newline
//	length of the wrapped key, 2 bytes | wrapped key
//	chunks: 256 KiB of the database each, the last one what is left, sealed
//	SHA-256 of all before
//
// The root key is not in it: it wraps the key of the chunks, which is made for
// this one backup. The manifest is the associated data of that wrapping, so a
// changed manifest leaves no key to open anything with.
//
// The chunks are STREAM (Hoang, Reyhanitabar, Rogaway, Vizár, 2015: online
// authenticated encryption) but for one thing: number and end mark stand in a
// chunk's associated data and not in its nonce, which is random, since that is
// the GCM that FIPS 140-3 allows and that package envelope offers. What STREAM
// proves is kept: a chunk opens only under its own number, so none can be left
// out, repeated or exchanged; only the last opens as the last, so the end
// cannot be cut off; the key is fresh, so none comes from another backup. Of
// the 2^22 chunks of a terabyte two have the same nonce with a chance of
// 2^-53.
//
// The checksum at the end is for who has no root key: it finds rot and a cut
// copy, not forgery.
package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"azekura/internal/envelope"
	"azekura/internal/store"
)

// A Source is what is backed up.
type Source struct {
	Copy    func(ctx context.Context, path string) error // writes a copy as store.DB.CopyTo does
	Account func(*store.Tx) (string, error)              // whose data a copy is
	Root    envelope.Root
	Version string // of this program

	// Scratch is a file that is made and removed: the copy, as secret as the
	// database itself and as large.
	Scratch string
}

// Write writes a backup to w. Nothing is written before the copy is made, so
// that an error until then can be told in another way.
func (s *Source) Write(ctx context.Context, w io.Writer) (Manifest, error) {
	m, err := s.write(ctx, w)
	if err != nil {
		return Manifest{}, fmt.Errorf("back up: %w", err)
	}
	return m, nil
}

func (s *Source) write(ctx context.Context, w io.Writer) (Manifest, error) {
	m := Manifest{Version: s.Version, Created: time.Now().UTC(), Root: s.Root.Fingerprint()}
	defer os.Remove(s.Scratch)
	if err := s.Copy(ctx, s.Scratch); err != nil {
		return Manifest{}, err
	}
	held, err := store.Inspect(ctx, s.Scratch, func(tx *store.Tx) (err error) {
		m.Account, err = s.Account(tx)
		return err
	})
	if err != nil {
		return Manifest{}, err
	}
	m.Schema, m.Rows = held.Schema, held.Rows
	db, err := os.Open(s.Scratch)
	if err != nil {
		return Manifest{}, err
	}
	defer db.Close()
	digest := sha256.New()
	if m.Size, err = io.Copy(digest, db); err != nil {
		return Manifest{}, fmt.Errorf("read the copy of the database: %w", err)
	}
	m.SHA256 = hex.EncodeToString(digest.Sum(nil))
	if _, err := db.Seek(0, io.SeekStart); err != nil {
		return Manifest{}, err
	}
	return m, encode(ctx, w, db, &m, s.Root)
}

// Skim reads a backup file without the root key, see Reader.Skim.
func Skim(path string) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("read the backup: %w", err)
	}
	defer f.Close()
	r, err := NewReader(f)
	if err == nil {
		err = r.Skim()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read the backup %s: %w", path, err)
	}
	return r.Manifest, nil
}

// Extract decrypts the database of a backup file into a new file, with mode
// 0600 and durable, and checks all that can be checked: every digest, the
// database's structure, and that it holds what the manifest says. After an
// error there is no file.
func Extract(ctx context.Context, path string, root envelope.Root, to string) (m Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("read the backup: %w", err)
	}
	defer f.Close()
	r, err := NewReader(f)
	if err != nil {
		return Manifest{}, fmt.Errorf("read the backup %s: %w", path, err)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Manifest{}, fmt.Errorf("restore the database: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(to)
			err = fmt.Errorf("read the backup %s: %w", path, plainly(err))
		}
	}()
	buffered := bufio.NewWriterSize(out, chunkSize)
	err = r.Open(ctx, root, buffered)
	if err = errors.Join(err, buffered.Flush(), out.Chmod(0o600), out.Sync(), out.Close()); err != nil {
		return Manifest{}, err
	}
	return r.Manifest, agree(ctx, to, r.Manifest)
}

// agree says whether a database is sound and holds what a manifest says.
func agree(ctx context.Context, path string, m Manifest) error {
	if err := store.Check(ctx, path); err != nil {
		return err
	}
	held, err := store.Inspect(ctx, path, nil)
	if err != nil {
		return err
	}
	if held.Schema != m.Schema || !maps.Equal(held.Rows, m.Rows) {
		return damaged("the database holds other rows than the manifest says")
	}
	return nil
}

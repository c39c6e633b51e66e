package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"azekura/internal/envelope"
)

// A root key file is one line: the format's name, the key and the first four
// bytes of the key's SHA-256, in base64, so that a mistyped or cut copy is
// told from another key.
const fileFormat = "azekura-root-key-1"

const checkSize = 4

// maxFile bounds what is read of a file that should hold one line.
const maxFile = 4096

// ErrNoRootKey says that there is no root key file.
var ErrNoRootKey = errors.New("there is no root key")

// CreateFile makes a new root key and writes it to a file that does not exist
// yet, readable by its owner only. The file is durable when it returns. It
// gets its name only when it is whole: half a root key, left by a loss of
// power, could neither be used nor be told from one that was damaged later.
func CreateFile(path string) (envelope.Root, error) {
	key := envelope.NewKey()
	if err := createFile(path, formatKey(&key)); err != nil {
		return nil, fmt.Errorf("create the root key: %w", err)
	}
	return newRoot(&key), nil
}

func createFile(path, text string) error {
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeDurable(draft, text); err != nil {
		return err
	}
	defer os.Remove(draft)
	// Unlike a rename, a link never takes the place of a key that is there.
	return errors.Join(os.Link(draft, path), syncFolder(filepath.Dir(path)))
}

// CopyFile copies a root key file, which is checked as File does, to a path
// where there is none, as CreateFile would make it.
func CopyFile(from, to string) (envelope.Root, error) {
	key, err := readKey(from)
	if err != nil {
		return nil, err
	}
	if err := createFile(to, formatKey(key)); err != nil {
		return nil, fmt.Errorf("create the root key: %w", err)
	}
	return newRoot(key), nil
}

func writeDurable(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// File reads the root key from a file. ErrNoRootKey says that there is none.
// A file that others than its owner may read is refused.
func File(path string) (envelope.Root, error) {
	key, err := readKey(path)
	if err != nil {
		return nil, err
	}
	return newRoot(key), nil
}

func readKey(path string) (*envelope.Key, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNoRootKey, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the root key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the root key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("the root key %s can be read by others than its owner (mode %04o): run chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	defer clear(text)
	if err != nil {
		return nil, fmt.Errorf("read the root key: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the root key %s: %w; restore it from your copy", path, err)
	}
	return key, nil
}

func formatKey(key *envelope.Key) string {
	sum := sha256.Sum256(key[:])
	return fileFormat + " " + base64.RawURLEncoding.EncodeToString(append(key[:], sum[:checkSize]...)) + "\n"
}

// parseKey reads what formatKey wrote. Its errors never repeat the text.
func parseKey(text []byte) (*envelope.Key, error) {
	fields := bytes.Fields(text)
	if len(fields) != 2 || string(fields[0]) != fileFormat {
		return nil, fmt.Errorf("the file is not a line of %q and a key", fileFormat)
	}
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(make([]byte, 0, envelope.KeySize+checkSize+3), fields[1])
	defer clear(raw[:cap(raw)])
	if err != nil || len(raw) != envelope.KeySize+checkSize {
		return nil, errors.New("the key is not whole")
	}
	key := envelope.Key(raw[:envelope.KeySize])
	if sum := sha256.Sum256(key[:]); string(sum[:checkSize]) != string(raw[envelope.KeySize:]) {
		return nil, errors.New("the key does not match its checksum")
	}
	return &key, nil
}

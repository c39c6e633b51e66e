package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"azekura/internal/envelope"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

func TestFileComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root-key")
	if _, err := File(path); !errors.Is(err, ErrNoRootKey) {
		t.Errorf("before there is one: %v", err)
	}
	// What a start that was killed left behind does not stop the next.
	if err := os.WriteFile(path+".new", []byte("azekura-root"), 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := CreateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := File(path)
	if err != nil || read.Fingerprint() != made.Fingerprint() {
		t.Errorf("another key came back, %v", err)
	}
	key := envelope.NewKey()
	wrapped, err := made.Wrap(t.Context(), &key, []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read.Unwrap(t.Context(), wrapped, []byte("here")); err != nil || *got != key {
		t.Errorf("a wrapped key did not come back: %v", err)
	}
	if _, err := read.Unwrap(t.Context(), wrapped, []byte("there")); !errors.Is(err, envelope.ErrOpen) {
		t.Errorf("a moved key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, _ := filepath.Glob(filepath.Dir(path) + "/*")
	if !slices.Equal(left, []string{path}) {
		t.Errorf("files left: %v", left)
	}
}

func TestFileIsNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root-key")
	first, err := CreateFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFile(path); err == nil {
		t.Error("a second root key was made")
	}
	if again, err := File(path); err != nil || again.Fingerprint() != first.Fingerprint() {
		t.Errorf("the first key is gone: %v", err)
	}
}

// Whatever is wrong with a file, it is refused, and the error does not show it.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root-key")
	if _, err := CreateFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	refuse := func(what string, damaged []byte) {
		t.Helper()
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := File(path)
		if err == nil || strings.Contains(err.Error(), key[:8]) || !strings.Contains(err.Error(), "restore it") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range len(text) - 1 {
		refuse(fmt.Sprint("cut at ", i), text[:i])
		flipped := slices.Clone(text)
		flipped[i] ^= 1
		if string(flipped[:18]) == string(text[:18]) || flipped[17] != ' ' {
			refuse(fmt.Sprint("flipped at ", i), flipped)
		}
	}
	refuse("twice", append(slices.Clone(text), text...))
	refuse("huge", make([]byte, maxFile+1))

	os.WriteFile(path, text, 0o600)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
		os.Chmod(path, mode)
		if _, err := File(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

func TestKeyringComesBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		root := Memory()
		first, err := OpenKeyring(t.Context(), db, root)
		if err != nil {
			t.Fatal(err)
		}
		blob := first.Seal([]byte("hello"), []byte("here"))
		again, err := OpenKeyring(t.Context(), db, root)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Open(blob, []byte("here")); err != nil || string(got) != "hello" {
			t.Errorf("opened to %q, %v", got, err)
		}
		for what, open := range map[string]func() ([]byte, error){
			"moved":      func() ([]byte, error) { return again.Open(blob, []byte("there")) },
			"other ring": func() ([]byte, error) { return again.Open(append(make([]byte, 16), blob[16:]...), []byte("here")) },
			"cut":        func() ([]byte, error) { return again.Open(blob[:15], []byte("here")) },
			"empty":      func() ([]byte, error) { return again.Open(nil, []byte("here")) },
		} {
			if _, err := open(); !errors.Is(err, envelope.ErrOpen) {
				t.Errorf("%s: %v", what, err)
			}
		}
		key := envelope.NewKey()
		if got, err := again.OpenKey(again.Seal(key[:], []byte("k")), []byte("k")); err != nil || *got != key {
			t.Errorf("a key did not come back: %v", err)
		}
		if _, err := again.OpenKey(blob, []byte("here")); !errors.Is(err, envelope.ErrOpen) {
			t.Errorf("five bytes were taken for a key: %v", err)
		}
	})
}

// A secret of a blob stays what it is when the ring is opened again and when a
// key has come to it, and is another for another blob, place or ring.
func TestSecret(t *testing.T) {
	db, root, here := storetest.Memory(t), Memory(), []byte("here")
	ring, err := OpenKeyring(t.Context(), db, root)
	if err != nil {
		t.Fatal(err)
	}
	blob := ring.Seal([]byte("hello"), here)
	secret, err := ring.Secret(blob, here, 30)
	if err != nil || len(secret) != 30 {
		t.Fatal(len(secret), err)
	}
	again, err := OpenKeyring(t.Context(), db, root)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	held := again.held.Load()
	held.newest = uuid.New()
	if held.keys[held.newest], err = newRingKey(&key); err != nil {
		t.Fatal(err)
	}
	if got, err := again.Secret(blob, here, 30); err != nil || !slices.Equal(got, secret) {
		t.Errorf("after a new key it is another secret, %v", err)
	}
	for what, derive := range map[string]func() ([]byte, error){
		"there":      func() ([]byte, error) { return ring.Secret(blob, []byte("there"), 30) },
		"other blob": func() ([]byte, error) { return ring.Secret(ring.Seal([]byte("hello"), here), here, 30) },
		"other key":  func() ([]byte, error) { return again.Secret(again.Seal([]byte("hello"), here), here, 30) },
	} {
		if got, err := derive(); err != nil || slices.Equal(got, secret) {
			t.Errorf("%s: the same secret, or %v", what, err)
		}
	}
	for _, foreign := range [][]byte{nil, blob[:15], append(make([]byte, 16), blob[16:]...)} {
		if _, err := ring.Secret(foreign, here, 30); !errors.Is(err, envelope.ErrOpen) {
			t.Errorf("of a foreign blob: %v", err)
		}
	}
}

func TestWrongRootKey(t *testing.T) {
	db := storetest.Open(t)
	right, wrong := Memory(), Memory()
	if _, err := OpenKeyring(t.Context(), db, right); err != nil {
		t.Fatal(err)
	}
	_, err := OpenKeyring(t.Context(), db, wrong)
	if err == nil || !strings.Contains(err.Error(), right.Fingerprint()) || !strings.Contains(err.Error(), wrong.Fingerprint()) {
		t.Errorf("got %v", err)
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE keyring SET id = '018f0000-0000-7000-8000-000000000000'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyring(t.Context(), db, right); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a wrapped key in another row: %v", err)
	}
}

func TestNothingPrints(t *testing.T) {
	key := envelope.Key([]byte("0123456789abcdef0123456789abcdef"))
	keyring := NewKeyring(nil)
	keyring.held.Store(&ring{keys: map[uuid.UUID]ringKey{{}: {envelope.NewSealer(&key), &key}}})
	var all strings.Builder
	for _, v := range []any{newRoot(new(key)), keyring} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&all, nil)).Info("x", "v", v)
	}
	for _, form := range []string{"0123456789abcdef", "30313233", "48 49 50", "0x30, 0x31"} {
		if strings.Contains(all.String(), form) {
			t.Errorf("key bytes are printed as %q:\n%s", form, &all)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	key := envelope.NewKey()
	f.Add(formatKey(&key))
	f.Add("")
	f.Add(fileFormat + " AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := parseKey([]byte(text)); err == nil && strings.Join(strings.Fields(text), " ")+"\n" != formatKey(key) {
			t.Errorf("%q is read as another key", text)
		}
	})
}

func TestCopyFile(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "root-key"), filepath.Join(t.TempDir(), "copy")
	root, err := CreateFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if copied, err := CopyFile(from, to); err != nil || copied.Fingerprint() != root.Fingerprint() {
		t.Errorf("another key, or %v", err)
	}
	if again, err := File(to); err != nil || again.Fingerprint() != root.Fingerprint() {
		t.Errorf("the copy is another key, or %v", err)
	}
	if _, err := CopyFile(from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a root key that is there was written over: %v", err)
	}
}

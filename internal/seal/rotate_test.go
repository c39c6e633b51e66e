package seal

import (
	"context"
	"crypto/fips140"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"azekura/internal/envelope"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

// place is what the blobs of these tests are bound to.
var place = []byte("here")

// A kept is a store under a root key file.
type kept struct {
	t    *testing.T
	db   *store.DB
	c    Config
	root envelope.Root
	ring *Keyring
	blob []byte
}

func newKept(t *testing.T, db *store.DB) *kept {
	t.Helper()
	k := &kept{t: t, db: db, c: Config{Kind: KindFile, Path: filepath.Join(t.TempDir(), "root-key")}}
	var err error
	if k.root, err = CreateFile(k.c.Path); err != nil {
		t.Fatal(err)
	}
	if k.ring, err = OpenKeyring(t.Context(), db, k.root); err != nil {
		t.Fatal(err)
	}
	k.blob = k.ring.Seal([]byte("x"), place)
	return k
}

// opens says that the key file that is there now opens what was sealed.
func (k *kept) opens(what string) {
	k.t.Helper()
	if err := Settle(k.t.Context(), k.c, k.db); err != nil {
		k.t.Fatalf("%s: %v", what, err)
	}
	if Unsettled(k.c) {
		k.t.Errorf("%s: it is not settled", what)
	}
	root, err := File(k.c.Path)
	if err != nil {
		k.t.Fatalf("%s: %v", what, err)
	}
	ring, err := OpenKeyring(k.t.Context(), k.db, root)
	if err != nil {
		k.t.Fatalf("%s: %v", what, err)
	}
	if got, err := ring.Open(k.blob, place); err != nil || string(got) != "x" {
		k.t.Errorf("%s: %v", what, err)
	}
}

func TestRotate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		k := newKept(t, db)
		told := 0
		next, err := Rotate(t.Context(), k.c, db, k.root, func(done, all int) { told++ })
		if err != nil || next.Fingerprint() == k.root.Fingerprint() || told != 1 {
			t.Fatalf("%v, told %d times", err, told)
		}
		k.opens("rotated")
		old, err := File(k.c.Path + ".old")
		if err != nil || old.Fingerprint() != k.root.Fingerprint() {
			t.Errorf("the old key: %v", err)
		}
		if _, err := OpenKeyring(t.Context(), db, k.root); err == nil || !strings.Contains(err.Error(), "is not the one") {
			t.Errorf("under the old key: %v", err)
		}
		if _, err := Rotate(t.Context(), k.c, db, k.root, nil); err == nil {
			t.Error("rotated from a key that is not the one in use")
		}
		k.opens("after a rotation that was refused")
		if got, err := k.ring.Open(k.blob, place); err != nil || string(got) != "x" {
			t.Errorf("a server that runs: %v", err)
		}
	})
}

// Wherever a rotation is broken off, the next start finds what opens the data.
func TestBrokenRotations(t *testing.T) {
	for name, do := range map[string]func(k *kept){
		"before anything":    func(*kept) {},
		"a draft of the key": func(k *kept) { must(k.t, os.WriteFile(nextPath(k.c.Path)+".new", []byte("azekura-root"), 0o600)) },
		"with a new key": func(k *kept) {
			_, err := CreateFile(nextPath(k.c.Path))
			must(k.t, err)
		},
		"with the keyring under it": func(k *kept) {
			next, err := CreateFile(nextPath(k.c.Path))
			must(k.t, err)
			must(k.t, Rewrap(k.t.Context(), k.db, k.root, next, nil))
		},
		"between the two names": func(k *kept) {
			next, err := CreateFile(nextPath(k.c.Path))
			must(k.t, err)
			must(k.t, Rewrap(k.t.Context(), k.db, k.root, next, nil))
			must(k.t, os.Rename(k.c.Path, oldPath(k.c.Path)))
		},
	} {
		k := newKept(t, storetest.Open(t))
		do(k)
		k.opens(name)
		if root, err := Rotate(t.Context(), k.c, k.db, rootIn(t, k.c.Path), nil); err != nil || root == nil {
			t.Errorf("%s, and then rotated: %v", name, err)
		}
		k.opens(name + ", and then rotated")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rootIn(t *testing.T, path string) envelope.Root {
	t.Helper()
	root, err := File(path)
	must(t, err)
	return root
}

// A root that cannot be asked leaves all as it was.
func TestRewrapThatFails(t *testing.T) {
	k := newKept(t, storetest.Open(t))
	for range 3 {
		must(t, k.ring.Add(t.Context()))
	}
	away := &tiring{Memory(), 2}
	if err := Rewrap(t.Context(), k.db, k.root, away, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	k.opens("after a rewrap that failed")
}

// A tiring root wraps a few times, and then cannot be reached.
type tiring struct {
	envelope.Root
	left int
}

func (f *tiring) Wrap(ctx context.Context, key *envelope.Key, aad []byte) ([]byte, error) {
	if f.left--; f.left < 0 {
		return nil, ErrUnreachable
	}
	return f.Root.Wrap(ctx, key, aad)
}

// A new key seals from then on, and another node learns of it when it meets
// what it has sealed; made-up blobs do not have it look again and again.
func TestNewKeyOfTheRing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		k := newKept(t, db)
		other, err := OpenKeyring(t.Context(), db, k.root)
		must(t, err)
		must(t, k.ring.Add(t.Context()))
		fresh := k.ring.Seal([]byte("y"), place)
		if string(fresh[:16]) == string(k.blob[:16]) {
			t.Error("the old key still seals")
		}
		for what, blob := range map[string][]byte{"y": fresh, "x": k.blob} {
			if got, err := other.Open(blob, place); err != nil || string(got) != what {
				t.Errorf("on another node: %v", err)
			}
		}
		made := append(make([]byte, 16), fresh[16:]...)
		for range 3 {
			if _, err := other.Open(made, place); !errors.Is(err, envelope.ErrOpen) {
				t.Errorf("a blob of no key: %v", err)
			}
		}
		k.opens("with two keys")
	})
}

func TestSealedKeyring(t *testing.T) {
	ring := NewKeyring(storetest.Open(t))
	if !ring.Sealed() {
		t.Error("a new keyring is open")
	}
	if _, err := ring.Open(make([]byte, 64), place); !errors.Is(err, envelope.ErrOpen) {
		t.Errorf("it opens: %v", err)
	}
	if err := ring.Add(t.Context()); err == nil {
		t.Error("it takes a key")
	}
	away := &tiring{Memory(), 0}
	if err := ring.Unseal(t.Context(), away); !errors.Is(err, ErrUnreachable) || !ring.Sealed() {
		t.Errorf("with a root that cannot be asked: %v", err)
	}
	must(t, ring.Unseal(t.Context(), Memory()))
	if ring.Sealed() {
		t.Error("it is still sealed")
	}
}

func TestMigrateBetweenSeals(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("the other seal is a passphrase, and Argon2id is no FIPS 140-3 algorithm")
	}
	k := newKept(t, storetest.Open(t))
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("a passphrase of several words"), 0o600))
	words := Config{Kind: KindPassphrase, PassphraseFile: secret, Path: filepath.Join(filepath.Dir(k.c.Path), "passphrase-parameters")}
	if _, err := Migrate(t.Context(), k.c, k.c, k.db, k.root, nil); err == nil || !strings.Contains(err.Error(), "both seals are files") {
		t.Errorf("from file to file: %v", err)
	}
	if _, err := Migrate(t.Context(), k.c, Config{Kind: "moon"}, k.db, k.root, nil); err == nil {
		t.Error("to a seal that there is not")
	}
	root, err := Migrate(t.Context(), k.c, words, k.db, k.root, nil)
	must(t, err)
	if _, err := File(k.c.Path); !errors.Is(err, ErrNoRootKey) {
		t.Errorf("the old key file: %v", err)
	}
	ring, err := OpenKeyring(t.Context(), k.db, root)
	must(t, err)
	if got, err := ring.Open(k.blob, place); err != nil || string(got) != "x" {
		t.Error(err)
	}
	_, err = Migrate(t.Context(), words, k.c, k.db, root, nil)
	must(t, err)
	k.opens("and back")
}

// While strangers ask for keys that there are not, one that there is is found.
func TestMadeUpBlobsHideNoKey(t *testing.T) {
	k := newKept(t, storetest.Open(t))
	other, err := OpenKeyring(t.Context(), k.db, k.root)
	must(t, err)
	must(t, k.ring.Add(t.Context()))
	fresh := k.ring.Seal([]byte("y"), place)
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			made := uuid.New()
			other.Open(append(made[:], fresh[16:]...), place)
		})
	}
	if got, err := other.Open(fresh, place); err != nil || string(got) != "y" {
		t.Errorf("the key is not found: %v", err)
	}
	asking.Wait()
}

// A node whose root key another node has replaced adds no key under it: a ring
// under two root keys would open with neither.
func TestAddUnderAnotherRoot(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		k := newKept(t, db)
		stale, err := OpenKeyring(t.Context(), db, k.root)
		must(t, err)
		next, err := Rotate(t.Context(), k.c, db, k.root, nil)
		must(t, err)
		if err := stale.Add(t.Context()); err == nil {
			t.Error("a key was added under the old root key")
		}
		if _, err := OpenKeyring(t.Context(), db, next); err != nil {
			t.Errorf("the ring is under two root keys: %v", err)
		}
		stale.Reopen(func(context.Context) (envelope.Root, error) { return File(k.c.Path) })
		must(t, stale.Add(t.Context()))
		_, err = OpenKeyring(t.Context(), db, next)
		must(t, err)
	})
}

// Adding a key and changing the root key at once leave the ring under one.
func TestAddDuringRewrap(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		k := newKept(t, db)
		root := k.root
		for range 10 {
			next := Memory()
			adder, err := OpenKeyring(t.Context(), db, root)
			must(t, err)
			var adding sync.WaitGroup
			adding.Go(func() { adder.Add(t.Context()) }) // which may lose
			err = Rewrap(t.Context(), db, root, next, nil)
			adding.Wait()
			if err == nil {
				root = next
			}
			if _, err := OpenKeyring(t.Context(), db, root); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// No root key that a backup may need is written over.
func TestEveryOldKeyStays(t *testing.T) {
	k := newKept(t, storetest.Open(t))
	root, want := k.root, []string{}
	for range 3 {
		want = append(want, root.Fingerprint())
		next, err := Rotate(t.Context(), k.c, k.db, root, nil)
		must(t, err)
		root = next
	}
	for i, path := range []string{oldPath(k.c.Path) + "." + want[0], oldPath(k.c.Path) + "." + want[1], oldPath(k.c.Path)} {
		if old, err := File(path); err != nil || old.Fingerprint() != want[i] {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}

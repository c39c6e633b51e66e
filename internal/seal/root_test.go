package seal

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"azekura/internal/envelope"
)

// testRoot is what every kind of root key has to do. again is the same root key
// opened once more.
func testRoot(t *testing.T, root, again envelope.Root) {
	t.Helper()
	if root.Fingerprint() == "" || root.Fingerprint() != again.Fingerprint() {
		t.Errorf("fingerprints %q and %q", root.Fingerprint(), again.Fingerprint())
	}
	key, here := envelope.NewKey(), envelope.AAD("keyring key", "here")
	blob, err := root.Wrap(t.Context(), &key, here)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(blob, key[:8]) {
		t.Error("the key stands in the blob")
	}
	for _, r := range []envelope.Root{root, again} {
		if got, err := r.Unwrap(t.Context(), blob, here); err != nil || *got != key {
			t.Fatalf("a key did not come back: %v", err)
		}
	}
	second, err := root.Wrap(t.Context(), &key, here)
	if err != nil || bytes.Equal(blob, second) {
		t.Errorf("the same blob twice, or %v", err)
	}
	refuse := func(what string, blob, aad []byte) {
		t.Helper()
		if got, err := again.Unwrap(t.Context(), blob, aad); !errors.Is(err, envelope.ErrOpen) || got != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	refuse("moved", blob, envelope.AAD("keyring key", "there"))
	refuse("nowhere", blob, nil)
	refuse("empty", nil, here)
	refuse("longer", append(slices.Clone(blob), 0), here)
	for _, n := range []int{1, 2, 8, 11, 12, 20, 40, len(blob) / 2, len(blob) - 1} {
		refuse("cut", blob[:n], here)
		refuse("cut, with a checksum", signed(blob[:n]), here)
	}
	// The parts of two blobs under one root key.
	for _, at := range []int{20, len(blob) / 2, len(blob) - 61, len(blob) - 20} {
		if mixed := signed(append(slices.Clone(blob[:at]), second[at:]...)); !bytes.Equal(mixed, second) {
			refuse("mixed", mixed, here)
		}
	}
	for i := range blob {
		flipped := slices.Clone(blob)
		flipped[i] ^= 1 << (i % 8)
		// Parameters of a passphrase that are in bounds cost 64 MiB each.
		if blob[0] != formatStretched || i < 4 || i%8 == 0 {
			refuse("flipped", flipped, here)
		}
		// With a checksum that is right a keeper may say that it has no such
		// version of its key.
		if blob[0] == formatRemote && i > checksumSize {
			if _, err := again.Unwrap(t.Context(), signed(flipped), here); err == nil {
				t.Errorf("flipped at %d, with a checksum, it opens", i)
			}
		}
	}
}

// signed is blob with a checksum that is right, so that it gets to the keeper.
func signed(blob []byte) []byte {
	blob = slices.Clone(blob)
	if len(blob) >= remoteHead && blob[0] == formatRemote {
		copy(blob[1:], checksum(blob))
	}
	return blob
}

// testStranger: what one root key has wrapped another does not open.
func testStranger(t *testing.T, root, stranger envelope.Root) {
	t.Helper()
	if root.Fingerprint() == stranger.Fingerprint() {
		t.Errorf("both have the fingerprint %s", root.Fingerprint())
	}
	key := envelope.NewKey()
	blob, err := root.Wrap(t.Context(), &key, []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Unwrap(t.Context(), blob, []byte("here")); !errors.Is(err, envelope.ErrOpen) {
		t.Errorf("with another root key: %v", err)
	}
}

func FuzzUnwrap(f *testing.F) {
	k := &remote{sealKeeper{envelope.NewSealer(new(envelope.NewKey()))}, "fuzz"}
	key := envelope.NewKey()
	blob, err := k.Wrap(f.Context(), &key, []byte("here"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add([]byte{})
	f.Add([]byte{formatRemote})
	f.Add(make([]byte, remoteHead))
	f.Add([]byte("\x02AAAAAAAA\xff\xff"))
	f.Fuzz(func(t *testing.T, made []byte) {
		if _, err := k.Unwrap(t.Context(), signed(made), []byte("here")); !errors.Is(err, envelope.ErrOpen) && !bytes.Equal(signed(made), blob) {
			t.Errorf("a stranger's blob opened: %v", err)
		}
	})
}

// A deafKeeper takes no associated data, and ignores the last byte of what it
// has made, as a lenient reader of base64 ignores some bits.
type deafKeeper struct{ sealKeeper }

func (k deafKeeper) encrypt(ctx context.Context, plaintext, _ []byte) ([]byte, error) {
	made, err := k.sealKeeper.encrypt(ctx, plaintext, nil)
	return append(made, 0), err
}

func (k deafKeeper) decrypt(ctx context.Context, ciphertext, _ []byte) ([]byte, error) {
	return k.sealKeeper.decrypt(ctx, ciphertext[:len(ciphertext)-1], nil)
}

// Blobs are bound to their place, and whole, even if the keeper minds neither.
func TestDeafKeeper(t *testing.T) {
	k := deafKeeper{sealKeeper{envelope.NewSealer(new(envelope.NewKey()))}}
	testRoot(t, &remote{k, "deaf"}, &remote{k, "deaf"})
}

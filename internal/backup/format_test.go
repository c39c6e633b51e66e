package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"azekura/internal/envelope"
)

// A root of these tests is one key in memory.
type root struct{ key envelope.Key }

func newRoot() envelope.Root { return root{envelope.NewKey()} }

func (r root) Fingerprint() string {
	sum := sha256.Sum256(r.key[:])
	return hex.EncodeToString(sum[:4])
}

func (r root) Wrap(_ context.Context, key *envelope.Key, aad []byte) ([]byte, error) {
	return envelope.Seal(&r.key, key[:], aad), nil
}

func (r root) Unwrap(_ context.Context, blob, aad []byte) (*envelope.Key, error) {
	return envelope.NewSealer(&r.key).OpenKey(blob, aad)
}

func manifestOf(db []byte, root envelope.Root) Manifest {
	sum := sha256.Sum256(db)
	return Manifest{
		Version: "v1", Created: time.Unix(1700000000, 0).UTC(), Account: "111111111111", Schema: 4,
		Rows: map[string]int64{"secrets": 7}, Size: int64(len(db)), SHA256: hex.EncodeToString(sum[:]), Root: root.Fingerprint(),
	}
}

func sealed(t interface{ Fatal(...any) }, db []byte, root envelope.Root) []byte {
	var file bytes.Buffer
	m := manifestOf(db, root)
	if err := encode(context.Background(), &file, bytes.NewReader(db), &m, root); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func open(file []byte, root envelope.Root) (*Reader, []byte, error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, nil, err
	}
	var db bytes.Buffer
	err = r.Open(context.Background(), root, &db)
	return r, db.Bytes(), err
}

func skim(file []byte) error {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return err
	}
	return r.Skim()
}

// sizes meet the borders of chunks.
var sizes = []int{1, 4096, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 5}

func TestRoundTrip(t *testing.T) {
	for _, size := range sizes {
		db, root := bytes.Repeat([]byte("0123456"), size/7+1)[:size], newRoot()
		file := sealed(t, db, root)
		r, got, err := open(file, root)
		if err != nil || !bytes.Equal(got, db) {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		if diff := cmp.Diff(manifestOf(db, root), r.Manifest); diff != "" {
			t.Error(diff)
		}
		if err := skim(file); err != nil {
			t.Errorf("%d bytes, without the key: %v", size, err)
		}
	}
}

// Whatever byte is changed, and wherever the file is cut, it is noticed, with
// the root key and without.
func TestChangesAreFound(t *testing.T) {
	root := newRoot()
	whole := sealed(t, make([]byte, chunkSize+100), root)
	rapid.Check(t, func(t *rapid.T) {
		var file []byte
		at := rapid.IntRange(0, len(whole)-1).Draw(t, "at")
		if near := rapid.IntRange(0, 1000).Draw(t, "near"); rapid.Bool().Draw(t, "at the start") {
			at = near
		}
		switch rapid.SampledFrom([]string{"flip", "cut", "add"}).Draw(t, "what") {
		case "flip":
			file = bytes.Clone(whole)
			file[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case "cut":
			file = whole[:at]
		case "add":
			file = append(bytes.Clone(whole), 0)
		}
		if _, _, err := open(file, root); err == nil {
			t.Error("not found with the root key")
		}
		if skim(file) == nil {
			t.Error("not found without")
		}
	})
}

// resum gives a changed file the checksum it should have, as a forger would.
func resum(parts ...[]byte) []byte {
	file := slices.Concat(parts...)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// A forger makes checksums match, and has backups of the same server to take
// pieces from. Nothing of that opens.
func TestForgeriesDoNotOpen(t *testing.T) {
	root := newRoot()
	const sealedChunk = chunkSize + envelope.Overhead
	parts := func(file []byte) (front []byte, chunks [3][]byte) {
		body := len(file) - sha256.Size - 3*sealedChunk
		for i := range chunks {
			chunks[i] = file[body+i*sealedChunk:][:sealedChunk]
		}
		return file[:body], chunks
	}
	db := bytes.Repeat([]byte("x"), 3*chunkSize)
	front, c := parts(sealed(t, db, root))
	_, other := parts(sealed(t, db, root))
	if _, _, err := open(resum(front, c[0], c[1], c[2]), root); err != nil {
		t.Fatal("the pieces put together again do not open: ", err)
	}
	renamed := bytes.Replace(front, []byte("111111111111"), []byte("222222222222"), 1)
	shorter := bytes.Replace(front, fmt.Append(nil, 3*chunkSize), fmt.Append(nil, 2*chunkSize), 1)
	for name, file := range map[string][]byte{
		"exchanged":            resum(front, c[1], c[0], c[2]),
		"repeated":             resum(front, c[0], c[0], c[2]),
		"of another backup":    resum(front, c[0], other[1], c[2]),
		"left out":             resum(front, c[0], c[2]),
		"one more":             resum(front, c[0], c[1], c[2], c[2]),
		"cut with its size":    resum(shorter, c[0], c[1]),
		"changed manifest":     resum(renamed, c[0], c[1], c[2]),
		"not what was wrapped": resum(front[:len(front)-1], []byte{front[len(front)-1] ^ 1}, c[0], c[1], c[2]),
	} {
		if _, _, err := open(file, root); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Also for a reader that would believe a manifest, the end cannot be cut off.
func TestOnlyTheLastChunkEnds(t *testing.T) {
	two, three := Manifest{Size: 2 * chunkSize}, Manifest{Size: 3 * chunkSize}
	if bytes.Equal(two.chunkAAD(1), three.chunkAAD(1)) {
		t.Error("the second of three chunks opens as the last of two")
	}
	if !bytes.Equal(two.chunkAAD(0), three.chunkAAD(0)) {
		t.Error("only the end should differ")
	}
}

func TestAnotherRootKeyIsNamed(t *testing.T) {
	mine, other := newRoot(), newRoot()
	_, _, err := open(sealed(t, []byte("db"), mine), other)
	if err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), mine.Fingerprint()) {
		t.Errorf("got %v", err)
	}
}

// A disk that fails says nothing about the backup.
func TestReadErrorsAreNotDamage(t *testing.T) {
	root, failed := newRoot(), errors.New("the disk failed")
	file := sealed(t, make([]byte, 1000), root)
	for _, at := range []int{0, 5, 100, len(file) - 500, len(file) - 5} {
		disk := io.MultiReader(bytes.NewReader(file[:at]), failingReader{failed})
		r, err := NewReader(disk)
		if err == nil {
			err = r.Skim()
		}
		if !errors.Is(err, failed) || errors.Is(err, ErrDamaged) {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func FuzzReader(f *testing.F) {
	mine := root{envelope.Key([]byte("0123456789abcdef0123456789abcdef"))}
	whole := sealed(f, []byte("a small database"), mine)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(magic))
	f.Add([]byte(magic + `{"size":9223372036854775807,"sha256":"` + strings.Repeat("00", 32) + `"}` + "\n\xff\xff"))
	f.Add([]byte(magic + `{"size":1125899906842624,"sha256":"` + strings.Repeat("00", 32) + `"}` + "\n\x00\x00"))
	f.Add([]byte(magic + "null\n\x00\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := skim(file); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("without the key: %v", err)
		}
		if _, _, err := open(file, mine); err == nil && !bytes.Contains(file, []byte(mine.Fingerprint())) {
			t.Error("a stranger's file opened")
		}
	})
}

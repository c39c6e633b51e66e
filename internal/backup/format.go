package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"

	"azekura/internal/envelope"
)

const (
	magic       = "azekura-backup-1\n"
	chunkSize   = 256 << 10
	maxManifest = 64 << 10
	maxWrapped  = 4 << 10
	maxDatabase = 1 << 50 // far above SQLite's own limit, far below an overflow
)

// ErrDamaged says that a file is no backup, or not the whole of one, or not as
// it was written.
var ErrDamaged = errors.New("the backup is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// A Manifest says what a backup holds. It stands in clear in the file, and is
// bound to the key of the rest.
type Manifest struct {
	Version string           `json:"serverVersion"`
	Created time.Time        `json:"created"` // what was acknowledged before is in the backup
	Account string           `json:"account"` // the first
	Schema  int64            `json:"schema"`
	Rows    map[string]int64 `json:"rows"` // in each table
	Size    int64            `json:"size"` // of the database, in bytes
	SHA256  string           `json:"sha256"`
	Root    string           `json:"rootKey"` // its fingerprint
}

func (m *Manifest) check() error {
	digest, err := hex.DecodeString(m.SHA256)
	if err != nil || len(digest) != sha256.Size || m.Size < 1 || m.Size > maxDatabase {
		return damaged("its manifest has no size or no digest")
	}
	return nil
}

// chunks is how many chunks the database is cut into, all of them full but the
// last.
func (m *Manifest) chunks() int64 { return (m.Size + chunkSize - 1) / chunkSize }

func keyAAD(head []byte) []byte { return envelope.AAD("backup key", string(head)) }

func (m *Manifest) chunkAAD(number int64) []byte {
	place := "more"
	if number == m.chunks()-1 {
		place = "last"
	}
	return envelope.AAD("backup chunk", strconv.FormatInt(number, 10), place)
}

// encode writes a backup of the database that db reads, which is what m says.
func encode(ctx context.Context, w io.Writer, db io.Reader, m *Manifest, root envelope.Root) error {
	head, err := json.Marshal(m)
	if err != nil {
		return err
	}
	key := envelope.NewKey()
	wrapped, err := root.Wrap(ctx, &key, keyAAD(head))
	if err != nil {
		return fmt.Errorf("wrap the backup's key: %w", err)
	}
	if len(head) > maxManifest || len(wrapped) > maxWrapped {
		return fmt.Errorf("the manifest has %d bytes and the wrapped key %d, more than a reader takes", len(head), len(wrapped))
	}
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	front := append(append([]byte(magic), head...), '\n')
	front = append(binary.BigEndian.AppendUint16(front, uint16(len(wrapped))), wrapped...)
	if _, err := out.Write(front); err != nil {
		return err
	}
	sealer, chunk := envelope.NewSealer(&key), make([]byte, chunkSize)
	for n := range m.chunks() {
		plain := chunk[:min(chunkSize, m.Size-n*chunkSize)]
		if _, err := io.ReadFull(db, plain); err != nil {
			return fmt.Errorf("read the copy of the database: %w", err)
		}
		if _, err := out.Write(sealer.Seal(plain, m.chunkAAD(n))); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

// A Reader reads one backup.
type Reader struct {
	Manifest Manifest

	head    []byte // the manifest as it stands in the file
	wrapped []byte
	from    *bufio.Reader
	body    io.Reader // from, with all that is read going through sum
	sum     hash.Hash
}

// NewReader reads a backup's manifest, which is not proven to be true before
// Open has succeeded.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{from: bufio.NewReaderSize(from, maxManifest+1), sum: sha256.New()}
	r.body = io.TeeReader(r.from, r.sum)
	start := make([]byte, len(magic))
	const strange = "it does not start as a backup does"
	if _, err := io.ReadFull(r.body, start); err != nil {
		return nil, ended(err, strange)
	}
	if string(start) != magic {
		return nil, damaged("%s", strange)
	}
	line, err := r.from.ReadSlice('\n')
	if err != nil {
		return nil, ended(err, "its manifest has no end")
	}
	r.sum.Write(line)
	r.head = bytes.Clone(line[:len(line)-1])
	decoder := json.NewDecoder(bytes.NewReader(r.head))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&r.Manifest) != nil || decoder.InputOffset() != int64(len(r.head)) {
		return nil, damaged("its manifest cannot be read")
	}
	if err := r.Manifest.check(); err != nil {
		return nil, err
	}
	var length [2]byte
	if err := r.fill(length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n > maxWrapped {
		return nil, damaged("its wrapped key is too long")
	}
	r.wrapped = make([]byte, n)
	if err := r.fill(r.wrapped); err != nil {
		return nil, err
	}
	return r, nil
}

// fill reads what has to be there.
func (r *Reader) fill(b []byte) error {
	if _, err := io.ReadFull(r.body, b); err != nil {
		return ended(err, "it was cut short")
	}
	return nil
}

// ended is the error for a file that ended too early. A disk that failed to
// read says nothing about the file: its error stays what it is.
func ended(err error, what string) error {
	if isEnd(err) {
		return damaged("%s", what)
	}
	return err
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, bufio.ErrBufferFull)
}

// Skim reads the rest without the root key. That it returns nil means that the
// file is as long as it was and that chance has changed nothing in it; who
// wants to forge one can make the checksum match.
func (r *Reader) Skim() error {
	sealed := r.Manifest.Size + r.Manifest.chunks()*envelope.Overhead
	if _, err := io.CopyN(io.Discard, r.body, sealed); err != nil {
		return ended(err, "it was cut short")
	}
	return r.end()
}

// Open decrypts the database into w. Each byte that w is given is proven to
// have been written by who had the root key, and to stand where it stood; that
// they are all there is proven only when Open returns nil.
func (r *Reader) Open(ctx context.Context, root envelope.Root, w io.Writer) error {
	key, err := root.Unwrap(ctx, r.wrapped, keyAAD(r.head))
	switch {
	case errors.Is(err, envelope.ErrOpen) && r.Manifest.Root != root.Fingerprint():
		return fmt.Errorf("this root key (fingerprint %q) is not the one the backup was made under (fingerprint %q): give that one",
			root.Fingerprint(), r.Manifest.Root)
	case errors.Is(err, envelope.ErrOpen):
		return damaged("its manifest or its key was changed")
	case err != nil:
		return fmt.Errorf("unwrap the backup's key: %w", err)
	}
	sealer, digest := envelope.NewSealer(key), sha256.New()
	out, chunk := io.MultiWriter(w, digest), make([]byte, chunkSize+envelope.Overhead)
	for n := range r.Manifest.chunks() {
		sealed := chunk[:min(chunkSize, r.Manifest.Size-n*chunkSize)+envelope.Overhead]
		if err := r.fill(sealed); err != nil {
			return err
		}
		plain, err := sealer.Open(sealed, r.Manifest.chunkAAD(n))
		if err != nil {
			return damaged("chunk %d of %d was changed or moved", n+1, r.Manifest.chunks())
		}
		if _, err := out.Write(plain); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if hex.EncodeToString(digest.Sum(nil)) != r.Manifest.SHA256 {
		return damaged("the database in it is not the one its manifest tells of")
	}
	return r.end()
}

// end compares the checksum, which has to be the last of the file.
func (r *Reader) end() error {
	want := r.sum.Sum(nil)
	got := make([]byte, len(want))
	if err := r.fill(got); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return damaged("its checksum does not match")
	}
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return damaged("there is more behind its end")
	case !isEnd(err):
		return ended(err, "")
	}
	return nil
}

package seal

import (
	"context"
	"crypto/fips140"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"

	"azekura/internal/api"
	"azekura/internal/envelope"
)

// KindPassphrase is a passphrase that a person, or a file, knows.
const KindPassphrase = "passphrase"

// minPassphrase is the least length, in bytes. Who has the data can try
// passphrases without asking anybody.
const minPassphrase = 16

// stretch says what Argon2id makes of a passphrase (RFC 9106). It is not
// secret, and stands in each blob.
type stretch struct {
	time   uint32
	memory uint32 // KiB
	lanes  uint8
	salt   [16]byte
}

// newStretch is the second of the parameters that RFC 9106 section 4
// recommends. The first takes 2 GiB, which many servers do not have.
func newStretch() stretch {
	s := stretch{time: 3, memory: 64 << 10, lanes: 4}
	rand.Read(s.salt[:]) // never fails
	return s
}

// check bounds what is read back: below, so that nobody who can change a file
// makes the passphrase cheap to guess, and above, so that a blob cannot take all
// memory and time.
func (s stretch) check() error {
	least := newStretch()
	if s.time < least.time || s.time > 64 || s.memory < least.memory || s.memory > 2<<20 || s.lanes < 1 || s.lanes > 64 {
		return errors.New("its parameters are out of bounds")
	}
	return nil
}

const stretchSize = 4 + 4 + 1 + 16

func (s stretch) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, s.time)
	b = binary.BigEndian.AppendUint32(b, s.memory)
	return append(append(b, s.lanes), s.salt[:]...)
}

// readStretch reads what append wrote, of stretchSize bytes.
func readStretch(b []byte) (stretch, error) {
	s := stretch{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), b[8], [16]byte(b[9:])}
	return s, s.check()
}

func (s stretch) key(passphrase api.Sensitive) *envelope.Key {
	raw := argon2.IDKey([]byte(passphrase), s.salt[:], s.time, s.memory, s.lanes, envelope.KeySize)
	defer clear(raw)
	debug.FreeOSMemory() // its 64 MiB are not needed again
	return new(envelope.Key(raw))
}

// A stretched is the root key that a passphrase gives. A blob of it is
//
//	0x03 | parameters, 25 bytes | sealed
//
// The parameters of new blobs are those in the data directory. Blobs that were
// made under others, by another server or before that file was lost, open too:
// the passphrase is all that anybody must keep.
type stretched struct {
	passphrase api.Sensitive
	own        stretch
	newest     *root

	mu    sync.Mutex // held while a key is derived: one takes 64 MiB
	roots map[stretch]*root
}

const (
	formatStretched = 3
	maxStretched    = 16 // keys that are kept
)

func (*stretched) String() string             { return "root key ***" }
func (*stretched) Format(f fmt.State, _ rune) { io.WriteString(f, "root key ***") }

func checkPassphrase(c Config) error {
	if fips140.Enforced() {
		return errors.New("seal passphrase: Argon2id is no FIPS 140-3 algorithm, and GODEBUG=fips140=only allows no other: use another seal, or fips140=on")
	}
	if err := oneSecret("seal-passphrase-file", c.PassphraseFile, "AZEKURA_SEAL_PASSPHRASE", c.Passphrase); err != nil {
		return err
	}
	if c.Passphrase != "" {
		return checkLength(c.Passphrase)
	}
	return nil
}

func checkLength(passphrase api.Sensitive) error {
	if len(passphrase) < minPassphrase {
		return fmt.Errorf("the seal's passphrase has less than %d characters: take six random words or more", minPassphrase)
	}
	return nil
}

// openPassphrase makes the file of parameters if there is none: those in it are
// for what is wrapped from now on. Without a Path it keeps none.
func openPassphrase(_ context.Context, c Config) (envelope.Root, error) {
	passphrase, err := secret(c.PassphraseFile, c.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("read the seal's passphrase: %w", err)
	}
	if err := checkLength(passphrase); err != nil {
		return nil, err
	}
	own := newStretch()
	if c.Path != "" {
		own, err = readStretchFile(c.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		own, err = createStretchFile(c.Path)
	}
	if err != nil {
		return nil, err
	}
	newest := newRoot(own.key(passphrase))
	return &stretched{passphrase: passphrase, own: own, newest: newest, roots: map[stretch]*root{own: newest}}, nil
}

// Fingerprint is that of the key which the data directory's parameters give.
func (s *stretched) Fingerprint() string { return s.newest.Fingerprint() }

func (s *stretched) Wrap(ctx context.Context, key *envelope.Key, aad []byte) ([]byte, error) {
	head := s.own.append([]byte{formatStretched})
	sealed, err := s.newest.Wrap(ctx, key, aad)
	return append(head, sealed...), err
}

func (s *stretched) Unwrap(ctx context.Context, blob, aad []byte) (*envelope.Key, error) {
	if len(blob) < 1+stretchSize || blob[0] != formatStretched {
		return nil, envelope.ErrOpen
	}
	parameters, err := readStretch(blob[1 : 1+stretchSize])
	if err != nil {
		return nil, envelope.ErrOpen
	}
	return s.root(parameters).Unwrap(ctx, blob[1+stretchSize:], aad)
}

func (s *stretched) root(parameters stretch) *root {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.roots[parameters]; ok {
		return r
	}
	if len(s.roots) >= maxStretched {
		s.roots = map[stretch]*root{s.own: s.newest}
	}
	r := newRoot(parameters.key(s.passphrase))
	s.roots[parameters] = r
	return r
}

// A file of parameters is one line, like a root key file, and no secret.
const stretchFormat = "azekura-passphrase-1"

func createStretchFile(path string) (stretch, error) {
	s := newStretch()
	if err := createFile(path, formatStretch(s)); err != nil {
		return stretch{}, fmt.Errorf("keep the passphrase's parameters: %w", err)
	}
	return s, nil
}

func formatStretch(s stretch) string {
	return stretchFormat + " " + base64.RawURLEncoding.EncodeToString(s.append(nil)) + "\n"
}

func readStretchFile(path string) (stretch, error) {
	f, err := os.Open(path)
	if err != nil {
		return stretch{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return stretch{}, fmt.Errorf("read the passphrase's parameters: %w", err)
	}
	s, err := parseStretch(string(text))
	if err != nil {
		return stretch{}, fmt.Errorf("read the passphrase's parameters %s: %w; remove the file, another is made, and what was wrapped before opens all the same", path, err)
	}
	return s, nil
}

func parseStretch(text string) (stretch, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 || fields[0] != stretchFormat {
		return stretch{}, fmt.Errorf("the file is not a line of %q and parameters", stretchFormat)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(fields[1])
	if err != nil || len(raw) != stretchSize {
		return stretch{}, errors.New("the line is not whole")
	}
	return readStretch(raw)
}

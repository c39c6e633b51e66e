package seal

import (
	"crypto/fips140"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"azekura/internal/envelope"
)

func passphraseConfig(t *testing.T) Config {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("Argon2id is no FIPS 140-3 algorithm")
	}
	return Config{Kind: KindPassphrase, Passphrase: "six words that nobody guesses"}.In(t.TempDir())
}

func TestPassphrase(t *testing.T) {
	c := passphraseConfig(t)
	root, err := Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	fromFile := c
	fromFile.Passphrase, fromFile.PassphraseFile = "", filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(fromFile.PassphraseFile, []byte(string(c.Passphrase)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), fromFile)
	if err != nil {
		t.Fatal(err)
	}
	testRoot(t, root, again)
	c.Passphrase = "six words that nobody guesse5"
	stranger, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	testStranger(t, root, stranger)
	if text := fmt.Sprintf("%v %+v %#v %v", root, root, root, c); strings.Contains(text, "nobody") {
		t.Errorf("the passphrase is printed: %s", text)
	}
}

// The passphrase opens what was wrapped before the parameters were lost, or by
// another server.
func TestPassphraseIsEnough(t *testing.T) {
	c := passphraseConfig(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	blob, err := root.Wrap(t.Context(), &key, []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.Context(), c.In(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.Unwrap(t.Context(), blob, []byte("here")); err != nil || *got != key {
		t.Errorf("with other parameters: %v", err)
	}
}

func TestPassphraseRefused(t *testing.T) {
	c := passphraseConfig(t)
	c.Passphrase = "short"
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "less than 16") || strings.Contains(err.Error(), "short") {
		t.Errorf("a short passphrase: %v", err)
	}
	c.Passphrase, c.PassphraseFile = "", filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(c.PassphraseFile, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "less than 16") {
		t.Errorf("a short passphrase in a file: %v", err)
	}
	if _, err := os.Lstat(c.Path); err == nil {
		t.Error("parameters were made for it")
	}
}

// Parameters out of bounds are refused before anything is computed.
func TestPassphraseBounds(t *testing.T) {
	c := passphraseConfig(t)
	root, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	blob, err := root.Wrap(t.Context(), &key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte){
		"no passes":      func(b []byte) { binary.BigEndian.PutUint32(b, 0) },
		"few passes":     func(b []byte) { binary.BigEndian.PutUint32(b, 2) },
		"many passes":    func(b []byte) { binary.BigEndian.PutUint32(b, 65) },
		"little memory":  func(b []byte) { binary.BigEndian.PutUint32(b[4:], 64<<10-1) },
		"all the memory": func(b []byte) { binary.BigEndian.PutUint32(b[4:], 2<<20+1) },
		"no lanes":       func(b []byte) { b[8] = 0 },
		"many lanes":     func(b []byte) { b[8] = 65 },
	} {
		made := append([]byte{}, blob...)
		change(made[1:])
		if s, err := readStretch(made[1:]); err == nil {
			t.Errorf("%s: %v is in bounds", name, s)
			continue
		}
		if _, err := root.Unwrap(t.Context(), made, nil); !errors.Is(err, envelope.ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "x", stretchFormat, stretchFormat + " AAAA", "azekura-root-key-1 AAAA", stretchFormat + " " + strings.Repeat("A", 34)} {
		if err := os.WriteFile(c.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), c.Path) {
			t.Errorf("a file of %q: %v", text, err)
		}
	}
}

func TestPassphraseUnderFIPS(t *testing.T) {
	c := Config{Kind: KindPassphrase, Passphrase: "six words that nobody guesses"}
	if err := c.Check(); (err != nil) != fips140.Enforced() || err != nil && !strings.Contains(err.Error(), "fips140=on") {
		t.Errorf("with fips140=only being %v: %v", fips140.Enforced(), err)
	}
}

func FuzzParseStretch(f *testing.F) {
	f.Add(formatStretch(newStretch()))
	f.Add("")
	f.Add(stretchFormat + " AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStretch(text)
		if err == nil && (s.check() != nil || strings.Join(strings.Fields(text), " ")+"\n" != formatStretch(s)) {
			t.Errorf("%q is read as %v", text, s)
		}
	})
}

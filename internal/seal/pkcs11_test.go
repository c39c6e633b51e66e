//go:build pkcs11

package seal

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"

	"azekura/internal/envelope"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// newSoftHSM is a token with the PIN 2468-the-pin, of this test alone. SoftHSM
// reads its configuration when it starts, so the library of an earlier test is
// ended.
func newSoftHSM(t *testing.T) Config {
	t.Helper()
	if _, err := os.Stat(softHSM); err != nil {
		t.Skip("install Debian's softhsm2 to run this test")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	forget(softHSM)
	t.Cleanup(func() { forget(softHSM) })
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "azekura", "--so-pin", "13579", "--pin", "2468-the-pin").CombinedOutput()
	if err != nil {
		t.Fatalf("make a token: %v\n%s", err, out)
	}
	return Config{Kind: KindPKCS11, Module: softHSM, Slot: "azekura", Key: "root", PIN: "2468-the-pin", MakeKey: true}
}

func TestPKCS11(t *testing.T) {
	c := newSoftHSM(t)
	if _, err := Open(t.Context(), c); !errors.Is(err, ErrNoRootKey) || errors.Is(err, ErrUnreachable) {
		t.Errorf("before there is a key: %v", err)
	}
	made := c
	made.MakeKey = false
	if _, err := Create(t.Context(), made); !errors.Is(err, ErrNoRootKey) || !strings.Contains(err.Error(), "seal-make-key") {
		t.Errorf("a key that may not be made: %v", err)
	}
	root, err := Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	testRoot(t, root, again)
	if once, err := Create(t.Context(), c); err != nil || once.Fingerprint() != root.Fingerprint() {
		t.Errorf("a second key was made, %v", err)
	}
	other := c
	other.Key = "another"
	stranger, err := Create(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	testStranger(t, root, stranger)
}

// The key never leaves the token.
func TestPKCS11KeyStays(t *testing.T) {
	c := newSoftHSM(t)
	if _, err := Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	err := newToken(c).session("look", func(s session) error {
		key, _, err := s.find(c.Key)
		if err != nil {
			return err
		}
		_, err = s.GetAttributeValue(s.handle, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
		return err
	})
	if !errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_SENSITIVE)) {
		t.Errorf("reading the key: %v", err)
	}
}

func TestPKCS11Unreachable(t *testing.T) {
	c := newSoftHSM(t)
	root, err := Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	key := envelope.NewKey()
	blob, err := root.Wrap(t.Context(), &key, []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	for what, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"another PIN":     {func(c *Config) { c.PIN = "the-wrong-pin" }, "right PIN"},
		"another library": {func(c *Config) { c.Module = "/dev/null" }, "is no PKCS #11 library"},
		"another token":   {func(c *Config) { c.Slot = "elsewhere" }, "0 have that label"},
	} {
		wrong := c
		test.change(&wrong)
		_, err := Open(t.Context(), wrong)
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), string(wrong.PIN)) {
			t.Errorf("%s: %v", what, err)
		}
	}

	// The token is gone, and comes back.
	conf := os.Getenv("SOFTHSM2_CONF")
	empty := filepath.Join(t.TempDir(), "softhsm2.conf")
	if err := os.WriteFile(empty, []byte("directories.tokendir = "+filepath.Dir(empty)+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Setenv("SOFTHSM2_CONF", empty)
	forget(softHSM)
	if _, err := root.Unwrap(t.Context(), blob, []byte("here")); !errors.Is(err, ErrUnreachable) {
		t.Errorf("without the token: %v", err)
	}
	os.Setenv("SOFTHSM2_CONF", conf)
	forget(softHSM)
	if got, err := root.Unwrap(t.Context(), blob, []byte("here")); err != nil || *got != key {
		t.Errorf("with the token again: %v", err)
	}

	// Its key is deleted.
	err = newToken(c).session("delete", func(s session) error {
		key, _, err := s.find(c.Key)
		if err != nil {
			return err
		}
		return s.DestroyObject(s.handle, key)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Unwrap(t.Context(), blob, []byte("here")); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no AES key") {
		t.Errorf("without the key: %v", err)
	}
}

// A token that was away when it was asked for is found once it is there.
func TestPKCS11TokenComesBack(t *testing.T) {
	c := newSoftHSM(t)
	if _, err := Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	forget(softHSM)
	conf := os.Getenv("SOFTHSM2_CONF")
	there, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+t.TempDir()+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); !errors.Is(err, ErrUnreachable) {
		t.Errorf("without the token: %v", err)
	}
	if err := os.WriteFile(conf, there, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c); err != nil {
		t.Errorf("with the token again: %v", err)
	}
}

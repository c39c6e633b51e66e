package envelope

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := NewKey()
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		blob := Seal(&key, plaintext, aad)
		if len(blob) != len(plaintext)+Overhead {
			t.Fatalf("%d bytes for %d", len(blob), len(plaintext))
		}
		if got, err := Open(&key, blob, aad); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("opened to other bytes, %v", err)
		}
		other := NewKey()
		flipped := bytes.Clone(blob)
		flipped[rapid.IntRange(0, len(blob)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		for name, open := range map[string]func() ([]byte, error){
			"another key":   func() ([]byte, error) { return Open(&other, blob, aad) },
			"another place": func() ([]byte, error) { return Open(&key, blob, append(bytes.Clone(aad), 0)) },
			"a flipped bit": func() ([]byte, error) { return Open(&key, flipped, aad) },
			"truncated": func() ([]byte, error) {
				return Open(&key, blob[:rapid.IntRange(0, len(blob)-1).Draw(t, "length")], aad)
			},
		} {
			if _, err := open(); !errors.Is(err, ErrOpen) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

// A blob of the first release opens for ever.
func TestFormatIsStable(t *testing.T) {
	key := Key([]byte("0123456789abcdef0123456789abcdef"))
	blob, err := hex.DecodeString(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Open(&key, blob, AAD("golden", "blob")); err != nil || string(got) != "hello" {
		t.Errorf("the golden blob opened to %q, %v", got, err)
	}
}

func TestOpenKeyTakesKeysOnly(t *testing.T) {
	key, inner := NewKey(), NewKey()
	s := NewSealer(&key)
	if got, err := s.OpenKey(s.Seal(inner[:], nil), nil); err != nil || *got != inner {
		t.Error("a key did not come back", err)
	}
	for _, n := range []int{0, 31, 33} {
		if _, err := s.OpenKey(s.Seal(make([]byte, n), nil), nil); !errors.Is(err, ErrOpen) {
			t.Errorf("%d bytes were taken for a key", n)
		}
	}
}

func TestAADIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', 0}), 0, 4, -1), 1, 4)
		a, b := list.Draw(t, "a"), list.Draw(t, "b")
		same := fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b)
		if bytes.Equal(AAD(a[0], a[1:]...), AAD(b[0], b[1:]...)) != same {
			t.Fatalf("%q and %q", a, b)
		}
	})
}

func TestKeysDoNotPrint(t *testing.T) {
	key := Key([]byte("0123456789abcdef0123456789abcdef"))
	var all strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&all, verb+"\n", key)
		fmt.Fprintf(&all, verb+"\n", &key)
		fmt.Fprintf(&all, verb+"\n", struct{ K Key }{key})
	}
	text, err := json.Marshal(map[string]any{"k": key, "p": &key})
	if err != nil {
		t.Fatal(err)
	}
	all.Write(text)
	slog.New(slog.NewTextHandler(&all, nil)).Info("x", "k", key, "p", &key)
	for _, form := range []string{"0123456789abcdef", hex.EncodeToString(key[:4]), "48 49 50", "0x30, 0x31"} {
		if strings.Contains(all.String(), form) {
			t.Errorf("a key prints as %q somewhere:\n%s", form, &all)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := NewKey()
	f.Add(Seal(&key, []byte("hello"), nil))
	f.Add([]byte{})
	f.Add([]byte{formatGCM})
	f.Add(make([]byte, Overhead))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if _, err := Open(&key, blob, []byte("aad")); !errors.Is(err, ErrOpen) {
			t.Errorf("a stranger's blob opened: %v", err)
		}
	})
}

const golden = "01b73cdaaabbff107f997fea4cb8bd03636ddc4b32fbf2278b677a5ba4f02e919fb5"

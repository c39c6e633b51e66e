package seal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Every choice of as many shares as are needed gives the secret back, in any
// order; fewer are refused.
func TestSplitAndCombine(t *testing.T) {
	secret := []byte("correct horse battery staple\n")
	for _, tt := range []struct{ shares, threshold int }{{2, 2}, {3, 2}, {5, 3}, {5, 5}, {255, 2}} {
		lines, err := Split(secret, tt.shares, tt.threshold)
		if err != nil || len(lines) != tt.shares {
			t.Fatal(err)
		}
		for first := 0; first+tt.threshold <= len(lines); first++ {
			some := append([]string{lines[len(lines)-1-first]}, lines[first:first+tt.threshold]...)
			if some[0] == some[tt.threshold] || contains(some[1:], some[0]) {
				some = some[1:]
			}
			got, err := Combine(some)
			if err != nil || !bytes.Equal(got, secret) {
				t.Fatalf("%d of %d, from %d: %v", tt.threshold, tt.shares, first, err)
			}
			if _, err := Combine(some[:tt.threshold-1]); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d shares are needed", tt.threshold)) && tt.threshold > 1 {
				t.Errorf("too few: %v", err)
			}
		}
	}
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// One share less than are needed fits every secret: for each value that the
// missing one may have there is another.
func TestFewerSharesSayNothing(t *testing.T) {
	seen := map[byte]bool{}
	one := share{number: 1, value: []byte{0x42}}
	for missing := range 256 {
		seen[interpolate([]share{one, {number: 2, value: []byte{byte(missing)}}})[0]] = true
	}
	if len(seen) != 256 {
		t.Errorf("with one of two shares the secret is one of %d bytes", len(seen))
	}
}

func TestWrongShares(t *testing.T) {
	a, err := Split([]byte("one"), 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Split([]byte("two"), 3, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a[0] {
		damaged := a[0][:i] + string(a[0][i]^1) + a[0][i+1:]
		if _, err := Combine([]string{damaged, a[1]}); err == nil || strings.Contains(err.Error(), a[0][20:]) {
			t.Errorf("with another sign at %d: %v", i, err)
		}
	}
	for want, lines := range map[string][]string{
		"belongs to the set": {a[0], b[1]}, "is there twice": {a[0], a[0]}, "2 shares are needed, and here are 0": nil,
		"share 2: this is no share": {a[0], "nonsense"},
	} {
		if _, err := Combine(lines); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	forged, _ := parseShare(a[0])
	forged.value[0] ^= 1
	if _, err := Combine([]string{forged.text(), a[1]}); err == nil || !strings.Contains(err.Error(), "forged") {
		t.Errorf("a forged share: %v", err)
	}
	for _, tt := range []struct {
		secret            []byte
		shares, threshold int
	}{{nil, 3, 2}, {make([]byte, maxSplit+1), 3, 2}, {a2b("x"), 3, 1}, {a2b("x"), 3, 4}, {a2b("x"), 256, 2}} {
		if _, err := Split(tt.secret, tt.shares, tt.threshold); err == nil {
			t.Errorf("split %d bytes into %d of which %d are needed", len(tt.secret), tt.shares, tt.threshold)
		}
	}
}

func a2b(s string) []byte { return []byte(s) }

// The examples of FIPS 197 section 4.2, and every inverse.
func TestField(t *testing.T) {
	if got := multiply(0x57, 0x83); got != 0xc1 {
		t.Errorf("{57} times {83} is %02x", got)
	}
	if got := multiply(0x57, 0x13); got != 0xfe {
		t.Errorf("{57} times {13} is %02x", got)
	}
	for a := 1; a < 256; a++ {
		if got := multiply(byte(a), inverse(byte(a))); got != 1 {
			t.Errorf("%02x times its inverse is %02x", a, got)
		}
	}
}

func FuzzCombine(f *testing.F) {
	lines, err := Split([]byte("secret"), 3, 2)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(lines[0], lines[1])
	f.Add(shareFormat+" 00000000 2 1 AAAA", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		Combine([]string{a, b})
		if s, err := parseShare(a); err == nil && s.text() != strings.Join(strings.Fields(a), " ") {
			t.Errorf("%q is read as %q", a, s.text())
		}
	})
}

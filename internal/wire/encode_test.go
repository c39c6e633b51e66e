package wire

import (
	"bytes"
	"testing"
)

// A byte that needs an escape is found in every place and beside any other.
func TestAllPlain(t *testing.T) {
	for _, filler := range []byte{'a', ' ', '!', '#', '[', ']', 0x7f, 0x00, 0x1f, '"', '\\', 0x80, 0xff} {
		for at := range 8 {
			for b := range 256 {
				word := bytes.Repeat([]byte{filler}, 8)
				word[at] = byte(b)
				want := plain(byte(b)) && plain(filler)
				if got := allPlain(string(word)); got != want {
					t.Fatalf("%q: got %v, want %v", word, got, want)
				}
			}
		}
	}
}

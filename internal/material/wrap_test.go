package material

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wrapPadded is the wrapping of RFC 5649 section 4.1.
func wrapPadded(kek, plaintext []byte) []byte {
	block, err := aes.NewCipher(kek)
	if err != nil {
		panic(err)
	}
	out := binary.BigEndian.AppendUint32(nil, wrapConstant)
	out = binary.BigEndian.AppendUint32(out, uint32(len(plaintext)))
	out = append(out, plaintext...)
	out = append(out, make([]byte, -len(plaintext)&7)...)
	n := len(out)/semiblock - 1
	if n == 1 {
		block.Encrypt(out, out)
		return out
	}
	var pair [aes.BlockSize]byte
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(pair[:semiblock], out[:semiblock])
			copy(pair[semiblock:], out[i*semiblock:])
			block.Encrypt(pair[:], pair[:])
			binary.BigEndian.PutUint64(out, binary.BigEndian.Uint64(pair[:semiblock])^uint64(n*j+i))
			copy(out[i*semiblock:], pair[semiblock:])
		}
	}
	return out
}

// The examples of RFC 5649 section 6, and every way to damage them.
func TestUnwrapPadded(t *testing.T) {
	kek := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for _, tt := range []struct{ plain, wrapped string }{
		{"c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
		{"466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	} {
		wrapped := unhex(t, tt.wrapped)
		got, err := unwrapPadded(kek, wrapped)
		if err != nil || hex.EncodeToString(got) != tt.plain {
			t.Fatalf("%s: got %x, %v", tt.wrapped, got, err)
		}
		if again := wrapPadded(kek, got); !bytes.Equal(again, wrapped) {
			t.Errorf("%s: wrapped to %x", tt.plain, again)
		}
		for i := range wrapped {
			damaged := slices.Clone(wrapped)
			damaged[i] ^= 1
			if _, err := unwrapPadded(kek, damaged); !errors.Is(err, ErrOpen) {
				t.Errorf("%s with another byte %d: %v", tt.wrapped, i, err)
			}
			if _, err := unwrapPadded(kek, wrapped[:i]); !errors.Is(err, ErrOpen) {
				t.Errorf("%s cut at %d: %v", tt.wrapped, i, err)
			}
		}
		if _, err := unwrapPadded(kek[:23], wrapped); !errors.Is(err, ErrOpen) {
			t.Errorf("a key of another length: %v", err)
		}
	}
}

// A header that promises another length, or padding that is not zero, does not
// open although the wrapping itself is whole.
func TestUnwrapPaddedChecksTheHeader(t *testing.T) {
	kek := make([]byte, 32)
	forge := func(header uint32, size uint32, body []byte) []byte {
		block, _ := aes.NewCipher(kek)
		out := binary.BigEndian.AppendUint32(nil, header)
		out = binary.BigEndian.AppendUint32(out, size)
		out = append(out, body...)
		block.Encrypt(out, out)
		return out
	}
	for name, tt := range map[string]struct {
		header, size uint32
		body         string
		sound        bool
	}{
		"sound":           {wrapConstant, 7, "aaaaaaaaaaaaaa00", true},
		"full":            {wrapConstant, 8, "aaaaaaaaaaaaaaaa", true},
		"another header":  {wrapConstant ^ 1, 7, "aaaaaaaaaaaaaa00", false},
		"padding":         {wrapConstant, 7, "aaaaaaaaaaaaaa01", false},
		"more than there": {wrapConstant, 9, "aaaaaaaaaaaaaaaa", false},
		"a block less":    {wrapConstant, 0, "0000000000000000", false},
		"huge":            {wrapConstant, 1 << 31, "aaaaaaaaaaaaaaaa", false},
		"huge and eight":  {wrapConstant, 1<<31 + 8, "aaaaaaaaaaaaaaaa", false},
	} {
		_, err := unwrapPadded(kek, forge(tt.header, tt.size, unhex(t, tt.body)))
		if (err == nil) != tt.sound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnwrap(t *testing.T) {
	raw, err := Generate(RSA2048)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse(RSA2048, raw)
	if err != nil {
		t.Fatal(err)
	}
	public := &k.signer.(*rsa.PrivateKey).PublicKey
	secret, kek := []byte("0123456789abcdef0123456789abcdef"), make([]byte, 32)
	rand.Read(kek)
	for _, sum := range []string{"1", "256"} {
		h := sha256.New()
		if sum == "1" {
			if fipsOnly() {
				continue
			}
			h = sha1.New()
		}
		direct, err := rsa.EncryptOAEP(h, rand.Reader, public, secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		wrapping, err := rsa.EncryptOAEP(h, rand.Reader, public, kek, nil)
		if err != nil {
			t.Fatal(err)
		}
		blobs := map[string][]byte{"RSAES_OAEP_SHA_" + sum: direct, "RSA_AES_KEY_WRAP_SHA_" + sum: append(wrapping, wrapPadded(kek, secret)...)}
		for algorithm, blob := range blobs {
			if !IsWrapping(algorithm) {
				t.Errorf("%s is no wrapping", algorithm)
			}
			if got, err := k.Unwrap(algorithm, blob); err != nil || !bytes.Equal(got, secret) {
				t.Errorf("%s: %v", algorithm, err)
			}
			for other := range blobs {
				if other == algorithm {
					continue
				}
				if _, err := k.Unwrap(other, blob); !errors.Is(err, ErrOpen) {
					t.Errorf("%s as %s: %v", algorithm, other, err)
				}
			}
			if _, err := k.Unwrap(algorithm, blob[:len(blob)-1]); !errors.Is(err, ErrOpen) {
				t.Errorf("%s cut: %v", algorithm, err)
			}
		}
	}
	if _, err := k.Unwrap("RSAES_PKCS1_V1_5", secret); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("PKCS #1: %v", err)
	}
	if _, err := (&Key{}).Unwrap("RSAES_OAEP_SHA_256", secret); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("the zero key: %v", err)
	}
}

func FuzzUnwrap(f *testing.F) {
	raw, err := Generate(RSA2048)
	if err != nil {
		f.Fatal(err)
	}
	k, err := Parse(RSA2048, raw)
	if err != nil {
		f.Fatal(err)
	}
	kek := make([]byte, 32)
	f.Add("RSA_AES_KEY_WRAP_SHA_256", make([]byte, 512))
	f.Add("RSAES_OAEP_SHA_256", make([]byte, 256))
	f.Add("RSA_AES_KEY_WRAP_SHA_1", wrapPadded(kek, []byte("seven..")))
	f.Fuzz(func(t *testing.T, algorithm string, blob []byte) {
		if got, err := k.Unwrap(algorithm, blob); err == nil {
			t.Errorf("%s of %x opened to %x", algorithm, blob, got)
		}
		plain, err := unwrapPadded(kek, blob)
		if err == nil && !bytes.Equal(wrapPadded(kek, plain), blob) {
			t.Errorf("%x opened to %x, which wraps to something else", blob, plain)
		}
	})
}

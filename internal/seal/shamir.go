package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxShares is the most shares that a secret can be split into.
const MaxShares = 255

// maxSplit bounds a secret that is split, in bytes.
const maxSplit = 4096

const shareFormat = "azekura-share-1"

// Split makes shares of a secret: any threshold of them give it back, and fewer
// say nothing about it (A. Shamir, How to Share a Secret, 1979; each byte by a
// polynomial over GF(2^8)). A share is one line of text, for paper: it names the
// set that it belongs to, how many are needed, its number, and ends in a
// checksum, so that a mistyped one and one of another set are told.
func Split(secret []byte, shares, threshold int) ([]string, error) {
	switch {
	case len(secret) == 0 || len(secret) > maxSplit:
		return nil, fmt.Errorf("split a secret: it can have 1 to %d bytes", maxSplit)
	case threshold < 2 || threshold > shares || shares > MaxShares:
		return nil, fmt.Errorf("split a secret: of up to %d shares at least 2, and at most all, can be needed", MaxShares)
	}
	set := make([]byte, 4)
	rand.Read(set)
	sum := sha256.Sum256(secret)
	whole := append(append([]byte(nil), secret...), sum[:checkSize]...)
	defer clear(whole)
	values := make([][]byte, shares)
	coefficients := make([]byte, threshold)
	defer clear(coefficients)
	for _, b := range whole {
		rand.Read(coefficients)
		coefficients[0] = b
		for i := range values {
			values[i] = append(values[i], evaluate(coefficients, byte(i+1)))
		}
	}
	lines := make([]string, shares)
	for i, v := range values {
		lines[i] = share{set: hex.EncodeToString(set), needed: threshold, number: byte(i + 1), value: v}.text()
	}
	return lines, nil
}

// Combine gives back the secret of shares, whose order does not matter. It needs
// as many as Split was told, of one set; more do no harm. Its errors name the
// share that is wrong by its place, from 1, and never repeat it.
func Combine(lines []string) ([]byte, error) {
	var all []share
	for i, line := range lines {
		s, err := parseShare(line)
		if err != nil {
			return nil, fmt.Errorf("share %d: %w", i+1, err)
		}
		for _, other := range all {
			switch {
			case other.set != s.set || other.needed != s.needed || len(other.value) != len(s.value):
				return nil, fmt.Errorf("share %d belongs to the set %s, and those before it to %s", i+1, s.set, other.set)
			case other.number == s.number:
				return nil, fmt.Errorf("share %d is there twice", i+1)
			}
		}
		all = append(all, s)
	}
	if len(all) == 0 || len(all) < all[0].needed {
		need := 2
		if len(all) > 0 {
			need = all[0].needed
		}
		return nil, fmt.Errorf("%d shares are needed, and here are %d", need, len(all))
	}
	whole := interpolate(all[:all[0].needed])
	secret, sum := whole[:len(whole)-checkSize], whole[len(whole)-checkSize:]
	if want := sha256.Sum256(secret); subtle.ConstantTimeCompare(want[:checkSize], sum) != 1 {
		return nil, errors.New("the shares do not fit together: one of them was forged")
	}
	return secret, nil
}

// A share is one point of the polynomials, all at the same number.
type share struct {
	set    string
	needed int
	number byte
	value  []byte
}

func (s share) head() string {
	return fmt.Sprintf("%s %s %d %d", shareFormat, s.set, s.needed, s.number)
}

func (s share) text() string {
	sum := sha256.Sum256(append([]byte(s.head()), s.value...))
	return s.head() + " " + base64.RawURLEncoding.EncodeToString(append(s.value[:len(s.value):len(s.value)], sum[:checkSize]...))
}

func parseShare(line string) (share, error) {
	bad := errors.New("this is no share, or it was mistyped")
	if len(line) > 2*maxSplit {
		return share{}, bad
	}
	fields := strings.Fields(line)
	if len(fields) != 5 || fields[0] != shareFormat || len(fields[1]) != 8 {
		return share{}, bad
	}
	needed, err := strconv.ParseUint(fields[2], 10, 8)
	number, err2 := strconv.ParseUint(fields[3], 10, 8)
	raw, err3 := base64.RawURLEncoding.Strict().DecodeString(fields[4])
	if errors.Join(err, err2, err3) != nil || needed < 2 || number < 1 || len(raw) < 2*checkSize+1 {
		return share{}, bad
	}
	s := share{fields[1], int(needed), byte(number), raw[:len(raw)-checkSize]}
	if sum := sha256.Sum256(append([]byte(s.head()), s.value...)); subtle.ConstantTimeCompare(sum[:checkSize], raw[len(raw)-checkSize:]) != 1 {
		return share{}, bad
	}
	return s, nil
}

// evaluate is the value of a polynomial at x, by Horner's rule.
func evaluate(coefficients []byte, x byte) (y byte) {
	for i := len(coefficients) - 1; i >= 0; i-- {
		y = multiply(y, x) ^ coefficients[i]
	}
	return y
}

// interpolate is the polynomials' values at 0, by Lagrange's formula.
func interpolate(shares []share) []byte {
	whole := make([]byte, len(shares[0].value))
	for i, s := range shares {
		weight := byte(1)
		for j, other := range shares {
			if i != j {
				weight = multiply(weight, multiply(other.number, inverse(other.number^s.number)))
			}
		}
		for at, y := range s.value {
			whole[at] ^= multiply(weight, y)
		}
	}
	return whole
}

// multiply is the product in GF(2^8) with the polynomial of AES (FIPS 197
// section 4.2). It takes the same steps whatever it multiplies: tables would
// leave in the caches what was looked up.
func multiply(a, b byte) (product byte) {
	for range 8 {
		product ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return product
}

// inverse is a^254, which is 1/a.
func inverse(a byte) byte {
	power, result := a, byte(1)
	for range 7 { // 254 is 0b11111110
		power = multiply(power, power)
		result = multiply(result, power)
	}
	return result
}

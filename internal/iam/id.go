package iam

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// alphabet is that of IAM's ids, RFC 4648's base32.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// Prefixes of ids say what they are of.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
const (
	prefixUser = "AIDA"

	// PrefixAccessKey begins the ids of users' access keys, PrefixSession those
	// of sessions' temporary ones.
	PrefixAccessKey = "AKIA"
	PrefixSession   = "ASIA"
)

// newID is a unique id of an entity: its prefix and 17 random characters.
func newID(prefix string) string { return prefix + randomText(17) }

// NewAccessKeyID is an id of an access key, 20 characters, in which AWS's tools
// find the account: the 5th to 12th are the number 2^39 + account/2 in base32,
// and the first bit of the 13th is the account's last. 39 bits are random.
func NewAccessKeyID(prefix, account string) (string, error) {
	n, err := strconv.ParseUint(account, 10, 64)
	if err != nil || len(account) != 12 {
		return "", fmt.Errorf("an account id has 12 digits, not %q", account)
	}
	half := 1<<39 + n/2
	id := []byte(prefix)
	for shift := 35; shift >= 0; shift -= 5 {
		id = append(id, alphabet[half>>shift&31])
	}
	var r [1]byte
	rand.Read(r[:])
	id = append(id, alphabet[n&1<<4|uint64(r[0]&15)])
	return string(id) + randomText(7), nil
}

// AccountOf is the account that NewAccessKeyID has put into an id; ok is false
// for ids of another form. It says nothing of whether there is such a key.
func AccountOf(accessKeyID string) (account string, ok bool) {
	const digits = 1_000_000_000_000
	prefix, rest := accessKeyID[:min(4, len(accessKeyID))], accessKeyID[min(4, len(accessKeyID)):]
	if len(rest) != 16 || prefix != PrefixAccessKey && prefix != PrefixSession {
		return "", false
	}
	var half, last uint64
	for i := range len(rest) {
		index := strings.IndexByte(alphabet, rest[i])
		switch {
		case index < 0:
			return "", false
		case i < 8:
			half = half<<5 | uint64(index)
		case i == 8:
			last = uint64(index) >> 4
		}
	}
	n := 2*(half-1<<39) + last
	if half < 1<<39 || n >= digits {
		return "", false
	}
	return fmt.Sprintf("%012d", n), true
}

// newSecret is a secret access key: 240 random bits in 40 characters.
func newSecret() string {
	var b [30]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// randomText is n characters of the alphabet, whose size divides 256: each is
// as likely.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b)
}

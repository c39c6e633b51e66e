package iam

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"azekura/internal/api"
	"azekura/internal/envelope"
	"azekura/internal/throttle"
)

// Passwords are kept as Argon2id hashes (RFC 9106) of 19 MiB, two passes and
// one lane, the least that OWASP's password storage cheat sheet asks for. A hash
// is sealed on top of that: a stolen database is of no use to who guesses
// without the root key, and who can write to it cannot give somebody a password
// that they know.
const (
	hashPasses = 2
	hashMemory = 19 << 10 // KiB
	hashLanes  = 1
	hashSize   = 32
	saltSize   = 16

	hashPrefix = "$argon2id$v=19$m=19456,t=2,p=1$"
)

var errUnknownHash = errors.New("a password's hash is of an unknown form")

// maxHashing is how many hashes are worked on at a time, which bounds what they
// take of memory and processors.
const maxHashing = 2

func passwordAAD(userID string) []byte { return envelope.AAD("iam password", userID) }

// hashing runs work that hashes, when it is its turn.
func (s *Service) hashing(ctx context.Context, work func() error) error {
	select {
	case s.hashers <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.hashers }()
	return work()
}

// hashPassword is a password of a user as it is kept. Call it in hashing.
func (s *Service) hashPassword(userID string, password api.Sensitive) string {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	b64 := base64.RawStdEncoding.EncodeToString
	text := hashPrefix + b64(salt) + "$" + b64(hashOf(password, salt))
	return b64(s.keyring.Seal([]byte(text), passwordAAD(userID)))
}

func hashOf(password api.Sensitive, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashLanes, hashSize)
}

// isPassword says whether a password is the one that is kept. Call it in
// hashing. An error says that what is kept is no hash of ours of that user.
func (s *Service) isPassword(userID, kept string, password api.Sensitive) (bool, error) {
	b64 := base64.RawStdEncoding
	blob, err := b64.DecodeString(kept)
	if err != nil {
		return false, err
	}
	text, err := s.keyring.Open(blob, passwordAAD(userID))
	if err != nil {
		return false, err
	}
	rest, known := strings.CutPrefix(string(text), hashPrefix)
	saltText, hashText, _ := strings.Cut(rest, "$")
	salt, errSalt := b64.DecodeString(saltText)
	hash, errHash := b64.DecodeString(hashText)
	if !known || errSalt != nil || errHash != nil || len(salt) != saltSize || len(hash) != hashSize {
		return false, errUnknownHash
	}
	return subtle.ConstantTimeCompare(hashOf(password, salt), hash) == 1, nil
}

// passwordTries bounds and counts guesses.
type passwordTries struct {
	*throttle.Failures
	wrong atomic.Uint64
}

// newPasswordTries lets who has a user's access key guess at its password: ten
// times at once, then once in a minute.
func newPasswordTries() *passwordTries {
	return &passwordTries{Failures: throttle.NewFailures(10, time.Minute)}
}

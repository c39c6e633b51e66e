// Package totp checks the one-time codes of virtual MFA devices: RFC 6238 with
// HMAC-SHA-1, six digits and steps of thirty seconds since 1970, which is all
// that the authenticator apps AWS speaks of can do. It is pure: the time is an
// argument, and which code was used last is for the caller to keep.
package totp

import (
	"crypto/fips140"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"time"
)

const (
	// Digits is the length of a code.
	Digits = 6

	// SeedSize is the length of a new seed in bytes: 64 characters of base32.
	SeedSize = 40

	period  = 30 // seconds
	modulus = 1_000_000
	skew    = 1 // steps that a device's clock may be off, either way
)

const redacted = "***"

// A Seed is what a device and the server share. It prints as ***.
type Seed []byte

func (Seed) String() string               { return redacted }
func (Seed) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Seed) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Seed) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// NewSeed makes a seed of the system's randomness.
func NewSeed() Seed {
	s := make(Seed, SeedSize)
	rand.Read(s) // never fails: it ends the program rather than return
	return s
}

// A Step is the number of a period since 1970. It is a password's place in the
// order of all of a device's: who keeps the step of the last code that was
// taken, and takes later ones only, takes none twice. The zero Step is before
// all that can be asked for.
type Step int64

// At is the step of an instant.
func At(t time.Time) Step { return Step(t.Unix() / period) }

// Code is what the device shows in a step.
func (s Seed) Code(step Step) string {
	return fmt.Sprintf("%0*d", Digits, s.number(step))
}

// number is HOTP (RFC 4226, section 5.3) of the step.
func (s Seed) number(step Step) (n uint32) {
	var sum []byte
	// The only hash that the devices know is one that fips140=only refuses.
	// HMAC does not lean on the strength that SHA-1 has lost: collisions
	// (RFC 6238 and NIST SP 800-131A both keep it for that).
	fips140.WithoutEnforcement(func() {
		h := hmac.New(sha1.New, s)
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
		sum = h.Sum(nil)
	})
	at := sum[len(sum)-1] & 0xf
	return (binary.BigEndian.Uint32(sum[at:]) & 0x7fff_ffff) % modulus
}

// Check says whether a code is the device's at now, or one step before or
// after, and later than the last step that was taken, which is 0 if none was.
// It returns the code's step, to be kept as the last: in the transaction that
// takes the code, or two callers use it at once. A code that was seen over
// somebody's shoulder is of no use once its owner has used it.
func (s Seed) Check(code string, now time.Time, last Step) (Step, bool) {
	return s.find(now, last, func(step Step) int { return s.equal(code, step) })
}

// CheckPair is Check for two codes that follow each other, of which the second
// is now's: how a device is enabled. It returns the second's step.
func (s Seed) CheckPair(first, second string, now time.Time, last Step) (Step, bool) {
	return s.find(now, last+1, func(step Step) int { return s.equal(first, step-1) & s.equal(second, step) })
}

// find tries all steps, whichever is right, so that time tells nothing.
func (s Seed) find(now time.Time, last Step, match func(Step) int) (found Step, ok bool) {
	if len(s) == 0 {
		return 0, false
	}
	middle := At(now)
	for step := middle - skew; step <= middle+skew; step++ {
		if match(step) == 1 && step > last {
			found, ok = step, true
		}
	}
	return found, ok
}

func (s Seed) equal(code string, step Step) int {
	return subtle.ConstantTimeCompare([]byte(code), []byte(s.Code(step)))
}

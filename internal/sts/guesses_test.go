package sts

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"azekura/internal/api"
	"azekura/internal/sigv4"
)

// try is the code or kind of what a request signed with creds is told.
func try(t *testing.T, d *door, creds sigv4.Credentials, from string, at time.Time) string {
	t.Helper()
	r := newRequest()
	sigv4.Sign(r, creds, region, service, sha256.Sum256([]byte(body)), at)
	verify, err := d.Authenticate(r, service, netip.MustParseAddr(from), at, nil)
	if err == nil {
		_, err = verify(sha256.Sum256([]byte(body)))
	}
	switch e := err.(type) {
	case nil:
		return "in"
	case *api.Error:
		return e.Code
	case *sigv4.Error:
		return e.Kind.String()
	}
	t.Fatal(err)
	return ""
}

func TestGuessingASecretIsSlowed(t *testing.T) {
	d := newDoor(t)
	wrong := d.creds
	wrong.Secret += "x"
	slowed := 0
	for range 3 * freeGuesses {
		switch got := try(t, d, wrong, "192.0.2.1", now); got {
		case "ThrottlingException":
			slowed++
		case "signature mismatch":
		default:
			t.Fatal(got)
		}
	}
	if slowed != 2*freeGuesses || d.Slowed() != 2*freeGuesses {
		t.Errorf("%d of %d guesses were slowed, and %d counted", slowed, 3*freeGuesses, d.Slowed())
	}
	if got := try(t, d, d.creds, "192.0.2.1", now); got != "ThrottlingException" {
		t.Errorf("the right guess at once: %s, so the limit is none", got)
	}
	if got := try(t, d, d.creds, "192.0.2.2", now); got != "in" {
		t.Errorf("the owner, at another address: %s", got)
	}
	if got := try(t, d, d.creds, "192.0.2.1", now.Add(guessPause)); got != "in" {
		t.Errorf("the owner at that address, a pause later: %s", got)
	}
}

func TestLookingForAccessKeysIsSlowed(t *testing.T) {
	d := newDoor(t)
	unknown := d.creds
	unknown.AccessKeyID = "AKIAIOSFODNN7EXAMPLE"
	for range freeGuesses {
		if got := try(t, d, unknown, "192.0.2.1", now); got != "unknown key" {
			t.Fatal(got)
		}
	}
	if got := try(t, d, unknown, "192.0.2.1", now); got != "ThrottlingException" {
		t.Errorf("one more: %s", got)
	}
	if got := try(t, d, d.creds, "192.0.2.1", now); got != "in" {
		t.Errorf("who has a key, from there: %s", got)
	}
	if got := try(t, d, unknown, "192.0.2.2", now); got != "unknown key" {
		t.Errorf("from elsewhere: %s", got)
	}
}

// All addresses of IPv6 that one host has are one sender.
func TestGuessesFromOneNetwork(t *testing.T) {
	d := newDoor(t)
	wrong := d.creds
	wrong.Secret += "x"
	for i := range freeGuesses {
		if got := try(t, d, wrong, fmt.Sprintf("2001:db8::%x", i+1), now); got != "signature mismatch" {
			t.Fatalf("guess %d: %s", i, got)
		}
	}
	for from, want := range map[string]string{"2001:db8::ffff:1": "ThrottlingException", "2001:db8:0:1::1": "signature mismatch", "192.0.2.1": "signature mismatch"} {
		if got := try(t, d, wrong, from, now); got != want {
			t.Errorf("from %s: %s, want %s", from, got, want)
		}
	}
}

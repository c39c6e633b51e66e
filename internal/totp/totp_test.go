package totp

import (
	"fmt"
	"testing"
	"time"
)

// The seed of RFC 6238, appendix B, whose codes have eight digits: of those the
// last six are ours.
var seed = Seed("12345678901234567890")

func TestVectors(t *testing.T) {
	for seconds, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		now := time.Unix(seconds, 0)
		if got := seed.Code(At(now)); got != want {
			t.Errorf("at %d: %s, want %s", seconds, got, want)
		}
		if step, ok := seed.Check(want, now, 0); !ok || step != At(now) {
			t.Errorf("at %d: step %d, %v", seconds, step, ok)
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Unix(1111111109, 0)
	at := At(now)
	for name, test := range map[string]struct {
		seed Seed
		code string
		last Step
		want Step
	}{
		"now":            {seed, seed.Code(at), 0, at},
		"slow clock":     {seed, seed.Code(at - 1), 0, at - 1},
		"fast clock":     {seed, seed.Code(at + 1), 0, at + 1},
		"too slow":       {seed, seed.Code(at - 2), 0, 0},
		"too fast":       {seed, seed.Code(at + 2), 0, 0},
		"after the last": {seed, seed.Code(at), at - 1, at},
		"replayed":       {seed, seed.Code(at), at, 0},
		"older":          {seed, seed.Code(at - 1), at, 0},
		"other device":   {Seed("12345678901234567891"), seed.Code(at), 0, 0},
		"no seed":        {nil, Seed{}.Code(at), 0, 0},
		"empty":          {seed, "", 0, 0},
		"short":          {seed, seed.Code(at)[1:], 0, 0},
		"long":           {seed, seed.Code(at) + "0", 0, 0},
		"with a blank":   {seed, " " + seed.Code(at)[1:], 0, 0},
	} {
		if step, ok := test.seed.Check(test.code, now, test.last); step != test.want || ok != (test.want != 0) {
			t.Errorf("%s: step %d, %v, want %d", name, step, ok, test.want)
		}
	}
}

func TestCheckPair(t *testing.T) {
	now := time.Unix(1111111109, 0)
	at := At(now)
	for name, test := range map[string]struct {
		first, second Step
		last, want    Step
	}{
		"follow":      {at - 1, at, 0, at},
		"slow clock":  {at - 2, at - 1, 0, at - 1},
		"fast clock":  {at, at + 1, 0, at + 1},
		"the same":    {at, at, 0, 0},
		"backwards":   {at, at - 1, 0, 0},
		"with a gap":  {at - 2, at, 0, 0},
		"too old":     {at - 3, at - 2, 0, 0},
		"one is used": {at - 1, at, at - 1, 0},
	} {
		step, ok := seed.CheckPair(seed.Code(test.first), seed.Code(test.second), now, test.last)
		if step != test.want || ok != (test.want != 0) {
			t.Errorf("%s: step %d, %v, want %d", name, step, ok, test.want)
		}
	}
}

func TestSeedsDoNotPrint(t *testing.T) {
	s := NewSeed()
	if len(s) != SeedSize || string(s) == string(NewSeed()) {
		t.Error("a new seed is short or not new")
	}
	if got := fmt.Sprintf("%v %x %s", s, s, []Seed{s}); got != "*** *** [***]" {
		t.Errorf("it prints as %s", got)
	}
}

package secretsmanager

import (
	"strings"
	"testing"

	model "azekura/internal/api/secretsmanager"
)

func TestPasswordRefusals(t *testing.T) {
	w := newWorld(t)
	const lower = "abcdefghijklmnopqrstuvwxyz"
	for text, in := range map[string]*model.GetRandomPasswordInput{
		"Password length is too short based on the required types.":  {PasswordLength: new(int64(3))},
		"All characters of the desired type have been excluded.":     {ExcludeCharacters: new(lower)},
		"All characters have been excluded from selection.":          {ExcludeUppercase: new(true), ExcludeNumbers: new(true), ExcludePunctuation: new(true), ExcludeCharacters: new(lower)},
		"All characters have been excluded from selection. ":         {ExcludeUppercase: new(true), ExcludeNumbers: new(true), ExcludePunctuation: new(true), ExcludeLowercase: new(true)},
		"Password length is too short based on the required types. ": {PasswordLength: new(int64(4)), IncludeSpace: new(true)},
	} {
		refuse(w, w.GetRandomPassword, in, "InvalidParameterException", strings.TrimSpace(text))
	}
}

func TestPasswords(t *testing.T) {
	w := newWorld(t)
	make := func(in *model.GetRandomPasswordInput) string {
		return string(*do(w, w.GetRandomPassword, in).RandomPassword)
	}
	for range 100 {
		if p := make(&model.GetRandomPasswordInput{}); len(p) != 32 || !hasEach([]byte(p), passwordClasses(&model.GetRandomPasswordInput{})) || strings.Contains(p, " ") {
			t.Fatal("not 32 characters with one of each type")
		}
		if p := make(&model.GetRandomPasswordInput{PasswordLength: new(int64(5)), IncludeSpace: new(true)}); len(p) != 5 || !strings.Contains(p, " ") {
			t.Fatal("no space among five characters")
		}
		digits := &model.GetRandomPasswordInput{PasswordLength: new(int64(8)), ExcludeLowercase: new(true), ExcludeUppercase: new(true),
			ExcludePunctuation: new(true), ExcludeCharacters: new("0O1")}
		if p := make(digits); strings.Trim(p, "23456789") != "" {
			t.Fatal("characters that were excluded")
		}
		relaxed := &model.GetRandomPasswordInput{PasswordLength: new(int64(1)), RequireEachIncludedType: new(false), ExcludeCharacters: new("0123456789")}
		if p := make(relaxed); len(p) != 1 || strings.ContainsAny(p, "0123456789") {
			t.Fatal("not one character that was allowed")
		}
	}
	if p := make(&model.GetRandomPasswordInput{PasswordLength: new(int64(4096))}); len(p) != 4096 {
		t.Errorf("%d characters", len(p))
	}
}

// Pearson's test on 94,000 characters: with 93 degrees of freedom a value over
// 180 has a probability below one in ten million.
func TestPasswordsAreUniform(t *testing.T) {
	w := newWorld(t)
	counts := map[rune]float64{}
	const each = 1000
	for range 94 * each / 4000 {
		for _, r := range string(*do(w, w.GetRandomPassword, &model.GetRandomPasswordInput{PasswordLength: new(int64(4000)), RequireEachIncludedType: new(false)}).RandomPassword) {
			counts[r]++
		}
	}
	total, chi := 0.0, 0.0
	for _, n := range counts {
		total += n
	}
	for _, n := range counts {
		expected := total / 94
		chi += (n - expected) * (n - expected) / expected
	}
	if len(counts) != 94 || chi > 180 {
		t.Errorf("%d different characters, chi squared %.1f", len(counts), chi)
	}
}

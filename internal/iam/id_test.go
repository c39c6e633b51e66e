package iam

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAccessKeyIDTellsTheAccount(t *testing.T) {
	for id, want := range map[string]string{
		"AKIARZPUZDIKGB2VALC4":  "123456789012", // AWS's own
		"ASIAQAAAAAAAGMKEM7X5":  "000000000000",
		"AIDARZPUZDIKGB2VALC4":  "",
		"AKIARZPUZDIKGB2VALC":   "",
		"AKIARZPUZDIKGB2VALC44": "",
		"AKIARZPUZDIKGB2VALC1":  "", // not in the alphabet
		"akiarzpuzdikgb2valc4":  "",
		"AKIAIOSFODNN7EXAMPLE":  "", // older than the form
		"ASIA7777777777777777":  "", // more than twelve digits
		"ASIA":                  "",
		"":                      "",
	} {
		if got, ok := AccountOf(id); got != want || ok != (want != "") {
			t.Errorf("%s is read as of account %q, %v, want %q", id, got, ok, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.StringMatching(`[0-9]{12}`).Draw(t, "account")
		prefix := rapid.SampledFrom([]string{PrefixAccessKey, PrefixSession}).Draw(t, "prefix")
		id, err := NewAccessKeyID(prefix, account)
		if err != nil {
			t.Fatal(err)
		}
		if len(id) != 20 || !strings.HasPrefix(id, prefix) || strings.Trim(id, alphabet) != "" {
			t.Fatalf("%s is not of IAM's form", id)
		}
		if got, ok := AccountOf(id); got != account || !ok {
			t.Fatalf("%s is of account %s, want %s", id, got, account)
		}
	})
}

func TestAccessKeyIDNeedsAnAccount(t *testing.T) {
	for _, account := range []string{"", "1", "11111111111a", "+11111111111", "1111111111111"} {
		if id, err := NewAccessKeyID(PrefixAccessKey, account); err == nil {
			t.Errorf("%q was taken for an account: %s", account, id)
		}
	}
}

func TestIDsDoNotRepeat(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		for _, s := range []string{newID(prefixUser), newSecret()} {
			if len(s) != 21 && len(s) != 40 {
				t.Fatalf("%d characters", len(s))
			}
			if seen[s] {
				t.Fatal("two are the same")
			}
			seen[s] = true
		}
	}
}

package iam

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// accountOf reads an access key id as AWS's GetAccessKeyInfo does.
func accountOf(id string) string {
	n := uint64(0)
	for _, c := range id[4:12] {
		n = n<<5 | uint64(strings.IndexRune(alphabet, c))
	}
	last := uint64(strings.IndexByte(alphabet, id[12])) >> 4
	return fmt.Sprintf("%012d", 2*(n-1<<39)+last)
}

func TestAccessKeyIDTellsTheAccount(t *testing.T) {
	for id, want := range map[string]string{ // AWS's own
		"AKIARZPUZDIKGB2VALC4": "123456789012",
		"ASIAQAAAAAAAGMKEM7X5": "000000000000",
	} {
		if got := accountOf(id); got != want {
			t.Fatalf("%s is read as of account %s, want %s", id, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.StringMatching(`[0-9]{12}`).Draw(t, "account")
		id, err := newAccessKeyID(account)
		if err != nil {
			t.Fatal(err)
		}
		if len(id) != 20 || !strings.HasPrefix(id, "AKIA") || strings.Trim(id, alphabet) != "" {
			t.Fatalf("%s is not of IAM's form", id)
		}
		if got := accountOf(id); got != account {
			t.Fatalf("%s is of account %s, want %s", id, got, account)
		}
	})
}

func TestAccessKeyIDNeedsAnAccount(t *testing.T) {
	for _, account := range []string{"", "1", "11111111111a", "+11111111111", "1111111111111"} {
		if id, err := newAccessKeyID(account); err == nil {
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

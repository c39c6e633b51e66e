package policy

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestFoldKey(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "aws:PrincipalTag/Team": "aws:principaltag/team", "K\u212a": "kk", "\u017fS": "ss", "d\u0130v": "d\u0130v", "\u00c9": "\u00c9", "\u00e9": "\u00c9",
	} {
		if got := FoldKey(key); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
	}
	letters := rapid.StringOfN(rapid.OneOf(rapid.RuneFrom([]rune("ikKs\u212a\u017f\u0130\u0131\u03c3\u03c2")), rapid.RuneFrom(nil, unicode.Letter)), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := letters.Draw(t, "a"), letters.Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = strings.ToUpper(a)
		}
		if same := FoldKey(a) == FoldKey(b); same != strings.EqualFold(a, b) {
			t.Fatalf("%q and %q: the same is %v", a, b, same)
		}
	})
}

package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// FoldKey is the one spelling of all that are the same condition key, or the
// same key of a tag: ASCII in lower case, and equal for two texts if and only
// if strings.EqualFold takes them for equal. strings.ToLower is another
// relation: it makes i of U+0130. Were tags of a principal told apart by one
// and tags of a request by the other, a principal could be given a tag that no
// statement about requests has seen.
func FoldKey(key string) string {
	for i := range len(key) {
		if key[i] >= utf8.RuneSelf {
			return strings.Map(foldRune, key)
		}
	}
	return strings.ToLower(key)
}

// foldRune is the least of the characters that are r but for their case; of
// ASCII letters the small one.
func foldRune(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if least < utf8.RuneSelf {
		return unicode.ToLower(least)
	}
	return least
}

package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A glob is a compiled pattern for one text: literal pieces, policy variables
// and, in most, the wildcards * for any characters and ? for one.
type glob struct {
	kind   globKind
	fold   bool   // without regard to case
	text   string // of an exact glob, and what a prefix glob begins with
	tokens []token
	vars   []variable // in the order of their tokens

	// own is what every text begins with behind its fifth colon, if the glob is
	// of an ARN: no wildcard crosses the colons before. What most ARNs differ in
	// then costs one comparison.
	own string
}

type globKind uint8

const (
	globExact  globKind = iota // no wildcard, no variable
	globPrefix                 // one star, at the end
	globAny                    // the star alone
	globTokens
)

type token struct {
	kind tokenKind
	text string // of a literal
}

type tokenKind uint8

const (
	literalToken tokenKind = iota
	variableToken
	starToken
	oneToken
)

// noColon is for texts in which wildcards stand for colons, too.
const noColon = -1

// arnSegments is the number of parts of an ARN. Only the last may hold colons.
const arnSegments = 6

// fifthColon is where the fifth colon of a text is, noColon if it has fewer:
// what is before it are the parts of an ARN that no wildcard crosses.
func fifthColon(s string) int {
	found := 0
	for i := range len(s) {
		if s[i] == ':' {
			if found++; found == arnSegments-1 {
				return i
			}
		}
	}
	return noColon
}

// A dialect says what of a pattern is more than its characters.
type dialect struct {
	wildcards bool
	variables bool
	fold      bool
	arn       bool // wildcards do not cross the first five colons
}

// compileGlob compiles a pattern whose variables have been checked.
func compileGlob(pattern string, d dialect) glob {
	g := glob{fold: d.fold}
	var text strings.Builder // a literal that goes on
	add := func(t token) {
		if text.Len() > 0 {
			g.tokens = append(g.tokens, token{literalToken, text.String()})
			text.Reset()
		}
		g.tokens = append(g.tokens, t)
	}
	for pattern != "" {
		at := strings.IndexAny(pattern, "*?$")
		if at < 0 {
			text.WriteString(pattern)
			break
		}
		text.WriteString(pattern[:at])
		c, rest := pattern[at], pattern[at+1:]
		switch {
		case c == '$' && d.variables && strings.HasPrefix(rest, "{"):
			v, end, _ := parseVariable(pattern[at:])
			rest = pattern[at+end:]
			if v.literal {
				text.WriteString(v.key)
				break
			}
			add(token{kind: variableToken})
			g.vars = append(g.vars, v)
		case c == '*' && d.wildcards:
			if n := len(g.tokens); text.Len() > 0 || n == 0 || g.tokens[n-1].kind != starToken {
				add(token{kind: starToken})
			}
		case c == '?' && d.wildcards:
			add(token{kind: oneToken})
		default:
			text.WriteByte(c)
		}
		pattern = rest
	}
	if text.Len() > 0 {
		g.tokens = append(g.tokens, token{literalToken, text.String()})
	}
	if d.arn {
		g.own = g.resourcePart()
	}
	g.simplify(d)
	return g
}

// resourcePart is the literal behind the fifth colon of an ARN's glob, "" if
// there is none, or if a variable before it might hold colons.
func (g *glob) resourcePart() string {
	colons := 0
	for _, t := range g.tokens {
		if t.kind == variableToken {
			return ""
		}
		for i := range len(t.text) {
			if t.text[i] != ':' {
				continue
			}
			if colons++; colons == arnSegments-1 {
				return t.text[i+1:]
			}
		}
	}
	return ""
}

// simplify finds the common shapes that need no search.
func (g *glob) simplify(d dialect) {
	n := len(g.tokens)
	switch {
	case n == 0:
		g.kind = globExact
	case n == 1 && g.tokens[0].kind == literalToken:
		g.kind, g.text, g.tokens = globExact, g.tokens[0].text, nil
	case n == 1 && g.tokens[0].kind == starToken && !d.arn:
		g.kind, g.tokens = globAny, nil
	case n == 2 && g.tokens[0].kind == literalToken && g.tokens[1].kind == starToken &&
		(!d.arn || fifthColon(g.tokens[0].text) != noColon):
		g.kind, g.text, g.tokens = globPrefix, g.tokens[0].text, nil
	default:
		g.kind = globTokens
	}
}

// match says whether s is of the glob's form, with the values that its
// variables have in e, which is needed for those only. No wildcard stands for a
// colon of s up to the one at colon.
func (g *glob) match(s string, e *evaluation, colon int) bool {
	switch g.kind {
	case globExact:
		return g.text == s || g.fold && strings.EqualFold(g.text, s)
	case globPrefix:
		_, ok := g.cut(s, g.text)
		return ok
	case globAny:
		return true
	}
	if first := &g.tokens[0]; first.kind == literalToken && !g.fold && !strings.HasPrefix(s, first.text) {
		return false
	}
	if g.own != "" && colon != noColon && !strings.HasPrefix(s[colon+1:], g.own) {
		return false
	}
	return g.search(s, e, colon)
}

// search looks back only to the last star: what an earlier one stands for need
// not change, since a later star can take up whatever it would have left over,
// except a colon that neither may cross. So a hostile pattern costs at most
// len(pattern)*len(s) steps.
func (g *glob) search(s string, e *evaluation, colon int) bool {
	t, v, i := 0, 0, 0 // the next token, variable, byte of s
	seen, value := -1, ""
	star, starVar, mark := -1, 0, 0
	for {
		if t == len(g.tokens) && i == len(s) {
			return true
		}
		if t < len(g.tokens) && g.tokens[t].kind == starToken {
			if t++; t == len(g.tokens) {
				return i > colon
			}
			star, starVar, mark = t, v, i
		} else {
			isVariable := t < len(g.tokens) && g.tokens[t].kind == variableToken
			if isVariable && seen != v {
				seen = v
				value, _ = e.valueOf(&g.vars[v])
			}
			if n, ok := g.step(t, s, i, value, colon); ok {
				if isVariable {
					v++
				}
				t, i = t+1, i+n
				continue
			}
			if star < 0 || mark >= len(s) || s[mark] == ':' && mark <= colon {
				return false
			}
			mark += width(s[mark:])
		}
		ok := true
		if mark, ok = g.seek(g.tokens[star], s, mark, colon); !ok {
			return false
		}
		t, v, i = star, starVar, mark
	}
}

// step says whether a token that is no star matches what is at i, and how many
// bytes of it. value is what it stands for if it is a variable.
func (g *glob) step(t int, s string, i int, value string, colon int) (int, bool) {
	if t == len(g.tokens) {
		return 0, false
	}
	switch tok := &g.tokens[t]; tok.kind {
	case literalToken:
		return g.cut(s[i:], tok.text)
	case variableToken:
		return g.cut(s[i:], value)
	}
	if i == len(s) || s[i] == ':' && i <= colon {
		return 0, false
	}
	return width(s[i:]), true
}

// seek is where the token behind a star can match first, at or behind at, as
// far as the star reaches.
func (g *glob) seek(behind token, s string, at, colon int) (int, bool) {
	if behind.kind != literalToken || g.fold {
		return at, true
	}
	skipped := strings.Index(s[at:], behind.text)
	if skipped < 0 {
		return at, false
	}
	if at <= colon && strings.IndexByte(s[at:at+skipped], ':') >= 0 {
		return at, false // the first colon behind at is none that may be crossed
	}
	return at + skipped, true
}

func width(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// cut says whether s begins with prefix, and how many bytes of it that are.
func (g *glob) cut(s, prefix string) (int, bool) {
	if as := strings.HasPrefix(s, prefix); as || !g.fold {
		return len(prefix), as
	}
	return cutFold(s, prefix)
}

func cutFold(s, prefix string) (int, bool) {
	i := 0
	for _, want := range prefix {
		if i == len(s) {
			return 0, false
		}
		got, n := utf8.DecodeRuneInString(s[i:])
		if got != want && !sameLetter(got, want) {
			return 0, false
		}
		i += n
	}
	return i, true
}

// sameLetter says what strings.EqualFold says of two characters.
func sameLetter(a, b rune) bool {
	if a < utf8.RuneSelf && b < utf8.RuneSelf {
		a |= 0x20
		return a == b|0x20 && a >= 'a' && a <= 'z'
	}
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

package policy

import (
	"strings"
	"unicode/utf8"
)

// matchText says whether s is of the form pattern, in which * stands for any
// characters and ? for one. It looks back only to the last star, so a hostile
// pattern costs at most len(pattern)*len(s) steps.
func matchText(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		_, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += width
		case p < len(pattern) && strings.HasPrefix(pattern[p:], s[i:i+width]):
			p += width
			i += width
		case star >= 0:
			_, skip := utf8.DecodeRuneInString(s[mark:])
			mark += skip
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// A text is a pattern for one piece of text, with what need not be found out
// at each request.
type text struct {
	pattern string
	kind    textKind
}

type textKind int

const (
	exact textKind = iota
	anything
	wild
)

func compileText(pattern string) text {
	switch {
	case !strings.ContainsAny(pattern, "*?"):
		return text{pattern, exact}
	case strings.Trim(pattern, "*") == "":
		return text{pattern, anything}
	}
	return text{pattern, wild}
}

func (t text) match(s string) bool {
	switch t.kind {
	case exact:
		return s == t.pattern
	case anything:
		return true
	}
	return matchText(t.pattern, s)
}

// An actionPattern matches actions without regard to case. Its text is in
// lower case.
type actionPattern struct{ text }

func compileAction(pattern string) actionPattern {
	return actionPattern{compileText(strings.ToLower(pattern))}
}

func (a actionPattern) match(action string) bool { return a.text.match(action) }

// arnSegments is the number of parts of an ARN. Only the last may hold colons.
const (
	arnSegments    = 6
	accountSegment = 4
)

// A resourcePattern matches ARNs segment by segment, so that no wildcard
// crosses one of the first five colons, and with regard to case. The lone
// star, which matches also what has no ARN, has no segments.
type resourcePattern struct{ segments []text }

// compileResource splits a pattern. Segments missing at its end match
// anything: AWS takes arn:aws:secretsmanager:* for all there is.
func compileResource(pattern string) resourcePattern {
	if pattern == "*" {
		return resourcePattern{}
	}
	given := strings.SplitN(pattern, ":", arnSegments)
	segments := make([]text, 0, arnSegments)
	for _, g := range given {
		segments = append(segments, compileText(g))
	}
	for len(segments) < arnSegments {
		segments = append(segments, compileText("*"))
	}
	return resourcePattern{segments}
}

func (r resourcePattern) match(t target) bool {
	if r.segments == nil {
		return true
	}
	if !t.isARN {
		return false
	}
	for i := range r.segments {
		if !r.segments[i].match(t.segments[i]) {
			return false
		}
	}
	return true
}

// A target is the resource of a request, split once for all patterns.
type target struct {
	segments [arnSegments]string
	isARN    bool
}

func splitTarget(resource string) target {
	var t target
	rest := resource
	for i := range arnSegments - 1 {
		segment, after, found := strings.Cut(rest, ":")
		if !found {
			return target{}
		}
		t.segments[i], rest = segment, after
	}
	t.segments[arnSegments-1] = rest
	t.isARN = true
	return t
}

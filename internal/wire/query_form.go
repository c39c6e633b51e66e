package wire

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"azekura/internal/api"
)

// What a form may have. Real ones are far smaller; the limits bound the work
// that a stranger can ask for.
const (
	maxParameters    = 4096
	maxParameterName = 512 // bytes
)

// A parameter is one decoded pair of a form or a query.
type parameter struct{ name, value string }

// parseForm appends the parameters of a form to others. It reads as sigv4 does
// what is signed: a plus is a space, a semicolon no separator, and empty pairs
// are none. Its errors hold nothing of the form.
func parseForm(params []parameter, raw string) ([]parameter, error) {
	if strings.Count(raw, "&") >= maxParameters {
		return nil, tooMany()
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil || !utf8.ValidString(name) || !utf8.ValidString(value) {
			return nil, malformedQuery()
		}
		if len(name) > maxParameterName {
			return nil, tooMany()
		}
		params = append(params, parameter{name, value})
	}
	return params, nil
}

// unique refuses parameters of one name: two readers could believe different
// ones.
func unique(params []parameter) error {
	names := make(map[string]struct{}, len(params))
	for _, p := range params {
		names[p.name] = struct{}{}
	}
	if len(names) < len(params) {
		return api.Serialization("A parameter is given twice")
	}
	return nil
}

func malformedQuery() *api.Error {
	return &api.Error{
		Code: "MalformedQueryString", Status: http.StatusNotFound,
		Message: "The query string contains a syntax error.",
	}
}

func tooMany() error {
	return api.Serialization("The request has too many parameters, or one whose name is too long")
}

// A node is what the parameters say of one member or below it: of
// Tags.member.1.Key=a the value "a" stands three nodes below that of Tags.
type node struct {
	value string
	given bool // whether a parameter ends here
	below map[string]*node
}

// put hangs a value below n. No name comes twice.
func (n *node) put(name, value string) error {
	for depth := 1; ; depth++ {
		if depth > maxDepth {
			return api.Serialization("A parameter is nested too deep")
		}
		segment, rest, more := strings.Cut(name, ".")
		next := n.below[segment]
		if next == nil {
			next = &node{}
			if n.below == nil {
				n.below = map[string]*node{}
			}
			n.below[segment] = next
		}
		if n = next; !more {
			break
		}
		name = rest
	}
	n.value, n.given = value, true
	return nil
}

package policy

import (
	"encoding/json"
	"strings"
)

// AWSPrincipals are the values of "AWS" in the Principals and NotPrincipals of
// a document, in the order in which they stand there, each once. The document
// has been parsed; of another text it may be anything.
func AWSPrincipals(document string) []string {
	var all []string
	seen := map[string]bool{}
	MapAWSPrincipals(document, func(named string) string {
		if !seen[named] {
			seen[named] = true
			all = append(all, named)
		}
		return named
	})
	return all
}

// MapAWSPrincipals is a document with each value of "AWS" in its Principals and
// NotPrincipals replaced by what replace makes of it. Everything else is kept
// to the letter, white space too. The document has been parsed; a text that is
// none comes back as it is, or changed in part.
func MapAWSPrincipals(document string, replace func(named string) string) string {
	r := &rewriter{d: json.NewDecoder(strings.NewReader(document)), text: document, replace: replace}
	r.value(whole)
	r.out.WriteString(document[r.copied:])
	return r.out.String()
}

type rewriter struct {
	d       *json.Decoder
	text    string
	replace func(string) string
	out     strings.Builder
	copied  int // how much of the text is in out
}

// A site is where in a document a value stands; arrays make none.
type site int

const (
	elsewhere site = iota
	whole
	inStatement
	inPrincipal
	inAWS
)

// within is the site of a member of what stands at p.
func (p site) within(member string) site {
	switch {
	case p == whole && member == "Statement":
		return inStatement
	case p == inStatement && (member == "Principal" || member == "NotPrincipal"):
		return inPrincipal
	case p == inPrincipal && member == "AWS":
		return inAWS
	}
	return elsewhere
}

// value reads one value. It returns false at the end, or where the text is no
// JSON.
func (r *rewriter) value(at site) bool {
	before := int(r.d.InputOffset())
	token, err := r.d.Token()
	if err != nil {
		return false
	}
	switch token := token.(type) {
	case json.Delim:
		return r.children(at, token)
	case string:
		if at == inAWS {
			r.replaceAt(before, token)
		}
	}
	return true
}

func (r *rewriter) children(at site, opened json.Delim) bool {
	for r.d.More() {
		child := at
		if opened == '{' {
			name, err := r.d.Token()
			if err != nil {
				return false
			}
			child = at.within(name.(string))
		}
		if !r.value(child) {
			return false
		}
	}
	_, err := r.d.Token()
	return err == nil
}

// replaceAt replaces the string that was just read, which begins somewhat after
// an offset: between two tokens is only white space, a colon or a comma.
func (r *rewriter) replaceAt(before int, named string) {
	instead := r.replace(named)
	if instead == named {
		return
	}
	from := before + strings.IndexByte(r.text[before:], '"')
	quoted, err := json.Marshal(instead)
	if err != nil {
		return
	}
	r.out.WriteString(r.text[r.copied:from])
	r.out.Write(quoted)
	r.copied = int(r.d.InputOffset())
}

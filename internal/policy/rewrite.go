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
	r.value("")
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

// value reads one value, which stands at a path of member names; arrays add
// nothing to it. It returns false at the end, or where the text is no JSON.
func (r *rewriter) value(path string) bool {
	before := int(r.d.InputOffset())
	token, err := r.d.Token()
	if err != nil {
		return false
	}
	switch token := token.(type) {
	case json.Delim:
		return r.children(path, token)
	case string:
		if path == "/Statement/Principal/AWS" || path == "/Statement/NotPrincipal/AWS" {
			r.replaceAt(before, token)
		}
	}
	return true
}

func (r *rewriter) children(path string, opened json.Delim) bool {
	for r.d.More() {
		child := path
		if opened == '{' {
			name, err := r.d.Token()
			if err != nil {
				return false
			}
			child += "/" + strings.ReplaceAll(name.(string), "/", "//")
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

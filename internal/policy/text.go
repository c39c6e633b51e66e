package policy

import (
	"encoding/json"
	"strings"
)

// A Place is where a character of a document stands, as the simulator of IAM
// counts: lines from 1, and columns from 2.
type Place struct{ Line, Column int }

// A Span is where a statement begins and ends, from its opening to its closing
// brace.
type Span struct{ Start, End Place }

// Statements finds the statements of a document that Parse takes. The error is
// a *SyntaxError.
func Statements(text string) ([]Span, error) {
	d, fault := readText(text, Identity)
	if fault != nil {
		return nil, fault
	}
	var spans []Span
	for i := range d.statements {
		s := &d.statements[i]
		spans = append(spans, Span{placeOf(text, s.start), placeOf(text, s.end-1)})
	}
	return spans, nil
}

func placeOf(text string, offset int) Place {
	before := text[:offset]
	const firstColumn = 2
	return Place{1 + strings.Count(before, "\n"), offset - (strings.LastIndexByte(before, '\n') + 1) + firstColumn}
}

// ContextKeys are the condition keys and policy variables that a document
// uses, as written, each once. The error is a *SyntaxError.
func ContextKeys(text string) ([]string, error) {
	d, fault := readText(text, Identity)
	if fault != nil {
		return nil, fault
	}
	keys, seen := []string{}, map[string]bool{}
	add := func(name string) {
		if folded := strings.ToLower(name); !seen[folded] {
			seen[folded] = true
			keys = append(keys, name)
		}
	}
	addVariables := func(texts []string) {
		for _, t := range texts {
			variables, _ := variablesOf(t)
			for _, v := range variables {
				add(v.name)
			}
		}
	}
	for i := range d.statements {
		s := &d.statements[i]
		for _, c := range s.conditions {
			add(c.name)
		}
		if d.version != currentVersion {
			continue
		}
		addVariables(s.resource)
		addVariables(s.notResource)
		for _, c := range s.conditions {
			addVariables(c.values)
		}
	}
	return keys, nil
}

// MapPrincipals is a document with other names for its AWS principals: to is
// asked for each that is not a wildcard or an account, and its answer takes
// the place of the principal. The rest of the text stays as it is, byte for
// byte. The error is that of to, or a *SyntaxError.
func MapPrincipals(text string, to func(principal string) (string, error)) (string, error) {
	tree, err := readTree(text)
	if err != nil {
		return "", syntax("%v", err)
	}
	var b strings.Builder
	done := 0
	for _, n := range tree.awsPrincipals() {
		if n.text == "*" || isDigits(n.text) || strings.HasSuffix(n.text, ":root") {
			continue
		}
		name, err := to(n.text)
		if err != nil {
			return "", err
		}
		if name == n.text {
			continue
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return "", err
		}
		b.WriteString(text[done:n.start])
		b.Write(quoted)
		done = n.end
	}
	b.WriteString(text[done:])
	return b.String(), nil
}

// awsPrincipals are the texts under AWS in a document's Principal and
// NotPrincipal elements, in the order of the text.
func (n node) awsPrincipals() []node {
	var found []node
	for _, statement := range n.member("Statement").items() {
		for _, m := range statement.members {
			if m.name != "Principal" && m.name != "NotPrincipal" {
				continue
			}
			for _, p := range m.value.member("AWS").items() {
				if p.kind == stringNode {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

func (n node) member(name string) node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return node{kind: listNode}
}

// items are the members of a list, or the one value that may stand in its
// place.
func (n node) items() []node {
	if n.kind == listNode {
		return n.list
	}
	return []node{n}
}

package policy

import "strings"

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
	at := cursor{text: text, line: 1}
	for i := range d.statements {
		s := &d.statements[i]
		start := at.place(s.start)
		spans = append(spans, Span{start, at.place(s.end - 1)})
	}
	return spans, nil
}

// A cursor goes through a text once, and counts its lines.
type cursor struct {
	text      string
	offset    int
	line      int
	lineStart int // where the line begins
}

// place is where an offset stands that is none before the last one.
func (c *cursor) place(offset int) Place {
	passed := c.text[c.offset:offset]
	c.line += strings.Count(passed, "\n")
	if last := strings.LastIndexByte(passed, '\n'); last >= 0 {
		c.lineStart = c.offset + last + 1
	}
	c.offset = offset
	const firstColumn = 2
	return Place{c.line, offset - c.lineStart + firstColumn}
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
		if folded := FoldKey(name); !seen[folded] {
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

// Grants says for each of some services, given by their prefixes ("iam"),
// whether a document that Parse takes has a statement that allows some action of
// it. Resources and conditions are not looked at, nor is what other statements
// deny. The error is a *SyntaxError.
func Grants(text string, services []string) ([]bool, error) {
	d, fault := readText(text, Identity)
	if fault != nil {
		return nil, fault
	}
	granted := make([]bool, len(services))
	for i := range d.statements {
		s := &d.statements[i]
		for j, service := range services {
			if s.effect == "Allow" && (anyAbout(s.action, service) || s.notAction != nil && !allOf(s.notAction, service)) {
				granted[j] = true
			}
		}
	}
	return granted, nil
}

// anyAbout says whether one of the patterns is about actions of a service.
func anyAbout(actions []string, service string) bool {
	for _, action := range actions {
		if vendor, _, _ := strings.Cut(action, ":"); vendor == "*" || strings.EqualFold(vendor, service) {
			return true
		}
	}
	return false
}

// allOf says whether one of the patterns matches every action of a service.
func allOf(actions []string, service string) bool {
	for _, action := range actions {
		vendor, name, _ := strings.Cut(action, ":")
		if action == "*" || name == "*" && (vendor == "*" || strings.EqualFold(vendor, service)) {
			return true
		}
	}
	return false
}

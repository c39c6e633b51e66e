package policy

import "strings"

// compile makes a document of a draft that has been checked.
func (d *draft) compile() *Document {
	doc := &Document{statements: make([]statement, 0, len(d.statements))}
	for i := range d.statements {
		doc.statements = append(doc.statements, d.statements[i].compile(d.version == currentVersion))
	}
	return doc
}

func (s *draftStatement) compile(variables bool) statement {
	st := statement{
		label:        s.label,
		deny:         s.effect == "Deny",
		notAction:    s.notAction != nil,
		notResource:  s.notResource != nil,
		notPrincipal: s.notPrincipal != nil,
		conditions:   s.conditions,
	}
	if s.sid != "" {
		st.label = s.sid
	}
	for _, a := range append(s.action, s.notAction...) {
		st.actions = append(st.actions, compileAction(a))
	}
	for _, p := range []*principals{s.principal, s.notPrincipal} {
		if p != nil {
			st.principals = *p
		}
	}
	for _, r := range append(s.resource, s.notResource...) {
		st.addResource(r, variables)
	}
	return st
}

// addResource compiles one resource. Decide does not know what a policy
// variable stands for: a statement that denies takes it for anything where
// that denies more, and leaves the pattern out where the pattern would spare.
func (s *statement) addResource(pattern string, variables bool) {
	if variables && strings.Contains(pattern, "${") {
		s.variable = true
		if s.notResource {
			return
		}
		pattern, _ = replaceVariables(pattern, "*")
	}
	s.resources = append(s.resources, compileResource(pattern))
}

// replaceVariables puts text in the place of each ${...} of s, and says
// whether each has a name and an end.
func replaceVariables(s, text string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, found := strings.Cut(rest, "}")
		if !found || strings.TrimSpace(name) == "" {
			return "", false
		}
		b.WriteString(text)
		s = after
	}
}

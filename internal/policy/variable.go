package policy

import "strings"

// A variable is a policy variable: ${key} or ${key, 'default'}. The three
// that stand for a character, ${*}, ${?} and ${$}, have that as their key.
type variable struct {
	key, name   string // in lower case, and as written
	fallback    string
	hasFallback bool
	literal     bool
}

// parseVariable reads the variable that s begins with, and says where it ends.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func parseVariable(s string) (v variable, end int, ok bool) {
	inner, _, found := strings.Cut(s[len("${"):], "}")
	if !found {
		return v, 0, false
	}
	end = len("${") + len(inner) + len("}")
	if inner == "*" || inner == "?" || inner == "$" {
		return variable{key: inner, literal: true}, end, true
	}
	name, fallback, hasFallback := strings.Cut(inner, ",")
	v.name = strings.TrimSpace(name)
	v.key = FoldKey(v.name)
	if hasFallback {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return v, 0, false
		}
		v.fallback, v.hasFallback = fallback[1:len(fallback)-1], true
	}
	return v, end, v.key != "" && !strings.ContainsAny(v.key, "*?${")
}

// variablesOf are the variables of a text, and whether each can be read.
func variablesOf(text string) (variables []variable, ok bool) {
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			return variables, true
		}
		v, end, ok := parseVariable(text[at:])
		if !ok {
			return nil, false
		}
		if !v.literal {
			variables = append(variables, v)
		}
		text = text[at+end:]
	}
}

// resolves says whether all variables of a glob stand for something. One
// without a value does not, nor one with more than one.
func (e *evaluation) resolves(g *glob) bool {
	for i := range g.vars {
		if _, ok := e.valueOf(&g.vars[i]); !ok {
			return false
		}
	}
	return true
}

// valueOf is what a variable stands for. A default is only for one that is
// missing.
func (e *evaluation) valueOf(v *variable) (string, bool) {
	switch found := e.lookup(v.key, v.name); len(found) {
	case 0:
		return v.fallback, v.hasFallback
	case 1:
		return found[0], true
	}
	return "", false
}

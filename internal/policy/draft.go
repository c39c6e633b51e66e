package policy

import "strconv"

// currentVersion is the version of the policy language that has variables.
const currentVersion = "2012-10-17"

// A draft is a document whose JSON has the right shape, and whose content is
// still to be checked.
type draft struct {
	version    string
	statements []draftStatement
}

// In a draftStatement a nil list is an absent element.
type draftStatement struct {
	label                   string
	start, end              int // of its text in the document, in bytes
	sid, effect             string
	action, notAction       []string
	resource, notResource   []string
	principal, notPrincipal *principals
	conditions              []condition
}

func readDraft(tree node) (*draft, *SyntaxError) {
	if tree.kind != objectNode {
		return nil, syntax("want an object")
	}
	d := &draft{}
	for _, m := range tree.members {
		switch m.name {
		case "Version":
			if m.value.kind != stringNode || (m.value.text != currentVersion && m.value.text != "2008-10-17") {
				return nil, syntax("unknown Version")
			}
			d.version = m.value.text
		case "Id":
			if m.value.kind != stringNode {
				return nil, syntax("Id: want a string")
			}
		case "Statement":
			fault := d.readStatements(m.value)
			if fault != nil {
				return nil, fault
			}
		default:
			return nil, syntax("unknown element %.40q", m.name)
		}
	}
	if len(d.statements) == 0 {
		return nil, syntax("no Statement")
	}
	return d, nil
}

func (d *draft) readStatements(n node) *SyntaxError {
	items := []node{n}
	if n.kind == listNode {
		items = n.list
	}
	for i, item := range items {
		s := draftStatement{label: "#" + strconv.Itoa(i+1), start: item.start, end: item.end}
		if item.kind != objectNode {
			return s.at(syntax("want an object"))
		}
		for _, m := range item.members {
			if fault := s.read(m); fault != nil {
				return s.at(fault)
			}
		}
		if s.effect == "" {
			return s.at(syntax("no Effect"))
		}
		d.statements = append(d.statements, s)
	}
	return nil
}

func (s *draftStatement) read(m member) *SyntaxError {
	var fault *SyntaxError
	switch m.name {
	case "Sid", "Effect":
		if m.value.kind != stringNode {
			return syntax("%s: want a string", m.name)
		}
		if m.name == "Sid" {
			s.sid = m.value.text
			return nil
		}
		if m.value.text == "" {
			return syntax("empty Effect")
		}
		s.effect = m.value.text
	case "Action":
		s.action, fault = readTexts(m)
	case "NotAction":
		s.notAction, fault = readTexts(m)
	case "Resource":
		s.resource, fault = readTexts(m)
	case "NotResource":
		s.notResource, fault = readTexts(m)
	case "Principal":
		s.principal, fault = readPrincipalElement(m.value)
	case "NotPrincipal":
		s.notPrincipal, fault = readPrincipalElement(m.value)
	case "Condition":
		s.conditions, fault = readConditions(m.value)
	default:
		return syntax("unknown element %.40q", m.name)
	}
	return fault
}

func readTexts(m member) ([]string, *SyntaxError) {
	texts, ok := m.value.texts()
	if !ok {
		return nil, syntax("%s: want a string or a list of strings", m.name)
	}
	return texts, nil
}

func readPrincipalElement(n node) (*principals, *SyntaxError) {
	p, fault := readPrincipals(n)
	if fault != nil {
		return nil, fault
	}
	return &p, nil
}

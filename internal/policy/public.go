package policy

import (
	"slices"
	"strings"
)

// Public says whether the document lets in principals that it does not name:
// a statement that allows a wildcard principal, or all but some, and is not
// tied to fixed values of aws:SourceArn, aws:SourceAccount, aws:SourceVpc or
// aws:SourceVpce. A value with a wildcard is not fixed, except in the resource
// of an ARN whose service and account are.
func (d *Document) Public() bool {
	return slices.ContainsFunc(d.statements, func(s statement) bool {
		return !s.deny && (s.principals.everyone || s.notPrincipal) && !slices.ContainsFunc(s.conditions, condition.pinsSource)
	})
}

// LocksOut says whether the document, attached to a resource, denies one of
// the actions to a principal whatever the circumstances: through a statement
// without a condition. Its Resource is not looked at; a statement in a
// resource's policy is about that resource.
func (d *Document) LocksOut(p *Principal, actions []string) bool {
	return slices.ContainsFunc(d.statements, func(s statement) bool {
		if !s.deny || len(s.conditions) > 0 || !s.covers(p, false) {
			return false
		}
		return slices.ContainsFunc(actions, func(a string) bool { return s.bearsOn(a) })
	})
}

// fixes says whether the condition holds only of requests that have the key
// with one of its values. Operators that are true of a request without the key
// fix nothing.
func (c condition) fixes() bool {
	if c.operator.ifExists || c.operator.quantifier == "ForAllValues" || len(c.values) == 0 {
		return false
	}
	switch c.operator.name {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike":
		return true
	}
	return false
}

// pinsPrincipal says whether the condition ties a statement to principals by
// their ARNs, as a Principal element would.
func (c condition) pinsPrincipal() bool {
	return c.key == "aws:principalarn" && c.fixes() && !slices.ContainsFunc(c.values, func(v string) bool { return !isFixed(v) })
}

// pinsSource says whether the condition ties a statement to fixed sources, so
// that a wildcard principal in it is not the public.
func (c condition) pinsSource() bool {
	if !c.fixes() {
		return false
	}
	switch c.key {
	case "aws:sourcearn":
		return !slices.ContainsFunc(c.values, func(v string) bool { return !isFixed(v) && !isFixedSource(v) })
	case "aws:sourceaccount", "aws:sourcevpc", "aws:sourcevpce":
		return !slices.ContainsFunc(c.values, func(v string) bool { return !isFixed(v) })
	}
	return false
}

func isFixed(value string) bool { return value != "" && !strings.ContainsAny(value, "*?$") }

// isFixedSource says whether every ARN of a pattern has one service and one
// owner: an account or, where ARNs have no account, a resource whose name
// begins with more than a wildcard.
func isFixedSource(pattern string) bool {
	segments := strings.SplitN(pattern, ":", arnSegments)
	if len(segments) != arnSegments || segments[0] != "arn" || !isFixed(segments[2]) || strings.Contains(pattern, "$") {
		return false
	}
	account, resource := segments[4], segments[5]
	if account == "" {
		return resource != "" && !strings.ContainsAny(resource[:1], "*?")
	}
	return isFixed(account)
}

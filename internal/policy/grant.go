package policy

import "slices"

// A grade says how far a resource's consent to a request goes, the best last.
type grade uint8

const (
	toNobody    grade = iota
	toAccount         // the caller's account: its own policies have to allow as well
	toSessions        // the caller's role, or everyone: boundary and session policies have to allow as well
	toPrincipal       // the caller itself
)

// grants is the grade of the consent that a statement which allows would give
// to a principal. A NotPrincipal with Allow is taken for a wildcard that
// leaves out whoever is named on any level.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics-single-account.html
func (s *statement) grants(p *Principal) grade {
	named := s.principals.names(p)
	if s.notPrincipal {
		if s.principals.everyone || named != toNobody {
			return toNobody
		}
		return toSessions
	}
	if s.principals.everyone && s.pinned {
		return toPrincipal
	}
	if s.principals.everyone {
		return max(named, toSessions)
	}
	return named
}

// names is the grade of the most exact of the names for a caller that a
// statement has.
func (n *principals) names(p *Principal) grade {
	switch p.Kind {
	case Service:
		if slices.Contains(n.services, p.ARN) {
			return toPrincipal
		}
		return toNobody
	case Provider:
		if slices.Contains(n.providers, p.ARN) {
			return toPrincipal
		}
		return toNobody
	case Anonymous:
		return toNobody
	}
	switch {
	case p.Kind != Root && n.hasCaller(p):
		return toPrincipal
	case n.hasEntity(p):
		return toSessions
	case slices.Contains(n.accounts, p.Account):
		return toAccount
	}
	return toNobody
}

// hasCaller says whether the caller itself is named, as denials print it or,
// if it is a user, by its id.
func (n *principals) hasCaller(p *Principal) bool {
	return slices.Contains(n.aws, p.ARN) || p.Kind == User && n.hasEntity(p)
}

// hasEntity says whether the user or role behind the caller is named.
func (n *principals) hasEntity(p *Principal) bool {
	for _, named := range n.aws {
		if named == p.Entity && named != "" || named == p.ID && named != "" {
			return true
		}
	}
	return false
}

// covers says whether a statement that denies covers a principal. Like AWS it
// sees one caller on several levels: the session, its role, the account. A
// Principal covers who is named on any level; a NotPrincipal spares only who
// is named on all, and nobody who has a permissions boundary.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
func (s *statement) covers(p *Principal, bounded bool) bool {
	n := &s.principals
	if !s.notPrincipal {
		return n.everyone || n.names(p) != toNobody
	}
	switch {
	case n.everyone:
		return false
	case p.Kind == Service || p.Kind == Provider || p.Kind == Anonymous:
		return n.names(p) == toNobody
	case bounded || !slices.Contains(n.accounts, p.Account):
		return true
	case p.Kind == Root:
		return false
	case !n.hasCaller(p):
		return true
	}
	return p.Kind != User && !p.isRoot() && !n.hasEntity(p)
}

package policy

import "slices"

// An Explanation is a decision with all that led to it, for the simulator.
type Explanation struct {
	Decision
	Matched []Match // every statement that bears on the request, in the order of the policies' types
	// Missing names the condition keys and variables, as they are written, that
	// statements about the request asked for and the request does not have.
	Missing []string
	// Organization and Boundary say whether those policies allow; true if there
	// are none.
	Organization, Boundary bool
	// Identity and Resource say what the identity's own and the resource's
	// policies say for themselves.
	Identity, Resource Decision
}

// A Match is a statement that bears on a request.
type Match struct {
	Type      Type
	By        string // the policy's name in the Set; "" for the resource's
	Index     int    // of the statement in its document, from 0
	Statement string // as in Decision
	Deny      bool
}

// Explain is Decide for who wants to know more, and has more time.
func (s *Set) Explain(r Request, resource *Document) Explanation {
	if s == nil {
		s = &Set{}
	}
	var missing []string
	e := evaluationOf(r)
	e.missing = func(name string) { missing = append(missing, name) }
	x := Explanation{Decision: s.Decide(r, resource), Organization: true, Boundary: true}
	for _, level := range s.organization {
		x.Organization = x.allows(&e, OrganizationPolicy, level).Allowed && x.Organization
	}
	if !e.principal.isRoot() {
		x.Identity = x.allows(&e, IdentityPolicy, s.identity)
		if s.boundary != nil {
			e.bounded = true
			x.Boundary = x.allows(&e, BoundaryPolicy, s.boundary).Allowed
		}
	} else {
		x.Identity = Decision{Allowed: true}
	}
	x.allows(&e, SessionPolicy, s.sessions)
	x.Resource = x.consents(&e, resource)
	slices.Sort(missing)
	x.Missing = slices.Compact(missing)
	return x
}

// allows collects what a layer says, and is its decision.
func (x *Explanation) allows(e *evaluation, t Type, l *layer) Decision {
	if l == nil {
		return Decision{Type: t}
	}
	for i := range l.policies {
		p := &l.policies[i]
		if p.Document == nil {
			continue
		}
		for j := range p.Document.statements {
			st := &p.Document.statements[j]
			if st.bearsOn(e.request.Action) && e.matches(st) {
				x.Matched = append(x.Matched, Match{t, p.Name, j, st.label, st.deny})
			}
		}
	}
	return e.weigh(l).decision(t)
}

// consents collects what the resource's policy says to the caller.
func (x *Explanation) consents(e *evaluation, d *Document) Decision {
	if d == nil {
		return Decision{Type: ResourcePolicy}
	}
	for j := range d.statements {
		st := &d.statements[j]
		about := st.deny && st.covers(e.principal, e.bounded) || !st.deny && st.grants(e.principal) != toNobody
		if about && st.bearsOn(e.request.Action) && e.matches(st) {
			x.Matched = append(x.Matched, Match{d.policyType(), "", j, st.label, st.deny})
		}
	}
	return e.weighResource(d).decision(d.policyType())
}

package policy

import "strings"

// Decide weighs the policies of s and the resource's own, which is nil if it
// has none, for one request. See the package's comment for how. It allocates
// when a set is asked about an action for the first time, and otherwise only
// what the request's Keys do.
func (s *Set) Decide(r Request, resource *Document) Decision {
	e := evaluationOf(r)
	return e.decide(s, resource)
}

// An evaluation is one request in front of one statement after the other.
type evaluation struct {
	request   Request
	principal *Principal
	mask      uint64 // of the action, see actionMask
	colon     int    // where the fifth colon of the resource is, -1 if it is no ARN
	bounded   bool   // the caller has a permissions boundary

	missing func(name string) // if not nil, is told of keys that are not there
}

// evaluationOf takes of a request what no statement changes. To make it here
// and not in place keeps it, and the request's Keys, off the heap.
func evaluationOf(r Request) evaluation {
	e := evaluation{request: r, principal: r.Principal, mask: actionMask(r.Action), colon: fifthColon(r.Resource)}
	if e.principal == nil {
		e.principal = &Principal{}
	}
	return e
}

func (e *evaluation) decide(s *Set, resource *Document) Decision {
	if s == nil {
		s = &Set{}
	}
	e.bounded = s.boundary != nil && !e.principal.isRoot()
	own := verdict{
		organization: outcome{allowed: true}, identity: outcome{allowed: true}, boundary: outcome{allowed: true},
		session: outcome{allowed: e.principal.Kind != Federated},
	}
	for _, level := range s.organization {
		o := e.weigh(level)
		if o.denied {
			return o.decision(OrganizationPolicy)
		}
		own.organization.allowed = own.organization.allowed && o.allowed
	}
	if !e.principal.isRoot() {
		own.identity = e.weigh(s.identity)
	}
	if own.identity.denied {
		return own.identity.decision(IdentityPolicy)
	}
	if e.bounded {
		own.boundary = e.weigh(s.boundary)
	}
	if own.boundary.denied {
		return own.boundary.decision(BoundaryPolicy)
	}
	if s.sessions != nil {
		own.session = e.weigh(s.sessions)
	}
	if own.session.denied {
		return own.session.decision(SessionPolicy)
	}
	return e.conclude(&own, resource)
}

// A verdict is what the policies on the caller's side say.
type verdict struct{ organization, identity, boundary, session outcome }

// conclude weighs the resource's policy, when nothing else denies, and draws
// the conclusion: AWS's table of what has to allow within an account, and the
// rule that across accounts everything has to.
func (e *evaluation) conclude(own *verdict, resource *Document) Decision {
	theirs := e.weighResource(resource)
	if theirs.denied {
		return theirs.decision(resource.policyType())
	}
	if e.principal.Kind == Anonymous {
		return Decision{}
	}
	consent := theirs.grade
	if e.request.Granted {
		consent = toPrincipal
	}
	needIdentity, needLimits, needConsent := true, true, true
	if e.ownAccount() {
		needIdentity = consent < toSessions
		needLimits = consent < toPrincipal
		needConsent = e.request.MustAllow
	} else if consent == toPrincipal && (e.principal.Kind == Service || e.principal.Kind == Provider) {
		needIdentity, needLimits = false, false
	}
	switch {
	case !own.organization.allowed:
		return Decision{Type: OrganizationPolicy}
	case needIdentity && !own.identity.allowed:
		return Decision{Type: IdentityPolicy}
	case needLimits && !own.boundary.allowed:
		return Decision{Type: BoundaryPolicy}
	case needLimits && !own.session.allowed:
		return Decision{Type: SessionPolicy}
	case needConsent && consent == toNobody:
		return Decision{Type: resource.policyType()}
	case needIdentity:
		return own.identity.decision(IdentityPolicy)
	}
	return Decision{Allowed: true, Type: resource.policyType(), Statement: theirs.statement}
}

// isRoot says whether no identity policy limits the caller: the root user, and
// the federated sessions that it made.
func (p *Principal) isRoot() bool {
	return p.Kind == Root || p.Kind == Federated && strings.HasSuffix(p.Entity, ":root")
}

// ownAccount says whether caller and resource belong to one account. What AWS
// itself owns, and what has no owner, is everybody's.
func (e *evaluation) ownAccount() bool {
	owner := e.request.ResourceAccount
	if owner == "" && e.colon >= 0 {
		before := e.request.Resource[:e.colon]
		owner = before[strings.LastIndexByte(before, ':')+1:]
	}
	return owner == "" || owner == "aws" || owner == e.principal.Account
}

// An outcome is what the policies of one type say to a request.
type outcome struct {
	allowed, denied bool
	grade           grade // of the resource's consent
	by, statement   string
}

func (o outcome) decision(t Type) Decision {
	return Decision{Allowed: o.allowed && !o.denied, Explicit: o.denied, Type: t, By: o.by, Statement: o.statement}
}

// weighResource is the outcome of the resource's own policy: whom it denies,
// and how far the best of its grants goes.
func (e *evaluation) weighResource(d *Document) outcome {
	var o outcome
	if d == nil {
		return o
	}
	for j, mask := range d.masks {
		st := &d.statements[j]
		if mask&e.mask == 0 || !st.bearsOn(e.request.Action) {
			continue
		}
		if st.deny {
			if st.covers(e.principal, e.bounded) && e.matches(st) {
				return outcome{denied: true, statement: st.label}
			}
			continue
		}
		if g := st.grants(e.principal); g > o.grade && e.matches(st) {
			o = outcome{allowed: true, grade: g, statement: st.label}
		}
	}
	return o
}

// bearsOn says whether a statement is about an action.
func (s *statement) bearsOn(action string) bool {
	for i := range s.actions {
		if s.actions[i].match(action, nil, noColon) {
			return !s.notAction
		}
	}
	return s.notAction
}

// matches says whether a statement about the action bears on the request,
// whoever makes it.
func (e *evaluation) matches(s *statement) bool {
	if !e.matchesResource(s) {
		return false
	}
	for i := range s.conditions {
		if !e.holds(&s.conditions[i]) {
			return false
		}
	}
	return true
}

// matchesResource says whether a statement is about the resource. A variable
// without a value matches nothing: then neither a Resource nor a NotResource
// that holds it is about anything.
func (e *evaluation) matchesResource(s *statement) bool {
	if s.anyResource {
		return !s.notResource
	}
	for i := range s.resources {
		p := &s.resources[i]
		if len(p.vars) > 0 && !e.resolves(p) {
			if s.notResource {
				return false
			}
			continue
		}
		if e.colon >= 0 && p.match(e.request.Resource, e, e.colon) {
			return !s.notResource
		}
	}
	return s.notResource
}

func (e *evaluation) lookup(key, name string) []string {
	var values []string
	if e.request.Keys != nil {
		if v, present := e.request.Keys(key); present {
			values = v
		}
	}
	if len(values) == 0 && e.missing != nil {
		e.missing(name)
	}
	return values
}

// Package policy decides whether a request is allowed. It is pure: no clock,
// no disk, no network; all that a decision needs is in the Request.
package policy

import (
	"fmt"
	"strings"
)

// Keys looks up a condition key of the request, named in lower case, and says
// whether it is there.
type Keys func(key string) (values []string, present bool)

// A Request is what is asked: who wants to do what to which resource.
type Request struct {
	Principal string // ARN
	Account   string // the principal's account
	Action    string // "secretsmanager:GetSecretValue"
	Resource  string // ARN, or "*"
	Keys      Keys   // may be nil
}

// A Decision is the answer, with what decided it. The zero Decision denies.
type Decision struct {
	Allowed   bool
	Explicit  bool   // denied by a statement, not by the lack of one
	By        string // the policy that decided; "" for the implicit deny
	Statement string // its statement: the Sid, or "#2" for the second if it has none
}

// Because ends the sentence in which AWS tells a caller of a denial.
func (d Decision) Because(action string) string {
	if d.Explicit {
		return "with an explicit deny in an identity-based policy"
	}
	return fmt.Sprintf("because no identity-based policy allows the %s action", action)
}

// A Set is every identity policy that bears on one principal, compiled. It
// does not change once made, and may be used concurrently. A nil Set and the
// zero Set allow nothing.
type Set struct{ policies []named }

type named struct {
	name     string
	document *Document
}

// NewSet is the set of documents that go by one name, which is what
// Decision.By says of a decision of theirs.
func NewSet(name string, documents ...*Document) *Set {
	var s *Set
	for _, d := range documents {
		s = s.With(name, d)
	}
	return s
}

// With is a set with one policy more; s, which may be nil, stays as it is. A
// nil document stands for a policy that could not be read, and might have
// denied: it denies everything.
func (s *Set) With(name string, document *Document) *Set {
	longer := &Set{}
	if s != nil {
		longer.policies = append(longer.policies, s.policies...)
	}
	longer.policies = append(longer.policies, named{name, document})
	return longer
}

// Decide evaluates the identity policies of s: a statement that denies wins
// over all that allow, and what no statement allows is denied.
//
// Two things it does not do yet, and both err on the side of denying:
//
//   - Conditions and policy variables are not evaluated. A statement that
//     carries one fails closed: one that allows never matches, one that denies
//     matches whatever its condition says. An empty Condition is none.
//   - The resource's own policy is not enforced. Parse has checked it before
//     it was stored; it neither grants nor denies here. Since a resource of
//     another account needs its own policy's consent, it is out of reach.
func (s *Set) Decide(r Request, resource *Document) Decision {
	if s == nil {
		return Decision{}
	}
	action, t := strings.ToLower(r.Action), splitTarget(r.Resource)
	var allowed Decision
	for _, p := range s.policies {
		if p.document == nil {
			return Decision{Explicit: true, By: p.name}
		}
		for i := range p.document.statements {
			st := &p.document.statements[i]
			if !st.matches(action, t) {
				continue
			}
			if st.deny {
				return Decision{Explicit: true, By: p.name, Statement: st.label}
			}
			if !allowed.Allowed {
				allowed = Decision{Allowed: true, By: p.name, Statement: st.label}
			}
		}
	}
	if owner := t.segments[accountSegment]; owner != "" && owner != r.Account {
		return Decision{}
	}
	return allowed
}

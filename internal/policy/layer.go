package policy

import (
	"slices"
	"strings"
	"sync/atomic"
)

// A layer is policies of one type, of which one has to allow and none may deny.
// It remembers for the first few actions it is asked about which statements
// name them: callers do a few things over and over. A nil layer has none.
type layer struct {
	policies   []Policy
	unreadable *Policy // one without a document
	known      atomic.Pointer[[]shortlist]
}

// A shortlist is the statements of a layer whose actions match one action.
type shortlist struct {
	action     string
	statements []place
}

type place struct{ policy, statement uint16 }

// What a layer remembers is not much, whatever its callers do: that many
// actions, and no lists longer than that.
const (
	maxShortlists = 8
	maxShortlist  = 256
)

func newLayer(policies []Policy) *layer {
	l := &layer{policies: slices.Clone(policies)}
	for i := range l.policies {
		if l.policies[i].Document == nil {
			l.unreadable = &l.policies[i]
			break
		}
	}
	return l
}

// with is l with one policy more.
func (l *layer) with(p Policy) *layer {
	if l == nil {
		return newLayer([]Policy{p})
	}
	return newLayer(append(slices.Clip(l.policies), p))
}

// shortlist is the list for the evaluation's action. It is false if that is
// not remembered, and there is no room for it.
func (l *layer) shortlist(e *evaluation) ([]place, bool) {
	var known []shortlist
	if p := l.known.Load(); p != nil {
		known = *p
	}
	for i := range known {
		if known[i].action == e.request.Action {
			return known[i].statements, true
		}
	}
	if len(known) == maxShortlists {
		return nil, false
	}
	var fresh []place
	for i := range l.policies {
		d := l.policies[i].Document
		for j := range d.statements {
			if d.masks[j]&e.mask == 0 || !d.statements[j].bearsOn(e.request.Action) {
				continue
			}
			if len(fresh) == maxShortlist || i > 1<<16-1 || j > 1<<16-1 {
				return nil, false
			}
			fresh = append(fresh, place{uint16(i), uint16(j)})
		}
	}
	longer := append(slices.Clip(known), shortlist{strings.Clone(e.request.Action), fresh})
	l.known.Store(&longer) // who loses a race makes the list again
	return fresh, true
}

// weigh is the outcome of a layer.
func (e *evaluation) weigh(l *layer) outcome {
	var o outcome
	if l == nil {
		return o
	}
	if l.unreadable != nil {
		return outcome{denied: true, by: l.unreadable.Name}
	}
	if statements, ok := l.shortlist(e); ok {
		for _, at := range statements {
			p := &l.policies[at.policy]
			if e.add(&o, p, &p.Document.statements[at.statement]); o.denied {
				break
			}
		}
		return o
	}
	for i := range l.policies {
		p := &l.policies[i]
		for j, mask := range p.Document.masks {
			st := &p.Document.statements[j]
			if mask&e.mask == 0 || !st.bearsOn(e.request.Action) {
				continue
			}
			if e.add(&o, p, st); o.denied {
				return o
			}
		}
	}
	return o
}

// add adds to an outcome what a statement about the action says.
func (e *evaluation) add(o *outcome, p *Policy, st *statement) {
	switch {
	case o.allowed && !st.deny, !e.matches(st):
	case st.deny:
		*o = outcome{denied: true, by: p.Name, statement: st.label}
	default:
		*o = outcome{allowed: true, by: p.Name, statement: st.label}
	}
}

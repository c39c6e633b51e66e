package policy

import (
	"fmt"
	"slices"
	"strings"
)

// A Kind says where a document is attached, and so which grammar it follows.
type Kind int

const (
	// Identity is the kind of what is attached to users, groups and roles: it
	// names no principal, and its Version is 2012-10-17.
	Identity Kind = iota
	// Resource is the kind of what is attached to a resource: each statement
	// names its principals.
	Resource
)

// MaxSize is the longest document that Parse reads, in bytes: IAM's limit on
// the wire. The quotas of each kind of policy are smaller, and the wings'.
const MaxSize = 131072

// A SyntaxError says why a document was refused.
type SyntaxError struct {
	Message   string // IAM's text for MalformedPolicyDocument
	Detail    string // for the operator: which statement, and what about it
	Principal string // the principal that is none, if that is the fault
}

func (e *SyntaxError) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + " (" + e.Detail + ")"
}

// A Document is one policy, checked and compiled. It does not change, and may
// be used concurrently.
type Document struct{ statements []statement }

type statement struct {
	label string
	deny  bool

	actions   []actionPattern
	resources []resourcePattern

	notAction, notResource bool

	principals   principals // of documents of kind Resource
	notPrincipal bool

	conditions []condition
	variable   bool // a resource holds a policy variable
}

// Parse checks the whole document against the grammar of its kind and compiles
// it: what is stored has been parsed first, and parses again. It is strict,
// like AWS at write time: unknown and repeated names, names and effects in the
// wrong case, unknown condition operators and values that their operator
// cannot read are refused. Actions, condition keys and principals need not
// exist. Every error is a *SyntaxError.
func Parse(text string, kind Kind) (*Document, error) {
	if len(text) > MaxSize {
		return nil, syntax("longer than %d bytes", MaxSize)
	}
	tree, err := readTree(text)
	if err != nil {
		return nil, syntax("%v", err)
	}
	draft, fault := readDraft(tree)
	if fault != nil {
		return nil, fault
	}
	if fault := draft.check(kind); fault != nil {
		return nil, fault
	}
	return draft.compile(), nil
}

func syntax(format string, args ...any) *SyntaxError {
	return &SyntaxError{Message: messageSyntax, Detail: fmt.Sprintf(format, args...)}
}

// matches says whether the statement bears on an action, in lower case, and a
// target, as far as Decide goes: see there for conditions and variables.
func (s *statement) matches(action string, t target) bool {
	if !s.deny && (len(s.conditions) > 0 || s.variable) {
		return false
	}
	return s.matchesAction(action) && s.matchesResource(t)
}

func (s *statement) matchesAction(action string) bool {
	listed := slices.ContainsFunc(s.actions, func(p actionPattern) bool { return p.match(action) })
	return listed != s.notAction
}

func (s *statement) matchesResource(t target) bool {
	for i := range s.resources {
		if s.resources[i].match(t) {
			return !s.notResource
		}
	}
	return s.notResource
}

// Public says whether the document lets in principals that it does not name:
// a statement that allows a wildcard principal, or all but some, and is not
// tied to fixed values of aws:SourceArn, aws:SourceAccount, aws:SourceVpc or
// aws:SourceVpce. A value with a wildcard is not fixed, except in the resource
// of an ARN whose service and account are.
func (d *Document) Public() bool {
	return slices.ContainsFunc(d.statements, func(s statement) bool {
		return !s.deny && (s.principals.everyone || s.notPrincipal) && !slices.ContainsFunc(s.conditions, condition.pins)
	})
}

// LocksOut says whether the document, attached to a resource, denies one of
// the actions to a principal of an account whatever the circumstances: through
// a statement without a condition. Its Resource is not looked at; a statement
// in a resource's policy is about that resource.
func (d *Document) LocksOut(principalARN, account string, actions []string) bool {
	return slices.ContainsFunc(d.statements, func(s statement) bool {
		if !s.deny || len(s.conditions) > 0 || !s.covers(principalARN, account) {
			return false
		}
		return slices.ContainsFunc(actions, func(a string) bool { return s.matchesAction(strings.ToLower(a)) })
	})
}

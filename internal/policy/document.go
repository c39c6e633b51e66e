package policy

import "fmt"

// A Kind says where a document is attached, and so which grammar it follows.
type Kind int

const (
	// Identity is the kind of what is attached to users, groups and roles, of
	// permissions boundaries and of service control policies: it names no
	// principal, and its Version is 2012-10-17.
	Identity Kind = iota
	// Resource is the kind of what is attached to a resource: each statement
	// names its principals.
	Resource
	// Trust is the kind of a role's trust policy: it names principals and no
	// resource, and its actions are those of STS that assume a role.
	Trust
	// Key is the kind of a KMS key's policy.
	Key
	// Session is the kind of what is passed when a session is made: the grammar
	// of Identity, with another text for what is not JSON.
	Session
)

// namesPrincipals says whether the statements of a kind name principals.
func (k Kind) namesPrincipals() bool { return k == Resource || k == Trust || k == Key }

// MaxSize is the longest document that Parse reads, in bytes: IAM's limit on
// the wire. The quotas of each kind of policy are smaller, and the wings'.
const MaxSize = 131072

// A SyntaxError says why a document was refused.
type SyntaxError struct {
	Message       string // IAM's text for MalformedPolicyDocument
	Detail        string // for the operator: which statement, and what about it
	Principal     string // the principal that is none, if that is the fault
	PrincipalType string // what it was given as: "AWS", "Service" ...; "" for a text alone
}

func (e *SyntaxError) Error() string {
	if e.Detail == "" {
		return e.Message
	}
	return e.Message + " (" + e.Detail + ")"
}

// A Document is one policy, checked and compiled. It does not change, and may
// be used concurrently.
type Document struct {
	kind       Kind
	statements []statement
	masks      []uint64 // of the statements' actions, see actionMask
}

func (d *Document) policyType() Type {
	if d != nil && d.kind == Trust {
		return TrustPolicy
	}
	return ResourcePolicy
}

type statement struct {
	label string
	deny  bool

	actions   []glob
	notAction bool

	resources   []glob
	notResource bool
	anyResource bool // it holds the star alone, or is of a kind without resources

	principals   principals // of documents that name them
	notPrincipal bool
	pinned       bool // to fixed values of aws:PrincipalArn

	conditions []condition
}

// Parse checks the whole document against the grammar of its kind and compiles
// it: what is stored has been parsed first, and parses again. It is strict,
// like AWS at write time: unknown and repeated names, names and effects in the
// wrong case, unknown condition operators and values that their operator
// cannot read are refused. Actions, condition keys and principals need not
// exist. Every error is a *SyntaxError.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func Parse(text string, kind Kind) (*Document, error) {
	draft, fault := readText(text, kind)
	if fault != nil {
		return nil, fault
	}
	if fault := draft.check(kind); fault != nil {
		return nil, fault
	}
	return draft.compile(kind), nil
}

// readText reads a document as far as its shape goes.
func readText(text string, kind Kind) (*draft, *SyntaxError) {
	if len(text) > MaxSize {
		return nil, syntax("longer than %d bytes", MaxSize)
	}
	tree, err := readTree(text)
	if err != nil {
		fault := syntax("%v", err)
		if kind == Trust || kind == Session {
			fault.Message = messageJSON
		}
		return nil, fault
	}
	return readDraft(tree)
}

func syntax(format string, args ...any) *SyntaxError {
	return &SyntaxError{Message: messageSyntax, Detail: fmt.Sprintf(format, args...)}
}

// compile makes a document of a draft that has been checked.
func (d *draft) compile(kind Kind) *Document {
	doc := &Document{kind: kind, statements: make([]statement, 0, len(d.statements))}
	for i := range d.statements {
		s := &d.statements[i]
		doc.statements = append(doc.statements, s.compile(kind, d.version == currentVersion))
		doc.masks = append(doc.masks, s.mask())
	}
	return doc
}

func (s *draftStatement) mask() uint64 {
	if s.notAction != nil {
		return anyAction
	}
	var mask uint64
	for _, a := range s.action {
		mask |= patternMask(a)
	}
	return mask
}

func (s *draftStatement) compile(kind Kind, variables bool) statement {
	st := statement{
		label:        s.label,
		deny:         s.effect == "Deny",
		notAction:    s.notAction != nil,
		notResource:  s.notResource != nil,
		notPrincipal: s.notPrincipal != nil,
		anyResource:  kind == Trust,
	}
	if s.sid != "" {
		st.label = s.sid
	}
	for _, a := range append(s.action, s.notAction...) {
		st.actions = append(st.actions, compileGlob(a, actionDialect))
	}
	for _, p := range []*principals{s.principal, s.notPrincipal} {
		if p != nil {
			st.principals = *p
		}
	}
	for _, r := range append(s.resource, s.notResource...) {
		if r == "*" {
			st.anyResource = true
			continue
		}
		st.resources = append(st.resources, compileResource(r, variables))
	}
	for _, c := range s.conditions {
		c.compile(variables)
		st.conditions = append(st.conditions, c)
		st.pinned = st.pinned || c.pinsPrincipal()
	}
	return st
}

// compileResource compiles the pattern of a resource. Parts missing at its end
// match anything: AWS takes arn:aws:secretsmanager:* for all there is.
func compileResource(pattern string, variables bool) glob {
	colons := 0
	for i := range len(pattern) {
		if pattern[i] == ':' {
			colons++
		}
	}
	for ; colons < arnSegments-1; colons++ {
		pattern += ":*"
	}
	return compileGlob(pattern, dialect{wildcards: true, variables: variables, arn: true})
}

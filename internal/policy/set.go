package policy

// A Policy is a document with the name that Decision.By gives it: a managed
// policy's ARN, an inline policy's name. A nil Document stands for a policy
// that could not be read, and might have denied: it denies everything.
type Policy struct {
	Name     string
	Document *Document
}

// A Set is every policy that bears on one caller. It does not change once
// made, and may be used concurrently; its methods make new ones, and may be
// called on nil. A nil Set and the zero Set allow nothing, except that the
// root user and the resource's policy do without them.
type Set struct {
	identity     *layer
	boundary     *layer
	sessions     *layer // nil if none was passed
	organization []*layer
}

// NewSet is the set of an identity's own policies and those of its groups.
func NewSet(identity ...Policy) *Set { return &Set{identity: newLayer(identity)} }

func (s *Set) copy() *Set {
	if s == nil {
		return &Set{}
	}
	return new(*s)
}

// With is s with one more policy of the identity's own.
func (s *Set) With(p Policy) *Set {
	c := s.copy()
	c.identity = c.identity.with(p)
	return c
}

// WithBoundary is s under a permissions boundary, in the place of the one it
// had.
func (s *Set) WithBoundary(p Policy) *Set {
	c := s.copy()
	c.boundary = newLayer([]Policy{p})
	return c
}

// WithSession is s in a session that was passed policies, of which one has to
// allow. To pass none is a limit, too: then nothing does. A session that was
// not limited is s itself.
func (s *Set) WithSession(passed ...Policy) *Set {
	c := s.copy()
	c.sessions = newLayer(passed)
	return c
}

// WithOrganization is s under an organization's service control policies, a
// list for each level from the root to the account. Every level has to allow.
func (s *Set) WithOrganization(levels ...[]Policy) *Set {
	c := s.copy()
	c.organization = nil
	for _, level := range levels {
		c.organization = append(c.organization, newLayer(level))
	}
	return c
}

package policy

// A Type is a type of policy, as AWS's denials tell them apart.
type Type int

const (
	IdentityPolicy     Type = iota // attached to a user, a role or one of the user's groups
	ResourcePolicy                 // attached to what is asked for
	BoundaryPolicy                 // the permissions boundary of a user or role
	SessionPolicy                  // passed when the session was made
	OrganizationPolicy             // service control policy
	TrustPolicy                    // of the role that is to be assumed
)

// A Decision is the answer, with what decided it. The zero Decision denies.
type Decision struct {
	Allowed  bool
	Explicit bool // denied by a statement, not by the lack of one
	// Type is of the policy that allowed or denied or, of an implicit denial,
	// the type that would have had to allow.
	Type      Type
	By        string // the policy's name in the Set; "" for none and for the resource's
	Statement string // the Sid, or "#2" for the second statement if it has none
}

var typeNames = map[Type]struct{ article, name string }{
	IdentityPolicy:     {"an ", "identity-based policy"},
	ResourcePolicy:     {"a ", "resource-based policy"},
	BoundaryPolicy:     {"a ", "permissions boundary"},
	SessionPolicy:      {"a ", "session policy"},
	OrganizationPolicy: {"a ", "service control policy"},
	TrustPolicy:        {"the ", "role trust policy"},
}

func (t Type) String() string { return typeNames[t].name }

// Because ends the sentence in which AWS tells a caller of a denial.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func (d Decision) Because(action string) string {
	n := typeNames[d.Type]
	if d.Explicit {
		return "with an explicit deny in " + n.article + n.name
	}
	return "because no " + n.name + " allows the " + action + " action"
}

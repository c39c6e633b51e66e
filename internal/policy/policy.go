// Package policy is AWS's policy language: it reads policies, checks them, and
// decides whether they allow a request. It is pure: no clock, no disk, no
// network; all that a decision needs is in the Request.
//
// A Document is one policy, checked and compiled by Parse. A Set is every
// policy that bears on a caller. Set.Decide weighs them, with the policy of
// the resource, as AWS does:
//
//   - A statement that denies, in any of them, wins over all that allow.
//   - Each level of the organization's policies has to allow, if there are any.
//   - Within an account the identity's own policies have to allow, and so have
//     its boundary and the session's policies, where there are any. What the
//     resource's policy grants to a user or to a session by its ARN needs none
//     of the three; what it grants to a role, or to everyone, needs the last
//     two. What it grants to an account only lets that account's own policies
//     speak.
//   - Across accounts both sides have to allow.
//   - The root user has no policies of its own and may do what its
//     organization and the resource let it.
//   - What nothing allows is denied.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
package policy

// A PrincipalKind says what a principal is. The zero PrincipalKind may do
// nothing, whatever a policy says.
type PrincipalKind int

const (
	Anonymous PrincipalKind = iota
	Root                    // an account's root user
	User                    // an IAM user, also with the credentials of GetSessionToken
	Role                    // a session of a role
	Federated               // a session of GetFederationToken
	Service                 // an AWS service that acts for itself
	Provider                // who holds a token of an identity provider, and is to assume a role with it
)

// A Principal is who makes a request, as policies see them.
type Principal struct {
	Kind PrincipalKind
	// ARN is the caller as a denial prints it: arn:aws:iam::A:user/path/name,
	// arn:aws:sts::A:assumed-role/name/session, arn:aws:sts::A:federated-user/name,
	// arn:aws:iam::A:root, lambda.amazonaws.com. Of a Provider it is the
	// provider's ARN, or its host for the few that need no registration.
	ARN     string
	Account string // 12 digits; "" for a Service that acts for no account
	// Entity is the ARN of the IAM entity behind the caller: the user's, the
	// role's with its path, the root user's. Of a Federated session it is who
	// asked for it.
	Entity string
	ID     string // unique id of that user or role: AIDA..., AROA...
}

// Keys looks up a condition key of the request, named as FoldKey has it, and says
// whether it is there. The values must stay as they are until the decision is
// made. It is asked only for what a statement that bears on the request needs.
type Keys func(key string) (values []string, present bool)

// A Request is what is asked: who wants to do what to which resource.
type Request struct {
	Principal *Principal // nil is Anonymous
	Action    string     // "secretsmanager:GetSecretValue", in any case
	Resource  string     // ARN, or "*"
	// ResourceAccount owns the resource; "" stands for the account in its ARN
	// or, if that has none, for the caller's own.
	ResourceAccount string
	Keys            Keys // may be nil

	// MustAllow says that the resource's policy has to consent even within one
	// account: a role's trust policy, a KMS key's policy.
	MustAllow bool
	// Granted says that the resource's owner consents to this very principal in
	// another way than by the policy. It never overrules a statement that denies.
	Granted bool
}

package call

import (
	"time"

	"azekura/internal/policy"
)

// A Principal is who makes a call: who policies see, and what else they and
// the audit trail want to know. The zero Principal is nobody, and may do
// nothing.
type Principal struct {
	policy.Principal

	// UserName is a user's name, also with the credentials of GetSessionToken.
	UserName string
	// Session is the name of a role session or of a federated user.
	Session string
	// Tags are the principal's, by policy.FoldKey of the key; those of a role are
	// overlaid by those of its session.
	Tags map[string]string
	// TransitiveTags are those of a session that go on to the next role of a
	// chain, by key as it was given.
	TransitiveTags map[string]string

	// Issued is when temporary credentials were issued; zero for the long-term
	// ones.
	Issued time.Time
	// MFATime is when the caller gave a code of a multi-factor device: before,
	// for temporary credentials, or with this very call; zero if never.
	MFATime time.Time

	SourceIdentity string
	// Provider is who vouched for a federated user: the ARN of an identity
	// provider, or its host.
	Provider string

	// Claims are the condition keys of the web identity that the caller, or its
	// session, came with, by name in lower case: idp.example.com/path:sub.
	Claims map[string][]string

	// Organization is the id of the organization that the account belongs to,
	// and OrganizationPath the account's place in it: o-a1/r-b2/ou-c3/. Both
	// are "" outside of one.
	Organization, OrganizationPath string
}

// UserID is aws:userid, and the UserId of GetCallerIdentity.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
func (p *Principal) UserID() string {
	switch p.Kind {
	case policy.Root:
		return p.Account
	case policy.Role:
		return p.ID + ":" + p.Session
	case policy.Federated:
		return p.Account + ":" + p.Session
	case policy.Anonymous, policy.Provider:
		return "anonymous"
	}
	return p.ID
}

// TrailType is CloudTrail's userIdentity.type.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func (p *Principal) TrailType() string {
	switch p.Kind {
	case policy.Root:
		return "Root"
	case policy.User:
		return "IAMUser"
	case policy.Role:
		return "AssumedRole"
	case policy.Federated:
		return "FederatedUser"
	case policy.Service:
		return "AWSService"
	case policy.Provider:
		return "WebIdentityUser"
	}
	return "Unknown"
}

// keyType is aws:PrincipalType.
func (p *Principal) keyType() string {
	switch p.Kind {
	case policy.Root:
		return "Account"
	case policy.User:
		return "User"
	case policy.Role:
		return "AssumedRole"
	case policy.Federated:
		return "FederatedUser"
	case policy.Service:
		return "AWSService"
	}
	return "Anonymous"
}

package iam

import (
	"context"
	"errors"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// CreateAccountAlias gives the account an alias, in the place of the one it
// had. It is unique among all accounts, and is no account's id.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccountAlias.html
func (s *Service) CreateAccountAlias(ctx context.Context, c *call.Call, in *model.CreateAccountAliasInput) (*model.CreateAccountAliasOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	alias, account := *in.AccountAlias, c.Principal.Account
	if isAccountID(alias) {
		return nil, model.InvalidInput("The account alias %s has the form of an account ID.", alias)
	}
	taken := model.EntityAlreadyExists("The account alias %s already exists.", alias)
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		owner, err := selectAliased(tx, alias)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && owner != account {
			return taken
		}
		return updateAlias(tx, account, &alias)
	})
	if errors.Is(err, store.ErrConflict) { // another account was quicker
		err = taken
	}
	return nil, err
}

// isAccountID says whether a text is 12 digits.
func isAccountID(text string) bool {
	for _, r := range text {
		if r < '0' || r > '9' {
			return false
		}
	}
	return len(text) == 12
}

// DeleteAccountAlias takes the alias from the account.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccountAlias.html
func (s *Service) DeleteAccountAlias(ctx context.Context, c *call.Call, in *model.DeleteAccountAliasInput) (*model.DeleteAccountAliasOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	return nil, s.db.Update(ctx, func(tx *store.Tx) error {
		alias, err := selectAlias(tx, c.Principal.Account)
		if err != nil {
			return err
		}
		if alias != *in.AccountAlias {
			return model.NoSuchEntity("The account alias with name %s cannot be found.", *in.AccountAlias)
		}
		return updateAlias(tx, c.Principal.Account, nil)
	})
}

// ListAccountAliases lists the account's alias, if it has one.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccountAliases.html
func (s *Service) ListAccountAliases(ctx context.Context, c *call.Call, in *model.ListAccountAliasesInput) (*model.ListAccountAliasesOutput, error) {
	if err := s.none(c, everything(c), in.Marker); err != nil {
		return nil, err
	}
	var alias string
	err := s.db.Look(ctx, func(tx *store.Tx) (err error) {
		alias, err = selectAlias(tx, c.Principal.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &model.ListAccountAliasesOutput{AccountAliases: []string{}, IsTruncated: new(false)}
	if alias != "" {
		out.AccountAliases = append(out.AccountAliases, alias)
	}
	return out, nil
}

// GetAccountSummary counts what the account has, and tells AWS's quotas of it.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html
func (s *Service) GetAccountSummary(ctx context.Context, c *call.Call, _ *model.GetAccountSummaryInput) (*model.GetAccountSummaryOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	var n accountCounts
	err := s.db.Look(ctx, func(tx *store.Tx) (err error) {
		n, err = selectAccountCounts(tx, c.Principal.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.GetAccountSummaryOutput{SummaryMap: map[string]int64{
		"Users": n.users, "Groups": n.groups, "Roles": n.roles, "Policies": n.policies, "PolicyVersionsInUse": n.versions,
		"MFADevices": n.devices, "MFADevicesInUse": n.devicesInUse, "Providers": n.providers,

		// What nobody has here: the root user signs in with nothing.
		"InstanceProfiles": 0, "ServerCertificates": 0,
		"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0, "AccountPasswordPresent": 0, "AccountSigningCertificatesPresent": 0,

		"UsersQuota": int64(userKind.quota), "GroupsQuota": int64(groupKind.quota), "RolesQuota": int64(roleKind.quota),
		"PoliciesQuota": maxPolicies, "InstanceProfilesQuota": 1000, "ServerCertificatesQuota": 20,
		"GroupsPerUserQuota": maxGroups, "AccessKeysPerUserQuota": maxAccessKeys, "SigningCertificatesPerUserQuota": 2,
		"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached, "AttachedPoliciesPerGroupQuota": maxAttached,
		"PolicySizeQuota": maxPolicySize, "UserPolicySizeQuota": int64(userKind.inlineMax),
		"GroupPolicySizeQuota": int64(groupKind.inlineMax), "RolePolicySizeQuota": int64(roleKind.inlineMax),
		"AssumeRolePolicySizeQuota": maxTrust, "VersionsPerPolicyQuota": maxVersions,
		"PolicyVersionsInUseQuota": 10000, "GlobalEndpointTokenVersion": 1,
	}}, nil
}

package iam

import (
	"context"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
)

// Nothing here makes instance profiles, SSH keys, certificates, credentials of
// other services or SAML providers, so that every account has none; but who
// deletes a user or a role, as Terraform does, lists what may hang on it first.

// none decides whether the call may list things of a kind, and looks at the
// marker, which no page before can have given.
func (s *Service) none(c *call.Call, target call.Target, marker *string) error {
	if err := c.Allow(target); err != nil {
		return err
	}
	_, err := s.readMarker(c, marker)
	return err
}

// noneOf is none for the things of a user, the caller unless another is named.
func (s *Service) noneOf(ctx context.Context, c *call.Call, userName, marker *string) error {
	name, err := callerName(c, userName)
	if err != nil {
		return err
	}
	if _, err := s.look(ctx, c, userKind, name, nil); err != nil {
		return err
	}
	_, err = s.readMarker(c, marker)
	return err
}

// under is the target of a list of the things of a kind under a path.
func under(c *call.Call, noun string, pathPrefix *string) call.Target {
	prefix := "/"
	if pathPrefix != nil {
		prefix = *pathPrefix
	}
	return call.Target{ARN: arnOf(c.Principal.Account, noun, prefix, ""), Keys: conditionKeys(c, nil, "")}
}

// ListInstanceProfiles lists the instance profiles of the account: none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfiles.html
func (s *Service) ListInstanceProfiles(_ context.Context, c *call.Call, in *model.ListInstanceProfilesInput) (*model.ListInstanceProfilesOutput, error) {
	if err := s.none(c, under(c, "instance-profile", in.PathPrefix), in.Marker); err != nil {
		return nil, err
	}
	return &model.ListInstanceProfilesOutput{InstanceProfiles: []model.InstanceProfile{}, IsTruncated: new(false)}, nil
}

// ListInstanceProfilesForRole lists the instance profiles that have a role:
// none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListInstanceProfilesForRole.html
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, c *call.Call, in *model.ListInstanceProfilesForRoleInput) (*model.ListInstanceProfilesForRoleOutput, error) {
	if _, err := s.look(ctx, c, roleKind, *in.RoleName, nil); err != nil {
		return nil, err
	}
	if _, err := s.readMarker(c, in.Marker); err != nil {
		return nil, err
	}
	return &model.ListInstanceProfilesForRoleOutput{InstanceProfiles: []model.InstanceProfile{}, IsTruncated: new(false)}, nil
}

// ListSSHPublicKeys lists the SSH keys of a user: none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListSSHPublicKeys.html
func (s *Service) ListSSHPublicKeys(ctx context.Context, c *call.Call, in *model.ListSSHPublicKeysInput) (*model.ListSSHPublicKeysOutput, error) {
	if err := s.noneOf(ctx, c, in.UserName, in.Marker); err != nil {
		return nil, err
	}
	return &model.ListSSHPublicKeysOutput{SSHPublicKeys: []model.SSHPublicKeyMetadata{}, IsTruncated: new(false)}, nil
}

// ListSigningCertificates lists the signing certificates of a user: none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListSigningCertificates.html
func (s *Service) ListSigningCertificates(ctx context.Context, c *call.Call, in *model.ListSigningCertificatesInput) (*model.ListSigningCertificatesOutput, error) {
	if err := s.noneOf(ctx, c, in.UserName, in.Marker); err != nil {
		return nil, err
	}
	return &model.ListSigningCertificatesOutput{Certificates: []model.SigningCertificate{}, IsTruncated: new(false)}, nil
}

// ListServiceSpecificCredentials lists the credentials of a user, or of all,
// for services that have their own: none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, c *call.Call, in *model.ListServiceSpecificCredentialsInput) (*model.ListServiceSpecificCredentialsOutput, error) {
	var err error
	if in.AllUsers != nil && *in.AllUsers {
		if in.UserName != nil {
			return nil, validation("UserName cannot be specified when AllUsers is set to true.")
		}
		err = s.none(c, under(c, "user", nil), in.Marker)
	} else {
		err = s.noneOf(ctx, c, in.UserName, in.Marker)
	}
	if err != nil {
		return nil, err
	}
	return &model.ListServiceSpecificCredentialsOutput{ServiceSpecificCredentials: []model.ServiceSpecificCredentialMetadata{}, IsTruncated: new(false)}, nil
}

// ListServerCertificates lists the server certificates of the account: none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServerCertificates.html
func (s *Service) ListServerCertificates(_ context.Context, c *call.Call, in *model.ListServerCertificatesInput) (*model.ListServerCertificatesOutput, error) {
	if err := s.none(c, under(c, "server-certificate", in.PathPrefix), in.Marker); err != nil {
		return nil, err
	}
	return &model.ListServerCertificatesOutput{ServerCertificateMetadataList: []model.ServerCertificateMetadata{}, IsTruncated: new(false)}, nil
}

// ListSAMLProviders lists the SAML providers of the account: none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListSAMLProviders.html
func (s *Service) ListSAMLProviders(_ context.Context, c *call.Call, _ *model.ListSAMLProvidersInput) (*model.ListSAMLProvidersOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	return &model.ListSAMLProvidersOutput{SAMLProviderList: []model.SAMLProviderListEntry{}}, nil
}

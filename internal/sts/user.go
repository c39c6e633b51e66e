package sts

import (
	"context"
	"errors"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
)

// GetSessionToken makes temporary credentials of the calling user, with all
// that the user may but for what needs a device's code if none was given. It
// needs no permission, and no policy can deny it.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
func (s *Service) GetSessionToken(ctx context.Context, c *call.Call, in *model.GetSessionTokenInput) (*model.GetSessionTokenOutput, error) {
	c.Resource = c.Principal.ARN
	if err := longTerm(c); err != nil {
		return nil, err
	}
	if err := s.takeCode(ctx, c, in.SerialNumber, in.TokenCode); err != nil {
		return nil, err
	}
	made := ofUser(c, userSession, in.DurationSeconds)
	if in.SerialNumber != nil {
		made.mfa = made.issued
	}
	credentials, _, err := s.begin(ctx, made, nil, nil)
	if err != nil {
		return nil, err
	}
	return &model.GetSessionTokenOutput{Credentials: credentials}, nil
}

// GetFederationToken makes temporary credentials of somebody whom the calling
// user vouches for: they may what both the user and the passed policies allow,
// and nothing if none are passed.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
func (s *Service) GetFederationToken(ctx context.Context, c *call.Call, in *model.GetFederationTokenInput) (*model.GetFederationTokenOutput, error) {
	target := call.Target{ARN: federatedARN(c.Principal.Account, *in.Name)}
	c.Resource = target.ARN
	if err := longTerm(c); err != nil {
		return nil, err
	}
	a := &assumption{}
	if err := a.tag(in.Tags, nil, nil); err != nil {
		return nil, err
	}
	target.Keys = a.keys(c)
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.AllowAction("sts:TagSession", target); err != nil {
			return nil, err
		}
	}
	made := ofUser(c, federatedSession, in.DurationSeconds)
	made.name, made.tags = *in.Name, a.tags
	out := &model.GetFederationTokenOutput{FederatedUser: &model.FederatedUser{
		Arn: &target.ARN, FederatedUserId: new(made.account + ":" + made.name),
	}}
	var err error
	if out.Credentials, out.PackedPolicySize, err = s.begin(ctx, made, in.Policy, in.PolicyArns); err != nil {
		return nil, err
	}
	if out.PackedPolicySize == nil {
		out.PackedPolicySize = new(int64(0))
	}
	return out, nil
}

// longTerm refuses who calls with a session already: it would never end.
func longTerm(c *call.Call) error {
	if c.Principal.Kind != policy.User || !c.Principal.Issued.IsZero() {
		return withSession(c.Op)
	}
	return nil
}

// ofUser are the claims of a session that the calling user asks for with an
// access key, with which it ends.
func ofUser(c *call.Call, k kind, lifetime *int64) *claims {
	return &claims{
		kind: k, account: c.Principal.Account, id: c.Principal.ID, parent: c.AccessKeyID,
		issued: c.Time.UnixMilli(), lifetime: userLifetime(lifetime),
	}
}

// WrongCodes is how many codes were not those of a caller's device.
func (s *Service) WrongCodes() uint64 { return s.wrong.Load() }

// takeCode takes the code of the calling user's device, if one is given, and
// notes it in the call: then policies know that a device has confirmed it.
func (s *Service) takeCode(ctx context.Context, c *call.Call, serial, code *string) error {
	if serial == nil && code == nil {
		return nil
	}
	if serial == nil || code == nil {
		return api.Validation("MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	}
	if wait := s.codes.Begin(c.Principal.ID, *serial, c.Time); wait > 0 {
		return api.Throttled(wait)
	}
	err := error(iam.ErrNoDevice)
	if c.Principal.Kind == policy.User {
		err = s.iam.TakeCode(ctx, c.Principal.ID, *serial, *code, c.Time)
	}
	switch {
	case errors.Is(err, iam.ErrNoDevice):
		return api.AccessDenied("MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user.")
	case errors.Is(err, iam.ErrCode):
		s.wrong.Add(1)
		return api.AccessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code. ")
	case err != nil:
		return err
	}
	s.codes.Succeeded(c.Principal.ID, *serial)
	c.Principal.MFATime = c.Time
	return nil
}

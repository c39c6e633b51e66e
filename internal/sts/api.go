package sts

import (
	"context"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
)

// API is the service as the wire serves it.
func (s *Service) API() call.Service {
	return call.Service{Name: "sts", Version: model.Version, Namespace: model.Namespace, Ops: []call.Op{
		call.Bind("AssumeRole", s.AssumeRole),
		call.BindUnsigned("AssumeRoleWithWebIdentity", s.AssumeRoleWithWebIdentity),
		call.BindRead("DecodeAuthorizationMessage", s.DecodeAuthorizationMessage),
		call.BindRead("GetAccessKeyInfo", s.GetAccessKeyInfo),
		call.BindRead("GetCallerIdentity", s.GetCallerIdentity),
		call.Bind("GetFederationToken", s.GetFederationToken),
		call.Bind("GetSessionToken", s.GetSessionToken),
	}}
}

// GetCallerIdentity tells callers who they are. It asks for no permission, and
// no policy can deny it: who has a key may know whose it is.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func (s *Service) GetCallerIdentity(_ context.Context, c *call.Call, _ *model.GetCallerIdentityInput) (*model.GetCallerIdentityOutput, error) {
	p := &c.Principal
	c.Resource = p.ARN
	return &model.GetCallerIdentityOutput{UserId: new(p.UserID()), Account: &p.Account, Arn: &p.ARN}, nil
}

// GetAccessKeyInfo tells the account that an access key id is of, from the id
// alone: of any account's, whether there is such a key or not.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html
func (s *Service) GetAccessKeyInfo(_ context.Context, c *call.Call, in *model.GetAccessKeyInfoInput) (*model.GetAccessKeyInfoOutput, error) {
	if err := allowed(c); err != nil {
		return nil, err
	}
	account, ok := iam.AccountOf(*in.AccessKeyId)
	if !ok {
		return nil, api.Validation("Invalid Access Key ID: " + *in.AccessKeyId)
	}
	return &model.GetAccessKeyInfoOutput{Account: &account}, nil
}

// DecodeAuthorizationMessage has nothing to decode: no service that is served
// here encodes its denials, at AWS either.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
func (s *Service) DecodeAuthorizationMessage(_ context.Context, c *call.Call, _ *model.DecodeAuthorizationMessageInput) (*model.DecodeAuthorizationMessageOutput, error) {
	if err := allowed(c); err != nil {
		return nil, err
	}
	return nil, model.InvalidAuthorizationMessage("Message is not valid")
}

// allowed decides an operation of STS that acts on no role. Credentials of
// users' sessions and of federated users are good for less than the user's own.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html
func allowed(c *call.Call) error {
	if p := &c.Principal; p.Kind == policy.Federated || p.Kind == policy.User && !p.Issued.IsZero() {
		c.Resource = "*"
		return withSession(c.Op)
	}
	return c.Allow(call.Target{ARN: "*", Account: c.Principal.Account})
}

func withSession(op string) error {
	return api.AccessDenied("Cannot call %s with session credentials", op)
}

// arnOfRole reads the ARN that a caller names a role by.
func arnOfRole(text string) (account, name string, err error) {
	a, err := arn.Parse(text)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || len(a.Account) != 12 {
		return "", "", api.Validation(text + " is invalid")
	}
	if name = nameIn(a.Resource, "role/"); name == "" {
		return "", "", api.Validation(text + " is invalid")
	}
	return a.Account, name, nil
}

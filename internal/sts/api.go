package sts

import (
	"context"

	model "azekura/internal/api/sts"
	"azekura/internal/call"
)

// API is the service as the wire serves it.
func (s *Service) API() call.Service {
	return call.Service{Name: "sts", Version: model.Version, Namespace: model.Namespace, Ops: []call.Op{
		call.Bind("GetCallerIdentity", s.GetCallerIdentity),
	}}
}

// GetCallerIdentity tells callers who they are. It asks for no permission, and
// no policy can deny it: who has a key may know whose it is.
func (s *Service) GetCallerIdentity(_ context.Context, c *call.Call, _ *model.GetCallerIdentityInput) (*model.GetCallerIdentityOutput, error) {
	p := &c.Principal
	c.Resource = p.ARN
	return &model.GetCallerIdentityOutput{UserId: new(p.UserID()), Account: &p.Account, Arn: &p.ARN}, nil
}

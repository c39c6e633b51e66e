package iam

import (
	"context"
	"slices"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
)

// ListPoliciesGrantingServiceAccess lists, for each of some services, which
// policies of a user, with those of its groups, of a group or of a role allow
// something in it, whatever else denies.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPoliciesGrantingServiceAccess.html
func (s *Service) ListPoliciesGrantingServiceAccess(ctx context.Context, c *call.Call, in *model.ListPoliciesGrantingServiceAccessInput) (*model.ListPoliciesGrantingServiceAccessOutput, error) {
	_, held, err := s.sourcesOf(ctx, c, *in.Arn)
	if err != nil {
		return nil, err
	}
	if _, err := s.readMarker(c, in.Marker); err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(p source) bool { return p.kind == boundarySource })
	entries := make([]model.ListPoliciesGrantingServiceAccessEntry, len(in.ServiceNamespaces))
	for i := range entries {
		entries[i] = model.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: &in.ServiceNamespaces[i], Policies: []model.PolicyGrantingServiceAccess{}}
	}
	for i := range held {
		granted, err := policy.Grants(held[i].text, in.ServiceNamespaces)
		if err != nil {
			return nil, err
		}
		for j := range entries {
			if granted[j] {
				entries[j].Policies = append(entries[j].Policies, held[i].granting())
			}
		}
	}
	return &model.ListPoliciesGrantingServiceAccessOutput{PoliciesGrantingServiceAccess: entries, IsTruncated: new(false)}, nil
}

func (p *source) granting() model.PolicyGrantingServiceAccess {
	if p.holder == nil {
		return model.PolicyGrantingServiceAccess{PolicyName: &p.id, PolicyType: new("MANAGED"), PolicyArn: &p.arn}
	}
	entity := map[*kind]string{userKind: "USER", groupKind: "GROUP", roleKind: "ROLE"}[p.holder.kind]
	return model.PolicyGrantingServiceAccess{PolicyName: &p.name, PolicyType: new("INLINE"), EntityType: &entity, EntityName: &p.holder.name}
}

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
	out := &model.ListPoliciesGrantingServiceAccessOutput{PoliciesGrantingServiceAccess: []model.ListPoliciesGrantingServiceAccessEntry{}, IsTruncated: new(false)}
	for i := range in.ServiceNamespaces {
		entry := model.ListPoliciesGrantingServiceAccessEntry{ServiceNamespace: &in.ServiceNamespaces[i], Policies: []model.PolicyGrantingServiceAccess{}}
		for j := range held {
			grants, err := policy.Grants(held[j].text, in.ServiceNamespaces[i])
			if err != nil {
				return nil, err
			}
			if grants {
				entry.Policies = append(entry.Policies, held[j].granting())
			}
		}
		out.PoliciesGrantingServiceAccess = append(out.PoliciesGrantingServiceAccess, entry)
	}
	return out, nil
}

func (p *source) granting() model.PolicyGrantingServiceAccess {
	if p.holder == nil {
		return model.PolicyGrantingServiceAccess{PolicyName: &p.id, PolicyType: new("MANAGED"), PolicyArn: &p.arn}
	}
	entity := map[*kind]string{userKind: "USER", groupKind: "GROUP", roleKind: "ROLE"}[p.holder.kind]
	return model.PolicyGrantingServiceAccess{PolicyName: &p.name, PolicyType: new("INLINE"), EntityType: &entity, EntityName: &p.holder.name}
}

package organizations

import (
	model "azekura/internal/api/organizations"
	"azekura/internal/call"
)

// API is the service as the wire serves it: one line an operation.
func (s *Service) API() call.Service {
	return call.Service{Name: "organizations", Target: model.Target, Ops: []call.Op{
		call.Bind("AttachPolicy", s.AttachPolicy),
		call.Bind("CloseAccount", s.CloseAccount),
		call.Bind("CreateAccount", s.CreateAccount),
		call.Bind("CreateOrganization", s.CreateOrganization),
		call.Bind("CreatePolicy", s.CreatePolicy),
		call.Bind("DeletePolicy", s.DeletePolicy),
		call.Bind("DescribeAccount", s.DescribeAccount),
		call.Bind("DescribeCreateAccountStatus", s.DescribeCreateAccountStatus),
		call.Bind("DescribeOrganization", s.DescribeOrganization),
		call.Bind("DescribePolicy", s.DescribePolicy),
		call.Bind("DetachPolicy", s.DetachPolicy),
		call.Bind("DisablePolicyType", s.DisablePolicyType),
		call.Bind("EnablePolicyType", s.EnablePolicyType),
		call.Bind("ListAWSServiceAccessForOrganization", s.ListAWSServiceAccessForOrganization),
		call.Bind("ListAccounts", s.ListAccounts),
		call.Bind("ListAccountsForParent", s.ListAccountsForParent),
		call.Bind("ListChildren", s.ListChildren),
		call.Bind("ListCreateAccountStatus", s.ListCreateAccountStatus),
		call.Bind("ListOrganizationalUnitsForParent", s.ListOrganizationalUnitsForParent),
		call.Bind("ListParents", s.ListParents),
		call.Bind("ListPolicies", s.ListPolicies),
		call.Bind("ListPoliciesForTarget", s.ListPoliciesForTarget),
		call.Bind("ListRoots", s.ListRoots),
		call.Bind("ListTagsForResource", s.ListTagsForResource),
		call.Bind("ListTargetsForPolicy", s.ListTargetsForPolicy),
		call.Bind("TagResource", s.TagResource),
		call.Bind("UntagResource", s.UntagResource),
		call.Bind("UpdatePolicy", s.UpdatePolicy),
	}}
}

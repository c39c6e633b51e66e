package organizations

import (
	"context"
	"unicode/utf8"

	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// serviceControl is the one type of policy that is served.
const serviceControl = "SERVICE_CONTROL_POLICY"

// AWS's quotas.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const (
	maxContent  = 5120 // characters of a policy
	maxPolicies = 2000 // of the organization's own
	maxAttached = 5    // on the root, or on an account
)

// An scp is a service control policy.
type scp struct {
	id, name, description, content string
	tags                           tags
}

const fullAccessID = "p-FullAWSAccess"

// fullAccess is AWS's own policy, which is on the root and every account to
// begin with.
var fullAccess = scp{
	id: fullAccessID, name: "FullAWSAccess", description: "Allows access to every operation",
	content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
}

func (p *scp) arn(org *organization) string {
	if p.id == fullAccessID {
		return "arn:aws:organizations::aws:policy/service_control_policy/" + p.id
	}
	return org.arn("policy", "service_control_policy/"+p.id)
}

func (p *scp) key() string { return p.id }

func (p *scp) summary(org *organization) *model.PolicySummary {
	return &model.PolicySummary{
		Id: &p.id, Arn: new(p.arn(org)), Name: &p.name, Description: &p.description,
		Type: new(serviceControl), AwsManaged: new(p.id == fullAccessID),
	}
}

func (p *scp) model(org *organization) *model.Policy {
	return &model.Policy{PolicySummary: p.summary(org), Content: &p.content}
}

// changeable refuses changes of what is AWS's.
func (p *scp) changeable() error {
	if p.id == fullAccessID {
		return model.InvalidInput("You specified a policy that is managed by AWS and can't be modified.")
	}
	return nil
}

func checkContent(content string) error {
	if utf8.RuneCountInString(content) > maxContent {
		return model.ConstraintViolation("You attempted to create a policy that is larger than the maximum size.")
	}
	if _, err := policy.Parse(content, policy.Identity); err != nil {
		e := model.MalformedPolicyDocument("The provided policy document does not meet the requirements of the specified policy type.")
		e.Err = err
		return e
	}
	return nil
}

func errPolicy() error { return model.PolicyNotFound("You specified a policy that doesn't exist.") }

func errName() error { return model.DuplicatePolicy("A policy with the same name already exists.") }

// CreatePolicy makes a service control policy, which bears on nobody before it
// is attached.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreatePolicy.html
func (s *Service) CreatePolicy(ctx context.Context, c *call.Call, in *model.CreatePolicyInput) (*model.CreatePolicyOutput, error) {
	out := new(model.CreatePolicyOutput)
	err := s.change(ctx, c, nil, func(tx *store.Tx, org *organization, _ []resource) (err error) {
		if err := allowTagging(c, in.Tags); err != nil {
			return err
		}
		if *in.Type != serviceControl {
			return errPolicyType()
		}
		p := scp{id: newID("p-", 8), name: *in.Name, description: *in.Description, content: *in.Content}
		if p.tags, err = p.tags.with(in.Tags); err != nil {
			return err
		}
		if err := checkContent(p.content); err != nil {
			return err
		}
		switch held, err := countPolicies(tx); {
		case err != nil:
			return err
		case held >= maxPolicies:
			return model.ConstraintViolation("You have exceeded the number of policies that you can have in an organization.")
		}
		added := p.name != fullAccess.name
		if added {
			added, err = insertPolicy(tx, &p)
		}
		if err == nil && !added {
			return errName()
		}
		out.Policy = p.model(org)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UpdatePolicy changes what is given of a policy. What it is attached to is
// bound by it from the next call on.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_UpdatePolicy.html
func (s *Service) UpdatePolicy(ctx context.Context, c *call.Call, in *model.UpdatePolicyInput) (*model.UpdatePolicyOutput, error) {
	out := new(model.UpdatePolicyOutput)
	err := s.change(ctx, c, []want{{*in.PolicyId, errPolicy()}}, func(tx *store.Tx, org *organization, found []resource) error {
		p := found[0].policy
		if err := p.changeable(); err != nil {
			return err
		}
		if err := p.edit(tx, in); err != nil {
			return err
		}
		out.Policy = p.model(org)
		if err := updatePolicy(tx, p); err != nil {
			return err
		}
		targets, err := selectTargetIDs(tx, p.id)
		if err != nil {
			return err
		}
		return s.touch(tx, org, targets...)
	})
	return out, err
}

func (p *scp) edit(tx *store.Tx, in *model.UpdatePolicyInput) error {
	if in.Content != nil {
		if err := checkContent(*in.Content); err != nil {
			return err
		}
		p.content = *in.Content
	}
	if in.Name != nil {
		taken, err := hasPolicyNamed(tx, *in.Name, p.id)
		if err != nil {
			return err
		}
		if taken || *in.Name == fullAccess.name {
			return errName()
		}
		p.name = *in.Name
	}
	if in.Description != nil {
		p.description = *in.Description
	}
	return nil
}

// DeletePolicy deletes a policy that is attached to nothing.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DeletePolicy.html
func (s *Service) DeletePolicy(ctx context.Context, c *call.Call, in *model.DeletePolicyInput) (*model.DeletePolicyOutput, error) {
	return nil, s.change(ctx, c, []want{{*in.PolicyId, errPolicy()}}, func(tx *store.Tx, _ *organization, found []resource) error {
		if err := found[0].policy.changeable(); err != nil {
			return err
		}
		held, err := selectTargets(tx, *in.PolicyId, "", 1)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return model.PolicyInUse("The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")
		}
		return deletePolicy(tx, *in.PolicyId)
	})
}

// DescribePolicy shows a policy with its content.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribePolicy.html
func (s *Service) DescribePolicy(ctx context.Context, c *call.Call, in *model.DescribePolicyInput) (*model.DescribePolicyOutput, error) {
	out := new(model.DescribePolicyOutput)
	err := s.look(ctx, c, []want{{*in.PolicyId, errPolicy()}}, func(_ *store.Tx, org *organization, found []resource) error {
		out.Policy = found[0].policy.model(org)
		return nil
	})
	return out, err
}

// ListPolicies lists the policies of a type: AWS's own first, then those of the
// organization in the order of their ids.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListPolicies.html
func (s *Service) ListPolicies(ctx context.Context, c *call.Call, in *model.ListPoliciesInput) (*model.ListPoliciesOutput, error) {
	p, err := s.page(c, in.NextToken, in.MaxResults, *in.Filter)
	if err != nil {
		return nil, err
	}
	out := &model.ListPoliciesOutput{Policies: []model.PolicySummary{}}
	err = s.look(ctx, c, nil, func(tx *store.Tx, org *organization, _ []resource) error {
		if *in.Filter != serviceControl {
			return nil
		}
		var all []scp
		after := p.after
		switch after {
		case "":
			all = append(all, fullAccess)
		case fullAccessID:
			after = ""
		}
		own, err := selectPolicies(tx, after, p.size+1-len(all))
		if err != nil {
			return err
		}
		all, out.NextToken = cut(p, append(all, own...), (*scp).key)
		out.Policies = summaries(org, all)
		return nil
	})
	return out, err
}

func summaries(org *organization, all []scp) []model.PolicySummary {
	shown := make([]model.PolicySummary, len(all))
	for i := range all {
		shown[i] = *all[i].summary(org)
	}
	return shown
}

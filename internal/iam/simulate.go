package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"

	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A source is a policy of a simulation, and where it comes from.
type source struct {
	id   string // as answers call it
	kind string // inline, aws-managed, user-managed or permission-boundary, as PolicyExclusionList has it
	arn  string // of a managed policy
	// Of an inline one: what it is part of.
	holder *entity
	name   string
	text   string
}

// boundarySource is the kind of a source that is a permissions boundary.
const boundarySource = "permission-boundary"

// SimulateCustomPolicy says what policies given with the request allow.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
func (s *Service) SimulateCustomPolicy(ctx context.Context, c *call.Call, in *model.SimulateCustomPolicyInput) (*model.SimulateCustomPolicyOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	nobody := arnOf(c.Principal.Account, "user", "/", "*") // no policy can name it
	m := &simulation{
		principal: policy.Principal{Kind: policy.User, ARN: nobody, Entity: nobody, Account: c.Principal.Account},
		actions:   in.ActionNames, resources: in.ResourceArns,
	}
	err := m.read(simulationInput{
		policies: in.PolicyInputList, boundaries: in.PermissionsBoundaryPolicyInputList, organization: in.OrderedOrganizationPolicyInputList,
		resourcePolicy: in.ResourcePolicy, owner: in.ResourceOwner, caller: in.CallerArn, context: in.ContextEntries,
	}, nil)
	if err != nil {
		return nil, err
	}
	page, next, err := s.simulate(c, m, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &model.SimulateCustomPolicyOutput{EvaluationResults: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// SimulatePrincipalPolicy says what the policies of a user, with those of its
// groups, of a group or of a role allow, together with policies given with the
// request. The account's service control policies count.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, c *call.Call, in *model.SimulatePrincipalPolicyInput) (*model.SimulatePrincipalPolicyOutput, error) {
	e, held, err := s.sourcesOf(ctx, c, *in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(p source) bool { return p.isExcluded(in.PolicyExclusionList) })
	m := &simulation{
		principal: policy.Principal{Kind: policy.User, ARN: e.arn(), Entity: e.arn(), Account: e.account, ID: e.id},
		actions:   in.ActionNames, resources: in.ResourceArns, mustName: e.kind != userKind,
	}
	if e.kind == roleKind {
		m.principal.Kind = policy.Role
	}
	err = m.read(simulationInput{
		policies: in.PolicyInputList, boundaries: in.PermissionsBoundaryPolicyInputList,
		resourcePolicy: in.ResourcePolicy, owner: in.ResourceOwner, caller: in.CallerArn, context: in.ContextEntries,
	}, held)
	if err != nil {
		return nil, err
	}
	if s.bind != nil && !isServiceLinked(e.path) {
		m.organized = true
		if m.set, err = s.bind(ctx, e.account, m.set); err != nil {
			return nil, err
		}
	}
	page, next, err := s.simulate(c, m, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &model.SimulatePrincipalPolicyOutput{EvaluationResults: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// sourcesOf finds the user, group or role that an ARN means, decides whether
// the call may, and reads its policies, its boundary last.
func (s *Service) sourcesOf(ctx context.Context, c *call.Call, sourceARN string) (e *entity, held []source, err error) {
	a, err := arn.Parse(sourceARN)
	k, name := entityIn(a)
	if err != nil || k == nil || a.Service != "iam" || a.Account != c.Principal.Account {
		if err := c.Allow(call.Target{ARN: sourceARN, Keys: conditionKeys(c, nil, "")}); err != nil {
			return nil, nil, err
		}
		return nil, nil, model.InvalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", sourceARN)
	}
	e, err = s.look(ctx, c, k, name, func(tx *store.Tx, e *entity) (err error) {
		if e.arn() != sourceARN {
			return k.notFound(name)
		}
		held, err = s.readSources(tx, e)
		return err
	})
	return e, held, err
}

func (s *Service) readSources(tx *store.Tx, e *entity) (held []source, err error) {
	holders := map[string]*entity{e.id: e}
	if e.kind == userKind {
		groups, err := selectGroupsOf(tx, e.id)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			holders[g.id] = g
		}
	}
	inlines, err := selectAllInline(tx, e.id)
	if err != nil {
		return nil, err
	}
	for _, p := range inlines {
		if holder := holders[p.identityID]; holder != nil {
			id := fmt.Sprintf("%s_%s_%s", holder.kind.noun, holder.name, p.name)
			held = append(held, source{id: id, kind: "inline", holder: holder, name: p.name, text: p.document})
		}
	}
	attached, err := selectAllAttached(tx, e.id)
	if err != nil {
		return nil, err
	}
	texts, err := s.defaultTexts(tx, e.account, attached)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(attached, func(a, b attachment) int { return cmpBool(a.purpose == forBoundary, b.purpose == forBoundary) })
	for _, a := range attached {
		held = append(held, managedSource(a, texts))
	}
	return slices.CompactFunc(held, func(a, b source) bool { return a.arn != "" && a.arn == b.arn && a.kind == b.kind }), nil
}

// cmpBool puts false before true.
func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func managedSource(a attachment, texts map[string]string) source {
	p := source{id: policyName(a.policyARN), kind: "user-managed", arn: a.policyARN, text: texts[a.policyARN]}
	if own := awsManaged(a.policyARN); own != nil {
		p.kind, p.text = "aws-managed", own.text
	}
	if a.purpose == forBoundary {
		p.kind = boundarySource
	}
	return p
}

// isExcluded says whether a request leaves a policy out.
func (p *source) isExcluded(list []model.PolicyIdentifier) bool {
	return slices.ContainsFunc(list, func(x model.PolicyIdentifier) bool {
		if x.PolicyType != nil && *x.PolicyType != p.kind {
			return false
		}
		if in := x.InlinePolicyIdentifier; in != nil {
			return p.holder != nil && *in.PolicyName == p.name && *in.AttachmentType == p.holder.kind.noun && *in.AttachmentName == p.holder.name
		}
		return x.PolicyArn != nil && *x.PolicyArn == p.arn
	})
}

// GetContextKeysForCustomPolicy lists the condition keys and variables of
// policies given with the request, each once.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForCustomPolicy.html
func (s *Service) GetContextKeysForCustomPolicy(_ context.Context, c *call.Call, in *model.GetContextKeysForCustomPolicyInput) (*model.GetContextKeysForCustomPolicyOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	keys, err := contextKeys(nil, in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	return &model.GetContextKeysForCustomPolicyOutput{ContextKeyNames: keys}, nil
}

// GetContextKeysForPrincipalPolicy lists the condition keys and variables of
// the policies of a user, group or role, and of those given with the request.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetContextKeysForPrincipalPolicy.html
func (s *Service) GetContextKeysForPrincipalPolicy(ctx context.Context, c *call.Call, in *model.GetContextKeysForPrincipalPolicyInput) (*model.GetContextKeysForPrincipalPolicyOutput, error) {
	_, held, err := s.sourcesOf(ctx, c, *in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	keys, err := contextKeys(held, in.PolicyInputList)
	if err != nil {
		return nil, err
	}
	return &model.GetContextKeysForPrincipalPolicyOutput{ContextKeyNames: keys}, nil
}

func contextKeys(held []source, given []string) ([]string, error) {
	all, seen := []string{}, map[string]bool{}
	texts := slices.Clone(given)
	for _, p := range held {
		texts = append(texts, p.text)
	}
	for _, text := range texts {
		keys, err := policy.ContextKeys(text)
		if err != nil {
			return nil, badInput(err)
		}
		for _, key := range keys {
			if folded := fold(key); !seen[folded] {
				seen[folded], all = true, append(all, key)
			}
		}
	}
	return all, nil
}

// badInput is the answer to a policy in a request that is none.
func badInput(err error) error {
	if fault, ok := errors.AsType[*policy.SyntaxError](err); ok {
		e := model.InvalidInput("%s", fault.Message)
		e.Err = err
		return e
	}
	return err
}

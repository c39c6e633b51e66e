package iam

import (
	"fmt"
	"strconv"
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/arn"
	"azekura/internal/call"
	"azekura/internal/policy"
)

// A simulation is a request of the simulator that was read: what is asked is
// each action on each resource.
type simulation struct {
	principal          policy.Principal
	mustName           bool // the principal cannot be a resource policy's: the request has to name a caller
	set                *policy.Set
	sources            map[string]*simulated // of the set, by name; "" is the resource's policy
	resource           *policy.Document      // nil if there is none
	owner              string                // account
	context            map[string][]string   // by key in lower case
	bounded, organized bool
	bytes              int // of policies

	actions, resources []string
}

// simulated is a policy as the statements in answers refer to it.
type simulated struct {
	id, kind string
	spans    []policy.Span
}

// What answers call the types of policies.
const (
	kindIdentity     = "IAM Policy"
	kindBoundary     = "Permissions Boundary Policy"
	kindOrganization = "Service Control Policy"
	kindResource     = "Resource Policy"
)

// simulationInput is what the two requests of the simulator share.
type simulationInput struct {
	policies, boundaries          []string
	organization                  []model.OrderedOrganizationPolicyType
	resourcePolicy, owner, caller *string
	context                       []model.ContextEntry
}

// read checks a request, and compiles its policies and those held.
func (m *simulation) read(in simulationInput, held []source) error {
	m.sources = map[string]*simulated{}
	for _, action := range m.actions {
		if strings.ContainsAny(action, "*?") || strings.Count(action, ":") != 1 || strings.HasPrefix(action, ":") || strings.HasSuffix(action, ":") {
			return model.InvalidInput("Invalid action name: %s", action)
		}
	}
	m.context = map[string][]string{}
	for _, entry := range in.context {
		if entry.ContextKeyName == nil || entry.ContextKeyType == nil {
			return model.InvalidInput("A context entry needs a name and a type.")
		}
		m.context[policy.FoldKey(*entry.ContextKeyName)] = entry.ContextKeyValues
	}
	if err := m.readCaller(in); err != nil {
		return err
	}
	if err := m.readIdentity(in, held); err != nil {
		return err
	}
	if err := m.readOrganization(in); err != nil {
		return err
	}
	return m.readResource(in)
}

// readCaller takes the principal that a request names, if it names one: a user.
func (m *simulation) readCaller(in simulationInput) error {
	if in.caller != nil {
		a, err := arn.Parse(*in.caller)
		if k, _ := entityIn(a); err != nil || k != userKind || a.Service != "iam" || a.Account == "" {
			return model.InvalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", *in.caller)
		}
		if *in.caller != m.principal.ARN {
			m.principal = policy.Principal{Kind: policy.User, ARN: *in.caller, Entity: *in.caller, Account: a.Account}
		}
	} else if in.resourcePolicy != nil && m.mustName {
		return model.InvalidInput("Invalid caller - Caller cannot be null or empty.")
	}
	m.owner = m.principal.Account
	if in.owner == nil {
		return nil
	}
	if a, err := arn.Parse(*in.owner); err == nil && isAccountID(a.Account) {
		m.owner = a.Account
		return nil
	}
	if !isAccountID(*in.owner) {
		return model.InvalidInput("Invalid resource owner: %s", *in.owner)
	}
	m.owner = *in.owner
	return nil
}

// readIdentity makes the set of the policies held and those that the request
// adds. A boundary in the request takes the place of the one held.
func (m *simulation) readIdentity(in simulationInput, held []source) error {
	var own []policy.Policy
	var boundary *policy.Policy
	for i, p := range held {
		name, kind := fmt.Sprintf("held.%d", i), kindIdentity
		if p.kind == boundarySource {
			kind = kindBoundary
		}
		compiled, err := m.add(name, p.id, kind, p.text, policy.Identity)
		if err != nil {
			compiled = policy.Policy{Name: name} // it denies, as it does when it is no simulation
		}
		if kind == kindBoundary {
			boundary = &compiled
		} else {
			own = append(own, compiled)
		}
	}
	given, err := m.readList("PolicyInputList", kindIdentity, in.policies)
	if err != nil {
		return err
	}
	m.set = policy.NewSet(append(own, given...)...)
	if len(in.boundaries) > 1 {
		return model.InvalidInput("Only one permissions boundary policy can be simulated.")
	}
	given, err = m.readList("PermissionsBoundaryPolicyInputList", kindBoundary, in.boundaries)
	if err != nil {
		return err
	}
	if len(given) > 0 {
		boundary = &given[0]
	}
	if boundary != nil {
		m.bounded, m.set = true, m.set.WithBoundary(*boundary)
	}
	return nil
}

// readOrganization puts the set under the service control policies of the
// request, level by level.
func (m *simulation) readOrganization(in simulationInput) error {
	var levels [][]policy.Policy
	for i, level := range in.organization {
		policies, err := m.readList(fmt.Sprintf("OrderedOrganizationPolicyInputList.%d", i+1), kindOrganization, level.ServiceControlPolicyInputList)
		if err != nil {
			return err
		}
		levels = append(levels, policies)
	}
	if m.organized = len(levels) > 0; m.organized {
		m.set = m.set.WithOrganization(levels...)
	}
	return nil
}

func (m *simulation) readResource(in simulationInput) error {
	if in.resourcePolicy == nil {
		m.owner = m.principal.Account // there is nothing to ask of another
		return nil
	}
	compiled, err := m.add("", "ResourcePolicy", kindResource, *in.resourcePolicy, policy.Resource)
	m.resource = compiled.Document
	return err
}

// readList compiles a list of the request.
func (m *simulation) readList(list, kind string, texts []string) (all []policy.Policy, err error) {
	for i, text := range texts {
		name := fmt.Sprintf("%s.%d", list, i+1)
		p, err := m.add(name, name, kind, text, policy.Identity)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// add compiles a policy, and notes where its statements stand.
func (m *simulation) add(name, id, kind, text string, grammar policy.Kind) (policy.Policy, error) {
	document, err := policy.Parse(text, grammar)
	if err != nil {
		return policy.Policy{}, badInput(err)
	}
	spans, err := policy.Statements(text)
	if err != nil {
		return policy.Policy{}, badInput(err)
	}
	m.sources[name] = &simulated{id, kind, spans}
	m.bytes += len(text)
	return policy.Policy{Name: name, Document: document}, nil
}

// maxSimulated bounds the work that goes into a page: to hold a text against a
// pattern can take as many steps as the product of their lengths.
const maxSimulated = 1 << 30

// simulate is a page of the results of a simulation, action by action; it ends
// early where there is much to do. A position is the number of the last result.
func (s *Service) simulate(c *call.Call, m *simulation, maxItems *int64, marker *string) (page []model.EvaluationResult, next *string, err error) {
	after, err := s.readMarker(c, marker)
	if err != nil {
		return nil, nil, err
	}
	begin := 0
	if after != "" {
		if begin, err = strconv.Atoi(after); err != nil {
			return nil, nil, err
		}
	}
	resources := m.resources
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	total := len(m.actions) * len(resources)
	end := min(begin+sizeOf(maxItems), total)
	page = []model.EvaluationResult{}
	for i, work := begin, 0; i < end; i++ {
		action, resource := m.actions[i/len(resources)], resources[i%len(resources)]
		if work += m.bytes * len(action+resource); work > maxSimulated && i > begin {
			end = i
			break
		}
		page = append(page, m.evaluate(action, resource))
	}
	if end < total {
		next = s.writeMarker(c, strconv.Itoa(end))
	}
	return page, next, nil
}

// evaluate is the result of one action on one resource.
func (m *simulation) evaluate(action, resource string) model.EvaluationResult {
	x := m.set.Explain(policy.Request{
		Principal: &m.principal, Action: action, Resource: resource, ResourceAccount: m.owner,
		Keys: func(key string) ([]string, bool) {
			values, ok := m.context[key]
			return values, ok
		},
	}, m.resource)
	r := model.EvaluationResult{
		EvalActionName: &action, EvalResourceName: &resource, EvalDecision: new(verdict(x.Decision)),
		MatchedStatements: m.matched(&x), MissingContextValues: append([]string{}, x.Missing...),
	}
	if m.organized {
		r.OrganizationsDecisionDetail = &model.OrganizationsDecisionDetail{AllowedByOrganizations: &x.Organization}
	}
	if m.bounded {
		r.PermissionsBoundaryDecisionDetail = &model.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: &x.Boundary}
	}
	if m.owner != m.principal.Account {
		r.EvalDecisionDetails = map[string]string{kindIdentity: verdict(x.Identity), kindResource: verdict(x.Resource)}
	}
	if len(m.resources) > 0 {
		r.ResourceSpecificResults = []model.ResourceSpecificResult{{
			EvalResourceName: &resource, EvalResourceDecision: r.EvalDecision, MatchedStatements: r.MatchedStatements,
			MissingContextValues: r.MissingContextValues, EvalDecisionDetails: r.EvalDecisionDetails,
			PermissionsBoundaryDecisionDetail: r.PermissionsBoundaryDecisionDetail,
		}}
	}
	return r
}

func verdict(d policy.Decision) string {
	switch {
	case d.Allowed:
		return "allowed"
	case d.Explicit:
		return "explicitDeny"
	}
	return "implicitDeny"
}

// matched are the statements that decided: those that deny, if there are some,
// or else those of the identity's and the resource's policies that allow; none,
// if nothing allowed.
func (m *simulation) matched(x *policy.Explanation) []model.Statement {
	all := []model.Statement{}
	if !x.Allowed && !x.Explicit {
		return all
	}
	for _, match := range x.Matched {
		source := m.sources[match.By]
		limits := match.Type == policy.BoundaryPolicy || match.Type == policy.OrganizationPolicy
		if source == nil || match.Deny != x.Explicit || !match.Deny && limits {
			continue
		}
		span := source.spans[match.Index]
		all = append(all, model.Statement{
			SourcePolicyId: &source.id, SourcePolicyType: &source.kind, StartPosition: position(span.Start), EndPosition: position(span.End),
		})
	}
	return all
}

func position(p policy.Place) *model.Position {
	return &model.Position{Line: new(int64(p.Line)), Column: new(int64(p.Column))}
}

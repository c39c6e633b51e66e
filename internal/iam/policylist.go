package iam

import (
	"cmp"
	"context"
	"slices"
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// sortByName sorts by a key, by bytes.
func sortByName[T any](all []T, key func(T) string) {
	slices.SortFunc(all, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

// ListPolicies lists AWS's own managed policies and the account's, in the order
// of their names.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html
func (s *Service) ListPolicies(ctx context.Context, c *call.Call, in *model.ListPoliciesInput) (*model.ListPoliciesOutput, error) {
	prefix := cmp.Or(deref(in.PathPrefix), "/")
	target := call.Target{ARN: arnOf(c.Principal.Account, "policy", prefix, ""), Named: "policy path " + prefix, Keys: conditionKeys(c, nil, "")}
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	after, err := s.readMarker(c, in.Marker)
	if err != nil {
		return nil, err
	}
	l := policyListing{
		account: c.Principal.Account, scope: deref(in.Scope), after: after, size: sizeOf(in.MaxItems),
		filter: policyFilter{pathPrefix: prefix, purpose: purposeOf(in.PolicyUsageFilter), attached: in.OnlyAttached != nil && *in.OnlyAttached},
	}
	var found []*managed
	var used map[string]usage
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		found, used, err = l.read(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	page, next := cut(s, c, found, l.size, (*managed).sortKey)
	out := &model.ListPoliciesOutput{Policies: []model.Policy{}, IsTruncated: new(next != nil), Marker: next}
	for _, p := range page {
		out.Policies = append(out.Policies, p.model(used[p.arn()]))
	}
	return out, nil
}

// purposeOf is what a PolicyUsageFilter asks for, "" for anything.
func purposeOf(filter *string) string {
	return map[string]string{"PermissionsPolicy": forPermissions, "PermissionsBoundary": forBoundary}[deref(filter)]
}

// sortKey is the place of a policy in lists: two of one name are told apart.
func (p *managed) sortKey() string { return fold(p.name) + " " + p.account }

// A policyListing is what ListPolicies is to show.
type policyListing struct {
	account, scope, after string
	size                  int
	filter                policyFilter
}

// read reads a page and one more, with what each is attached to.
func (l policyListing) read(tx *store.Tx) (found []*managed, used map[string]usage, err error) {
	if l.scope != "AWS" {
		// The name in the position is read again: AWS's own of that name comes
		// after the account's or before.
		from, _, _ := strings.Cut(l.after, " ")
		if found, err = selectPolicies(tx, l.account, l.filter, from, l.size+2); err != nil {
			return nil, nil, err
		}
	}
	if l.scope != "Local" {
		found = append(found, awsPolicies()...)
	}
	arns := make([]string, len(found))
	for i, p := range found {
		arns[i] = p.arn()
	}
	if len(arns) > 0 {
		if used, err = selectUsage(tx, l.account, arns); err != nil {
			return nil, nil, err
		}
	}
	found = slices.DeleteFunc(found, func(p *managed) bool { return p.sortKey() <= l.after || !l.filter.passes(p, used[p.arn()]) })
	sortByName(found, (*managed).sortKey)
	return found[:min(len(found), l.size+1)], used, nil
}

// passes says whether a list with the filter shows a policy.
func (f policyFilter) passes(p *managed, u usage) bool {
	switch {
	case !strings.HasPrefix(p.path, f.pathPrefix):
		return false
	case f.purpose == forPermissions:
		return u.permissions > 0
	case f.purpose == forBoundary:
		return u.boundaries > 0
	case f.attached:
		return u.permissions+u.boundaries > 0
	}
	return true
}

// ListEntitiesForPolicy lists the groups, users and roles that a managed policy
// is attached to. A page may be short, or empty, and yet not the last.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html
func (s *Service) ListEntitiesForPolicy(ctx context.Context, c *call.Call, in *model.ListEntitiesForPolicyInput) (*model.ListEntitiesForPolicyOutput, error) {
	after, err := s.readMarker(c, in.Marker)
	if err != nil {
		return nil, err
	}
	size := sizeOf(in.MaxItems)
	var held []attachment
	var entities []*entity
	err = s.lookPolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, _ *managed) (err error) {
		// One identity may hold a policy for both purposes.
		held, err = selectHolders(tx, c.Principal.Account, *in.PolicyArn, purposeOf(in.PolicyUsageFilter), after, 2*(size+1))
		if err != nil {
			return err
		}
		held = slices.CompactFunc(held, func(a, b attachment) bool { return a.identityID == b.identityID })
		entities, err = entitiesOf(tx, held[:min(size, len(held))])
		return err
	})
	if err != nil {
		return nil, err
	}
	_, next := cut(s, c, held, size, func(a attachment) string { return a.identityID })
	out := &model.ListEntitiesForPolicyOutput{
		PolicyGroups: []model.PolicyGroup{}, PolicyUsers: []model.PolicyUser{}, PolicyRoles: []model.PolicyRole{},
		IsTruncated: new(next != nil), Marker: next,
	}
	for _, e := range entities {
		if strings.HasPrefix(e.path, deref(in.PathPrefix)) && (in.EntityFilter == nil || *in.EntityFilter == e.kind.title) {
			e.addTo(out)
		}
	}
	return out, nil
}

// entitiesOf reads what some attachments are on, in the order of ids.
func entitiesOf(tx *store.Tx, held []attachment) ([]*entity, error) {
	ids := map[*kind][]string{}
	for _, a := range held {
		if k := kindOf(a.identityID); k != nil {
			ids[k] = append(ids[k], a.identityID)
		}
	}
	var all []*entity
	for _, k := range kinds {
		if len(ids[k]) == 0 {
			continue
		}
		some, err := selectEntitiesByID(tx, k, ids[k])
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (e *entity) addTo(out *model.ListEntitiesForPolicyOutput) {
	switch e.kind {
	case groupKind:
		out.PolicyGroups = append(out.PolicyGroups, model.PolicyGroup{GroupName: &e.name, GroupId: &e.id})
	case userKind:
		out.PolicyUsers = append(out.PolicyUsers, model.PolicyUser{UserName: &e.name, UserId: &e.id})
	case roleKind:
		out.PolicyRoles = append(out.PolicyRoles, model.PolicyRole{RoleName: &e.name, RoleId: &e.id})
	}
}

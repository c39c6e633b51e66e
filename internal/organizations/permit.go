package organizations

import (
	"context"
	"errors"
	"strings"

	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// A want is something that a call names: an account, a policy or the root. The
// caller is told missing if it does not exist, once they may know.
type want struct {
	id      string
	missing error
}

// A resource is what a want turned out to be: one of the three, or none.
type resource struct {
	account *account
	policy  *scp
	root    bool
}

// A body does the work of an operation on what its wants are, in their order.
// All of it exists, and the caller may have it. It may run twice.
type body func(tx *store.Tx, org *organization, found []resource) error

// look decides whether the call may have what it names, or make its call
// without naming anything, and then reads on in the same snapshot.
func (s *Service) look(ctx context.Context, c *call.Call, wants []want, read body) error {
	return s.db.View(ctx, func(tx *store.Tx) error { return s.permitted(tx, c, "", wants, read) })
}

// change is look in a transaction that may change things. The organization's
// row is locked, so changes come one after the other.
func (s *Service) change(ctx context.Context, c *call.Call, wants []want, fn body) error {
	return s.db.Update(ctx, func(tx *store.Tx) error { return s.permitted(tx, c, tx.ForUpdate(), wants, fn) })
}

// permitted decides, and then does the work. Only the management account has
// anything to ask: AWS tells the others so whatever their policies say.
func (s *Service) permitted(tx *store.Tx, c *call.Call, lock string, wants []want, work body) error {
	org, err := selectOrganization(tx, s.management, lock)
	if err != nil {
		return err
	}
	if c.Principal.Account != org.management {
		c.Resource = "*"
		return model.AccessDenied("You don't have permissions to access this resource.")
	}
	if len(wants) == 0 {
		if err := c.Allow(everything(c)); err != nil {
			return err
		}
	}
	found := make([]resource, len(wants))
	var missing error
	for i, w := range wants {
		if found[i], err = find(tx, &org, w.id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil && missing == nil {
			missing = w.missing
		}
		if err := c.Allow(found[i].target(c, &org, w.id)); err != nil {
			return err
		}
	}
	if missing != nil {
		return missing
	}
	return work(tx, &org, found)
}

func find(tx *store.Tx, org *organization, id string) (resource, error) {
	switch {
	case id == org.root:
		return resource{root: true}, nil
	case strings.HasPrefix(id, "p-"):
		p, err := selectPolicy(tx, id)
		return resource{policy: &p}, err
	}
	a, err := selectAccount(tx, id)
	return resource{account: &a}, err
}

// everything is the target of calls that name nothing.
func everything(c *call.Call) call.Target {
	return call.Target{ARN: "*", Keys: conditionKeys(c, nil)}
}

// target is the resource as policies see it, or as they would if it existed.
func (r resource) target(c *call.Call, org *organization, id string) call.Target {
	t := call.Target{ARN: arnOf(org, id), Account: org.management}
	var held tags
	switch {
	case r.root:
		held = org.tags
	case r.policy != nil:
		held = r.policy.tags
	case r.account != nil:
		held = r.account.tags
	}
	t.Keys = conditionKeys(c, held)
	return t
}

func arnOf(org *organization, id string) string {
	switch {
	case id == fullAccessID:
		return fullAccess.arn(org)
	case strings.HasPrefix(id, "p-"):
		return org.arn("policy", "service_control_policy/"+id)
	case strings.HasPrefix(id, "r-"):
		return org.arn("root", id)
	case strings.HasPrefix(id, "ou-"):
		return org.arn("ou", id)
	}
	return org.arn("account", id)
}

// conditionKeys are the condition keys of Organizations for a call on a
// resource with tags.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
func conditionKeys(c *call.Call, held tags) policy.Keys {
	return func(key string) ([]string, bool) {
		switch key {
		case "organizations:policytype":
			return c.ValueIfAny(policyType(c.Input))
		case "aws:tagkeys":
			return requestTagKeys(c.Input)
		}
		if name, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
			return requestTag(c.Input, name)
		}
		if name, ok := strings.CutPrefix(key, "aws:resourcetag/"); ok {
			for _, t := range held {
				if strings.EqualFold(t.Key, name) {
					return c.Value(t.Value)
				}
			}
		}
		return nil, false
	}
}

// policyType is the type of policy that a request is about, "" if it is about
// none.
func policyType(in any) string {
	switch in := in.(type) {
	case *model.CreatePolicyInput:
		return *in.Type
	case *model.EnablePolicyTypeInput:
		return *in.PolicyType
	case *model.DisablePolicyTypeInput:
		return *in.PolicyType
	case *model.ListPoliciesInput:
		return *in.Filter
	case *model.ListPoliciesForTargetInput:
		return *in.Filter
	case *model.AttachPolicyInput, *model.DetachPolicyInput, *model.DescribePolicyInput, *model.DeletePolicyInput,
		*model.UpdatePolicyInput, *model.ListTargetsForPolicyInput:
		return serviceControl
	}
	return ""
}

func requestTags(in any) []model.Tag {
	switch in := in.(type) {
	case *model.CreateAccountInput:
		return in.Tags
	case *model.CreatePolicyInput:
		return in.Tags
	case *model.TagResourceInput:
		return in.Tags
	}
	return nil
}

// requestTag is the values of a request's tags that a condition key names: of
// several that differ in letter case alone none hides another.
func requestTag(in any, name string) (values []string, present bool) {
	for _, t := range requestTags(in) {
		if strings.EqualFold(*t.Key, name) {
			values = append(values, *t.Value)
		}
	}
	return values, len(values) > 0
}

func requestTagKeys(in any) ([]string, bool) {
	var keys []string
	if in, ok := in.(*model.UntagResourceInput); ok {
		keys = in.TagKeys
	}
	for _, t := range requestTags(in) {
		keys = append(keys, *t.Key)
	}
	return keys, len(keys) > 0
}

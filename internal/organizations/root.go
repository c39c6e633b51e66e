package organizations

import (
	"context"

	"azekura/internal/api"
	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/store"
)

// model is the organization as answers show it. Service control policies are
// available whether or not they are enabled.
func (o *organization) model(management *account) *model.Organization {
	shown := &model.Organization{
		Id: &o.id, Arn: new("arn:aws:organizations::" + o.management + ":organization/" + o.id), FeatureSet: new("ALL"),
		MasterAccountId: &o.management, MasterAccountArn: new(o.arn("account", o.management)),
		AvailablePolicyTypes: enabledTypes(),
	}
	if management.email != "" {
		shown.MasterAccountEmail = new(api.Sensitive(management.email))
	}
	return shown
}

func enabledTypes() []model.PolicyTypeSummary {
	return []model.PolicyTypeSummary{{Type: new(serviceControl), Status: new("ENABLED")}}
}

const rootName = "Root"

func (o *organization) rootModel() *model.Root {
	shown := &model.Root{Id: &o.root, Arn: new(o.arn("root", o.root)), Name: new(rootName), PolicyTypes: []model.PolicyTypeSummary{}}
	if o.guarded {
		shown.PolicyTypes = enabledTypes()
	}
	return shown
}

// CreateOrganization finds that there is one: a deployment is an organization
// from the start.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganization.html
func (s *Service) CreateOrganization(_ context.Context, c *call.Call, _ *model.CreateOrganizationInput) (*model.CreateOrganizationOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	return nil, model.AlreadyInOrganization("The AWS account is already a member of an organization.")
}

// DescribeOrganization tells any account of the organization about it.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeOrganization.html
func (s *Service) DescribeOrganization(ctx context.Context, c *call.Call, _ *model.DescribeOrganizationInput) (*model.DescribeOrganizationOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	out := new(model.DescribeOrganizationOutput)
	err := s.db.View(ctx, func(tx *store.Tx) error {
		org, err := selectOrganization(tx, s.management, "")
		if err != nil {
			return err
		}
		management, err := selectAccount(tx, org.management)
		out.Organization = org.model(&management)
		return err
	})
	return out, err
}

// ListRoots lists the root, of which there is one.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListRoots.html
func (s *Service) ListRoots(ctx context.Context, c *call.Call, in *model.ListRootsInput) (*model.ListRootsOutput, error) {
	if in.NextToken != nil {
		return nil, errToken()
	}
	out := new(model.ListRootsOutput)
	err := s.look(ctx, c, nil, func(_ *store.Tx, org *organization, _ []resource) error {
		out.Roots = []model.Root{*org.rootModel()}
		return nil
	})
	return out, err
}

// ListParents lists what an account is directly under: the root.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListParents.html
func (s *Service) ListParents(ctx context.Context, c *call.Call, in *model.ListParentsInput) (*model.ListParentsOutput, error) {
	if in.NextToken != nil {
		return nil, errToken()
	}
	out := new(model.ListParentsOutput)
	err := s.look(ctx, c, []want{{*in.ChildId, errChild()}}, func(_ *store.Tx, org *organization, found []resource) error {
		if found[0].account == nil {
			return errChild()
		}
		out.Parents = []model.Parent{{Id: &org.root, Type: new("ROOT")}}
		return nil
	})
	return out, err
}

func errChild() error { return model.ChildNotFound("You specified a child that doesn't exist.") }

// ListChildren lists what is directly under the root: the accounts, and no
// organizational units, as there are none.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListChildren.html
func (s *Service) ListChildren(ctx context.Context, c *call.Call, in *model.ListChildrenInput) (*model.ListChildrenOutput, error) {
	p, err := s.page(c, in.NextToken, in.MaxResults, *in.ChildType)
	if err != nil {
		return nil, err
	}
	out := &model.ListChildrenOutput{Children: []model.Child{}}
	err = s.look(ctx, c, []want{{*in.ParentId, errParent()}}, func(tx *store.Tx, _ *organization, found []resource) error {
		if !found[0].root {
			return errParent()
		}
		if *in.ChildType != typeAccount {
			return nil
		}
		all, err := selectAccounts(tx, p.after, p.size+1)
		if err != nil {
			return err
		}
		all, out.NextToken = cut(p, all, (*account).key)
		out.Children = out.Children[:0]
		for i := range all {
			out.Children = append(out.Children, model.Child{Id: &all[i].id, Type: new(typeAccount)})
		}
		return nil
	})
	return out, err
}

// ListAWSServiceAccessForOrganization lists the services that have trusted
// access to all accounts: none, as none is given any. Terraform asks for them
// when it reads an organization.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAWSServiceAccessForOrganization.html
func (s *Service) ListAWSServiceAccessForOrganization(ctx context.Context, c *call.Call, in *model.ListAWSServiceAccessForOrganizationInput) (*model.ListAWSServiceAccessForOrganizationOutput, error) {
	if in.NextToken != nil {
		return nil, errToken()
	}
	err := s.look(ctx, c, nil, func(*store.Tx, *organization, []resource) error { return nil })
	return &model.ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: []model.EnabledServicePrincipal{}}, err
}

// ListOrganizationalUnitsForParent lists the organizational units under the
// root: none, as there is no way to make one.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListOrganizationalUnitsForParent.html
func (s *Service) ListOrganizationalUnitsForParent(ctx context.Context, c *call.Call, in *model.ListOrganizationalUnitsForParentInput) (*model.ListOrganizationalUnitsForParentOutput, error) {
	if in.NextToken != nil {
		return nil, errToken()
	}
	out := &model.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: []model.OrganizationalUnit{}}
	err := s.look(ctx, c, []want{{*in.ParentId, errParent()}}, func(_ *store.Tx, _ *organization, found []resource) error {
		if !found[0].root {
			return errParent()
		}
		return nil
	})
	return out, err
}

// EnablePolicyType puts all accounts under service control policies, at first
// the one that allows everything.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_EnablePolicyType.html
func (s *Service) EnablePolicyType(ctx context.Context, c *call.Call, in *model.EnablePolicyTypeInput) (*model.EnablePolicyTypeOutput, error) {
	root, err := s.guard(ctx, c, *in.RootId, *in.PolicyType, func(tx *store.Tx, org *organization) error {
		if org.guarded {
			return model.PolicyTypeAlreadyEnabled("The specified policy type is already enabled.")
		}
		org.guarded = true
		return attachEverywhere(tx, org.root, fullAccessID)
	})
	return &model.EnablePolicyTypeOutput{Root: root}, err
}

// DisablePolicyType frees all accounts of service control policies, and
// detaches every one.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_DisablePolicyType.html
func (s *Service) DisablePolicyType(ctx context.Context, c *call.Call, in *model.DisablePolicyTypeInput) (*model.DisablePolicyTypeOutput, error) {
	root, err := s.guard(ctx, c, *in.RootId, *in.PolicyType, func(tx *store.Tx, org *organization) error {
		if !org.guarded {
			return errNotEnabled()
		}
		org.guarded = false
		return detachAll(tx)
	})
	return &model.DisablePolicyTypeOutput{Root: root}, err
}

// guard changes whether service control policies are enabled, which bears on
// every account.
func (s *Service) guard(ctx context.Context, c *call.Call, rootID, policyType string, flip func(*store.Tx, *organization) error) (root *model.Root, err error) {
	err = s.change(ctx, c, []want{{rootID, errRoot()}}, func(tx *store.Tx, org *organization, _ []resource) error {
		if policyType != serviceControl {
			return errPolicyType()
		}
		if err := flip(tx, org); err != nil {
			return err
		}
		root = org.rootModel()
		if err := updateOrganization(tx, org); err != nil {
			return err
		}
		return s.touchAll(tx)
	})
	return root, err
}

func errRoot() error { return model.RootNotFound("You specified a root that doesn't exist.") }

func errPolicyType() error {
	return model.PolicyTypeNotAvailableForOrganization("You can't use the specified policy type with the feature set currently enabled for this organization.")
}

func errNotEnabled() error {
	return model.PolicyTypeNotEnabled("The specified policy type isn't currently enabled in this root.")
}

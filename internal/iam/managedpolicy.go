package iam

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// AWS's quotas of managed policies.
const (
	maxPolicies   = 1500 // in an account
	maxVersions   = 5    // of a policy
	maxPolicySize = 6144 // characters of a version, white space aside
)

// lookPolicy finds the managed policy that an ARN means, decides whether the
// call may, and then reads on in the same snapshot. read may run twice.
func (s *Service) lookPolicy(ctx context.Context, c *call.Call, policyARN string, read func(*store.Tx, *managed) error) error {
	if err := checkPolicyARN(policyARN); err != nil {
		return err
	}
	return s.db.View(ctx, func(tx *store.Tx) error {
		p, err := permittedPolicy(tx, c, policyTarget(policyARN), "")
		if err != nil {
			return err
		}
		return read(tx, p)
	})
}

// changePolicy finds the managed policy of the caller's account that an ARN
// means, decides whether the call may, runs fn on it, and writes it back, in
// one transaction. fn may run twice.
func (s *Service) changePolicy(ctx context.Context, c *call.Call, policyARN string, fn func(*store.Tx, *managed) error) error {
	if err := checkPolicyARN(policyARN); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		target := policyTarget(policyARN)
		target.MustAllow = awsManaged(policyARN) != nil // AWS lets nobody change its own
		p, err := permittedPolicy(tx, c, target, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := fn(tx, p); err != nil {
			return err
		}
		s.policies.Changed(tx, policyARN)
		return updatePolicy(tx, p)
	})
}

func policyTarget(policyARN string) call.Target {
	return call.Target{ARN: policyARN, Named: "policy " + policyARN}
}

// permittedPolicy decides whether the call may have the managed policy that is
// the target, and returns it. Whoever may not is not told whether it exists.
func permittedPolicy(tx *store.Tx, c *call.Call, target call.Target, lock string) (*managed, error) {
	p, err := findPolicy(tx, target.ARN, lock)
	if own := awsManaged(target.ARN); own != nil {
		p, err = own, nil
	}
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return nil, err
	}
	target.Keys = conditionKeys(c, p.tags, "")
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if missing {
		return nil, noPolicy(target.ARN)
	}
	return p, nil
}

func noPolicy(policyARN string) error {
	return model.NoSuchEntity("Policy %s was not found.", policyARN)
}

// CreatePolicy makes a managed policy.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
func (s *Service) CreatePolicy(ctx context.Context, c *call.Call, in *model.CreatePolicyInput) (*model.CreatePolicyOutput, error) {
	now := api.At(c.Time)
	p := &managed{
		id: newID("ANPA"), account: c.Principal.Account, path: cmp.Or(deref(in.Path), "/"), name: *in.PolicyName,
		description: deref(in.Description), version: 1, newest: 1, created: now, updated: now,
	}
	target := call.Target{ARN: p.arn(), Named: "policy " + p.name, Keys: conditionKeys(c, nil, "")}
	if err := c.Allow(target); err != nil {
		return nil, err
	}
	if len(in.Tags) > 0 {
		if err := c.AllowAction("iam:TagPolicy", target); err != nil {
			return nil, err
		}
	}
	var err error
	if p.tags, err = tagsOf(in.Tags); err != nil {
		return nil, err
	}
	if err := checkVersion(*in.PolicyDocument); err != nil {
		return nil, err
	}
	if err := s.insertPolicy(ctx, p, *in.PolicyDocument); err != nil {
		return nil, err
	}
	out := p.model(usage{})
	out.Tags = p.tags.model()
	return &model.CreatePolicyOutput{Policy: &out}, nil
}

func (s *Service) insertPolicy(ctx context.Context, p *managed, document string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		n, err := countPolicies(tx, p.account, maxPolicies)
		if err != nil {
			return err
		}
		if n >= maxPolicies {
			return exceeds("PoliciesPerAccount", maxPolicies)
		}
		added, err := insertPolicy(tx, p)
		if err != nil {
			return err
		}
		if !added {
			return model.EntityAlreadyExists("A policy called %s already exists. Duplicate names are not allowed.", p.name)
		}
		s.policies.Changed(tx, p.arn())
		return insertVersion(tx, p.id, version{1, document, p.created})
	})
}

// checkVersion refuses what cannot be a version of a managed policy.
func checkVersion(document string) error {
	if _, err := parse(document, policy.Identity); err != nil {
		return err
	}
	if written(document) > maxPolicySize {
		return exceeds("PolicySize", maxPolicySize)
	}
	return nil
}

// model is a policy as lists show it.
func (p *managed) model(u usage) model.Policy {
	return model.Policy{
		PolicyName: &p.name, PolicyId: &p.id, Arn: new(p.arn()), Path: &p.path, DefaultVersionId: new(versionID(p.version)),
		AttachmentCount: &u.permissions, PermissionsBoundaryUsageCount: &u.boundaries, IsAttachable: new(true),
		CreateDate: &p.created, UpdateDate: &p.updated,
	}
}

func versionID(number int64) string { return "v" + strconv.FormatInt(number, 10) }

// versionNumber is the number in a version's id, 0 if there is none.
func versionNumber(id string) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(id, "v"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// GetPolicy shows a managed policy, without its document.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicy.html
func (s *Service) GetPolicy(ctx context.Context, c *call.Call, in *model.GetPolicyInput) (*model.GetPolicyOutput, error) {
	var out model.Policy
	err := s.lookPolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		used, err := selectUsage(tx, c.Principal.Account, []string{*in.PolicyArn})
		out = p.model(used[*in.PolicyArn])
		out.Tags = p.tags.model()
		if p.description != "" {
			out.Description = &p.description
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.GetPolicyOutput{Policy: &out}, nil
}

// DeletePolicy deletes a managed policy that is attached to nothing and has no
// version but the default.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
func (s *Service) DeletePolicy(ctx context.Context, c *call.Call, in *model.DeletePolicyInput) (*model.DeletePolicyOutput, error) {
	return nil, s.changePolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		held, err := selectHolders(tx, p.account, *in.PolicyArn, "", "", 1)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return model.DeleteConflict("Cannot delete a policy attached to entities.")
		}
		versions, err := selectVersions(tx, p.id)
		if err != nil {
			return err
		}
		if len(versions) > 1 {
			return model.DeleteConflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		return deletePolicy(tx, p.id)
	})
}

// CreatePolicyVersion adds a version to a managed policy, which may become the
// default.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html
func (s *Service) CreatePolicyVersion(ctx context.Context, c *call.Call, in *model.CreatePolicyVersionInput) (*model.CreatePolicyVersionOutput, error) {
	v := version{document: *in.PolicyDocument, created: api.At(c.Time)}
	isDefault := in.SetAsDefault != nil && *in.SetAsDefault
	err := s.changePolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		if err := checkVersion(v.document); err != nil {
			return err
		}
		held, err := selectVersions(tx, p.id)
		if err != nil {
			return err
		}
		if len(held) >= maxVersions {
			return model.LimitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		p.newest++
		v.number = p.newest
		if err := insertVersion(tx, p.id, v); err != nil {
			return err
		}
		if isDefault {
			return s.setDefault(tx, p, v.number, v.created)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &model.CreatePolicyVersionOutput{PolicyVersion: &model.PolicyVersion{
		VersionId: new(versionID(v.number)), IsDefaultVersion: &isDefault, CreateDate: &v.created,
	}}, nil
}

// setDefault makes a version the default of a policy, whose row is locked, and
// tells of all whom that bears on.
func (s *Service) setDefault(tx *store.Tx, p *managed, number int64, now api.Timestamp) error {
	p.version, p.updated = number, now
	ids, err := lockUnderPolicy(tx, p.account, p.arn())
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.identities.Changed(tx, id)
	}
	return bumpUnderPolicy(tx, p.account, p.arn())
}

// SetDefaultPolicyVersion makes a version the one that counts.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, c *call.Call, in *model.SetDefaultPolicyVersionInput) (*model.SetDefaultPolicyVersionOutput, error) {
	return nil, s.changePolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		v, err := p.find(tx, *in.VersionId)
		if err != nil {
			return err
		}
		return s.setDefault(tx, p, v.number, api.At(c.Time))
	})
}

// find is the version of a policy that an id means.
func (p *managed) find(tx *store.Tx, id string) (version, error) {
	number := versionNumber(id)
	if p.account == awsAccount && number == p.version {
		return version{number, p.text, p.created}, nil
	}
	v, err := selectVersion(tx, p.id, number)
	if errors.Is(err, store.ErrNotFound) {
		err = model.NoSuchEntity("Policy %s version %s does not exist or is not attachable.", p.arn(), id)
	}
	return v, err
}

// DeletePolicyVersion deletes a version that is not the default.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicyVersion.html
func (s *Service) DeletePolicyVersion(ctx context.Context, c *call.Call, in *model.DeletePolicyVersionInput) (*model.DeletePolicyVersionOutput, error) {
	return nil, s.changePolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		v, err := p.find(tx, *in.VersionId)
		if err != nil {
			return err
		}
		if v.number == p.version {
			return model.DeleteConflict("Cannot delete the default version of a policy.")
		}
		return deleteVersion(tx, p.id, v.number)
	})
}

// GetPolicyVersion shows a version with its document.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html
func (s *Service) GetPolicyVersion(ctx context.Context, c *call.Call, in *model.GetPolicyVersionInput) (*model.GetPolicyVersionOutput, error) {
	var out model.PolicyVersion
	err := s.lookPolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		v, err := p.find(tx, *in.VersionId)
		out = v.model(p)
		out.Document = encoded(v.document)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.GetPolicyVersionOutput{PolicyVersion: &out}, nil
}

// model is a version of p as lists show it.
func (v version) model(p *managed) model.PolicyVersion {
	return model.PolicyVersion{VersionId: new(versionID(v.number)), IsDefaultVersion: new(v.number == p.version), CreateDate: &v.created}
}

// ListPolicyVersions lists the versions of a managed policy, the newest first.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyVersions.html
func (s *Service) ListPolicyVersions(ctx context.Context, c *call.Call, in *model.ListPolicyVersionsInput) (*model.ListPolicyVersionsOutput, error) {
	var all []model.PolicyVersion
	err := s.lookPolicy(ctx, c, *in.PolicyArn, func(tx *store.Tx, p *managed) error {
		held, err := p.versions(tx)
		all = nil
		for _, v := range held {
			all = append(all, v.model(p))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	// Keys of pages ascend, numbers here descend.
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, all, func(v model.PolicyVersion) string {
		return strconv.FormatInt(1<<62-versionNumber(*v.VersionId), 10)
	})
	if err != nil {
		return nil, err
	}
	return &model.ListPolicyVersionsOutput{Versions: page, IsTruncated: new(next != nil), Marker: next}, nil
}

// versions are all versions of a policy, the newest first.
func (p *managed) versions(tx *store.Tx) ([]version, error) {
	if p.account == awsAccount {
		return []version{{p.version, p.text, p.created}}, nil
	}
	return selectVersions(tx, p.id)
}

// TagPolicy sets tags of a managed policy.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagPolicy.html
func (s *Service) TagPolicy(ctx context.Context, c *call.Call, in *model.TagPolicyInput) (*model.TagPolicyOutput, error) {
	return nil, s.changePolicy(ctx, c, *in.PolicyArn, func(_ *store.Tx, p *managed) error {
		set, err := tagsOf(in.Tags)
		if err != nil {
			return err
		}
		p.tags, err = p.tags.with(set)
		return err
	})
}

// UntagPolicy removes tags of a managed policy by their keys.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagPolicy.html
func (s *Service) UntagPolicy(ctx context.Context, c *call.Call, in *model.UntagPolicyInput) (*model.UntagPolicyOutput, error) {
	return nil, s.changePolicy(ctx, c, *in.PolicyArn, func(_ *store.Tx, p *managed) error {
		p.tags = p.tags.without(in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists the tags of a managed policy.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyTags.html
func (s *Service) ListPolicyTags(ctx context.Context, c *call.Call, in *model.ListPolicyTagsInput) (*model.ListPolicyTagsOutput, error) {
	var held tags
	err := s.lookPolicy(ctx, c, *in.PolicyArn, func(_ *store.Tx, p *managed) error {
		held = p.tags
		return nil
	})
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(s, c, in.MaxItems, in.Marker, held.sorted(), tagName)
	if err != nil {
		return nil, err
	}
	return &model.ListPolicyTagsOutput{Tags: page, IsTruncated: new(next != nil), Marker: next}, nil
}

package iam

import (
	"context"
	"slices"
	"strings"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/store"
)

// Answers of GetAccountAuthorizationDetails are bounded: once a page has that
// many bytes of documents, it ends, whatever MaxItems says. Quotas do not count
// white space, of which documents may have a hundred times their size. That
// many rows are read at a time.
const (
	maxDetailBytes = 1 << 20
	detailChunk    = 50
)

// details is a page of GetAccountAuthorizationDetails in the making.
type details struct {
	tx      *store.Tx
	account string
	out     *model.GetAccountAuthorizationDetailsOutput
	bytes   int
}

// A detailSection is one of the lists of the answer, which come one after the
// other.
type detailSection struct {
	filter string
	// add adds what follows after a key to the answer, limit items at most. It
	// returns how many it added, the key of the last, and whether there may be
	// more.
	add func(d *details, after string, limit int) (n int, last string, more bool, err error)
}

var detailSections = []detailSection{
	{"User", (*details).addUsers},
	{"Group", (*details).addGroups},
	{"Role", (*details).addRoles},
	{"LocalManagedPolicy", (*details).addPolicies},
	{"AWSManagedPolicy", (*details).addAWSPolicies},
}

// GetAccountAuthorizationDetails shows the users, groups, roles and managed
// policies of the account with all that they may do, of AWS's own policies
// those that are attached. A page may have fewer items than asked for, and yet
// not be the last.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
func (s *Service) GetAccountAuthorizationDetails(ctx context.Context, c *call.Call, in *model.GetAccountAuthorizationDetailsInput) (*model.GetAccountAuthorizationDetailsOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	after, err := s.readMarker(c, in.Marker)
	if err != nil {
		return nil, err
	}
	var d *details
	var next string
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		d = &details{tx: tx, account: c.Principal.Account, out: &model.GetAccountAuthorizationDetailsOutput{
			UserDetailList: []model.UserDetail{}, GroupDetailList: []model.GroupDetail{}, RoleDetailList: []model.RoleDetail{},
			Policies: []model.ManagedPolicyDetail{},
		}}
		next, err = d.fill(in.Filter, after, sizeOf(in.MaxItems))
		return err
	})
	if err != nil {
		return nil, err
	}
	d.out.IsTruncated = new(next != "")
	if next != "" {
		d.out.Marker = s.writeMarker(c, next)
	}
	return d.out, nil
}

// fill adds up to size items that follow after a position, and returns the
// position where the next page begins, "" if there is none. A position is the
// name of a section and the key of the last item in it.
func (d *details) fill(filter []string, position string, size int) (next string, err error) {
	begin, after, _ := strings.Cut(position, " ")
	begun := begin == ""
	for _, section := range detailSections {
		if begun = begun || section.filter == begin; !begun || len(filter) > 0 && !slices.Contains(filter, section.filter) {
			continue
		}
		for more := true; more; {
			if size == 0 || d.bytes >= maxDetailBytes {
				return section.filter + " " + after, nil
			}
			var n int
			if n, after, more, err = section.add(d, after, min(size, detailChunk)); err != nil {
				return "", err
			}
			size -= n
		}
		after = ""
	}
	return "", nil
}

// A holding is what policies an identity has.
type holding struct {
	inline   []model.PolicyDetail
	attached []model.AttachedPolicy
	boundary string
}

// holdings are the policies of entities, by their ids.
func (d *details) holdings(entities []*entity) (map[string]*holding, error) {
	held := map[string]*holding{}
	var ids []string
	for _, e := range entities {
		ids = append(ids, e.id)
		held[e.id] = &holding{inline: []model.PolicyDetail{}, attached: []model.AttachedPolicy{}}
	}
	if len(ids) == 0 {
		return held, nil
	}
	inlines, err := selectInlineOf(d.tx, ids)
	if err != nil {
		return nil, err
	}
	for _, p := range inlines {
		h := held[p.identityID]
		h.inline = append(h.inline, model.PolicyDetail{PolicyName: &p.name, PolicyDocument: encoded(p.document)})
		d.bytes += len(p.document)
	}
	attached, err := selectAttachedOf(d.tx, ids)
	arns := map[string][]string{}
	for _, a := range attached {
		if a.purpose == forBoundary {
			held[a.identityID].boundary = a.policyARN
		} else {
			arns[a.identityID] = append(arns[a.identityID], a.policyARN)
		}
	}
	for id, h := range held {
		h.attached = attachedPolicies(arns[id], "")
	}
	return held, err
}

// entities reads some of a kind, with their policies; more says that there may
// be others.
func (d *details) entities(k *kind, after string, limit int) (found []*entity, held map[string]*holding, last string, more bool, err error) {
	if found, err = selectEntities(d.tx, k, d.account, "/", after, limit); err != nil || len(found) == 0 {
		return nil, nil, "", false, err
	}
	more = len(found) == limit
	sizes, err := selectInlineSizes(d.tx, ids(found))
	if err != nil {
		return nil, nil, "", false, err
	}
	for i, room := 0, maxDetailBytes-d.bytes; i < len(found); i++ {
		if room -= sizes[found[i].id]; room < 0 && i > 0 {
			found, more = found[:i], true
		}
	}
	held, err = d.holdings(found)
	return found, held, found[len(found)-1].folded(), more, err
}

func (d *details) addUsers(after string, limit int) (int, string, bool, error) {
	users, held, last, more, err := d.entities(userKind, after, limit)
	if err != nil || len(users) == 0 {
		return 0, "", false, err
	}
	groups, err := selectGroupNames(d.tx, ids(users))
	if err != nil {
		return 0, "", false, err
	}
	for _, e := range users {
		h := held[e.id]
		u := model.UserDetail{
			Path: &e.path, UserName: &e.name, UserId: &e.id, Arn: new(e.arn()), CreateDate: &e.created,
			UserPolicyList: h.inline, GroupList: []string{}, AttachedManagedPolicies: h.attached,
			PermissionsBoundary: boundaryModel(h.boundary), Tags: e.tags.model(),
		}
		for _, m := range groups {
			if m.userID == e.id {
				u.GroupList = append(u.GroupList, m.group)
			}
		}
		d.out.UserDetailList = append(d.out.UserDetailList, u)
	}
	return len(users), last, more, nil
}

func ids(entities []*entity) (all []string) {
	for _, e := range entities {
		all = append(all, e.id)
	}
	return all
}

func (d *details) addGroups(after string, limit int) (int, string, bool, error) {
	groups, held, last, more, err := d.entities(groupKind, after, limit)
	for _, e := range groups {
		d.out.GroupDetailList = append(d.out.GroupDetailList, model.GroupDetail{
			Path: &e.path, GroupName: &e.name, GroupId: &e.id, Arn: new(e.arn()), CreateDate: &e.created,
			GroupPolicyList: held[e.id].inline, AttachedManagedPolicies: held[e.id].attached,
		})
	}
	return len(groups), last, more, err
}

func (d *details) addRoles(after string, limit int) (int, string, bool, error) {
	roles, held, last, more, err := d.entities(roleKind, after, limit)
	if err != nil {
		return 0, "", false, err
	}
	trusts, err := showAll(d.tx, trustsOf(roles))
	if err != nil {
		return 0, "", false, err
	}
	for i, e := range roles {
		h := held[e.id]
		d.bytes += len(trusts[i])
		d.out.RoleDetailList = append(d.out.RoleDetailList, model.RoleDetail{
			Path: &e.path, RoleName: &e.name, RoleId: &e.id, Arn: new(e.arn()), CreateDate: &e.created,
			AssumeRolePolicyDocument: encoded(trusts[i]), InstanceProfileList: []model.InstanceProfile{},
			RolePolicyList: h.inline, AttachedManagedPolicies: h.attached,
			PermissionsBoundary: boundaryModel(h.boundary), Tags: e.tags.model(), RoleLastUsed: e.lastUsed(),
		})
	}
	return len(roles), last, more, nil
}

func (d *details) addPolicies(after string, limit int) (int, string, bool, error) {
	from := after
	if from != "" {
		from += " " // no name begins with another and a blank
	}
	found, err := selectPolicies(d.tx, d.account, policyFilter{pathPrefix: "/"}, from, limit)
	if err != nil {
		return 0, "", false, err
	}
	return d.add(found, func(p *managed) string { return fold(p.name) }, limit)
}

func (d *details) addAWSPolicies(after string, limit int) (int, string, bool, error) {
	l := policyListing{account: d.account, scope: "AWS", after: after, size: limit - 1, filter: policyFilter{attached: true}}
	found, _, err := l.read(d.tx)
	if err != nil {
		return 0, "", false, err
	}
	return d.add(found, (*managed).sortKey, limit)
}

// add adds managed policies with their versions, until there are bytes enough.
func (d *details) add(found []*managed, key func(*managed) string, limit int) (n int, last string, more bool, err error) {
	if len(found) == 0 {
		return 0, "", false, nil
	}
	arns := make([]string, len(found))
	for i, p := range found {
		arns[i] = p.arn()
	}
	used, err := selectUsage(d.tx, d.account, arns)
	if err != nil {
		return 0, "", false, err
	}
	for i, p := range found {
		if i > 0 && d.bytes >= maxDetailBytes {
			return i, last, true, nil
		}
		shown, err := d.policy(p, used[p.arn()])
		if err != nil {
			return 0, "", false, err
		}
		d.out.Policies, last = append(d.out.Policies, shown), key(p)
	}
	return len(found), last, len(found) == limit, nil
}

// policy is a managed policy with its versions.
func (d *details) policy(p *managed, u usage) (model.ManagedPolicyDetail, error) {
	shown := model.ManagedPolicyDetail{
		PolicyName: &p.name, PolicyId: &p.id, Arn: new(p.arn()), Path: &p.path, DefaultVersionId: new(versionID(p.version)),
		AttachmentCount: &u.permissions, PermissionsBoundaryUsageCount: &u.boundaries, IsAttachable: new(true),
		CreateDate: &p.created, UpdateDate: &p.updated,
	}
	versions, err := p.versions(d.tx)
	for _, v := range versions {
		one := v.model(p)
		one.Document = encoded(v.document)
		d.bytes += len(v.document)
		shown.PolicyVersionList = append(shown.PolicyVersionList, one)
	}
	return shown, err
}

package iam

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	model "azekura/internal/api/iam"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

func TestCredential(t *testing.T) {
	s, key := bootstrapped(t)
	for name, s := range map[string]*Service{"cached": s, "loaded": again(s)} {
		c, err := s.Credential(t.Context(), nil, key.AccessKeyID)
		if err != nil {
			t.Fatal(name, err)
		}
		if c.AccessKeyID != key.AccessKeyID || c.Secret != key.Secret || !c.Active {
			t.Errorf("%s: another key, or not active", name)
		}
		i, err := s.Identity(t.Context(), nil, c.UserID)
		if err != nil {
			t.Fatal(name, err)
		}
		const admin = "arn:aws:iam::111111111111:user/admin"
		want := call.Principal{
			Principal: policy.Principal{Kind: policy.User, ARN: admin, Account: account, Entity: admin, ID: i.ID}, UserName: "admin",
		}
		p := i.Principal()
		if diff := gocmp.Diff(want, p); diff != "" {
			t.Errorf("%s: principal (-want +got):\n%s", name, diff)
		}
		if !strings.HasPrefix(i.ID, "AIDA") || len(i.ID) != 21 || i.IsRole() {
			t.Errorf("%s: user id %s", name, i.ID)
		}
		d := i.Policies.Decide(policy.Request{Principal: &p.Principal, Action: "iam:CreateUser", Resource: "*"}, nil)
		if !d.Allowed || d.By != administratorAccess {
			t.Errorf("%s: the administrator may not: %+v", name, d)
		}
	}
}

func TestUnknownAccessKeys(t *testing.T) {
	s, key := bootstrapped(t)
	for _, id := range []string{
		"", "test", strings.ToLower(key.AccessKeyID), key.AccessKeyID + " ", key.AccessKeyID[:19], "' OR ''='", strings.Repeat("A", 1<<20),
	} {
		if c, err := s.Credential(t.Context(), nil, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%.40q: %v, %v", id, c, err)
		}
	}
	for _, id := range []string{"", "AIDA", "AROA", "AGPA", "admin", "AIDAAAAAAAAAAAAAAAAAA"} {
		if i, err := s.Identity(t.Context(), nil, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%.40q: %v, %v", id, i, err)
		}
	}
}

// Neither a secret put into another key's row, nor a key given to another
// user, opens.
func TestMovedSecretsDoNotOpen(t *testing.T) {
	for name, test := range map[string]struct {
		id   string // of the key that is to be found; "" for the administrator's
		move string
	}{
		"to another key":  {"AKIAOTHER", `UPDATE iam_access_keys SET id = 'AKIAOTHER', rev = rev + 1`},
		"to another user": {"", `UPDATE iam_access_keys SET rev = rev + 1, user_id = (SELECT id FROM iam_users WHERE name = 'eve')`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			do(w, w.CreateUser, &model.CreateUserInput{UserName: new("eve")})
			id := cmp.Or(test.id, w.key.AccessKeyID)
			err := w.db.Update(t.Context(), func(tx *store.Tx) error {
				w.credentials.Changed(tx, id)
				_, err := tx.Exec(test.move)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			c, err := w.Credential(t.Context(), nil, id)
			if err == nil || errors.Is(err, store.ErrNotFound) || c != nil {
				t.Errorf("a moved secret: %v, %v", c, err)
			}
			if err != nil && strings.Contains(err.Error(), string(w.key.Secret)) {
				t.Error("the error tells the secret")
			}
		})
	}
}

func TestAPolicyThatCannotBeReadDenies(t *testing.T) {
	for name, break_ := range map[string]string{
		"a policy of AWS's that is none": `INSERT INTO iam_attached_policies VALUES ($1, 'arn:aws:iam::aws:policy/NoSuchPolicy', 'permissions', '111111111111', 0)`,
		"a policy that is gone":          `INSERT INTO iam_attached_policies VALUES ($1, 'arn:aws:iam::111111111111:policy/gone', 'permissions', '111111111111', 0)`,
		"a boundary that is gone":        `INSERT INTO iam_attached_policies VALUES ($1, 'arn:aws:iam::111111111111:policy/gone', 'boundary', '111111111111', 0)`,
		"an inline policy":               `INSERT INTO iam_inline_policies VALUES ($1, 'p', 'no policy')`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			admin := do(w, w.GetUser, &model.GetUserInput{UserName: new("admin")}).User
			if !w.may(*admin.UserId, "iam:CreateUser") {
				t.Fatal("the administrator may not")
			}
			err := w.db.Update(t.Context(), func(tx *store.Tx) error {
				w.identities.Changed(tx, *admin.UserId)
				if _, err := tx.Exec(break_, *admin.UserId); err != nil {
					return err
				}
				_, err := tx.Exec(`UPDATE iam_users SET rev = rev + 1`)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if w.may(*admin.UserId, "iam:CreateUser") {
				t.Error("allowed")
			}
		})
	}
}

// Whatever changes what an identity may, through whichever node, is obeyed by
// the next look at it through every node.
func TestChangesAreObeyedAtOnce(t *testing.T) {
	each(t, func(w *world) {
		other := w.otherNode()
		ann := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("ann")}).User
		role := w.role("r", "/")
		group := do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("g")}).Group
		allow := document(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`)
		nothing := document(`{"Effect":"Allow","Action":"sns:*","Resource":"*"}`)
		p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: &allow, Path: new("/a/")}).Policy
		do(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: &nothing})
		expect := func(what, id string, want bool) {
			w.t.Helper()
			for node, at := range map[string]*world{"this": w, "the other": other} {
				if got := at.may(id, "kms:ListKeys"); got != want {
					w.t.Errorf("%s: %s on %s node, want %t", what, id[:4], node, want)
				}
			}
		}
		user, roleName, groupName := ann.UserName, &role.name, group.GroupName
		setDefault := func(version string) {
			w.t.Helper()
			do(w, w.SetDefaultPolicyVersion, &model.SetDefaultPolicyVersionInput{PolicyArn: p.Arn, VersionId: &version})
		}
		expect("at first", *ann.UserId, false)
		expect("at first", role.id, false)

		do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: user, PolicyArn: p.Arn})
		do(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: roleName, PolicyArn: p.Arn})
		expect("attached", *ann.UserId, true)
		expect("attached", role.id, true)
		setDefault("v2")
		expect("another version", *ann.UserId, false)
		expect("another version", role.id, false)
		setDefault("v1")
		expect("the first again", *ann.UserId, true)
		do(w, w.PutRolePermissionsBoundary, &model.PutRolePermissionsBoundaryInput{RoleName: roleName, PermissionsBoundary: new("arn:aws:iam::aws:policy/IAMFullAccess")})
		expect("bounded", role.id, false)
		do(w, w.PutRolePermissionsBoundary, &model.PutRolePermissionsBoundaryInput{RoleName: roleName, PermissionsBoundary: p.Arn})
		expect("bounded by itself", role.id, true)
		setDefault("v2")
		expect("the boundary's version", role.id, false)
		setDefault("v1")
		do(w, w.DeleteRolePermissionsBoundary, &model.DeleteRolePermissionsBoundaryInput{RoleName: roleName})
		do(w, w.DetachUserPolicy, &model.DetachUserPolicyInput{UserName: user, PolicyArn: p.Arn})
		expect("detached", *ann.UserId, false)

		do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: groupName, UserName: user})
		expect("in a group without policies", *ann.UserId, false)
		do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: groupName, PolicyArn: p.Arn})
		expect("by the group's policy", *ann.UserId, true)
		setDefault("v2")
		expect("by the group's policy's version", *ann.UserId, false)
		setDefault("v1")
		do(w, w.DetachGroupPolicy, &model.DetachGroupPolicyInput{GroupName: groupName, PolicyArn: p.Arn})
		expect("detached from the group", *ann.UserId, false)
		do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: groupName, PolicyName: new("i"), PolicyDocument: &allow})
		expect("by the group's inline policy", *ann.UserId, true)
		do(w, w.RemoveUserFromGroup, &model.RemoveUserFromGroupInput{GroupName: groupName, UserName: user})
		expect("out of the group", *ann.UserId, false)
		do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: groupName, UserName: user})
		expect("in the group again", *ann.UserId, true)
		do(w, w.DeleteGroupPolicy, &model.DeleteGroupPolicyInput{GroupName: groupName, PolicyName: new("i")})
		expect("without the group's inline policy", *ann.UserId, false)

		do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: user, PolicyName: new("i"), PolicyDocument: &allow})
		expect("inline", *ann.UserId, true)
		do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: user, PolicyName: new("i"), PolicyDocument: &nothing})
		expect("inline, replaced", *ann.UserId, false)
	})
}

// otherNode is the same service on another node, where there may be one, or the
// service itself.
func (w *world) otherNode() *world {
	other := &world{Service: w.Service, t: w.t}
	if strings.HasSuffix(w.t.Name(), "/postgres") {
		other.Service = again(w.Service)
	}
	return other
}

// Whatever becomes of a user and of its keys, every node knows from the next
// call on.
func TestChangesOfUsersAreKnownAtOnce(t *testing.T) {
	each(t, func(w *world) {
		other := w.otherNode()
		ann := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("ann")}).User
		if w.may(*ann.UserId, "kms:ListKeys") || other.may(*ann.UserId, "kms:ListKeys") { // both have cached the user
			w.t.Error("a new user may do something")
		}
		user := ann.UserName
		do(w, w.TagUser, &model.TagUserInput{UserName: user, Tags: []model.Tag{{Key: new("Team"), Value: new("x")}}})
		do(w, w.UpdateUser, &model.UpdateUserInput{UserName: user, NewUserName: new("anna"), NewPath: new("/eng/")})
		for _, at := range []*world{w, other} {
			i, err := at.Identity(w.t.Context(), nil, *ann.UserId)
			if err != nil {
				w.t.Fatal(err)
			}
			if p := i.Principal(); p.ARN != "arn:aws:iam::111111111111:user/eng/anna" || p.UserName != "anna" || p.Tags["team"] != "x" {
				w.t.Errorf("renamed and tagged: %+v", p)
			}
		}

		key := do(w, w.CreateAccessKey, &model.CreateAccessKeyInput{UserName: new("anna")}).AccessKey
		active := func(want bool) {
			w.t.Helper()
			for _, at := range []*world{w, other} {
				if c, err := at.Credential(w.t.Context(), nil, *key.AccessKeyId); err != nil || c.Active != want || c.Secret != *key.SecretAccessKey {
					w.t.Errorf("the key: %v, %v; want active %t", c, err, want)
				}
			}
		}
		active(true)
		do(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{UserName: new("anna"), AccessKeyId: key.AccessKeyId, Status: new("Inactive")})
		active(false)
		do(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{UserName: new("anna"), AccessKeyId: key.AccessKeyId, Status: new("Active")})
		active(true)
		do(w, w.DeleteAccessKey, &model.DeleteAccessKeyInput{UserName: new("anna"), AccessKeyId: key.AccessKeyId})
		do(w, w.DeleteUser, &model.DeleteUserInput{UserName: new("anna")})
		for _, at := range []*world{w, other} {
			if _, err := at.Credential(w.t.Context(), nil, *key.AccessKeyId); !errors.Is(err, store.ErrNotFound) {
				w.t.Errorf("a deleted key: %v", err)
			}
			if _, err := at.Identity(w.t.Context(), nil, *ann.UserId); !errors.Is(err, store.ErrNotFound) {
				w.t.Errorf("a deleted user: %v", err)
			}
		}
	})
}

// Identities with the same policies share them, and an identity that is no
// longer cached leaves nothing behind.
func TestPoliciesAreShared(t *testing.T) {
	w := newWorld(t)
	p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(document(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`))}).Policy
	var sizes []int64
	for n := range 3 {
		r := w.role(fmt.Sprint("r", n), "/")
		do(w, w.AttachRolePolicy, &model.AttachRolePolicyInput{RoleName: &r.name, PolicyArn: p.Arn})
		i, err := w.Identity(t.Context(), nil, r.id)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, i.size())
	}
	if sizes[1] != sizes[2] || sizes[0] < sizes[1]+1024 {
		t.Errorf("they count as %v bytes: want the first to pay for the policies", sizes)
	}
	if n := w.documents.Len(); n != 2 {
		t.Errorf("%d documents are held, want a policy and a trust policy", n)
	}
}

func TestNamedIdentities(t *testing.T) {
	each(t, func(w *world) {
		r := w.role("Deploy", "/ci/")
		for name, found := range map[string]bool{"Deploy": true, "deploy": true, "Deploy2": false, "": false} {
			i, err := w.Role(w.t.Context(), nil, account, name)
			if found != (err == nil) || found && (i.ID != r.id || i.ARN != "arn:aws:iam::111111111111:role/ci/Deploy" || !i.IsRole() || i.Trust == nil) {
				w.t.Errorf("%q: %+v, %v", name, i, err)
			}
		}
		if _, err := w.Role(w.t.Context(), nil, "222222222222", "Deploy"); !errors.Is(err, store.ErrNotFound) {
			w.t.Errorf("in another account: %v", err)
		}
		if u, err := w.named(w.t.Context(), nil, userKind, account, "ADMIN"); err != nil || u.Name != "admin" {
			w.t.Errorf("%+v, %v", u, err)
		}
	})
}

func TestManagedPolicies(t *testing.T) {
	each(t, func(w *world) {
		p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("P"), Path: new("/a/b/"), PolicyDocument: new(document(`{"Effect":"Allow","Action":"kms:*","Resource":"*"}`))}).Policy
		for policyARN, found := range map[string]bool{
			*p.Arn: true, administratorAccess: true, "arn:aws:iam::aws:policy/administratoraccess": false,
			"arn:aws:iam::111111111111:policy/P": false, "arn:aws:iam::111111111111:policy/a/b/p": false,
			"arn:aws:iam::222222222222:policy/a/b/P": false, "": false, "P": false,
		} {
			m, err := w.ManagedPolicy(w.t.Context(), nil, policyARN)
			if found != (err == nil) || found && (m.Document == nil || m.Text == "" || m.ARN != policyARN) {
				w.t.Errorf("%s: %+v, %v", policyARN, m, err)
			}
		}
		node := w.otherNode()
		before, err := node.ManagedPolicy(w.t.Context(), nil, *p.Arn)
		if err != nil {
			w.t.Fatal(err)
		}
		text := document(`{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)
		do(w, w.CreatePolicyVersion, &model.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: &text, SetAsDefault: new(true)})
		if after, err := node.ManagedPolicy(w.t.Context(), nil, *p.Arn); err != nil || after.Text != text || before.Text == text {
			w.t.Errorf("after a change: %+v, %v", after, err)
		}
	})
}

func TestUsesAreNoted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := worldOver(t, db)
		c, err := w.Credential(t.Context(), nil, w.key.AccessKeyID)
		if err != nil {
			t.Fatal(err)
		}
		last := func() model.AccessKeyLastUsed {
			t.Helper()
			if err := w.writeUses(t.Context()); err != nil {
				t.Fatal(err)
			}
			return *do(w, w.GetAccessKeyLastUsed, &model.GetAccessKeyLastUsedInput{AccessKeyId: &w.key.AccessKeyID}).AccessKeyLastUsed
		}
		if got := last(); *got.ServiceName != "N/A" || *got.Region != "N/A" || got.LastUsedDate != nil {
			t.Errorf("before the first use: %+v", got)
		}
		first := w.now
		w.Used(c, "kms", "us-east-1", first)
		w.Used(c, "iam", "us-west-2", first.Add(notePause-1))
		if got := last(); *got.ServiceName != "kms" || *got.Region != "us-east-1" || !got.LastUsedDate.Time().Equal(first) {
			t.Errorf("after it: %+v", got)
		}
		w.Used(c, "iam", "us-west-2", first.Add(notePause))
		if got := last(); *got.ServiceName != "iam" || *got.Region != "us-west-2" {
			t.Errorf("a quarter of an hour later: %+v", got)
		}
		if cached, err := w.Credential(t.Context(), nil, w.key.AccessKeyID); err != nil || cached != c {
			t.Errorf("a note made the key be loaded again: %v", err)
		}
		r := w.role("r", "/")
		i, err := w.Identity(t.Context(), nil, r.id)
		if err != nil {
			t.Fatal(err)
		}
		w.RoleUsed(i, "us-west-2", first)
		if err := w.writeUses(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = w.db.View(t.Context(), func(tx *store.Tx) error {
			e, err := selectEntityByID(tx, roleKind, r.id)
			if err == nil && (!e.used.Time().Equal(first) || e.usedRegion != "us-west-2") {
				t.Errorf("the role: %v in %s", e.used, e.usedRegion)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestUsedCostsNothing(t *testing.T) {
	w := newWorld(t)
	c, err := w.Credential(t.Context(), nil, w.key.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	w.Used(c, "kms", "us-east-1", w.now)
	if n := testing.AllocsPerRun(100, func() { w.Used(c, "kms", "us-east-1", w.now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A thousand users with keys, and as many roles with five policies and a
// boundary, are all kept at once by what a server keeps by default.
func TestAThousandPrincipals(t *testing.T) {
	w := worldOver(t, storetest.Memory(t))
	const many = 1000
	var arns []string
	for n := range 5 {
		text := document(fmt.Sprintf(`{"Effect":"Allow","Action":["kms:*","secretsmanager:*"],"Resource":"arn:aws:secretsmanager:*:*:secret:%d/${aws:PrincipalTag/team}/*"}`, n))
		arns = append(arns, *do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new(fmt.Sprint("p", n)), PolicyDocument: &text}).Policy.Arn)
	}
	var keys, ids []string
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		keys, ids = nil, nil
		for n := range many {
			user := &entity{kind: userKind, id: newID("AIDA"), account: account, path: "/", name: fmt.Sprint("user-", n)}
			role := &entity{kind: roleKind, id: newID("AROA"), account: account, path: "/", name: fmt.Sprint("role-", n), maxSession: 3600,
				tags: tags{{"team", fmt.Sprint(n)}}, trust: fmt.Sprintf(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"sts:AssumeRole"}}`, user.id)}
			key := AccessKey{fmt.Sprintf("AKIA%016d", n), "secret"}
			_, err1 := insertUser(tx, user)
			_, err2 := insertRole(tx, role)
			if err := errors.Join(err1, err2, w.insertKey(tx, user, key, 1)); err != nil {
				return err
			}
			for _, arn := range arns {
				if err := insertAttached(tx, attachment{role.id, arn, forPermissions}, account, 1); err != nil {
					return err
				}
			}
			if err := insertAttached(tx, attachment{role.id, readOnly, forBoundary}, account, 1); err != nil {
				return err
			}
			keys, ids = append(keys, key.AccessKeyID), append(ids, user.id, role.id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		for _, id := range keys {
			if _, err := w.Credential(t.Context(), nil, id); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			if _, err := w.Identity(t.Context(), nil, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	look()
	look()
	keyStats, stats := w.CredentialCacheStats(), w.IdentityCacheStats()
	if keyStats.Misses != many || keyStats.Entries != many || stats.Misses != 2*many || stats.Entries != 2*many {
		t.Errorf("not all were loaded once and kept: %+v, %+v", keyStats, stats)
	}
}

// Letters that only look alike when they are made small do not make one key of
// two: such a tag would count for its principal, and no statement about the
// tags of requests would have been about it.
func TestTagsOfOtherLetters(t *testing.T) {
	w := peopled(t)
	tag := func(key, value string) *model.TagUserInput {
		return &model.TagUserInput{UserName: new("there"), Tags: []model.Tag{{Key: &key, Value: &value}}}
	}
	do(w, w.TagUser, tag("division", "red"))
	all := w.policies
	w.policies = allowing(t, `{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Effect":"Deny","Action":"iam:TagUser","Resource":"*","Condition":{"Null":{"aws:RequestTag/division":"false"}}},
		{"Effect":"Deny","Action":"iam:TagUser","Resource":"*","Condition":{"ForAnyValue:StringEqualsIgnoreCase":{"aws:TagKeys":"division"}}}`)
	do(w, w.TagUser, tag("d\u0130vision", "blue"))
	w.policies = all
	id := *do(w, w.GetUser, &model.GetUserInput{UserName: new("there")}).User.UserId
	i, err := w.Identity(t.Context(), nil, id)
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Principal().Tags["division"]; got != "red" {
		t.Errorf("aws:PrincipalTag/division is %s", got)
	}
	refuse(w, w.TagUser, tag("aw\u017f:x", "y"), "InvalidInput", "Caller is an end user and not allowed to mutate system tags.")
}

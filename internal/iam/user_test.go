package iam

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

func TestUsers(t *testing.T) {
	each(t, func(w *world) {
		made := do(w, w.CreateUser, &model.CreateUserInput{
			UserName: new("Bob"), Path: new("/eng/"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}},
			PermissionsBoundary: new("arn:aws:iam::aws:policy/PowerUserAccess"),
		}).User
		want := &model.User{
			Path: new("/eng/"), UserName: new("Bob"), UserId: made.UserId, Arn: new("arn:aws:iam::111111111111:user/eng/Bob"),
			CreateDate: new(api.At(w.now)), Tags: []model.Tag{{Key: new("k"), Value: new("v")}},
			PermissionsBoundary: &model.AttachedPermissionsBoundary{PermissionsBoundaryType: new("Policy"), PermissionsBoundaryArn: new("arn:aws:iam::aws:policy/PowerUserAccess")},
		}
		if diff := gocmp.Diff(want, made); diff != "" {
			w.t.Errorf("made (-want +got):\n%s", diff)
		}
		for _, name := range []string{"Bob", "bob", "BOB"} {
			if diff := gocmp.Diff(want, do(w, w.GetUser, &model.GetUserInput{UserName: &name}).User); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			refuse(w, w.CreateUser, &model.CreateUserInput{UserName: &name}, "EntityAlreadyExists", "User with name "+name+" already exists.")
		}
		if me := do(w, w.GetUser, &model.GetUserInput{}).User; *me.UserName != "admin" || me.Tags != nil || me.PermissionsBoundary != nil {
			w.t.Errorf("the caller is %+v", me)
		}
		refuse(w, w.GetUser, &model.GetUserInput{UserName: new("eve")}, "NoSuchEntity", "The user with name eve cannot be found.")

		do(w, w.CreateUser, &model.CreateUserInput{UserName: new("carol")})
		refuse(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("carol"), NewUserName: new("bOb")}, "EntityAlreadyExists", "User with name bOb already exists.")
		do(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("carol"), NewUserName: new("Carol"), NewPath: new("/eng/")})
		if got := do(w, w.GetUser, &model.GetUserInput{UserName: new("carol")}).User; *got.UserName != "Carol" || *got.Path != "/eng/" {
			w.t.Errorf("renamed: %+v", got)
		}
		do(w, w.UpdateUser, &model.UpdateUserInput{UserName: new("carol")})

		listed := do(w, w.ListUsers, &model.ListUsersInput{PathPrefix: new("/eng/")})
		if len(listed.Users) != 2 || *listed.Users[0].UserName != "Bob" || *listed.Users[1].UserName != "Carol" || *listed.IsTruncated || listed.Marker != nil {
			w.t.Errorf("listed: %+v", listed)
		}
		if u := listed.Users[0]; u.Tags != nil || u.PermissionsBoundary != nil || *u.UserId != *made.UserId {
			w.t.Errorf("a list shows %+v", u)
		}
		do(w, w.DeleteUser, &model.DeleteUserInput{UserName: new("bob")})
		refuse(w, w.DeleteUser, &model.DeleteUserInput{UserName: new("Bob")}, "NoSuchEntity", "The user with name Bob cannot be found.")
		if again := do(w, w.CreateUser, &model.CreateUserInput{UserName: new("Bob")}).User; *again.UserId == *made.UserId || again.PermissionsBoundary != nil {
			w.t.Errorf("made again: %+v", again)
		}
	})
}

// A caller that is no user has no name to stand in.
func TestWhoIsNoUserNamesOne(t *testing.T) {
	w := newWorld(t)
	const text = "Must specify userName when calling with non-User credentials"
	role := w.role("r", "/")
	w.caller.Principal = policy.Principal{Kind: policy.Role, ARN: "arn:aws:sts::111111111111:assumed-role/r/s", Account: account, Entity: role.arn(), ID: role.id}
	w.caller.UserName = ""
	refuse(w, w.GetUser, &model.GetUserInput{}, "ValidationError", text)
	refuse(w, w.ListAccessKeys, &model.ListAccessKeysInput{}, "ValidationError", text)
	refuse(w, w.CreateAccessKey, &model.CreateAccessKeyInput{}, "ValidationError", text)
	root := "arn:aws:iam::" + account + ":root"
	w.caller.Principal, w.policies = policy.Principal{Kind: policy.Root, ARN: root, Account: account, Entity: root}, nil
	if got := do(w, w.GetUser, &model.GetUserInput{}).User; *got.Arn != root || *got.UserId != account || got.UserName != nil || *got.CreateDate == 0 {
		t.Errorf("the root user: %+v", got)
	}
	refuse(w, w.ListAccessKeys, &model.ListAccessKeysInput{}, "ValidationError", text)
}

// A user, a group or a role goes only when nothing hangs on it any more.
func TestDeleteConflicts(t *testing.T) {
	each(t, func(w *world) {
		const policyARN = "arn:aws:iam::aws:policy/ReadOnlyAccess"
		cannot := func(first string) string { return "Cannot delete entity, must " + first + " first." }
		ann := new("ann")
		text := new(document(`{"Effect":"Allow","Action":"*","Resource":"*"}`))
		do(w, w.CreateUser, &model.CreateUserInput{UserName: ann})
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: ann})
		do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: ann, UserName: ann})
		do(w, w.AttachUserPolicy, &model.AttachUserPolicyInput{UserName: ann, PolicyArn: new(policyARN)})
		do(w, w.AttachGroupPolicy, &model.AttachGroupPolicyInput{GroupName: ann, PolicyArn: new(policyARN)})
		do(w, w.PutUserPolicy, &model.PutUserPolicyInput{UserName: ann, PolicyName: new("p"), PolicyDocument: text})
		do(w, w.PutGroupPolicy, &model.PutGroupPolicyInput{GroupName: ann, PolicyName: new("p"), PolicyDocument: text})
		key := do(w, w.CreateAccessKey, &model.CreateAccessKeyInput{UserName: ann}).AccessKey
		var id string
		sql := func(statement string) {
			w.t.Helper()
			err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(statement, id)
				return err
			})
			if err != nil {
				w.t.Fatal(err)
			}
		}
		id = *do(w, w.GetUser, &model.GetUserInput{UserName: ann}).User.UserId
		sql(`INSERT INTO iam_login_profiles (user_id, password, former, must_reset, created_at, changed_at, used_at) VALUES ($1, '', '[]', FALSE, 0, 0, 0)`)
		sql(`INSERT INTO iam_mfa_devices (serial, account, user_id, seed, step, tags, enabled_at) VALUES ('s', '111111111111', $1, '', 0, '[]', 0)`)

		deleteUser := func(first string) {
			w.t.Helper()
			refuse(w, w.DeleteUser, &model.DeleteUserInput{UserName: ann}, "DeleteConflict", cannot(first))
		}
		deleteUser("delete access keys")
		do(w, w.DeleteAccessKey, &model.DeleteAccessKeyInput{UserName: ann, AccessKeyId: key.AccessKeyId})
		deleteUser("delete login profile")
		sql(`DELETE FROM iam_login_profiles WHERE user_id = $1`)
		deleteUser("delete MFA device")
		sql(`DELETE FROM iam_mfa_devices WHERE user_id = $1`)
		deleteUser("remove users from group")
		deleteGroup := func(first string) {
			w.t.Helper()
			refuse(w, w.DeleteGroup, &model.DeleteGroupInput{GroupName: ann}, "DeleteConflict", cannot(first))
		}
		deleteGroup("remove users from group")
		do(w, w.RemoveUserFromGroup, &model.RemoveUserFromGroupInput{GroupName: ann, UserName: ann})
		deleteUser("delete policies")
		deleteGroup("delete policies")
		do(w, w.DeleteUserPolicy, &model.DeleteUserPolicyInput{UserName: ann, PolicyName: new("p")})
		do(w, w.DeleteGroupPolicy, &model.DeleteGroupPolicyInput{GroupName: ann, PolicyName: new("p")})
		deleteUser("detach all policies")
		deleteGroup("detach all policies")
		do(w, w.DetachUserPolicy, &model.DetachUserPolicyInput{UserName: ann, PolicyArn: new(policyARN)})
		do(w, w.DetachGroupPolicy, &model.DetachGroupPolicyInput{GroupName: ann, PolicyArn: new(policyARN)})
		do(w, w.DeleteUser, &model.DeleteUserInput{UserName: ann})
		do(w, w.DeleteGroup, &model.DeleteGroupInput{GroupName: ann})
	})
}

func TestAccessKeys(t *testing.T) {
	each(t, func(w *world) {
		ann, eve := new("ann"), new("eve")
		do(w, w.CreateUser, &model.CreateUserInput{UserName: ann})
		do(w, w.CreateUser, &model.CreateUserInput{UserName: eve})
		if keys := do(w, w.ListAccessKeys, &model.ListAccessKeysInput{UserName: ann}); len(keys.AccessKeyMetadata) != 0 || *keys.IsTruncated {
			w.t.Errorf("at first: %+v", keys)
		}
		first := do(w, w.CreateAccessKey, &model.CreateAccessKeyInput{UserName: ann}).AccessKey
		if of, _ := AccountOf(*first.AccessKeyId); of != account || len(*first.SecretAccessKey) != 40 || *first.Status != "Active" ||
			*first.UserName != "ann" || *first.CreateDate != api.At(w.now) {
			w.t.Errorf("made: %+v", first)
		}
		second := do(w, w.CreateAccessKey, &model.CreateAccessKeyInput{UserName: ann}).AccessKey
		refuse(w, w.CreateAccessKey, &model.CreateAccessKeyInput{UserName: ann}, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
		do(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{UserName: ann, AccessKeyId: first.AccessKeyId, Status: new("Inactive")})
		listed := do(w, w.ListAccessKeys, &model.ListAccessKeysInput{UserName: ann}).AccessKeyMetadata
		states := map[string]string{}
		for _, k := range listed {
			states[*k.AccessKeyId] = *k.Status
		}
		if diff := gocmp.Diff(map[string]string{*first.AccessKeyId: "Inactive", *second.AccessKeyId: "Active"}, states); diff != "" {
			w.t.Errorf("listed (-want +got):\n%s", diff)
		}
		missing := "The Access Key with id " + *first.AccessKeyId + " cannot be found."
		refuse(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{UserName: eve, AccessKeyId: first.AccessKeyId, Status: new("Active")}, "NoSuchEntity", missing)
		refuse(w, w.DeleteAccessKey, &model.DeleteAccessKeyInput{UserName: eve, AccessKeyId: first.AccessKeyId}, "NoSuchEntity", missing)
		refuse(w, w.DeleteAccessKey, &model.DeleteAccessKeyInput{AccessKeyId: first.AccessKeyId}, "NoSuchEntity", missing)
		refuse(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{UserName: ann, AccessKeyId: first.AccessKeyId, Status: new("Expired")}, "ValidationError",
			"1 validation error detected: Value at 'status' failed to satisfy constraint: Member must satisfy enum value set")
		do(w, w.DeleteAccessKey, &model.DeleteAccessKeyInput{UserName: ann, AccessKeyId: first.AccessKeyId})
		refuse(w, w.DeleteAccessKey, &model.DeleteAccessKeyInput{UserName: ann, AccessKeyId: first.AccessKeyId}, "NoSuchEntity", missing)
		refuse(w, w.GetAccessKeyLastUsed, &model.GetAccessKeyLastUsedInput{AccessKeyId: first.AccessKeyId}, "NoSuchEntity", missing)

		own := do(w, w.CreateAccessKey, &model.CreateAccessKeyInput{}).AccessKey
		if *own.UserName != "admin" {
			w.t.Errorf("the caller's own: %+v", own)
		}
		do(w, w.UpdateAccessKey, &model.UpdateAccessKeyInput{AccessKeyId: own.AccessKeyId, Status: new("Inactive")})
		if n := len(do(w, w.ListAccessKeys, &model.ListAccessKeysInput{}).AccessKeyMetadata); n != 2 {
			w.t.Errorf("the caller has %d", n)
		}
	})
}

func TestGroups(t *testing.T) {
	each(t, func(w *world) {
		made := do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("Devs"), Path: new("/a/")}).Group
		want := &model.Group{Path: new("/a/"), GroupName: new("Devs"), GroupId: made.GroupId, Arn: new("arn:aws:iam::111111111111:group/a/Devs"), CreateDate: new(api.At(w.now))}
		if diff := gocmp.Diff(want, made); diff != "" || !strings.HasPrefix(*made.GroupId, "AGPA") {
			w.t.Errorf("made (-want +got):\n%s", diff)
		}
		refuse(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("devs")}, "EntityAlreadyExists", "Group with name devs already exists.")
		refuse(w, w.GetGroup, &model.GetGroupInput{GroupName: new("ops")}, "NoSuchEntity", "The group with name ops cannot be found.")
		for n := range 3 {
			name := fmt.Sprint("u", n)
			do(w, w.CreateUser, &model.CreateUserInput{UserName: &name})
			for range 2 { // twice does no harm
				do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: new("devs"), UserName: &name})
			}
		}
		first := do(w, w.GetGroup, &model.GetGroupInput{GroupName: new("Devs"), MaxItems: new(int64(2))})
		if len(first.Users) != 2 || !*first.IsTruncated || *first.Users[0].UserName != "u0" {
			w.t.Fatalf("the first page: %+v", first)
		}
		rest := do(w, w.GetGroup, &model.GetGroupInput{GroupName: new("Devs"), MaxItems: new(int64(2)), Marker: first.Marker})
		if len(rest.Users) != 1 || *rest.IsTruncated || rest.Marker != nil || *rest.Users[0].UserName != "u2" {
			w.t.Errorf("the second: %+v", rest)
		}
		refuse(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: new("Devs"), UserName: new("eve")}, "NoSuchEntity", "The user with name eve cannot be found.")
		refuse(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: new("ops"), UserName: new("u0")}, "NoSuchEntity", "The group with name ops cannot be found.")
		do(w, w.RemoveUserFromGroup, &model.RemoveUserFromGroupInput{GroupName: new("Devs"), UserName: new("u1")})
		refuse(w, w.RemoveUserFromGroup, &model.RemoveUserFromGroupInput{GroupName: new("Devs"), UserName: new("u1")}, "NoSuchEntity", "The user with name u1 cannot be found.")
		if n := len(do(w, w.GetGroup, &model.GetGroupInput{GroupName: new("Devs")}).Users); n != 2 {
			w.t.Errorf("%d members, want 2", n)
		}
		do(w, w.UpdateGroup, &model.UpdateGroupInput{GroupName: new("devs"), NewGroupName: new("makers"), NewPath: new("/b/")})
		if of := do(w, w.ListGroupsForUser, &model.ListGroupsForUserInput{UserName: new("u0")}).Groups; len(of) != 1 || *of[0].Arn != "arn:aws:iam::111111111111:group/b/makers" {
			w.t.Errorf("groups of u0: %+v", of)
		}
		for n := range maxGroups - 1 {
			name := fmt.Sprint("g", n)
			do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: &name})
			do(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: &name, UserName: new("u0")})
		}
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("more")})
		refuse(w, w.AddUserToGroup, &model.AddUserToGroupInput{GroupName: new("more"), UserName: new("u0")}, "LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10")
		if n := len(do(w, w.ListGroups, &model.ListGroupsInput{PathPrefix: new("/b/")}).Groups); n != 1 {
			w.t.Errorf("%d groups under /b/", n)
		}
	})
}

// Pages of a list hold every item once, whatever their size, and a marker is
// good for its own list only.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for n := range 7 {
		do(w, w.CreateUser, &model.CreateUserInput{UserName: new(fmt.Sprint("U", n)), Path: new([]string{"/", "/x/"}[n%2])})
	}
	for _, prefix := range []string{"/", "/x/", "/x", "/y/"} {
		var want []string
		for _, u := range do(w, w.ListUsers, &model.ListUsersInput{PathPrefix: &prefix}).Users {
			want = append(want, *u.UserName)
		}
		if n := map[string]int{"/": 8, "/x/": 3, "/x": 3, "/y/": 0}[prefix]; len(want) != n {
			t.Errorf("under %s: %v", prefix, want)
		}
		for size := int64(1); size < 9; size++ {
			var got []string
			in := &model.ListUsersInput{PathPrefix: &prefix, MaxItems: &size}
			for {
				out := do(w, w.ListUsers, in)
				for _, u := range out.Users {
					got = append(got, *u.UserName)
				}
				if int64(len(out.Users)) > size || *out.IsTruncated != (out.Marker != nil) {
					t.Fatalf("a page of %d: %+v", size, out)
				}
				if in.Marker = out.Marker; in.Marker == nil {
					break
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("under %s by %d (-want +got):\n%s", prefix, size, diff)
			}
		}
	}
	marker := do(w, w.ListUsers, &model.ListUsersInput{MaxItems: new(int64(1))}).Marker
	if len(*marker) > 320 {
		t.Errorf("a marker of %d characters", len(*marker))
	}
	for _, bad := range []string{"x", *marker + "A", (*marker)[1:], "+"} {
		refuse(w, w.ListUsers, &model.ListUsersInput{Marker: &bad}, "ValidationError", "Invalid Marker.")
	}
	refuse(w, w.ListGroups, &model.ListGroupsInput{Marker: marker}, "ValidationError", "Invalid Marker.")
	long := strings.Repeat("n", 128)
	do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: &long})
	do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("z")})
	if m := do(w, w.ListGroups, &model.ListGroupsInput{MaxItems: new(int64(1))}).Marker; len(*m) > 320 {
		t.Errorf("a marker of %d characters", len(*m))
	}
}

func TestQuotaOfGroups(t *testing.T) {
	w := newWorld(t)
	for n := range groupKind.quota {
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new(fmt.Sprint("g", n))})
	}
	refuse(w, w.CreateGroup, &model.CreateGroupInput{GroupName: new("more")}, "LimitExceeded", "Cannot exceed quota for GroupsPerAccount: 300")
}

func TestTags(t *testing.T) {
	each(t, func(w *world) {
		tag := func(pairs ...string) (all []model.Tag) {
			for i := 0; i < len(pairs); i += 2 {
				all = append(all, model.Tag{Key: &pairs[i], Value: &pairs[i+1]})
			}
			return all
		}
		r := w.role("r", "/")
		p := do(w, w.CreatePolicy, &model.CreatePolicyInput{PolicyName: new("p"), PolicyDocument: new(document(`{"Effect":"Allow","Action":"*","Resource":"*"}`))}).Policy
		for name, of := range map[string]struct {
			set   func([]model.Tag)
			fail  func([]model.Tag, string, string)
			unset func(...string)
			list  func() []model.Tag
		}{
			"user": {
				func(t []model.Tag) { do(w, w.TagUser, &model.TagUserInput{UserName: new("admin"), Tags: t}) },
				func(t []model.Tag, code, text string) {
					refuse(w, w.TagUser, &model.TagUserInput{UserName: new("admin"), Tags: t}, code, text)
				},
				func(k ...string) { do(w, w.UntagUser, &model.UntagUserInput{UserName: new("admin"), TagKeys: k}) },
				func() []model.Tag {
					return do(w, w.ListUserTags, &model.ListUserTagsInput{UserName: new("admin")}).Tags
				},
			},
			"role": {
				func(t []model.Tag) { do(w, w.TagRole, &model.TagRoleInput{RoleName: &r.name, Tags: t}) },
				func(t []model.Tag, code, text string) {
					refuse(w, w.TagRole, &model.TagRoleInput{RoleName: &r.name, Tags: t}, code, text)
				},
				func(k ...string) { do(w, w.UntagRole, &model.UntagRoleInput{RoleName: &r.name, TagKeys: k}) },
				func() []model.Tag { return do(w, w.ListRoleTags, &model.ListRoleTagsInput{RoleName: &r.name}).Tags },
			},
			"policy": {
				func(t []model.Tag) { do(w, w.TagPolicy, &model.TagPolicyInput{PolicyArn: p.Arn, Tags: t}) },
				func(t []model.Tag, code, text string) {
					refuse(w, w.TagPolicy, &model.TagPolicyInput{PolicyArn: p.Arn, Tags: t}, code, text)
				},
				func(k ...string) { do(w, w.UntagPolicy, &model.UntagPolicyInput{PolicyArn: p.Arn, TagKeys: k}) },
				func() []model.Tag {
					return do(w, w.ListPolicyTags, &model.ListPolicyTagsInput{PolicyArn: p.Arn}).Tags
				},
			},
		} {
			of.set(tag("Team", "a", "b", ""))
			of.set(tag("TEAM", "c", "d", "e"))
			if diff := gocmp.Diff(tag("TEAM", "c", "b", "", "d", "e"), of.list()); diff != "" {
				w.t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			of.unset("team", "none")
			if diff := gocmp.Diff(tag("b", "", "d", "e"), of.list()); diff != "" {
				w.t.Errorf("%s, untagged (-want +got):\n%s", name, diff)
			}
			of.fail(tag("x", "1", "X", "2"), "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
			of.fail(tag("AWS:x", "1"), "InvalidInput", "Caller is an end user and not allowed to mutate system tags.")
			var many []string
			for n := range maxTags - 1 {
				many = append(many, fmt.Sprint("n", n), "")
			}
			of.fail(tag(many...), "LimitExceeded", "The number of tags has reached the maximum limit.")
			if len(of.list()) != 2 {
				w.t.Errorf("%s: a refused call set tags", name)
			}
		}
	})
}

// Writers that race for one name, one key quota, one group: each succeeds or
// is told why not, and the sum is right.
func TestRaces(t *testing.T) {
	each(t, func(w *world) {
		ann := new("ann")
		do(w, w.CreateUser, &model.CreateUserInput{UserName: ann})
		do(w, w.CreateGroup, &model.CreateGroupInput{GroupName: ann})
		nodes := []*Service{w.Service, w.otherNode().Service}
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		note := func(op string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				codes[op]++
			} else if !isAnswer(err) {
				w.t.Errorf("%s: %v", op, err)
			}
		}
		for i := range 6 {
			s := nodes[i%2]
			all.Go(func() {
				create := &model.CreateUserInput{UserName: new("same")}
				_, err := s.CreateUser(w.t.Context(), w.call("CreateUser", create), create)
				note("CreateUser", err)
				key := &model.CreateAccessKeyInput{UserName: ann}
				_, err = s.CreateAccessKey(w.t.Context(), w.call("CreateAccessKey", key), key)
				note("CreateAccessKey", err)
				add := &model.AddUserToGroupInput{GroupName: ann, UserName: ann}
				_, err = s.AddUserToGroup(w.t.Context(), w.call("AddUserToGroup", add), add)
				note("AddUserToGroup", err)
				tag := &model.TagUserInput{UserName: ann, Tags: []model.Tag{{Key: new(fmt.Sprint("k", i)), Value: new("")}}}
				_, err = s.TagUser(w.t.Context(), w.call("TagUser", tag), tag)
				note("TagUser", err)
			})
		}
		all.Wait()
		if diff := gocmp.Diff(map[string]int{"CreateUser": 1, "CreateAccessKey": 2, "AddUserToGroup": 6, "TagUser": 6}, codes); diff != "" {
			w.t.Errorf("(-want +got):\n%s", diff)
		}
		if tags := do(w, w.ListUserTags, &model.ListUserTagsInput{UserName: ann}).Tags; len(tags) != 6 {
			w.t.Errorf("%d tags are left", len(tags))
		}
	})
}

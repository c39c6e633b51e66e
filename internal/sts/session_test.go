package sts

import (
	"crypto/sha256"

	"net/netip"
	"sync"
	"testing"
	"time"

	iammodel "azekura/internal/api/iam"
	model "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/sigv4"
)

// What comes to the door with the credentials of a session, or with parts of
// them.
func TestSessionsAtTheDoor(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, "")
	good := w.assume(ann, roleARN(account, "r"), nil)
	second := w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) { in.RoleSessionName = new("s2") })
	elsewhere := newWorld(t)
	elsewhere.role(account, "r", `{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:*"}`, "")
	foreign := elsewhere.assume(elsewhere.admin, roleARN(account, "r"), nil)
	with := func(change func(*sigv4.Credentials)) sigv4.Credentials {
		creds := good
		change(&creds)
		return creds
	}
	const is = "arn:aws:sts::" + account + ":assumed-role/r/"
	for name, test := range map[string]struct {
		creds sigv4.Credentials
		want  string
	}{
		"as it was given":         {good, is + "s1"},
		"a second one":            {second, is + "s2"},
		"no token":                {with(func(c *sigv4.Credentials) { c.Token = "" }), "unknown key"},
		"another's token":         {with(func(c *sigv4.Credentials) { c.Token = second.Token }), "unknown key"},
		"another's access key":    {with(func(c *sigv4.Credentials) { c.AccessKeyID = second.AccessKeyID }), "unknown key"},
		"tampered token":          {with(func(c *sigv4.Credentials) { c.Token = changed(c.Token) }), "unknown key"},
		"token of no form":        {with(func(c *sigv4.Credentials) { c.Token = "FwoGZXIvYXdzEXAMPLETOKEN==" }), "unknown key"},
		"another deployment's":    {foreign, "unknown key"},
		"another's secret":        {with(func(c *sigv4.Credentials) { c.Secret = second.Secret }), "signature mismatch"},
		"user's key with a token": {sigv4.Credentials{AccessKeyID: ann.AccessKeyID, Secret: ann.Secret, Token: good.Token}, "unknown key"},
		"token with a user's key": {with(func(c *sigv4.Credentials) { c.AccessKeyID = ann.AccessKeyID }), "unknown key"},
	} {
		for _, moment := range []string{"first", "again, from memory"} {
			if got := w.who(test.creds); got != test.want {
				t.Errorf("%s, %s: got %q, want %q", name, moment, got, test.want)
			}
		}
		if got := w.node().who(test.creds); got != test.want {
			t.Errorf("%s, at another node: got %q, want %q", name, got, test.want)
		}
	}
	for at, want := range map[time.Duration]string{time.Hour - time.Second: is + "s1", time.Hour: "expired token", 24 * time.Hour: "expired token"} {
		w.now = now.Add(at)
		if got := w.who(good); got != want {
			t.Errorf("after %v: got %q, want %q", at, got, want)
		}
	}
}

// A presigned request brings its token in the query.
func TestPresignedBySession(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, "")
	good := w.assume(ann, roleARN(account, "r"), nil)
	for token, want := range map[string]string{good.Token: "", "": "unknown key", changed(good.Token): "unknown key"} {
		creds := good
		creds.Token = token
		r := newRequest()
		sum := sha256.Sum256([]byte(body))
		sigv4.Presign(r, creds, region, "sts", sum, w.now, time.Minute)
		verify, err := w.Authenticate(r, "sts", netip.Addr{}, w.now, nil)
		if err == nil {
			_, err = verify(sum)
		}
		if got := told(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Whatever takes a session's ground away, the next call finds out, on every
// node.
func TestRevocation(t *testing.T) {
	deny := func(before string) string {
		return statements(`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"` + before + `"}}}`)
	}
	for name, test := range map[string]struct {
		revoke func(w *world, ann sigv4.Credentials)
		may    [3]bool // the role's session, the federated, and the user's
	}{
		"nothing": {func(*world, sigv4.Credentials) {}, [3]bool{true, true, true}},
		"the user's key is deactivated": {func(w *world, ann sigv4.Credentials) {
			must(w, w.admin, "iam", w.iam.UpdateAccessKey, &iammodel.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyId: &ann.AccessKeyID, Status: new("Inactive")})
		}, [3]bool{true, false, false}},
		"the user's key is deleted": {func(w *world, ann sigv4.Credentials) {
			must(w, w.admin, "iam", w.iam.DeleteAccessKey, &iammodel.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyId: &ann.AccessKeyID})
		}, [3]bool{true, false, false}},
		"the user may no more": {func(w *world, _ sigv4.Credentials) {
			must(w, w.admin, "iam", w.iam.DeleteUserPolicy, &iammodel.DeleteUserPolicyInput{UserName: new("ann"), PolicyName: new("p")})
		}, [3]bool{true, false, false}},
		"older sessions of the role": {func(w *world, _ sigv4.Credentials) {
			must(w, w.admin, "iam", w.iam.PutRolePolicy, &iammodel.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("AWSRevokeOlderSessions"), PolicyDocument: new(deny("2026-03-14T15:09:27Z"))})
		}, [3]bool{false, true, true}},
		"even older sessions of the role": {func(w *world, _ sigv4.Credentials) {
			must(w, w.admin, "iam", w.iam.PutRolePolicy, &iammodel.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("AWSRevokeOlderSessions"), PolicyDocument: new(deny("2026-03-14T15:09:26Z"))})
		}, [3]bool{true, true, true}},
		"the role's boundary": {func(w *world, _ sigv4.Credentials) {
			must(w, w.admin, "iam", w.iam.PutRolePermissionsBoundary, &iammodel.PutRolePermissionsBoundaryInput{RoleName: new("r"), PermissionsBoundary: new("arn:aws:iam::aws:policy/IAMReadOnlyAccess")})
		}, [3]bool{false, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ann := w.user("ann", allow("s3:*", "*")+","+allow("sts:GetFederationToken", "*"))
			w.role(account, "r", trustAnn, allow("s3:*", "*"))
			sessions := []sigv4.Credentials{
				w.assume(ann, roleARN(account, "r"), nil),
				signs(must(w, ann, "sts", w.GetFederationToken, &model.GetFederationTokenInput{Name: new("f1"), Policy: new(statements(allow("*", "*")))}).Credentials),
				signs(must(w, ann, "sts", w.GetSessionToken, &model.GetSessionTokenInput{}).Credentials),
			}
			all := []*world{w, w.node()}
			for _, node := range all {
				for i, s := range sessions {
					if !node.may(s, "s3:GetObject", bucket) {
						t.Fatalf("session %d may not before", i)
					}
				}
			}
			test.revoke(w, ann)
			for i, s := range sessions {
				c, err := w.enter(s, "s3")
				may := err == nil && c.Decide("s3:GetObject", call.Target{ARN: bucket, Account: account}).Allowed
				if may != test.may[i] || err != nil && told(err) != "unknown key" {
					t.Errorf("session %d may: %v (%v), want %v", i, may, err, test.may[i])
				}
			}
		})
	}
}

// A role that is deleted takes its sessions along, and one that is made again
// with the same name and ARN does not bring them back.
func TestDeletedRole(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, allow("*", "*"))
	s := w.assume(ann, roleARN(account, "r"), nil)
	if got := w.who(s); got != "arn:aws:sts::"+account+":assumed-role/r/s1" {
		t.Fatal(got)
	}
	must(w, w.admin, "iam", w.iam.DeleteRolePolicy, &iammodel.DeleteRolePolicyInput{RoleName: new("r"), PolicyName: new("p")})
	must(w, w.admin, "iam", w.iam.DeleteRole, &iammodel.DeleteRoleInput{RoleName: new("r")})
	if got := w.who(s); got != "unknown key" {
		t.Errorf("of a deleted role: %s", got)
	}
	w.role(account, "r", trustAnn, allow("*", "*"))
	if got := w.who(s); got != "unknown key" {
		t.Errorf("of a role that was made again: %s", got)
	}
	if got := w.who(w.assume(ann, roleARN(account, "r"), nil)); got != "arn:aws:sts::"+account+":assumed-role/r/s1" {
		t.Errorf("a new session: %s", got)
	}
}

// Session policies narrow what the role may, and are read as they are now.
func TestSessionPolicies(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, allow("s3:*", "*")+","+allow("sqs:*", "*"))
	mine := must(w, w.admin, "iam", w.iam.CreatePolicy, &iammodel.CreatePolicyInput{PolicyName: new("mine"), PolicyDocument: new(statements(allow("sqs:SendMessage", "*")))}).Policy.Arn
	bucket, queue := "arn:aws:s3:::b/k", "arn:aws:sqs:us-east-1:"+account+":q"
	given := map[string]sigv4.Credentials{
		"none": w.assume(ann, roleARN(account, "r"), nil),
		"inline": w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) {
			in.Policy = new(statements(allow("s3:GetObject", "*") + "," + allow("iam:*", "*")))
		}),
		"managed": w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) { in.PolicyArns = policyARNs(*mine, *mine) }),
		"both": w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) {
			in.PolicyArns, in.Policy = policyARNs(*mine), new(statements(allow("s3:GetObject", "*")))
		}),
	}
	check := func(moment, name string, get, put, send, users bool) {
		t.Helper()
		for _, one := range []struct {
			action, resource string
			want             bool
		}{{"s3:GetObject", bucket, get}, {"s3:PutObject", bucket, put}, {"sqs:SendMessage", queue, send}, {"iam:ListUsers", "*", users}} {
			if got := w.may(given[name], one.action, one.resource); got != one.want {
				t.Errorf("%s, with %s: %s is %v", moment, name, one.action, got)
			}
		}
	}
	check("at first", "none", true, true, true, false)
	check("at first", "inline", true, false, false, false)
	check("at first", "managed", false, false, true, false)
	check("at first", "both", true, false, true, false)
	must(w, w.admin, "iam", w.iam.CreatePolicyVersion, &iammodel.CreatePolicyVersionInput{PolicyArn: mine, PolicyDocument: new(statements(allow("s3:PutObject", "*"))), SetAsDefault: new(true)})
	check("after another version", "managed", false, true, false, false)
	check("after another version", "both", true, true, false, false)
	must(w, w.admin, "iam", w.iam.DeletePolicyVersion, &iammodel.DeletePolicyVersionInput{PolicyArn: mine, VersionId: new("v1")})
	must(w, w.admin, "iam", w.iam.DeletePolicy, &iammodel.DeletePolicyInput{PolicyArn: mine})
	check("after the policy is gone", "managed", false, false, false, false)
	check("after the policy is gone", "both", false, false, false, false)
	check("after the policy is gone", "inline", true, false, false, false)
}

// A session that nothing has changed for is composed once, and asks the
// database nothing.
func TestSessionIsKept(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, allow("*", "*"))
	s := w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) {
		in.PolicyArns, in.Policy, in.Tags = policyARNs("arn:aws:iam::aws:policy/ReadOnlyAccess"), new(statements(allow("*", "*"))), modelTags("a", "1")
	})
	if got := w.who(s); got != "arn:aws:sts::"+account+":assumed-role/r/s1" {
		t.Fatal(got)
	}
	made := w.tokens.get(s.AccessKeyID, s.Token).made.Load()
	w.db.Close()
	c, err := w.enter(s, "secretsmanager")
	if err != nil {
		t.Fatalf("without a database: %v", err)
	}
	if got := w.CacheStats(); got.Misses != 1 || got.Hits != 2 || got.Entries != 1 || got.Bytes < 1000 {
		t.Errorf("the cache counts %+v", got)
	}
	if c.Policies != made.policies || w.tokens.get(s.AccessKeyID, s.Token).made.Load() != made {
		t.Error("it was composed again")
	}
}

// Many calls at once with one session, while what it stands on changes: each is
// decided by what was true before the change or after it, and those that come
// after by the latter.
func TestSessionInManyHands(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, allow("s3:*", "*"))
	s := w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) {
		in.Policy, in.Tags = new(statements(allow("*", "*"))), modelTags("a", "1")
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if c, err := w.enter(s, "s3"); err != nil || c.Principal.Tags["a"] != "1" {
					t.Errorf("%v", err)
				}
			}
		})
	}
	for i := range 5 {
		action := []string{"s3:GetObject", "s3:PutObject"}[i%2]
		must(w, w.admin, "iam", w.iam.PutRolePolicy, &iammodel.PutRolePolicyInput{RoleName: new("r"), PolicyName: new("p"), PolicyDocument: new(statements(allow(action, "*")))})
		if get, put := w.may(s, "s3:GetObject", bucket), w.may(s, "s3:PutObject", bucket); get != (i%2 == 0) || put != (i%2 == 1) {
			t.Errorf("after allowing %s it may get: %v, put: %v", action, get, put)
		}
	}
	all.Wait()
}

func BenchmarkAuthenticateSession(b *testing.B) {
	w := newWorld(b)
	ann := w.user("ann", "")
	w.role(account, "r", trustAnn, allow("*", "*"))
	s := w.assume(ann, roleARN(account, "r"), func(in *model.AssumeRoleInput) {
		in.PolicyArns, in.Policy = policyARNs("arn:aws:iam::aws:policy/ReadOnlyAccess"), new(statements(allow("*", "*")))
	})
	sum := sha256.Sum256([]byte(body))
	r := newRequest()
	sigv4.Sign(r, s, region, service, sum, now)
	b.ReportAllocs()
	for b.Loop() {
		verify, err := w.Authenticate(r, service, netip.Addr{}, now, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := verify(sum); err != nil {
			b.Fatal(err)
		}
	}
}

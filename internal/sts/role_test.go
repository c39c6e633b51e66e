package sts

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/sts"
	"azekura/internal/sigv4"
)

const (
	annARN    = "arn:aws:iam::" + account + ":user/ann"
	trustAnn  = `{"Effect":"Allow","Principal":{"AWS":"` + annARN + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}`
	trustRoot = `{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:*"}`
)

func TestAssumeRole(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	w.role(account, "Deploy", trustAnn, allow("s3:*", "*"))
	out := must(w, ann, "sts", w.AssumeRole, &model.AssumeRoleInput{
		RoleArn: new(roleARN(account, "Deploy")), RoleSessionName: new("build-7"), SourceIdentity: new("ann.b"),
		Tags: modelTags("TEAM", "red"), DurationSeconds: new(int64(7200)),
	})
	id, err := w.iam.Role(t.Context(), nil, account, "deploy")
	if err != nil {
		t.Fatal(err)
	}
	want := &model.AssumeRoleOutput{
		AssumedRoleUser: &model.AssumedRoleUser{
			AssumedRoleId: new(id.ID + ":build-7"),
			Arn:           new("arn:aws:sts::" + account + ":assumed-role/Deploy/build-7"),
		},
		SourceIdentity: new("ann.b"), PackedPolicySize: new(int64(1)),
	}
	credentials := out.Credentials
	out.Credentials = nil
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("the answer:\n%s", diff)
	}
	if end := api.Timestamp(*credentials.Expiration).Time(); !end.Equal(now.Add(2 * time.Hour)) {
		t.Errorf("it ends at %v", end)
	}
	creds := signs(credentials)
	who := must(w, creds, "sts", w.GetCallerIdentity, &model.GetCallerIdentityInput{})
	if *who.UserId != id.ID+":build-7" || *who.Arn != *want.AssumedRoleUser.Arn || *who.Account != account {
		t.Errorf("the session is %s %s of %s", *who.UserId, *who.Arn, *who.Account)
	}
	c, err := w.enter(creds, "secretsmanager")
	if err != nil {
		t.Fatal(err)
	}
	p := &c.Principal
	if p.Entity != roleARN(account, "Deploy") || p.SourceIdentity != "ann.b" || !p.Issued.Equal(now) || !p.MFATime.IsZero() {
		t.Errorf("the principal is %+v", p)
	}
	if diff := cmp.Diff(map[string]string{"team": "red", "level": "3"}, p.Tags); diff != "" {
		t.Errorf("session tags overlay the role's:\n%s", diff)
	}
	if !w.may(creds, "s3:GetObject", "arn:aws:s3:::b/k") || w.may(creds, "sqs:SendMessage", "arn:aws:sqs:us-east-1:111111111111:q") {
		t.Error("the session does not have what the role has")
	}
}

// Who may assume a role: what the trust policy and the caller's own say, and
// what is asked along with it.
func TestTrust(t *testing.T) {
	const denied = "AccessDeniedException: User: " + annARN + " is not authorized to perform: "
	on := " on resource: " + roleARN(account, "r")
	condition := func(test string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + annARN + `"},"Action":"sts:*","Condition":{` + test + `}}`
	}
	for name, test := range map[string]struct {
		trust, own string
		change     func(*model.AssumeRoleInput)
		want       string
	}{
		"named":                     {trust: trustAnn},
		"only the account is":       {trust: trustRoot, want: denied + "sts:AssumeRole" + on},
		"the account, and allowed":  {trust: trustRoot, own: allow("sts:AssumeRole", roleARN(account, "*"))},
		"allowed elsewhere":         {trust: trustRoot, own: allow("sts:AssumeRole", roleARN(account, "x")), want: denied + "sts:AssumeRole" + on},
		"nobody is":                 {trust: `{"Effect":"Allow","Principal":{"AWS":"` + other + `"},"Action":"sts:*"}`, own: allow("*", "*"), want: denied + "sts:AssumeRole" + on},
		"denied by the trust":       {trust: trustAnn + `,{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`, want: denied + "sts:AssumeRole" + on},
		"denied by the caller's":    {trust: trustAnn, own: `{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}`, want: denied + "sts:AssumeRole" + on},
		"external id":               {trust: condition(`"StringEquals":{"sts:ExternalId":"x7"}`), change: func(in *model.AssumeRoleInput) { in.ExternalId = new("x7") }},
		"another external id":       {trust: condition(`"StringEquals":{"sts:ExternalId":"x7"}`), change: func(in *model.AssumeRoleInput) { in.ExternalId = new("x8") }, want: denied + "sts:AssumeRole" + on},
		"confused deputy":           {trust: condition(`"StringEquals":{"sts:ExternalId":"x7"}`), want: denied + "sts:AssumeRole" + on},
		"external id not asked for": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.ExternalId = new("x7") }},
		"session name":              {trust: condition(`"StringEquals":{"sts:RoleSessionName":"${aws:username}"}`), change: func(in *model.AssumeRoleInput) { in.RoleSessionName = new("ann") }},
		"another's session name":    {trust: condition(`"StringEquals":{"sts:RoleSessionName":"${aws:username}"}`), want: denied + "sts:AssumeRole" + on},
		"role's tag":                {trust: condition(`"StringEquals":{"aws:ResourceTag/team":"blue","iam:ResourceTag/Level":"3"}`)},
		"another tag of the role":   {trust: condition(`"StringEquals":{"iam:ResourceTag/team":"red"}`), want: denied + "sts:AssumeRole" + on},
		"tags":                      {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.Tags = modelTags("a", "1") }},
		"tags that are not let through": {trust: `{"Effect":"Allow","Principal":{"AWS":"` + annARN + `"},"Action":"sts:AssumeRole"}`,
			change: func(in *model.AssumeRoleInput) { in.Tags = modelTags("a", "1") }, want: denied + "sts:TagSession" + on},
		"tags of the form asked for": {trust: condition(`"StringEquals":{"aws:RequestTag/Team":"red"},"ForAllValues:StringEquals":{"aws:TagKeys":["team"],"sts:TransitiveTagKeys":["team"]}`),
			change: func(in *model.AssumeRoleInput) {
				in.Tags, in.TransitiveTagKeys = modelTags("team", "red"), []string{"team"}
			}},
		"one more tag": {trust: condition(`"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}`),
			change: func(in *model.AssumeRoleInput) { in.Tags = modelTags("team", "red", "x", "1") }, want: denied + "sts:AssumeRole" + on},
		"one more transitive tag": {trust: condition(`"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["team"]}`),
			change: func(in *model.AssumeRoleInput) {
				in.Tags, in.TransitiveTagKeys = modelTags("x", "1"), []string{"x"}
			}, want: denied + "sts:AssumeRole" + on},
		"source identity": {trust: condition(`"StringEquals":{"sts:SourceIdentity":"ann"}`), change: func(in *model.AssumeRoleInput) { in.SourceIdentity = new("ann") }},
		"source identity that is not let through": {trust: `{"Effect":"Allow","Principal":{"AWS":"` + annARN + `"},"Action":"sts:AssumeRole"}`,
			change: func(in *model.AssumeRoleInput) { in.SourceIdentity = new("ann") }, want: denied + "sts:SetSourceIdentity" + on},
		"no such role":  {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.RoleArn = new(roleARN(account, "none")) }, want: denied + "sts:AssumeRole on resource: " + roleARN(account, "none")},
		"in other case": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.RoleArn = new(roleARN(account, "R")) }, want: denied + "sts:AssumeRole on resource: " + roleARN(account, "R")},
		"no such path":  {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.RoleArn = new("arn:aws:iam::" + account + ":role/r") }, want: denied + "sts:AssumeRole on resource: arn:aws:iam::" + account + ":role/r"},
		"no ARN":        {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.RoleArn = new("aaaaaaaaaaaaaaaaaaaaaaaa") }, want: "ValidationException: aaaaaaaaaaaaaaaaaaaaaaaa is invalid"},
		"no role":       {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.RoleArn = new(annARN) }, want: "ValidationException: " + annARN + " is invalid"},
		"provided contexts": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.ProvidedContexts = make([]model.ProvidedContext, 1) },
			want: "InvalidParameterValue: ProvidedContexts are of context providers, of which there are none."},
		"tags first":           {trust: trustRoot, change: func(in *model.AssumeRoleInput) { in.Tags = modelTags("a", "1", "A", "1") }, want: "InvalidParameterValue: Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		"too long":             {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.DurationSeconds = new(int64(7201)) }, want: "ValidationException: The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"denied, and too long": {trust: trustRoot, change: func(in *model.AssumeRoleInput) { in.DurationSeconds = new(int64(7201)) }, want: denied + "sts:AssumeRole" + on},
		"policy of no JSON":    {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.Policy = new("{") }, want: "MalformedPolicyDocument: This policy contains invalid Json"},
		"policy of nothing":    {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.Policy = new("{}") }, want: "MalformedPolicyDocument: Syntax errors in policy."},
		"policy too long":      {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.Policy = new(strings.Repeat(" ", 2100)) }, want: "PackedPolicyTooLarge: Packed policy consumes 103% of allotted space, please use smaller policy."},
		"no such policy": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.PolicyArns = policyARNs("arn:aws:iam::aws:policy/None") },
			want: "ValidationException: Policy arn:aws:iam::aws:policy/None does not exist or is not attachable."},
		"another account's policy": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.PolicyArns = policyARNs("arn:aws:iam::" + other + ":policy/p") },
			want: "ValidationException: Policy arn:aws:iam::" + other + ":policy/p does not exist or is not attachable."},
		"policy by no ARN": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.PolicyArns = policyARNs("ReadOnlyAccess-for-all") }, want: "ValidationException: ReadOnlyAccess-for-all is invalid"},
		"eleven policies": {trust: trustAnn, change: func(in *model.AssumeRoleInput) { in.PolicyArns = policyARNs(make([]string, 11)...) },
			want: "ValidationException: 1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to 10"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ann := w.user("ann", test.own)
			w.role(account, "r", test.trust, "")
			in := &model.AssumeRoleInput{RoleArn: new(roleARN(account, "r")), RoleSessionName: new("s1")}
			if test.change != nil {
				test.change(in)
			}
			out, err := ask(w, ann, "sts", w.AssumeRole, in)
			if got := told(err); got != test.want || (out == nil) == (err == nil) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func policyARNs(arns ...string) (list []model.PolicyDescriptorType) {
	for i := range arns {
		list = append(list, model.PolicyDescriptorType{Arn: &arns[i]})
	}
	return list
}

func TestAcrossAccounts(t *testing.T) {
	w := newWorld(t)
	bold, shy := w.user("ann", allow("sts:AssumeRole", roleARN(other, "r"))), w.user("bob", "")
	w.role(other, "r", trustRoot+`,{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`+account+`:user/bob"},"Action":"sts:AssumeRole"}`, allow("*", "*"))
	w.role(other, "closed", strings.ReplaceAll(trustRoot, account, other), "")
	if got := w.who(w.assume(bold, roleARN(other, "r"), nil)); got != "arn:aws:sts::"+other+":assumed-role/r/s1" {
		t.Errorf("both sides allow: %s", got)
	}
	for name, in := range map[string]struct {
		creds sigv4.Credentials
		role  string
	}{"the caller's own does not": {shy, "r"}, "the trust does not": {bold, "closed"}, "there is none": {bold, "none"}} {
		_, err := ask(w, in.creds, "sts", w.AssumeRole, &model.AssumeRoleInput{RoleArn: new(roleARN(other, in.role)), RoleSessionName: new("s1")})
		if !strings.HasPrefix(told(err), "AccessDeniedException: ") || !strings.HasSuffix(told(err), "on resource: "+roleARN(other, in.role)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A chain of roles: what goes on along it, what does not, and how long it lasts.
func TestChain(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "")
	trust := func(role, actions string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + roleARN(account, role) + `"},"Action":` + actions + `}`
	}
	w.role(account, "one", trustAnn, "")
	w.role(account, "two", trust("one", `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`), "")
	w.role(account, "strict", trust("one", `"sts:AssumeRole"`), "")
	w.role(account, "self", trust("self", `"sts:AssumeRole"`)+","+trustAnn, "")
	w.role(account, "other", trustAnn, allow("*", "*"))
	plain := w.assume(ann, roleARN(account, "one"), nil)
	tagged := w.assume(ann, roleARN(account, "one"), func(in *model.AssumeRoleInput) {
		in.Tags, in.TransitiveTagKeys, in.SourceIdentity = modelTags("Team", "red", "cost", "7"), []string{"team"}, new("ann")
	})
	two := w.assume(tagged, roleARN(account, "two"), func(in *model.AssumeRoleInput) { in.Tags = modelTags("cost", "8") })
	c, err := w.enter(two, "secretsmanager")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "red", "level": "3", "cost": "8"}, c.Principal.Tags); diff != "" || c.Principal.SourceIdentity != "ann" {
		t.Errorf("the second session has source identity %q, and other tags:\n%s", c.Principal.SourceIdentity, diff)
	}
	if diff := cmp.Diff(map[string]string{"Team": "red"}, c.Principal.TransitiveTags); diff != "" {
		t.Errorf("what it passes on:\n%s", diff)
	}
	from := "AccessDeniedException: User: arn:aws:sts::" + account + ":assumed-role/one/s1 is not authorized to perform: "
	for name, test := range map[string]struct {
		creds  sigv4.Credentials
		role   string
		change func(*model.AssumeRoleInput)
		want   string
	}{
		"an hour":           {plain, "two", func(in *model.AssumeRoleInput) { in.DurationSeconds = new(int64(3600)) }, ""},
		"more than an hour": {plain, "two", func(in *model.AssumeRoleInput) { in.DurationSeconds = new(int64(3601)) }, "ValidationException: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."},
		"without tags":      {plain, "strict", nil, ""},
		"with tags":         {tagged, "strict", nil, from + "sts:TagSession on resource: " + roleARN(account, "strict")},
		"another's tag": {tagged, "two", func(in *model.AssumeRoleInput) { in.Tags = modelTags("TEAM", "blue") },
			"InvalidParameterValue: One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."},
		"same source identity":    {tagged, "two", func(in *model.AssumeRoleInput) { in.SourceIdentity = new("ann") }, ""},
		"another source identity": {tagged, "two", func(in *model.AssumeRoleInput) { in.SourceIdentity = new("bob") }, from + "sts:SetSourceIdentity on resource: " + roleARN(account, "two")},
		"itself, trusted":         {w.assume(ann, roleARN(account, "self"), nil), "self", nil, ""},
		"itself, not trusted": {w.assume(ann, roleARN(account, "other"), nil), "other", nil,
			"AccessDeniedException: User: arn:aws:sts::" + account + ":assumed-role/other/s1 is not authorized to perform: sts:AssumeRole on resource: " + roleARN(account, "other")},
	} {
		in := &model.AssumeRoleInput{RoleArn: new(roleARN(account, test.role)), RoleSessionName: new("s2")}
		if test.change != nil {
			test.change(in)
		}
		if _, err := ask(w, test.creds, "sts", w.AssumeRole, in); told(err) != test.want {
			t.Errorf("%s: got %q, want %q", name, told(err), test.want)
		}
	}
}

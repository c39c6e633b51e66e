package call

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/policy"
)

func user() Principal {
	const arn = "arn:aws:iam::111122223333:user/eng/alice"
	return Principal{
		Principal: policy.Principal{Kind: policy.User, ARN: arn, Account: "111122223333", Entity: arn, ID: "AIDAALICE"},
		UserName:  "alice", Tags: map[string]string{"team": "red"}, Organization: "o-a1", OrganizationPath: "o-a1/r-b2/",
	}
}

func session() Principal {
	return Principal{
		Principal: policy.Principal{
			Kind: policy.Role, ARN: "arn:aws:sts::111122223333:assumed-role/app/i-1", Account: "111122223333",
			Entity: "arn:aws:iam::111122223333:role/eng/app", ID: "AROAAPP",
		},
		Session: "i-1", Issued: time.Unix(1_000_000_000, 0), MFATime: time.Unix(1_000_000_060, 0), SourceIdentity: "ann", Provider: "idp.example.com",
	}
}

func service() Principal {
	return Principal{Principal: policy.Principal{Kind: policy.Service, ARN: "lambda.amazonaws.com"}}
}

func arrived(p Principal) *Call {
	return &Call{
		Time: time.Unix(1_000_000_120, 0), Region: "us-east-1", Principal: p, SourceIP: netip.MustParseAddr("::ffff:10.1.2.3"),
		UserAgent: "aws-cli/2", Referer: "https://example.com/", Secure: true,
	}
}

// Each key is there for those callers that AWS has it for, and for no others.
func TestKeys(t *testing.T) {
	const absent = "(absent)"
	federated := arrived(Principal{Session: "f", Principal: policy.Principal{
		Kind: policy.Federated, Account: "111122223333", ARN: "arn:aws:sts::111122223333:federated-user/f", Entity: "arn:aws:iam::111122223333:user/x",
	}})
	root := arrived(Principal{Principal: policy.Principal{Kind: policy.Root, Account: "111122223333", ARN: "arn:aws:iam::111122223333:root"}})
	calls := []*Call{arrived(user()), arrived(session()), federated, root, arrived(service()), arrived(Principal{})}
	for _, tt := range []struct {
		key  string
		want []string // for each of calls
	}{
		{"aws:principalarn", []string{"arn:aws:iam::111122223333:user/eng/alice", "arn:aws:iam::111122223333:role/eng/app",
			"arn:aws:sts::111122223333:federated-user/f", "arn:aws:iam::111122223333:root", absent, absent}},
		{"aws:principalaccount", []string{"111122223333", "111122223333", "111122223333", "111122223333", absent, absent}},
		{"aws:principaltype", []string{"User", "AssumedRole", "FederatedUser", "Account", "AWSService", "Anonymous"}},
		{"aws:userid", []string{"AIDAALICE", "AROAAPP:i-1", "111122223333:f", "111122223333", absent, "anonymous"}},
		{"aws:username", []string{"alice", absent, absent, absent, absent, absent}},
		{"aws:principaltag/team", []string{"red", absent, absent, absent, absent, absent}},
		{"aws:principalisawsservice", []string{"false", "false", "false", "false", "true", absent}},
		{"aws:principalservicename", []string{absent, absent, absent, absent, "lambda.amazonaws.com", absent}},
		{"aws:principalorgid", []string{"o-a1", absent, absent, absent, absent, absent}},
		{"aws:principalorgpaths", []string{"o-a1/r-b2/", absent, absent, absent, absent, absent}},
		{"aws:tokenissuetime", []string{absent, "2001-09-09T01:46:40Z", absent, absent, absent, absent}},
		{"aws:multifactorauthpresent", []string{absent, "true", absent, absent, absent, absent}},
		{"aws:multifactorauthage", []string{absent, "60", absent, absent, absent, absent}},
		{"aws:sourceidentity", []string{absent, "ann", absent, absent, absent, absent}},
		{"aws:federatedprovider", []string{absent, "idp.example.com", absent, absent, absent, absent}},
		{"aws:nothing", []string{absent, absent, absent, absent, absent, absent}},
	} {
		for i, c := range calls {
			for range 2 { // the second time it is remembered
				if got := valueOf(c, Target{}, tt.key); got != tt.want[i] {
					t.Errorf("%s of %s: got %s, want %s", tt.key, c.Principal.ARN, got, tt.want[i])
				}
			}
		}
	}
}

// Each key of the request is there if the request has it.
func TestKeysOfTheRequest(t *testing.T) {
	const absent = "(absent)"
	direct := arrived(user())
	through := arrived(user())
	through.Via = []string{"first.amazonaws.com", "last.amazonaws.com"}
	forResource := arrived(service())
	forResource.SourceARN, forResource.SourceAccount = "arn:aws:sns:us-east-1:111122223333:t", "111122223333"
	unencrypted := arrived(user())
	unencrypted.Secure = false
	for _, tt := range []struct {
		call      *Call
		key, want string
	}{
		{direct, "aws:sourceip", "10.1.2.3"},
		{through, "aws:sourceip", absent},
		{forResource, "aws:sourcearn", "arn:aws:sns:us-east-1:111122223333:t"},
		{forResource, "aws:sourceaccount", "111122223333"},
		{direct, "aws:sourcearn", absent},
		{direct, "aws:securetransport", "true"},
		{unencrypted, "aws:securetransport", "false"},
		{direct, "aws:useragent", "aws-cli/2"},
		{direct, "aws:referer", "https://example.com/"},
		{direct, "aws:currenttime", "2001-09-09T01:48:40Z"},
		{direct, "aws:epochtime", "1000000120"},
		{direct, "aws:requestedregion", "us-east-1"},
		{direct, "aws:viaawsservice", "false"},
		{through, "aws:viaawsservice", "true"},
		{through, "aws:calledvia", "first.amazonaws.com last.amazonaws.com"},
		{through, "aws:calledviafirst", "first.amazonaws.com"},
		{through, "aws:calledvialast", "last.amazonaws.com"},
		{direct, "aws:calledviafirst", absent},
	} {
		if got := valueOf(tt.call, Target{}, tt.key); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.key, got, tt.want)
		}
	}
}

func valueOf(c *Call, t Target, key string) string {
	values, present := c.key(&t, key)
	if !present {
		return "(absent)"
	}
	return strings.Join(values, " ")
}

// What is about the resource, and what is no aws: key, is the target's to know;
// nothing else is.
func TestKeysOfTheTarget(t *testing.T) {
	c := arrived(user())
	var asked []string
	target := Target{ARN: "arn:aws:sns:us-east-1:444455556666:t", Keys: func(key string) ([]string, bool) {
		asked = append(asked, key)
		return c.Value("target's")
	}}
	for key, want := range map[string]string{
		"sns:topic": "target's", "aws:resourcetag/a": "target's", "aws:requesttag/a": "target's", "aws:tagkeys": "target's",
		"aws:principaltag/team": "red", "aws:principaltag/none": "(absent)", "aws:resourceaccount": "444455556666",
	} {
		if got := valueOf(c, target, key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	if len(asked) != 4 {
		t.Errorf("the target was asked for %v", asked)
	}
	for _, tt := range []struct {
		target Target
		want   string
	}{{Target{ARN: "*"}, "(absent)"}, {Target{ARN: "arn:aws:s3:::b"}, "(absent)"}, {Target{ARN: "arn:aws:s3:::b", Account: "1"}, "1"}} {
		if got := valueOf(c, tt.target, "aws:resourceaccount"); got != tt.want {
			t.Errorf("owner of %s: got %s", tt.target.ARN, got)
		}
	}
}

// There is room for few values; those beyond it are found each time, and
// another call has nothing of this one's.
func TestKeysBeyondTheRoom(t *testing.T) {
	c := arrived(user())
	c.Learn("kms:learned", "x")
	first, _ := c.Value("first")
	for i := range 20 {
		c.Value(strings.Repeat("v", i))
	}
	if got := valueOf(c, Target{}, "aws:principalarn"); got != c.Principal.ARN {
		t.Errorf("got %s", got)
	}
	if diff := cmp.Diff([]string{"first"}, first); diff != "" {
		t.Error(diff)
	}
	if got := valueOf(c, Target{}, "kms:learned"); got != "x" {
		t.Errorf("learned %s", got)
	}
	if got := valueOf(arrived(user()), Target{}, "kms:learned"); got != "(absent)" {
		t.Errorf("another call learned %s", got)
	}
}

// A decision about a call that asks for its keys takes no memory but theirs.
func TestWouldDoesNotAllocate(t *testing.T) {
	doc, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sns:*","Resource":"*","Condition":{
		"StringEquals":{"aws:PrincipalTag/team":"red","aws:username":"alice"},"Bool":{"aws:SecureTransport":"true"}}}}`, policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	c := arrived(user())
	c.Policies = policy.NewSet(policy.Policy{Name: "p", Document: doc})
	target := Target{ARN: "arn:aws:sns:us-east-1:111122223333:t"}
	if d := c.Would("sns:Publish", target); !d.Allowed {
		t.Fatalf("got %+v", d)
	}
	if n := testing.AllocsPerRun(100, func() { c.Would("sns:Publish", target) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAllow(t *testing.T) {
	c := arrived(user())
	c.Service, c.Op = "sns", "Publish"
	const user = "User: arn:aws:iam::111122223333:user/eng/alice is not authorized to perform: "
	for _, tt := range []struct {
		target Target
		want   string
	}{
		{Target{ARN: "*"}, user + "sns:Publish because no identity-based policy allows the sns:Publish action"},
		{Target{ARN: "arn:aws:sns:::t"}, user + "sns:Publish on resource: arn:aws:sns:::t because no identity-based policy allows the sns:Publish action"},
		{Target{ARN: "arn:aws:sns:::t", Named: "t"}, user + "sns:Publish on resource: t because no identity-based policy allows the sns:Publish action"},
	} {
		err := c.Allow(tt.target)
		if err == nil || err.Error() != "AccessDeniedException: "+tt.want {
			t.Errorf("got %v", err)
		}
	}
}

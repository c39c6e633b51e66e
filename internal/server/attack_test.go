package server_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"azekura/internal/server/servertest"
	"azekura/internal/sigv4"
)

const attacked = "arn:aws:iam::111111111111:"

func statement(effect, action, resource, condition string) string {
	if condition != "" {
		condition = `,"Condition":{` + condition + `}`
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":[%s],"Resource":%q%s}}`, effect, action, resource, condition)
}

// attacker makes a user with one policy, and is an access key of it.
func attacker(t *testing.T, s *servertest.Server, name, policy string) *servertest.Client {
	t.Helper()
	iam(t, s, "CreateUser", "UserName", name)
	iam(t, s, "PutUserPolicy", "UserName", name, "PolicyName", "own", "PolicyDocument", policy)
	key := iam(t, s, "CreateAccessKey", "UserName", name)["AccessKey"].(map[string]any)
	return as(s, sigv4.Credentials{AccessKeyID: key["AccessKeyId"].(string), Secret: key["SecretAccessKey"].(string)})
}

// asked is 200, or the code and text of the refusal of a call of the query
// protocol.
func asked(t *testing.T, c *servertest.Client, service, op string, parameters ...string) string {
	t.Helper()
	status, body, err := c.Query(t.Context(), service, op, parameters...)
	if err != nil {
		t.Fatal(err)
	}
	if status == http.StatusOK {
		return "200"
	}
	told, _ := body["Error"].(map[string]any)
	return fmt.Sprintf("%d %s: %s", status, told["Code"], told["Message"])
}

const (
	allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	trustEve = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/eve"},"Action":"sts:AssumeRole"}}`
)

// climber makes Eve, who may look at all of IAM and manage what is below /team/,
// and what she might like to have.
func climber(t *testing.T, s *servertest.Server) *servertest.Client {
	t.Helper()
	eve := attacker(t, s, "eve", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["iam:Get*","iam:List*","secretsmanager:*","sts:*"],"Resource":"*"},
		{"Effect":"Allow","Action":"iam:*","Resource":["arn:aws:iam::111111111111:role/team/*","arn:aws:iam::111111111111:policy/team/*","arn:aws:iam::111111111111:user/team/*"]},
		{"Effect":"Deny","Action":"iam:UpdateAccessKey","Resource":"arn:aws:iam::111111111111:user/team/boss"}]}`)
	iam(t, s, "CreateRole", "RoleName", "Power", "AssumeRolePolicyDocument", strings.ReplaceAll(trustEve, "eve", "admin"))
	iam(t, s, "AttachRolePolicy", "RoleName", "Power", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
	iam(t, s, "CreatePolicy", "PolicyName", "p", "PolicyDocument", statement("Allow", `"iam:Get*"`, "*", ""))
	iam(t, s, "CreatePolicyVersion", "PolicyArn", attacked+"policy/p", "PolicyDocument", allowAll)
	iam(t, s, "AttachUserPolicy", "UserName", "eve", "PolicyArn", attacked+"policy/p")
	iam(t, s, "PutUserPermissionsBoundary", "UserName", "eve", "PermissionsBoundary", "arn:aws:iam::aws:policy/AdministratorAccess")
	iam(t, s, "CreateGroup", "GroupName", "admins")
	iam(t, s, "PutGroupPolicy", "GroupName", "admins", "PolicyName", "all", "PolicyDocument", allowAll)
	iam(t, s, "CreateUser", "UserName", "boss", "Path", "/team/")
	return eve
}

// ways are the calls by which Eve would become more.
func ways(s *servertest.Server) [][]string {
	return [][]string{
		{"SetDefaultPolicyVersion", "PolicyArn", attacked + "policy/p", "VersionId", "v2"},
		{"CreatePolicyVersion", "PolicyArn", attacked + "policy/p", "PolicyDocument", allowAll, "SetAsDefault", "true"},
		{"CreatePolicy", "PolicyName", "q", "PolicyDocument", allowAll},
		{"CreatePolicy", "PolicyName", "q", "Path", "/teams/", "PolicyDocument", allowAll},
		{"UpdateAssumeRolePolicy", "RoleName", "Power", "PolicyDocument", trustEve},
		{"UpdateAssumeRolePolicy", "RoleName", "POWER", "PolicyDocument", trustEve},
		{"PutRolePolicy", "RoleName", "power", "PolicyName", "x", "PolicyDocument", allowAll},
		{"AttachRolePolicy", "RoleName", "Power", "PolicyArn", attacked + "policy/p"},
		{"UpdateRole", "RoleName", "Power", "MaxSessionDuration", "43200"},
		{"CreateRole", "RoleName", "other", "AssumeRolePolicyDocument", trustEve},
		{"CreateRole", "RoleName", "other", "Path", "/", "AssumeRolePolicyDocument", trustEve},
		{"PutUserPolicy", "UserName", "eve", "PolicyName", "x", "PolicyDocument", allowAll},
		{"PutUserPolicy", "UserName", "EVE", "PolicyName", "x", "PolicyDocument", allowAll},
		{"AttachUserPolicy", "UserName", "eve", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"},
		{"DeleteUserPolicy", "UserName", "eve", "PolicyName", "own"},
		{"DeleteUserPermissionsBoundary", "UserName", "eve"},
		{"PutUserPermissionsBoundary", "UserName", "eve", "PermissionsBoundary", attacked + "policy/p"},
		{"AddUserToGroup", "UserName", "eve", "GroupName", "admins"},
		{"PutGroupPolicy", "GroupName", "admins", "PolicyName", "x", "PolicyDocument", allowAll},
		{"UpdateUser", "UserName", "eve", "NewPath", "/team/"},
		{"UpdateUser", "UserName", "boss", "NewPath", "/"},
		{"TagUser", "UserName", "eve", "Tags.member.1.Key", "team", "Tags.member.1.Value", "red"},
		{"CreateAccessKey", "UserName", "admin"},
		{"UpdateAccessKey", "UserName", "admin", "AccessKeyId", s.Credentials.AccessKeyID, "Status", "Inactive"},
		{"UpdateAccessKey", "UserName", "BOSS", "AccessKeyId", s.Credentials.AccessKeyID, "Status", "Inactive"},
		{"CreateLoginProfile", "UserName", "admin", "Password", "correct-Horse-7"},
		{"CreateUser", "UserName", "other"},
		{"CreateOpenIDConnectProvider", "Url", "https://oidc.example.com", "ClientIDList.member.1", "c"},
		{"CreateServiceLinkedRole", "AWSServiceName", "secretsmanager.amazonaws.com"},
		{"UpdateAccountPasswordPolicy", "MinimumPasswordLength", "6"},
	}
}

// Who may look at IAM, and manage what is below a path, makes nothing more of
// it, by whichever call and in whichever letters.
func TestEscalation(t *testing.T) {
	s := servertest.New(t)
	eve := climber(t, s)
	for _, call := range [][]string{
		{"GetRole", "RoleName", "Power"},
		{"CreateRole", "RoleName", "mine", "Path", "/team/", "AssumeRolePolicyDocument", trustEve},
		{"GetPolicyVersion", "PolicyArn", attacked + "policy/p", "VersionId", "v2"},
	} {
		if got := asked(t, eve, "iam", call[0], call[1:]...); got != "200" {
			t.Errorf("what she may do: %v: %s", call, got)
		}
	}
	for _, call := range ways(s) {
		if got := asked(t, eve, "iam", call[0], call[1:]...); !strings.HasPrefix(got, "403 AccessDenied: User: "+attacked+"user/eve is not authorized to perform: iam:"+call[0]+" ") {
			t.Errorf("%v: %s", call, got)
		}
	}
	for _, role := range []string{"Power", "none"} {
		want := "403 AccessDenied: User: " + attacked + "user/eve is not authorized to perform: sts:AssumeRole on resource: " + attacked + "role/" + role
		if got := asked(t, eve, "sts", "AssumeRole", "RoleArn", attacked+"role/"+role, "RoleSessionName", "s1"); got != want {
			t.Errorf("%s: %s", role, got)
		}
	}
	status, body, err := eve.Organizations(t.Context(), "ListAccounts", in{})
	if err != nil || status != http.StatusBadRequest || body["__type"] != "AccessDeniedException" {
		t.Errorf("organizations: %d %v, %v", status, body, err)
	}
	// A session is never more than who asked for it.
	for op, parameters := range map[string][]string{"GetFederationToken": {"Name", "f1", "Policy", allowAll}, "GetSessionToken": nil} {
		made := as(s, session(t, s, eve.Credentials, op, parameters...))
		for _, call := range ways(s) {
			if got := asked(t, made, "iam", call[0], call[1:]...); !strings.HasPrefix(got, "403 ") {
				t.Errorf("%s, then %v: %s", op, call, got)
			}
		}
	}
}

// A thief has two sessions of one role, the second narrow, and tries what
// sessions let through.
type thief struct {
	t            *testing.T
	s            *servertest.Server
	wide, narrow sigv4.Credentials
}

func newThief(t *testing.T) *thief {
	t.Helper()
	s := servertest.New(t)
	s.MustCall(t, "CreateSecret", in{"Name": "s", "SecretString": "inside"})
	iam(t, s, "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole"}}`)
	iam(t, s, "PutRolePolicy", "RoleName", "r", "PolicyName", "p", "PolicyDocument", statement("Allow", `"secretsmanager:*"`, "*", ""))
	assume := func(more ...string) sigv4.Credentials {
		return session(t, s, s.Credentials, "AssumeRole", append(more, "RoleArn", attacked+"role/r", "RoleSessionName", "s1")...)
	}
	return &thief{t, s, assume(), assume("Policy", statement("Allow", `"sqs:*"`, "*", ""))}
}

// try reads the secret with credentials, in a request that is spoilt on its way.
func (h *thief) try(creds sigv4.Credentials, spoil func(*http.Request)) string {
	h.t.Helper()
	r := request(h.t, h.s, func(r *http.Request) {
		sigv4.Sign(r, creds, h.s.Region, "secretsmanager", sha256.Sum256([]byte(doorBody)), time.Now())
	})
	if spoil != nil {
		spoil(r)
	}
	return knock(h.t, h.s, r)
}

// A token is good for its own key, as it was made out, and not after it was
// revoked.
func TestStolenSessions(t *testing.T) {
	h := newThief(t)
	s, wide, narrow := h.s, h.wide, h.narrow
	const (
		invalid  = "UnrecognizedClientException: The security token included in the request is invalid."
		mismatch = "InvalidSignatureException: The request signature we calculated does not match the signature you provided."
	)
	for name, test := range map[string]struct {
		change func(*sigv4.Credentials)
		spoil  func(*http.Request)
		want   string
	}{
		"whole":                   {nil, nil, "200"},
		"narrow":                  {func(c *sigv4.Credentials) { *c = narrow }, nil, "AccessDeniedException: User: arn:aws:sts::111111111111:assumed-role/r/s1 is not authorized"},
		"without its token":       {func(c *sigv4.Credentials) { c.Token = "" }, nil, invalid},
		"token cut off":           {func(c *sigv4.Credentials) { c.Token = c.Token[:len(c.Token)-4] }, nil, invalid},
		"token with more":         {func(c *sigv4.Credentials) { c.Token += "AAAA" }, nil, invalid},
		"first half of another's": {func(c *sigv4.Credentials) { n := len(narrow.Token) / 2; c.Token = narrow.Token[:n] + c.Token[n:] }, nil, invalid},
		"another session's token": {func(c *sigv4.Credentials) {
			c.Token = wide.Token
			c.AccessKeyID, c.Secret = narrow.AccessKeyID, narrow.Secret
		}, nil, invalid},
		"another session's key":    {func(c *sigv4.Credentials) { c.Secret = narrow.Secret }, nil, mismatch},
		"on a long-lived key":      {func(c *sigv4.Credentials) { c.AccessKeyID, c.Secret = s.Credentials.AccessKeyID, s.Credentials.Secret }, nil, invalid},
		"the key id of a user":     {func(c *sigv4.Credentials) { c.AccessKeyID = s.Credentials.AccessKeyID }, nil, invalid},
		"token taken off on a way": {nil, func(r *http.Request) { r.Header.Del("X-Amz-Security-Token") }, invalid},
		"token put on on a way":    {func(c *sigv4.Credentials) { *c = s.Credentials }, func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", wide.Token) }, invalid},
		"two tokens":               {nil, func(r *http.Request) { r.Header.Add("X-Amz-Security-Token", narrow.Token) }, "IncompleteSignatureException: A request has one 'X-Amz-Security-Token' header."},
	} {
		creds := wide
		if test.change != nil {
			test.change(&creds)
		}
		if got := h.try(creds, test.spoil); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
	for i := 0; i < len(wide.Token); i += len(wide.Token) / 40 { // guesses are slowed after 100
		creds, other := wide, byte('A')
		if wide.Token[i] == other {
			other = 'B'
		}
		creds.Token = wide.Token[:i] + string(other) + wide.Token[i+1:]
		if got := h.try(creds, nil); got != invalid {
			t.Errorf("byte %d changed: %s", i, got)
		}
	}
	later := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	iam(t, s, "PutRolePolicy", "RoleName", "r", "PolicyName", "AWSRevokeOlderSessions", "PolicyDocument",
		statement("Deny", `"*"`, "*", `"DateLessThan":{"aws:TokenIssueTime":"`+later+`"}`))
	if got := h.try(wide, nil); !strings.HasSuffix(got, "with an explicit deny in an identity-based policy") {
		t.Errorf("revoked: %s", got)
	}
}

// Who may not look learns from no answer what there is.
func TestExistenceDoesNotLeak(t *testing.T) {
	s := servertest.New(t)
	s.MustCall(t, "CreateSecret", in{"Name": "there", "SecretString": "inside"})
	iam(t, s, "CreateUser", "UserName", "there")
	iam(t, s, "CreateRole", "RoleName", "there", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+attacked+`user/there"},"Action":"sts:AssumeRole"}}`)
	iam(t, s, "CreatePolicy", "PolicyName", "there", "PolicyDocument", statement("Allow", `"*"`, "*", ""))
	eve := attacker(t, s, "eve", statement("Allow", `"sts:GetCallerIdentity","sts:AssumeRole"`, "*", ""))
	told := func(text string) string { return strings.ReplaceAll(text, "missing", "there") }
	for _, op := range []string{"GetSecretValue", "DescribeSecret", "GetResourcePolicy", "ListSecretVersionIds", "DeleteSecret", "RestoreSecret"} {
		var answers []string
		for _, name := range []string{"there", "missing"} {
			status, body, err := eve.Do(t.Context(), op, in{"SecretId": name})
			text, _ := json.Marshal(body)
			if err != nil || body["__type"] != "AccessDeniedException" {
				t.Errorf("%s of %s: %d %s, %v", op, name, status, text, err)
			}
			answers = append(answers, fmt.Sprint(status, told(string(text))))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s:\n%s\n%s", op, answers[0], answers[1])
		}
	}
	batch := attacker(t, s, "batch", statement("Allow", `"secretsmanager:BatchGetSecretValue","secretsmanager:ListSecrets"`, "*", ""))
	_, body, err := batch.Do(t.Context(), "BatchGetSecretValue", in{"SecretIdList": []string{"there", "missing"}})
	if refusals, _ := body["Errors"].([]any); err != nil || len(refusals) != 2 || told(fmt.Sprint(refusals[0])) != told(fmt.Sprint(refusals[1])) {
		t.Errorf("in a batch: %v, %v", body, err)
	}
	for _, call := range [][]string{
		{"iam", "GetUser", "UserName", "NAME"}, {"iam", "ListAccessKeys", "UserName", "NAME"}, {"iam", "DeleteUser", "UserName", "NAME"},
		{"iam", "CreateUser", "UserName", "NAME"}, {"iam", "GetRole", "RoleName", "NAME"}, {"iam", "CreateRole", "RoleName", "NAME", "AssumeRolePolicyDocument", "{}"},
		{"iam", "GetPolicy", "PolicyArn", attacked + "policy/NAME"}, {"iam", "CreatePolicy", "PolicyName", "NAME", "PolicyDocument", "{}"},
		{"iam", "GetLoginProfile", "UserName", "NAME"}, {"iam", "CreateAccessKey", "UserName", "NAME"},
		{"sts", "AssumeRole", "RoleArn", attacked + "role/NAME", "RoleSessionName", "s1"},
	} {
		var answers []string
		for _, name := range []string{"there", "missing"} {
			parameters := strings.Split(strings.ReplaceAll(strings.Join(call[2:], "\n"), "NAME", name), "\n")
			answers = append(answers, told(asked(t, eve, call[0], call[1], parameters...)))
		}
		if answers[0] != answers[1] || !strings.HasPrefix(answers[0], "403 AccessDenied: ") {
			t.Errorf("%s:\n%s\n%s", call[1], answers[0], answers[1])
		}
	}
}

// What a caller writes about where it comes from is believed of trusted proxies
// alone.
func TestForgedSource(t *testing.T) {
	for trusted, want := range map[string]int{"": http.StatusBadRequest, "127.0.0.1": http.StatusOK, "10.0.0.0/8": http.StatusBadRequest} {
		cfg := servertest.Config(t)
		if trusted != "" {
			cfg.TrustedProxies = []string{trusted}
		}
		s := servertest.Start(t, cfg)
		eve := attacker(t, s, "eve", statement("Allow", `"secretsmanager:ListSecrets"`, "*", `"IpAddress":{"aws:SourceIp":"192.0.2.0/24"},"Bool":{"aws:SecureTransport":"true"}`))
		r, err := eve.Request(t.Context(), "ListSecrets", in{})
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "Forwarded": "for=192.0.2.7;proto=https", "X-Real-Ip": "192.0.2.7",
			"True-Client-Ip": "192.0.2.7", "X-Http-Method-Override": "PUT",
		} {
			r.Header.Set(name, value)
		}
		res, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("with %q trusted: %d", trusted, res.StatusCode)
		}
	}
}

// One request is one call, whoever reads it.
func TestAmbiguousRequests(t *testing.T) {
	s := servertest.New(t)
	const call, version = "Action=GetCallerIdentity", "&Version=2011-06-15"
	const twice, scope, mismatch = "MalformedInput", "Credential should be scoped to correct service", "The request signature we calculated does not match"
	for name, test := range map[string]struct {
		service, query, body string // unsigned without a service
		spoil                func(*http.Request)
		want                 string // in the answer
	}{
		"plain":                      {"sts", "", call + version, nil, "<GetCallerIdentityResult>"},
		"two actions":                {"sts", "", call + version + "&Action=AssumeRole", nil, twice},
		"one action twice":           {"sts", "", call + version + "&" + call, nil, twice},
		"action in query and body":   {"sts", "Action=GetSessionToken", call + version, nil, twice},
		"the other service's action": {"sts", "", "Action=ListUsers&Version=2010-05-08", nil, scope},
		"the other service's scope":  {"iam", "", call + version, nil, scope},
		"a secret's scope":           {"secretsmanager", "", call + version, nil, scope},
		"a target, too":              {"sts", "", call + version, func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets") }, scope},
		"another body":               {"sts", "", call + version, func(r *http.Request) { replaceBody(r, "Action=GetSessionToken"+version) }, mismatch},
		"more in the query":          {"sts", "", call + version, func(r *http.Request) { r.URL.RawQuery = "DurationSeconds=900" }, mismatch},
		"signed twice":               {"sts", "", call + version, func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=" + strings.Repeat("0", 64) }, "IncompleteSignature"},
		"unsigned, of two actions":   {"", "", "Action=AssumeRoleWithWebIdentity&Action=GetCallerIdentity" + version, nil, twice},
		"unsigned, in two places":    {"", "Action=AssumeRoleWithWebIdentity" + version, call + version, nil, twice},
		"unsigned, another's":        {"", "", "Action=CreateUser&UserName=eve&Version=2010-05-08", nil, "MissingAuthenticationToken"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/?"+test.query, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if test.service != "" {
			sigv4.Sign(r, s.Credentials, s.Region, test.service, sha256.Sum256([]byte(test.body)), time.Now())
		}
		if test.spoil != nil {
			test.spoil(r)
		}
		res, err := s.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(text), test.want) || (res.StatusCode == http.StatusOK) != (name == "plain") {
			t.Errorf("%s: %d %s, %v", name, res.StatusCode, text, err)
		}
	}
}

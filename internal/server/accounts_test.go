package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"azekura/internal/server/servertest"
	"azekura/internal/sigv4"
)

// A company tells a story of accounts through all of its servers, which are
// one.
type company struct {
	t       *testing.T
	servers []*servertest.Server
}

type in = map[string]any

// manage calls an operation of Organizations as the first administrator.
func (c *company) manage(op string, input in) map[string]any {
	c.t.Helper()
	status, body, err := c.servers[0].Organizations(c.t.Context(), op, input)
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("%s: %d %v, %v", op, status, body, err)
	}
	return body
}

// as is a client of a server with others' credentials.
func as(s *servertest.Server, creds sigv4.Credentials) *servertest.Client {
	client := *s.Client
	client.Credentials = creds
	return &client
}

// enter assumes the role by which the management account enters another.
func (c *company) enter(s *servertest.Server, account string) (creds sigv4.Credentials, status int) {
	c.t.Helper()
	status, body, err := s.Query(c.t.Context(), "sts", "AssumeRole", "RoleSessionName", "ann",
		"RoleArn", "arn:aws:iam::"+account+":role/OrganizationAccountAccessRole")
	if err != nil {
		c.t.Fatal(err)
	}
	if status != http.StatusOK {
		return creds, status
	}
	issued := body["AssumeRoleResponse"].(map[string]any)["AssumeRoleResult"].(map[string]any)["Credentials"].(map[string]any)
	return sigv4.Credentials{
		AccessKeyID: issued["AccessKeyId"].(string), Secret: issued["SecretAccessKey"].(string), Token: issued["SessionToken"].(string),
	}, status
}

// user makes a user with AdministratorAccess, and is an access key of it.
func (c *company) user(inside *servertest.Client, name string) sigv4.Credentials {
	c.t.Helper()
	var body map[string]any
	for _, call := range [][]string{
		{"CreateUser", "UserName", name},
		{"AttachUserPolicy", "UserName", name, "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess"},
		{"CreateAccessKey", "UserName", name},
	} {
		status, answer, err := inside.Query(c.t.Context(), "iam", call[0], call[1:]...)
		if err != nil || status != http.StatusOK {
			c.t.Fatalf("%s: %d %v, %v", call[0], status, answer, err)
		}
		body = answer
	}
	key := body["CreateAccessKeyResponse"].(map[string]any)["CreateAccessKeyResult"].(map[string]any)["AccessKey"].(map[string]any)
	return sigv4.Credentials{AccessKeyID: key["AccessKeyId"].(string), Secret: key["SecretAccessKey"].(string)}
}

// expect calls an operation of Secrets Manager through every server.
func (c *company) expect(when string, creds sigv4.Credentials, op string, input in, status int, want string) {
	c.t.Helper()
	for i, s := range c.servers {
		got, body, err := as(s, creds).Do(c.t.Context(), op, input)
		text, _ := json.Marshal(body)
		if err != nil || got != status || !strings.Contains(string(text), want) {
			c.t.Errorf("%s, server %d: %s: %d %s, %v; want %d %s", when, i, op, got, text, err, status, want)
		}
	}
}

// A guard rail stops an account's administrators, whoever they are, from the
// next call on and on every server, and frees them as fast; closing the account
// locks everybody out and deletes nothing.
func TestAccounts(t *testing.T) {
	t.Run("one", func(t *testing.T) { tellAccounts(&company{t, []*servertest.Server{servertest.New(t)}}) })
	t.Run("two over one database", func(t *testing.T) { tellAccounts(&company{t, nodes(t)}) })
}

func tellAccounts(c *company) {
	t := c.t
	made := c.manage("CreateAccount", in{"AccountName": "blue", "Email": "blue@example.com"})["CreateAccountStatus"].(map[string]any)
	account := fmt.Sprint(made["AccountId"])
	last := c.servers[len(c.servers)-1]
	session, status := c.enter(last, account)
	if status != http.StatusOK {
		t.Fatalf("enter the account: %d", status)
	}
	ann := c.user(as(last, session), "ann")
	if status, body, err := as(last, ann).Do(t.Context(), "CreateSecret", in{"Name": "s", "SecretString": "x"}); err != nil || status != http.StatusOK {
		t.Fatalf("make a secret: %d %v, %v", status, body, err)
	}
	read := in{"SecretId": "s"}
	c.expect("to begin with", ann, "GetSecretValue", read, http.StatusOK, `"x"`)
	c.expect("to begin with", session, "GetSecretValue", read, http.StatusOK, `"x"`)

	policy := c.manage("CreatePolicy", in{"Name": "no reading", "Description": "", "Type": "SERVICE_CONTROL_POLICY",
		"Content": `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`})
	id := policy["Policy"].(map[string]any)["PolicySummary"].(map[string]any)["Id"]
	root := c.manage("ListRoots", in{})["Roots"].([]any)[0].(map[string]any)["Id"]
	for _, target := range []any{account, root} {
		c.manage("AttachPolicy", in{"PolicyId": id, "TargetId": target})
		const denied = "is not authorized to perform: secretsmanager:GetSecretValue on resource: "
		const because = "with an explicit deny in a service control policy"
		for _, who := range []sigv4.Credentials{ann, session} {
			c.expect("under the policy", who, "GetSecretValue", read, http.StatusBadRequest, denied)
			c.expect("under the policy", who, "GetSecretValue", read, http.StatusBadRequest, because)
			c.expect("under the policy", who, "DescribeSecret", read, http.StatusOK, `"Name":"s"`)
		}
		c.manage("DetachPolicy", in{"PolicyId": id, "TargetId": target})
		c.expect("free again", ann, "GetSecretValue", read, http.StatusOK, `"x"`)
		c.expect("free again", session, "GetSecretValue", read, http.StatusOK, `"x"`)
	}

	org := c.manage("DescribeOrganization", in{})["Organization"].(map[string]any)["Id"]
	shared := c.servers[0].MustCall(t, "CreateSecret", in{"Name": "shared", "SecretString": "ours"})["ARN"]
	for id, want := range map[any]int{"o-aaaaaaaaaa": http.StatusBadRequest, org: http.StatusOK} {
		c.servers[0].MustCall(t, "PutResourcePolicy", in{"SecretId": "shared", "ResourcePolicy": fmt.Sprintf(`{"Version":"2012-10-17","Statement":
			{"Effect":"Allow","Principal":"*","Action":"secretsmanager:DescribeSecret","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":%q}}}}`, id)})
		c.expect(fmt.Sprint("shared with ", id), ann, "DescribeSecret", in{"SecretId": shared}, want, "")
	}

	c.manage("CloseAccount", in{"AccountId": account})
	for _, who := range []sigv4.Credentials{ann, session} {
		c.expect("closed", who, "GetSecretValue", read, http.StatusForbidden, `"OptInRequired"`)
	}
	for _, s := range c.servers {
		if _, status := c.enter(s, account); status != http.StatusForbidden {
			t.Errorf("enter a closed account: %d", status)
		}
	}
	closed := c.manage("DescribeAccount", in{"AccountId": account})["Account"].(map[string]any)
	if closed["State"] != "SUSPENDED" {
		t.Errorf("closed, but %v", closed)
	}
}

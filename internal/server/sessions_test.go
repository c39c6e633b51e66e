package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"azekura/internal/server/servertest"
	"azekura/internal/sigv4"
)

// session calls an operation of STS, as somebody, that has to make a session.
func session(t *testing.T, s *servertest.Server, as sigv4.Credentials, op string, parameters ...string) sigv4.Credentials {
	t.Helper()
	client := *s.Client
	client.Credentials = as
	status, body, err := client.Query(t.Context(), "sts", op, parameters...)
	response, _ := body[op+"Response"].(map[string]any)
	result, _ := response[op+"Result"].(map[string]any)
	made, ok := result["Credentials"].(map[string]any)
	if err != nil || status != http.StatusOK || !ok {
		t.Fatalf("%s: %d, %v, %v", op, status, body["Error"], err)
	}
	return sigv4.Credentials{AccessKeyID: made["AccessKeyId"].(string), Secret: made["SecretAccessKey"].(string), Token: made["SessionToken"].(string)}
}

// Whatever takes a session its ground away through one server is obeyed by the
// next call through either, though both have let the session in before; and
// what one server has made a session of the other lets in.
func TestServersObeySTSAtOnce(t *testing.T) {
	servers := nodes(t)
	policy := func(effect, action, more string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":%q,"Resource":"*"%s}}`, effect, action, more)
	}
	const account = "111111111111"
	makeRole := func() {
		t.Helper()
		iam(t, servers[0], "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole"}}`)
		iam(t, servers[0], "AttachRolePolicy", "RoleName", "r", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
	}
	makeRole()
	iam(t, servers[0], "CreateUser", "UserName", "ann")
	iam(t, servers[0], "AttachUserPolicy", "UserName", "ann", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
	iam(t, servers[0], "CreatePolicy", "PolicyName", "p", "PolicyDocument", policy("Allow", "secretsmanager:*", ""))
	key := iam(t, servers[0], "CreateAccessKey", "UserName", "ann")["AccessKey"].(map[string]any)
	id := key["AccessKeyId"].(string)
	ann := sigv4.Credentials{AccessKeyID: id, Secret: key["SecretAccessKey"].(string)}

	const managed = "arn:aws:iam::" + account + ":policy/p"
	assume := []string{"RoleArn", "arn:aws:iam::" + account + ":role/r", "RoleSessionName", "s1"}
	sessions := map[string]sigv4.Credentials{
		"role":      session(t, servers[0], ann, "AssumeRole", append(assume, "PolicyArns.member.1.arn", managed)...),
		"user":      session(t, servers[1], ann, "GetSessionToken"),
		"federated": session(t, servers[0], ann, "GetFederationToken", "Name", "f1", "Policy", policy("Allow", "*", "")),
	}
	const allowed, denied, unknown = "", "AccessDeniedException", "UnrecognizedClientException"
	expect := func(after, role, user string) {
		t.Helper()
		for name, creds := range sessions {
			want := user
			if name == "role" {
				want = role
			}
			for n, s := range servers {
				as := *s.Client
				as.Credentials = creds
				_, body, err := as.Do(t.Context(), "ListSecrets", map[string]string{})
				if got, _ := body["__type"].(string); err != nil || got != want {
					t.Errorf("after %s, %s through server %d: %q, %v; want %q", after, name, n, got, err, want)
				}
			}
		}
	}
	expect("nothing", allowed, allowed)
	older := policy("Deny", "*", `,"Condition":{"DateLessThan":{"aws:TokenIssueTime":"2100-01-01T00:00:00Z"}}`)
	for i, step := range []struct {
		op         string
		parameters []string
		role, user string
	}{
		{"CreatePolicyVersion", []string{"PolicyArn", managed, "SetAsDefault", "true", "PolicyDocument", policy("Allow", "s3:*", "")}, denied, allowed},
		{"SetDefaultPolicyVersion", []string{"PolicyArn", managed, "VersionId", "v1"}, allowed, allowed},
		{"PutRolePolicy", []string{"RoleName", "r", "PolicyName", "AWSRevokeOlderSessions", "PolicyDocument", older}, denied, allowed},
		{"DeleteRolePolicy", []string{"RoleName", "r", "PolicyName", "AWSRevokeOlderSessions"}, allowed, allowed},
		{"PutUserPolicy", []string{"UserName", "ann", "PolicyName", "older", "PolicyDocument", older}, allowed, denied},
		{"DeleteUserPolicy", []string{"UserName", "ann", "PolicyName", "older"}, allowed, allowed},
		{"UpdateAccessKey", []string{"UserName", "ann", "AccessKeyId", id, "Status", "Inactive"}, allowed, unknown},
		{"UpdateAccessKey", []string{"UserName", "ann", "AccessKeyId", id, "Status", "Active"}, allowed, allowed},
		{"DeleteAccessKey", []string{"UserName", "ann", "AccessKeyId", id}, allowed, unknown},
	} {
		iam(t, servers[i%2], step.op, step.parameters...)
		expect(step.op, step.role, step.user)
	}
	iam(t, servers[1], "DetachRolePolicy", "RoleName", "r", "PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess")
	expect("DetachRolePolicy", denied, unknown)
	iam(t, servers[1], "DeleteRole", "RoleName", "r")
	expect("DeleteRole", unknown, unknown)
	makeRole()
	expect("CreateRole with the same name", unknown, unknown)
}

package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"azekura/internal/server/servertest"
	"azekura/internal/sigv4"
)

// iam calls an operation of IAM that has to succeed, and returns its result.
func iam(t *testing.T, s *servertest.Server, op string, parameters ...string) map[string]any {
	t.Helper()
	status, body, err := s.Query(t.Context(), "iam", op, parameters...)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d, %v, %v", op, status, body["Error"], err)
	}
	response, _ := body[op+"Response"].(map[string]any)
	result, _ := response[op+"Result"].(map[string]any)
	return result
}

// What is changed of a user through one server is obeyed by the next call
// through either, though both have just seen the user as it was.
func TestServersObeyIAMAtOnce(t *testing.T) {
	servers := nodes(t)
	policy := func(effect, action string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":%q,"Resource":"*"}}`, effect, action)
	}
	const arn = "arn:aws:iam::111111111111:policy/p"
	iam(t, servers[0], "CreateUser", "UserName", "ann")
	iam(t, servers[0], "CreateGroup", "GroupName", "g")
	iam(t, servers[0], "CreatePolicy", "PolicyName", "p", "PolicyDocument", policy("Allow", "secretsmanager:ListSecrets"))
	iam(t, servers[0], "CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", policy("Deny", "*"))
	key := iam(t, servers[0], "CreateAccessKey", "UserName", "ann")["AccessKey"].(map[string]any)
	id := key["AccessKeyId"].(string)
	ann := sigv4.Credentials{AccessKeyID: id, Secret: key["SecretAccessKey"].(string)}

	const allowed, denied, unknown = "", "AccessDeniedException", "UnrecognizedClientException"
	expect := func(after, want string) {
		t.Helper()
		for n, s := range servers {
			as := *s.Client
			as.Credentials = ann
			_, body, err := as.Do(t.Context(), "ListSecrets", map[string]string{})
			if got, _ := body["__type"].(string); err != nil || got != want {
				t.Errorf("after %s, through server %d: %q, %v; want %q", after, n, got, err, want)
			}
		}
	}
	expect("nothing", denied)
	for i, step := range []struct {
		op         string
		parameters []string
		want       string
	}{
		{"AttachUserPolicy", []string{"UserName", "ann", "PolicyArn", arn}, allowed},
		{"SetDefaultPolicyVersion", []string{"PolicyArn", arn, "VersionId", "v2"}, denied},
		{"SetDefaultPolicyVersion", []string{"PolicyArn", arn, "VersionId", "v1"}, allowed},
		{"PutUserPermissionsBoundary", []string{"UserName", "ann", "PermissionsBoundary", "arn:aws:iam::aws:policy/IAMFullAccess"}, denied},
		{"DeleteUserPermissionsBoundary", []string{"UserName", "ann"}, allowed},
		{"DetachUserPolicy", []string{"UserName", "ann", "PolicyArn", arn}, denied},
		{"AddUserToGroup", []string{"GroupName", "g", "UserName", "ann"}, denied},
		{"PutGroupPolicy", []string{"GroupName", "g", "PolicyName", "i", "PolicyDocument", policy("Allow", "*")}, allowed},
		{"UpdateAccessKey", []string{"UserName", "ann", "AccessKeyId", id, "Status", "Inactive"}, unknown},
		{"UpdateAccessKey", []string{"UserName", "ann", "AccessKeyId", id, "Status", "Active"}, allowed},
		{"RemoveUserFromGroup", []string{"GroupName", "g", "UserName", "ann"}, denied},
		{"DeleteAccessKey", []string{"UserName", "ann", "AccessKeyId", id}, unknown},
	} {
		iam(t, servers[i%2], step.op, step.parameters...)
		expect(step.op, step.want)
	}
}

// A server writes down in the background when an access key was used.
func TestUsesAreWrittenDown(t *testing.T) {
	s := servertest.New(t)
	for range 10_000 {
		used := iam(t, s, "GetAccessKeyLastUsed", "AccessKeyId", s.Credentials.AccessKeyID)["AccessKeyLastUsed"].(map[string]any)
		if used["ServiceName"] == "iam" && used["Region"] == s.Region {
			return
		}
	}
	t.Error("nothing is written")
}

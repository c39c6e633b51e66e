package wire

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"azekura/internal/api"
	iam "azekura/internal/api/iam"
	organizations "azekura/internal/api/organizations"
	sts "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/store"
)

var update = flag.Bool("update", false, "write what was got into testdata/query")

// A queryBench serves a few operations of each protocol. It keeps what the
// last one was called with, and what was logged.
type queryBench struct {
	*Handler
	t    testing.TB
	in   string // the last input, as JSON
	call call.Call
	log  strings.Builder
	last Outcome
}

func newQueryBench(t testing.TB) *queryBench {
	b := &queryBench{t: t}
	b.Handler = &Handler{
		Authenticate: func(_ *http.Request, service string, _ netip.Addr, _ time.Time, _ *store.Reads) (func([32]byte) (*call.Call, error), error) {
			return func([32]byte) (*call.Call, error) {
				return &call.Call{Region: "us-west-2", Principal: call.Principal{Principal: policy.Principal{ARN: "ann"}}, AccessKeyID: "AKIDANN"}, nil
			}, nil
		},
		Log:    slog.New(slog.NewTextHandler(&b.log, nil)),
		Region: "us-east-1",
		Finish: func(o Outcome) { b.last = o },
	}
	b.Handle(call.Service{Name: "iam", Version: iam.Version, Namespace: iam.Namespace, Discreet: true, Ops: []call.Op{
		heard[iam.CreateRoleInput](b, "CreateRole", &iam.CreateRoleOutput{Role: &iam.Role{
			Path: new("/"), RoleName: new("app"), CreateDate: new(api.Timestamp(1768478400123)),
			AssumeRolePolicyDocument: new("%7B%7D"), MaxSessionDuration: new(int64(3600)),
			Tags: []iam.Tag{{Key: new("team"), Value: new("")}}, RoleLastUsed: &iam.RoleLastUsed{},
		}}, nil),
		heard[iam.GetUserInput](b, "GetUser", &iam.GetUserOutput{User: &iam.User{UserName: new("a<b>&\"c'\r\n\t\x00\x1f\ufffe\xff é😀")}}, nil),
		heard[iam.ListUsersInput](b, "ListUsers", &iam.ListUsersOutput{IsTruncated: new(false), Users: []iam.User{{UserName: new("a")}, {UserName: new("b")}}}, nil),
		heard[iam.ListGroupsInput](b, "ListGroups", &iam.ListGroupsOutput{IsTruncated: new(false), Groups: []iam.Group{}}, nil),
		heard[iam.ListUserTagsInput](b, "ListUserTags", &iam.ListUserTagsOutput{}, nil),
		heard[iam.GetAccountSummaryInput](b, "GetAccountSummary", &iam.GetAccountSummaryOutput{SummaryMap: map[string]int64{"Users": 3, "Groups": 0}}, nil),
		heard[iam.GetCredentialReportInput](b, "GetCredentialReport", &iam.GetCredentialReportOutput{Content: []byte("user,arn\n")}, nil),
		heard[iam.UpdateRoleInput](b, "UpdateRole", &iam.UpdateRoleOutput{}, nil),
		heard[iam.DeleteUserInput, iam.DeleteUserOutput](b, "DeleteUser", nil, nil),
		heard[iam.UpdateAccessKeyInput, iam.UpdateAccessKeyOutput](b, "UpdateAccessKey", nil, nil),
		heard[iam.UntagRoleInput, iam.UntagRoleOutput](b, "UntagRole", nil, nil),
		heard[iam.UpdateAccountPasswordPolicyInput, iam.UpdateAccountPasswordPolicyOutput](b, "UpdateAccountPasswordPolicy", nil, nil),
		heard[iam.CreateLoginProfileInput, iam.CreateLoginProfileOutput](b, "CreateLoginProfile", nil, errors.New("planted")),
		heard[iam.GetRoleInput, iam.GetRoleOutput](b, "GetRole", nil, iam.NoSuchEntity("The role with name %s cannot be found.", "a<b")),
		heard[iam.GetPolicyInput, iam.GetPolicyOutput](b, "GetPolicy", nil, api.AccessDenied("User: ann is not authorized")),
		heard[iam.SimulateCustomPolicyInput](b, "SimulateCustomPolicy", &iam.SimulateCustomPolicyOutput{EvaluationResults: []iam.EvaluationResult{{
			EvalActionName: new("s3:GetObject"), EvalDecision: new("allowed"), EvalDecisionDetails: map[string]string{"b": "allowed", "a": "x"},
			MatchedStatements: []iam.Statement{{StartPosition: &iam.Position{Line: new(int64(1)), Column: new(int64(41))}}},
		}}}, nil),
	}})
	b.Handle(call.Service{Name: "sts", Version: sts.Version, Namespace: sts.Namespace, Ops: []call.Op{
		heard[sts.GetCallerIdentityInput](b, "GetCallerIdentity", &sts.GetCallerIdentityOutput{
			UserId: new("AIDAANN"), Account: new("111111111111"), Arn: new("arn:aws:iam::111111111111:user/ann"),
		}, nil),
		heard[sts.AssumeRoleInput](b, "AssumeRole", &sts.AssumeRoleOutput{Credentials: &sts.Credentials{
			AccessKeyId: new("ASIAROLE"), SecretAccessKey: new(api.Sensitive("s3cret")), SessionToken: new("t"), Expiration: new(api.Timestamp(1768478400000)),
		}}, nil),
		heard[sts.AssumeRoleWithWebIdentityInput](b, "AssumeRoleWithWebIdentity", &sts.AssumeRoleWithWebIdentityOutput{Audience: new("a")}, nil),
	}})
	b.Handle(call.Service{Name: "organizations", Target: organizations.Target, Ops: []call.Op{
		heard[organizations.ListAccountsInput, organizations.ListAccountsOutput](b, "ListAccounts", &organizations.ListAccountsOutput{}, nil),
	}})
	return b
}

// heard is an operation that answers out or err, and keeps what it was called
// with.
func heard[In, Out any](b *queryBench, name string, out *Out, err error) call.Op {
	op := call.Bind(name, func(_ context.Context, c *call.Call, in *In) (*Out, error) {
		var text buffer
		encode(&text, in, planFor(b.t, in))
		b.in, b.call = string(text.bytes), *c
		return out, err
	})
	op.Unsigned = name == "AssumeRoleWithWebIdentity"
	return op
}

// send sends a request as it is on the wire. A header "Signed: iam" stands for
// a signature of ann's for that service.
func (b *queryBench) send(raw string) *httptest.ResponseRecorder {
	b.t.Helper()
	head, body, _ := strings.Cut(raw, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\nHost: iam.example.com\r\n\r\n")))
	if err != nil {
		b.t.Fatalf("%v in %s", err, raw)
	}
	signed := httptest.NewRequest(r.Method, r.URL.String(), strings.NewReader(strings.TrimSuffix(body, "\n")))
	signed.Header = r.Header
	if service := signed.Header.Get("Signed"); service != "" {
		sign(signed, service)
	}
	b.in, b.call = "", call.Call{}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, signed)
	return w
}

func sign(r *http.Request, service string) {
	r.Header.Del("Signed")
	r.Header.Set("X-Amz-Date", "20260115T120000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDANN/20260115/us-west-2/"+service+
		"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
}

// Each file of testdata/query has a request, what the operation was called
// with, if one was, and the answer.
func TestQuery(t *testing.T) {
	files, err := filepath.Glob("testdata/query/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b := newQueryBench(t)
			w := b.send(string(archive.Files[0].Data))
			answer := http.StatusText(w.Code) + "\n" + w.Header().Get("Content-Type") + "\n\n" +
				strings.ReplaceAll(w.Body.String(), w.Header().Get("X-Amzn-Requestid"), "REQUEST-ID") + "\n"
			got := []txtar.File{archive.Files[0]}
			if b.in != "" {
				got = append(got, txtar.File{Name: "input", Data: []byte(b.in + "\n")})
			}
			got = append(got, txtar.File{Name: "answer", Data: []byte(answer)})
			if *update {
				archive.Files = got
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(archive.Files, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

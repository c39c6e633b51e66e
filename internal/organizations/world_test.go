package organizations

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"azekura/internal/api"
	model "azekura/internal/api/organizations"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const management = "111111111111"

// A world is the service over a fresh store, with one caller, the management
// account's, and a clock that a test moves.
type world struct {
	*Service
	t        *testing.T
	users    *iam.Service
	now      time.Time
	policies *policy.Set
	account  string
	root     string
}

// each runs a test on every engine.
func each(t *testing.T, test func(w *world)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(newWorld(t, db)) })
}

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, users: iam.New(iam.Config{DB: db, Keyring: keyring}), now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC),
		policies: granting(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`), account: management,
		Service: New(Config{DB: db, Keyring: keyring, Management: management, Add: func(tx *store.Tx, m Member) error { return iam.AddMember(tx, iam.Member(m)) }}),
	}
	if _, _, err := w.users.Bootstrap(t.Context(), management); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there
		if err := w.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.root = *do(w, w.ListRoots, &model.ListRootsInput{}).Roots[0].Id
	return w
}

// again is the service as another process has it.
func (w *world) again() *Service {
	return New(Config{DB: w.db, Keyring: w.keyring, Management: management, Add: w.add})
}

// granting is the policies of a caller: one, with a statement.
func granting(t *testing.T, statement string) *policy.Set {
	t.Helper()
	return policy.NewSet(policy.Policy{Name: "mine", Document: parsed(t, document(statement))})
}

func document(statement string) string {
	return `{"Version":"2012-10-17","Statement":[` + statement + `]}`
}

func parsed(t *testing.T, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse(text, policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func userOf(account string) policy.Principal {
	ann := "arn:aws:iam::" + account + ":user/ann"
	return policy.Principal{Kind: policy.User, ARN: ann, Account: account, Entity: ann, ID: "AIDAQAAAAAAAGMKEM7X5A"}
}

func (w *world) call(op string, in any) *call.Call {
	return &call.Call{
		ID: uuid.NewString(), Time: w.now, Service: "organizations", Op: op, Input: in, Region: "us-east-1",
		Principal: call.Principal{Principal: userOf(w.account), UserName: "ann"},
		Policies:  w.policies, SourceIP: netip.MustParseAddr("127.0.0.1"),
	}
}

type method[In, Out any] func(context.Context, *call.Call, *In) (*Out, error)

func opOf(in any) string { return strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input") }

// do calls an operation that must succeed. Each call comes a second after the
// one before.
func do[In, Out any](w *world, serve method[In, Out], in *In) *Out {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	out, err := serve(w.t.Context(), w.call(opOf(in), in), in)
	if err != nil {
		w.t.Fatalf("%s: %v", opOf(in), err)
	}
	return out
}

// refuse calls an operation that must fail with a code and a text.
func refuse[In, Out any](w *world, serve method[In, Out], in *In, code, text string) {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	_, err := serve(w.t.Context(), w.call(opOf(in), in), in)
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code || e.Message != text || e.Status != 400 {
		w.t.Fatalf("%s: got %v, want %s: %s", opOf(in), err, code, text)
	}
}

// member makes an account, and is its id.
func (w *world) member(name string) string {
	w.t.Helper()
	made := do(w, w.CreateAccount, &model.CreateAccountInput{
		AccountName: new(api.Sensitive(name)), Email: new(api.Sensitive(name + "@example.com")),
	})
	if *made.CreateAccountStatus.State != "SUCCEEDED" {
		w.t.Fatalf("account %s: %+v", name, made.CreateAccountStatus)
	}
	return *made.CreateAccountStatus.AccountId
}

// policy makes a service control policy of one statement, and is its id.
func (w *world) policy(name, statement string) string {
	w.t.Helper()
	made := do(w, w.CreatePolicy, &model.CreatePolicyInput{
		Name: &name, Description: new(""), Type: new(serviceControl), Content: new(document(statement)),
	})
	return *made.Policy.PolicySummary.Id
}

func (w *world) attach(policyID, target string) {
	w.t.Helper()
	do(w, w.AttachPolicy, &model.AttachPolicyInput{PolicyId: &policyID, TargetId: &target})
}

func (w *world) detach(policyID, target string) {
	w.t.Helper()
	do(w, w.DetachPolicy, &model.DetachPolicyInput{PolicyId: &policyID, TargetId: &target})
}

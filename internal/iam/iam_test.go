package iam

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
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const account = "111111111111"

func newService(t testing.TB, db *store.DB) *Service {
	t.Helper()
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{DB: db, Keyring: keyring})
}

// again is a second service over the same store, with empty caches.
func again(s *Service) *Service { return New(Config{DB: s.db, Keyring: s.keyring}) }

func bootstrapped(t testing.TB) (*Service, AccessKey) {
	t.Helper()
	s := newService(t, storetest.Open(t))
	key, made, err := s.Bootstrap(t.Context(), account)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	return s, key
}

// A world is the service over a store with the first account, one caller and a
// clock that a test moves.
type world struct {
	*Service
	t        *testing.T
	now      time.Time
	caller   call.Principal
	policies *policy.Set
	key      AccessKey // of the administrator
}

// each runs f in a world over each engine.
func each(t *testing.T, f func(w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(worldOver(t, db)) })
}

func newWorld(t *testing.T) *world { return worldOver(t, storetest.Open(t)) }

func worldOver(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{
		Service: newService(t, db), t: t,
		now:      time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC),
		caller:   userPrincipal("admin"),
		policies: allowing(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`),
	}
	key, made, err := w.Bootstrap(t.Context(), account)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	w.key = key
	return w
}

func userPrincipal(name string) call.Principal {
	arn := "arn:aws:iam::" + account + ":user/" + name
	return call.Principal{
		Principal: policy.Principal{Kind: policy.User, ARN: arn, Account: account, Entity: arn, ID: "AIDAAAAAAAAAAAAAAAAAA"},
		UserName:  name,
	}
}

// document is a policy of statements.
func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

func allowing(t testing.TB, statements string) *policy.Set {
	t.Helper()
	doc, err := policy.Parse(document(statements), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return policy.NewSet(policy.Policy{Name: "given", Document: doc})
}

// call is a request of an operation by the world's caller, at its time.
func (w *world) call(op string, in any) *call.Call {
	return &call.Call{
		ID: uuid.NewString(), Time: w.now, Service: "iam", Op: op, Input: in, Region: "us-east-1",
		Principal: w.caller, Policies: w.policies, SourceIP: netip.MustParseAddr("127.0.0.1"),
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
	if !ok || e.Code != code || e.Message != text {
		w.t.Fatalf("%s: got %v, want %s: %s", opOf(in), err, code, text)
	}
	if want := statuses[code]; e.Status != want {
		w.t.Errorf("%s: status %d of %s, want %d", opOf(in), e.Status, code, want)
	}
}

var statuses = map[string]int{
	"NoSuchEntity": 404, "EntityAlreadyExists": 409, "LimitExceeded": 409, "DeleteConflict": 409,
	"ConcurrentModification": 409, "InvalidAuthenticationCode": 403, "InvalidUserType": 400, "PasswordPolicyViolation": 400,
	"PolicyNotAttachable": 400, "ReportNotPresent": 410, "ReportExpired": 410, "ThrottlingException": 400,
	"MalformedPolicyDocument": 400, "InvalidInput": 400, "UnmodifiableEntity": 400, "ValidationError": 400,
	"AccessDeniedException": 400, // the query protocol makes it AccessDenied, 403
}

// role makes a role that trusts its account. It writes the row alone: no test of
// something else fails with CreateRole.
func (w *world) role(name, path string) *entity {
	w.t.Helper()
	e := &entity{
		kind: roleKind, id: newID(roleKind.prefix), account: account, path: path, name: name, created: api.At(w.now), maxSession: 3600,
		trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":"sts:AssumeRole"}}`,
	}
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		w.identities.Changed(tx, e.id)
		_, err := insertRole(tx, e)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// may says whether an identity may do an action on everything, as every node
// sees it.
func (w *world) may(id, action string) bool {
	w.t.Helper()
	i, err := w.Identity(w.t.Context(), nil, id)
	if err != nil {
		w.t.Fatal(err)
	}
	p := i.Principal()
	return i.Policies.Decide(policy.Request{Principal: &p.Principal, Action: action, Resource: "*"}, nil).Allowed
}

package secretsmanager

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"azekura/internal/api"
	"azekura/internal/call"
	"azekura/internal/kms"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const (
	account = "111111111111"
	region  = "us-east-1"
)

// A world is the service over a fresh store, with one caller and a clock that
// a test moves.
type world struct {
	*Service
	t        *testing.T
	db       *store.DB
	now      time.Time
	policies *policy.Set
	caller   *call.Principal // nil is the user ann of account
	keyring  *seal.Keyring
	account  string
	region   string
}

func newWorld(t *testing.T) *world { return worldOver(t, storetest.Open(t)) }

func worldOver(t *testing.T, db *store.DB) *world {
	t.Helper()
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		Service: New(Config{
			DB: db, KMS: kms.New(kms.Config{DB: db, Keyring: keyring}), Keyring: keyring, Log: slog.New(slog.DiscardHandler),
		}),
		t: t, db: db, keyring: keyring,
		now:      time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC),
		policies: everythingAllowed(t),
		account:  account, region: region,
	}
}

func everythingAllowed(t *testing.T) *policy.Set {
	t.Helper()
	doc, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return policy.NewSet(policy.Policy{Name: "all", Document: doc})
}

func (w *world) ann() policy.Principal {
	ann := "arn:aws:iam::" + w.account + ":user/ann"
	return policy.Principal{Kind: policy.User, ARN: ann, Account: w.account, Entity: ann, ID: "AIDAQAAAAAAAGMKEM7X5A"}
}

// call is a request of an operation by the world's caller, at its time.
func (w *world) call(op string, in any) *call.Call {
	caller := call.Principal{Principal: w.ann(), UserName: "ann"}
	if w.caller != nil {
		caller = *w.caller
	}
	return &call.Call{
		ID: uuid.NewString(), Time: w.now, Service: "secretsmanager", Op: op, Input: in, Region: w.region,
		Principal: caller,
		Policies:  w.policies, SourceIP: netip.MustParseAddr("127.0.0.1"),
	}
}

type method[In, Out any] func(context.Context, *call.Call, *In) (*Out, error)

func (w *world) op(in any) string {
	return strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
}

// do calls an operation that must succeed. Each call comes a second after the
// one before.
func do[In, Out any](w *world, serve method[In, Out], in *In) *Out {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	out, err := serve(w.t.Context(), w.call(w.op(in), in), in)
	if err != nil {
		w.t.Fatalf("%s: %v", w.op(in), err)
	}
	return out
}

// refuse calls an operation that must fail with a code and a text.
func refuse[In, Out any](w *world, serve method[In, Out], in *In, code, text string) {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	_, err := serve(w.t.Context(), w.call(w.op(in), in), in)
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code || e.Message != text {
		w.t.Fatalf("%s: got %v, want %s: %s", w.op(in), err, code, text)
	}
	if e.Status != 400 {
		w.t.Errorf("%s: status %d, want 400", w.op(in), e.Status)
	}
}

// token is a ClientRequestToken made of a short name.
func token(name string) *string {
	return new(name + strings.Repeat("-", 32-len(name)))
}

func secretText(s string) *api.Sensitive { return new(api.Sensitive(s)) }

// setSecretID sets an input's SecretId, if it has one.
func setSecretID(in any, id string) {
	if f := reflect.ValueOf(in).Elem().FieldByName("SecretId"); f.IsValid() {
		f.Set(reflect.ValueOf(&id))
	}
}

package kms

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
	iammodel "azekura/internal/api/iam"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/seal"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const (
	account = "111111111111"
	other   = "222222222222"
	region  = "us-east-1"
)

var regions = []string{"us-east-1", "us-west-2", "ap-northeast-1"}

// A world is the service over a fresh store, with one caller, the user ann of
// account, and a clock that a test moves.
type world struct {
	*Service
	t        testing.TB
	users    *iam.Service
	now      time.Time
	policies *policy.Set
	caller   *call.Principal // nil is ann
	account  string
	region   string
	via      []string
}

// each runs a test on every engine.
func each(t *testing.T, test func(w *world)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(worldOver(t, db)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOver(t, storetest.Open(t))
}

func worldOver(t testing.TB, db *store.DB) *world {
	t.Helper()
	keyring, err := seal.OpenKeyring(t.Context(), db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), account: account, region: region,
		policies: granting(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`),
		users:    iam.New(iam.Config{DB: db, Keyring: keyring}),
		Service:  New(Config{DB: db, Keyring: keyring, Regions: regions}),
	}
	if _, _, err := w.users.Bootstrap(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	return w
}

// again is the service as another process has it.
func (w *world) again() *Service {
	return New(Config{DB: w.db, Keyring: w.keyring, Regions: regions})
}

// granting is the policies of a caller: one, with a statement.
func granting(t testing.TB, statement string) *policy.Set {
	t.Helper()
	return policy.NewSet(passed(t, statement))
}

// passed is a policy of one statement.
func passed(t testing.TB, statement string) policy.Policy {
	t.Helper()
	d, err := policy.Parse(document(statement), policy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Policy{Name: "mine", Document: d}
}

func document(statement string) string {
	return `{"Version":"2012-10-17","Statement":[` + statement + `]}`
}

func userOf(account, name string) call.Principal {
	arn := "arn:aws:iam::" + account + ":user/" + name
	return call.Principal{Principal: policy.Principal{Kind: policy.User, ARN: arn, Account: account, Entity: arn, ID: "AIDAQAAAAAAAGMKEM7X5A"}, UserName: name}
}

// call is a request of an operation by the world's caller, at its time.
func (w *world) call(op string, in any) *call.Call {
	caller := userOf(w.account, "ann")
	if w.caller != nil {
		caller = *w.caller
	}
	return &call.Call{
		ID: uuid.NewString(), Time: w.now, Service: "kms", Op: op, Input: in, Region: w.region, Principal: caller,
		Policies: w.policies, SourceIP: netip.MustParseAddr("127.0.0.1"), Via: w.via,
	}
}

// from is a call of Secrets Manager's, which asks KMS for its caller.
func (w *world) from(account, region string) *call.Call {
	c := w.call("GetSecretValue", nil)
	c.Service, c.Region, c.Principal = "secretsmanager", region, userOf(account, "ann")
	return c
}

type method[In, Out any] func(context.Context, *call.Call, *In) (*Out, error)

func opOf(in any) string { return strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input") }

// try calls an operation. Each call comes a second after the one before.
func try[In, Out any](w *world, serve method[In, Out], in *In) (*Out, error) {
	w.now = w.now.Add(time.Second)
	return serve(w.t.Context(), w.call(opOf(in), in), in)
}

// do is try of an operation that must succeed.
func do[In, Out any](w *world, serve method[In, Out], in *In) *Out {
	w.t.Helper()
	out, err := try(w, serve, in)
	if err != nil {
		w.t.Fatalf("%s: %v", opOf(in), err)
	}
	return out
}

// refuse is try of an operation that must fail with a code and a text.
func refuse[In, Out any](w *world, serve method[In, Out], in *In, code, text string) {
	w.t.Helper()
	_, err := try(w, serve, in)
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code || e.Message != text || e.Status != 400 {
		w.t.Errorf("%s: got %v, want %s: %s", opOf(in), err, code, text)
	}
}

// newKey makes a key; nil is a usual one.
func (w *world) newKey(in *model.CreateKeyInput) *model.KeyMetadata {
	w.t.Helper()
	if in == nil {
		in = &model.CreateKeyInput{}
	}
	return do(w, w.CreateKey, in).KeyMetadata
}

// user makes a user of the world's account, and is that one from now on.
func (w *world) user(name string) call.Principal {
	w.t.Helper()
	c := w.call("CreateUser", nil)
	c.Service = "iam"
	out, err := w.users.CreateUser(w.t.Context(), c, &iammodel.CreateUserInput{UserName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	made := userOf(w.account, name)
	made.ID = *out.User.UserId
	w.caller = &made
	return made
}

// setState puts a key into a state.
func (w *world) setState(keyARN, state string) {
	w.t.Helper()
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		w.keys.Changed(tx, cacheKey(w.region, idOf(keyARN)))
		_, err := tx.Exec(`UPDATE kms_keys SET state = $1, rev = rev + 1 WHERE arn = $2`, state, keyARN)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

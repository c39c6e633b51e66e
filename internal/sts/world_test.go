package sts

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"azekura/internal/api"
	iammodel "azekura/internal/api/iam"
	model "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/oidc"
	"azekura/internal/oidc/oidctest"
	"azekura/internal/seal"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/store/storetest"
)

const other = "222222222222"

// A world is the service over a store with two accounts, an issuer of web
// identities, and a clock that the test moves. Whoever calls comes in through
// the door, with a signed request.
type world struct {
	*Service
	t      testing.TB
	db     *store.DB
	admin  sigv4.Credentials // of the first account
	issuer *oidctest.Issuer
	now    time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, db: storetest.Memory(t), now: now, issuer: oidctest.New(t, "/realm")}
	ring, err := seal.OpenKeyring(t.Context(), w.db, seal.Memory())
	if err != nil {
		t.Fatal(err)
	}
	users := iam.New(iam.Config{DB: w.db, Keyring: ring})
	key, _, err := users.Bootstrap(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	w.Service = New(Config{IAM: users, Organizations: organizationOf(t, w.db, ring), Keyring: ring, OIDC: oidc.NewVerifier(w.issuer.Roots), Regions: []string{region}})
	w.admin = sigv4.Credentials{AccessKeyID: key.AccessKeyID, Secret: string(key.Secret)}
	w.exec(`INSERT INTO iam_accounts (id, is_first, alias, password_policy, created_at) VALUES ($1, FALSE, NULL, '', 0)`, other)
	w.exec(`INSERT INTO org_accounts (id, name, email, folded, rev, tags, joined_at, closed_at) VALUES ($1, 'other', 'o@example.com', 'o@example.com', 1, '[]', 0, 0)`, other)
	return w
}

// node is another server over the same store and keyring, with empty caches.
func (w *world) node() *world {
	second := *w
	second.Service = New(Config{IAM: iam.New(iam.Config{DB: w.db, Keyring: w.ring}), Organizations: organizationOf(w.t, w.db, w.ring), Keyring: w.ring, OIDC: w.issuers, Regions: w.regions})
	return &second
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// enter authenticates a request of a service with credentials.
func (w *world) enter(creds sigv4.Credentials, service string) (*call.Call, error) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4584/", nil)
	sum := sha256.Sum256([]byte(body))
	sigv4.Sign(r, creds, region, service, sum, w.now)
	verify, err := w.Authenticate(r, service, netip.Addr{}, w.now, nil)
	if err != nil {
		return nil, err
	}
	c, err := verify(sum)
	if err != nil {
		return nil, err
	}
	c.Service, c.Time = service, w.now
	return c, nil
}

// ask calls an operation with credentials; without any it is not signed.
func ask[In, Out any](w *world, creds sigv4.Credentials, service string, serve func(context.Context, *call.Call, *In) (*Out, error), in *In) (*Out, error) {
	w.t.Helper()
	c := &call.Call{Service: service, Time: w.now, Region: region}
	if creds != (sigv4.Credentials{}) {
		var err error
		if c, err = w.enter(creds, service); err != nil {
			return nil, err
		}
	}
	c.Op, c.Input = strings.TrimSuffix(reflect.TypeFor[In]().Name(), "Input"), in
	return serve(w.t.Context(), c, in)
}

// must is ask for what has to succeed.
func must[In, Out any](w *world, creds sigv4.Credentials, service string, serve func(context.Context, *call.Call, *In) (*Out, error), in *In) *Out {
	w.t.Helper()
	out, err := ask(w, creds, service, serve, in)
	if err != nil {
		w.t.Fatalf("%s: %v", reflect.TypeFor[In]().Name(), err)
	}
	return out
}

// told is what a caller is told of an error: of the door its kind, of an
// operation code and text; "" of none.
func told(err error) string {
	if e, ok := errors.AsType[*sigv4.Error](err); ok {
		return e.Kind.String()
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Error()
	}
	if err != nil {
		return "not for the caller: " + err.Error()
	}
	return ""
}

// statements are a policy of them, with "" none.
func statements(text string) string { return `{"Version":"2012-10-17","Statement":[` + text + `]}` }

func allow(actions, resource string) string {
	return `{"Effect":"Allow","Action":"` + actions + `","Resource":"` + resource + `"}`
}

// user makes a user of the first account with an inline policy and an access
// key.
func (w *world) user(name, policy string) sigv4.Credentials {
	w.t.Helper()
	must(w, w.admin, "iam", w.iam.CreateUser, &iammodel.CreateUserInput{UserName: &name, Tags: []iammodel.Tag{{Key: new("Dept"), Value: new("it")}}})
	if policy != "" {
		must(w, w.admin, "iam", w.iam.PutUserPolicy, &iammodel.PutUserPolicyInput{UserName: &name, PolicyName: new("p"), PolicyDocument: new(statements(policy))})
	}
	key := must(w, w.admin, "iam", w.iam.CreateAccessKey, &iammodel.CreateAccessKeyInput{UserName: &name}).AccessKey
	return sigv4.Credentials{AccessKeyID: *key.AccessKeyId, Secret: string(*key.SecretAccessKey)}
}

func roleARN(account, name string) string { return "arn:aws:iam::" + account + ":role/ci/" + name }

// role makes a role with the path /ci/, a trust policy of statements, and an
// inline policy. It may trust itself.
func (w *world) role(account, name, trust, policy string) {
	w.t.Helper()
	in := &iammodel.CreateRoleInput{
		RoleName: &name, Path: new("/ci/"), AssumeRolePolicyDocument: new(statements(trustRoot)), MaxSessionDuration: new(int64(7200)),
		Tags: []iammodel.Tag{{Key: new("Team"), Value: new("blue")}, {Key: new("level"), Value: new("3")}},
	}
	as(w.t, account, w.iam.CreateRole, in)
	as(w.t, account, w.iam.UpdateAssumeRolePolicy, &iammodel.UpdateAssumeRolePolicyInput{RoleName: &name, PolicyDocument: new(statements(trust))})
	if policy != "" {
		as(w.t, account, w.iam.PutRolePolicy, &iammodel.PutRolePolicyInput{RoleName: &name, PolicyName: new("p"), PolicyDocument: new(statements(policy))})
	}
}

// provider registers the issuer with an account.
func (w *world) provider(account string) (arn string) {
	w.t.Helper()
	return *as(w.t, account, w.iam.CreateOpenIDConnectProvider, &iammodel.CreateOpenIDConnectProviderInput{
		Url: &w.issuer.URL, ClientIDList: []string{"ci"},
	}).OpenIDConnectProviderArn
}

func signs(c *model.Credentials) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: *c.AccessKeyId, Secret: string(*c.SecretAccessKey), Token: *c.SessionToken}
}

// assume is a session of a role that has to be made.
func (w *world) assume(creds sigv4.Credentials, roleARN string, change func(*model.AssumeRoleInput)) sigv4.Credentials {
	w.t.Helper()
	in := &model.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: new("s1")}
	if change != nil {
		change(in)
	}
	return signs(must(w, creds, "sts", w.AssumeRole, in).Credentials)
}

// who is the ARN of whoever comes in, or what they are told.
func (w *world) who(creds sigv4.Credentials) string {
	w.t.Helper()
	out, err := ask(w, creds, "sts", w.GetCallerIdentity, &model.GetCallerIdentityInput{})
	if err != nil {
		return told(err)
	}
	return *out.Arn
}

// may says whether a caller may do an action on a resource of the first account.
func (w *world) may(creds sigv4.Credentials, action, resource string) bool {
	w.t.Helper()
	c, err := w.enter(creds, strings.Split(action, ":")[0])
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Decide(action, call.Target{ARN: resource, Account: account}).Allowed
}

// changed is a token with one bit of what it holds turned round.
func changed(token string) string {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		panic(err)
	}
	b[len(b)/2] ^= 1
	return base64.RawURLEncoding.EncodeToString(b)
}

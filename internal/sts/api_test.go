package sts

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api/apitest"
	model "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/sigv4"
)

func TestGetCallerIdentity(t *testing.T) {
	for id, p := range map[string]call.Principal{
		"AIDAANN":        {Principal: policy.Principal{Kind: policy.User, ARN: "arn:aws:iam::111111111111:user/eng/ann", Account: account, ID: "AIDAANN"}},
		"AROAAPP:i-1":    {Principal: policy.Principal{Kind: policy.Role, ARN: "arn:aws:sts::111111111111:assumed-role/app/i-1", Account: account, ID: "AROAAPP"}, Session: "i-1"},
		account + ":bob": {Principal: policy.Principal{Kind: policy.Federated, ARN: "arn:aws:sts::111111111111:federated-user/bob", Account: account}, Session: "bob"},
		account:          {Principal: policy.Principal{Kind: policy.Root, ARN: "arn:aws:iam::111111111111:root", Account: account}},
	} {
		c := &call.Call{Principal: p} // and no policies: none can deny it
		got, err := new(Service).GetCallerIdentity(t.Context(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := &model.GetCallerIdentityOutput{UserId: &id, Account: new(account), Arn: &p.ARN}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// notServed are the operations of the model that are refused as unknown: SAML,
// root sessions of an organization's accounts, requests of delegation, and
// tokens of our own for others.
var notServed = []string{"AssumeRoleWithSAML", "AssumeRoot", "GetDelegatedAccessToken", "GetWebIdentityToken"}

// Every operation of the model is served or on the list of those that are not.
func TestComplete(t *testing.T) {
	got := slices.Clone(notServed)
	for _, op := range new(Service).API().Ops {
		got = append(got, op.Name)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(model.Operations)); !slices.Equal(got, want) {
		t.Errorf("served or refused: %v\nthe model has %v", got, want)
	}
}

// needNoPermission are the operations that no policy is asked about, and one
// that is asked of who proves themselves in another way.
var needNoPermission = []string{"GetCallerIdentity", "GetSessionToken", "AssumeRoleWithWebIdentity"}

// No other operation serves a caller without permission, or one who is denied
// everything.
func TestDenied(t *testing.T) {
	w := newWorld(t)
	nobody, banned := w.user("nobody", ""), w.user("banned", allow("*", "*")+`,{"Effect":"Deny","Action":"*","Resource":"*"}`)
	w.role(account, "r", trustRoot, "")
	for _, creds := range []sigv4.Credentials{nobody, banned} {
		for _, op := range w.API().Ops {
			c, err := w.enter(creds, "sts")
			if err != nil {
				t.Fatal(err)
			}
			in := op.New()
			apitest.Smallest(in)
			if in, ok := in.(*model.AssumeRoleInput); ok {
				in.RoleArn = new(roleARN(account, "r"))
			}
			c.Op, c.Input = op.Name, in
			_, err = op.Run(t.Context(), c, in)
			switch got := told(err); {
			case op.Name == "AssumeRoleWithWebIdentity": // see TestWebIdentity
			case slices.Contains(needNoPermission, op.Name) && got != "":
				t.Errorf("%s: got %q", op.Name, got)
			case !slices.Contains(needNoPermission, op.Name) && !strings.Contains(got, "is not authorized to perform: sts:"+op.Name):
				t.Errorf("%s: got %q, want a denial", op.Name, got)
			}
		}
	}
}

func TestGetAccessKeyInfo(t *testing.T) {
	w := newWorld(t)
	ask := func(creds sigv4.Credentials, id string) string {
		out, err := ask(w, creds, "sts", w.GetAccessKeyInfo, &model.GetAccessKeyInfoInput{AccessKeyId: &id})
		if err != nil {
			return told(err)
		}
		return *out.Account
	}
	for id, want := range map[string]string{
		"AKIARZPUZDIKGB2VALC4": "123456789012",
		"ASIAQAAAAAAAGMKEM7X5": "000000000000",
		w.admin.AccessKeyID:    account,
		"AIDARZPUZDIKGB2VALC4": "ValidationException: Invalid Access Key ID: AIDARZPUZDIKGB2VALC4",
	} {
		if got := ask(w.admin, id); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}

func TestDecodeAuthorizationMessage(t *testing.T) {
	w := newWorld(t)
	_, err := ask(w, w.admin, "sts", w.DecodeAuthorizationMessage, &model.DecodeAuthorizationMessageInput{EncodedMessage: new("x")})
	if got := told(err); got != "InvalidAuthorizationMessageException: Message is not valid" {
		t.Errorf("got %q", got)
	}
}

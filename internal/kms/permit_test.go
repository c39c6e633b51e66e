package kms

import (
	"errors"
	"strings"
	"testing"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/policy"
)

// A key's policy comes first: what it does not consent to, itself or by leaving
// it to the account, no policy of the account's allows.
// https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
func TestKeyPolicyComesFirst(t *testing.T) {
	w := newWorld(t)
	everything := granting(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	nothing := &policy.Set{}
	ann := w.user("ann")
	const root, named = `"arn:aws:iam::111111111111:root"`, `"arn:aws:iam::111111111111:user/ann"`
	allow := func(principal, action, more string) string {
		return `{"Effect":"Allow","Principal":{"AWS":` + principal + `},"Action":"` + action + `","Resource":"*"` + more + `}`
	}
	for _, tt := range []struct {
		name, statements string
		policies         *policy.Set
		root             bool
		want             string // "" is allowed
	}{
		{"left to the account", allow(root, "kms:*", ""), everything, false, ""},
		{"left to the account, which allows nothing", allow(root, "kms:*", ""), nothing, false, "because no identity-based policy allows the kms:DescribeKey action"},
		{"the user named", allow(named, "kms:DescribeKey", ""), nothing, false, ""},
		{"another action", allow(named, "kms:Decrypt", ""), everything, false, "because no resource-based policy allows the kms:DescribeKey action"},
		{"nobody named, an administrator", allow(named, "kms:Decrypt", ""), everything, false, "because no resource-based policy allows the kms:DescribeKey action"},
		{"nobody named, the root user", allow(named, "kms:Decrypt", ""), everything, true, "because no resource-based policy allows the kms:DescribeKey action"},
		{"the root user", allow(root, "kms:DescribeKey", ""), nothing, true, ""},
		{"denied by the key", allow(root, "kms:*", "") + `,{"Effect":"Deny","Principal":"*","Action":"kms:DescribeKey","Resource":"*"}`, everything, false,
			"with an explicit deny in a resource-based policy"},
		{"denied by the caller's", allow(named, "kms:*", ""), granting(t, `{"Effect":"Deny","Action":"kms:DescribeKey","Resource":"*"}`), false,
			"with an explicit deny in an identity-based policy"},
		{"a condition that holds", allow(named, "kms:DescribeKey", `,"Condition":{"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT","kms:CallerAccount":"111111111111"}}`), nothing, false, ""},
		{"a condition that does not", allow(named, "kms:DescribeKey", `,"Condition":{"StringEquals":{"kms:KeySpec":"RSA_2048"}}`), everything, false,
			"because no resource-based policy allows the kms:DescribeKey action"},
		{"through a service only", allow(named, "kms:DescribeKey", `,"Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}`), everything, false,
			"because no resource-based policy allows the kms:DescribeKey action"},
	} {
		w.policies, w.caller = everything, &ann
		text := document(tt.statements)
		key := *w.newKey(&model.CreateKeyInput{Policy: &text, BypassPolicyLockoutSafetyCheck: new(true)}).Arn
		w.policies = tt.policies
		if tt.root {
			caller := ann
			caller.Kind, caller.ARN, caller.Entity, caller.ID = policy.Root, "arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:root", account
			w.caller = &caller
		}
		_, err := try(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: &key})
		e, _ := errors.AsType[*api.Error](err)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (e == nil || e.Code != "AccessDeniedException" || !strings.HasSuffix(e.Message, tt.want)):
			t.Errorf("%s: got %v, want ... %s", tt.name, err, tt.want)
		}
	}
}

// A key of another account is used by its ARN alone, where both sides allow it;
// what changes a key, or lists what hangs on it, is for its own account.
func TestOtherAccountsKeys(t *testing.T) {
	w := newWorld(t)
	shared := document(`{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","arn:aws:iam::222222222222:root"]},"Action":"kms:*","Resource":"*"}`)
	open := w.newKey(&model.CreateKeyInput{Policy: &shared})
	closed := w.newKey(nil)
	w.account = other
	do(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: open.Arn})
	refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: open.KeyId}, "NotFoundException",
		"Key 'arn:aws:kms:us-east-1:222222222222:key/"+*open.KeyId+"' does not exist")
	denied := "User: arn:aws:iam::222222222222:user/ann is not authorized to perform: kms:DescribeKey on resource: " + *closed.Arn +
		" because no resource-based policy allows the kms:DescribeKey action"
	refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: closed.Arn}, "AccessDeniedException", denied)
	missing := keyARN(account, region, newID(false))
	refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: &missing}, "AccessDeniedException", strings.ReplaceAll(denied, *closed.Arn, missing))
	w.policies = granting(t, `{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*"}`)
	refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: open.Arn}, "AccessDeniedException",
		"User: arn:aws:iam::222222222222:user/ann is not authorized to perform: kms:DescribeKey on resource: "+*open.Arn+
			" because no identity-based policy allows the kms:DescribeKey action")
	w.policies = granting(t, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	for _, op := range w.API().Ops {
		in := op.New()
		setKey(in, *open.Arn)
		c := w.call(op.Name, in)
		if _, err := w.look(t.Context(), c, *open.Arn); (err == nil) != acrossAccounts[op.Name] {
			t.Errorf("%s of another account's key: %v", op.Name, err)
		}
	}
}

// Names in each form, and what is no name.
func TestNames(t *testing.T) {
	w := newWorld(t)
	key := w.newKey(nil)
	upper := strings.ToUpper(*key.KeyId)
	missing := newID(false)
	for _, name := range []string{*key.KeyId, *key.Arn} {
		do(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: &name})
	}
	for name, text := range map[string]string{
		"nonsense":                               "Invalid keyId 'nonsense'",
		upper:                                    "Invalid keyId '" + upper + "'",
		"mrk-123":                                "Invalid keyId 'mrk-123'",
		missing:                                  "Key 'arn:aws:kms:us-east-1:111111111111:key/" + missing + "' does not exist",
		"alias/none":                             "Alias arn:aws:kms:us-east-1:111111111111:alias/none is not found.",
		"arn:aws:kms:us-east-1":                  "Invalid arn us-east-1",
		keyARN(account, "us-west-2", *key.KeyId): "Invalid arn us-east-1",
		"arn:aws:kms:us-east-1:111111111111:key/alias/none":               "Invalid arn us-east-1",
		"arn:aws:kms:us-east-1:111111111111:" + *key.KeyId:                "Invalid arn us-east-1",
		"arn:aws:secretsmanager:us-east-1:111111111111:key/" + *key.KeyId: "Invalid arn us-east-1",
	} {
		refuse(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: &name}, "NotFoundException", text)
	}
}

// Who may use Secrets Manager may use its default key through it, whatever
// bounds their sessions; a statement that denies holds.
func TestTheDefaultKeyNeedsNoPermission(t *testing.T) {
	w := newWorld(t)
	key := defaultKey(t, w.Service, w.from(account, region))
	narrow := granting(t, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)
	for name, tt := range map[string]struct {
		policies *policy.Set
		service  string
		allowed  bool
	}{
		"no policies":             {&policy.Set{}, "secretsmanager", true},
		"a session policy":        {narrow.WithSession(passed(t, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)), "secretsmanager", true},
		"a boundary":              {narrow.WithBoundary(passed(t, `{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}`)), "secretsmanager", true},
		"denied":                  {granting(t, `{"Effect":"Deny","Action":"kms:*","Resource":"*"}`), "secretsmanager", false},
		"denied to the session":   {narrow.WithSession(passed(t, `{"Effect":"Deny","Action":"kms:*","Resource":"*"}`)), "secretsmanager", false},
		"through another service": {narrow, "ssm", false},
	} {
		c := w.from(account, region)
		c.Policies, c.Service = tt.policies, tt.service
		if _, _, err := w.NewDataKey(t.Context(), c, key, nil); (err == nil) != tt.allowed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

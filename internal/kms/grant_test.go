package kms

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/policy"
)

// as runs with a caller who has these identity policies, and then goes back.
func (w *world) as(caller call.Principal, policies *policy.Set, run func()) {
	w.t.Helper()
	before, held := w.caller, w.policies
	w.caller, w.policies = &caller, policies
	run()
	w.caller, w.policies = before, held
}

// decrypts says whether a caller without any policies decrypts.
func (w *world) decrypts(caller call.Principal, blob []byte, ec Context) (ok bool) {
	w.t.Helper()
	w.as(caller, &policy.Set{}, func() {
		for _, s := range []*Service{w.Service, w.again()} {
			_, err := try(w, s.Decrypt, &model.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec})
			if e, denied := errors.AsType[*api.Error](err); err != nil && (!denied || e.Code != "AccessDeniedException") {
				w.t.Error(err)
			}
			ok = err == nil
		}
	})
	return ok
}

func (w *world) grant(in *model.CreateGrantInput) *model.CreateGrantOutput {
	w.t.Helper()
	return do(w, w.CreateGrant, in)
}

// A grant lets its grantee in, within its operations and constraints, from the
// next call to the call that ends it.
func TestGrants(t *testing.T) {
	each(t, func(w *world) {
		ben := w.user("ben")
		eve := w.user("eve")
		w.caller = nil
		key := w.newKey(nil)
		ec := Context{"app": "web", "stage": "prod"}
		blob := w.encrypted(*key.KeyId, "x", ec)
		if w.decrypts(ben, blob, ec) {
			w.t.Error("decrypts without a grant")
		}
		to := func(operations ...string) *model.CreateGrantInput {
			return &model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, Operations: operations}
		}
		encrypt := w.grant(to("Encrypt", "DescribeKey"))
		if w.decrypts(ben, blob, ec) {
			w.t.Error("a grant for Encrypt decrypts")
		}
		decrypt := w.grant(to("Decrypt"))
		if !w.decrypts(ben, blob, ec) || w.decrypts(eve, blob, ec) {
			w.t.Error("a grant for Decrypt does not decrypt, or for others, too")
		}
		w.as(ben, &policy.Set{}, func() {
			do(w, w.DescribeKey, &model.DescribeKeyInput{KeyId: key.KeyId, GrantTokens: []string{*encrypt.GrantToken}})
			if _, err := try(w, w.DisableKey, &model.DisableKeyInput{KeyId: key.KeyId}); err == nil {
				w.t.Error("a grant for something else disables the key")
			}
		})
		w.as(ben, granting(w.t, `{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`), func() {
			if _, err := try(w, w.Decrypt, &model.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec}); err == nil {
				w.t.Error("a grant overrules a denial")
			}
		})
		do(w, w.RevokeGrant, &model.RevokeGrantInput{KeyId: key.KeyId, GrantId: decrypt.GrantId})
		if w.decrypts(ben, blob, ec) {
			w.t.Error("a grant that was revoked decrypts")
		}
		refuse(w, w.RevokeGrant, &model.RevokeGrantInput{KeyId: key.KeyId, GrantId: decrypt.GrantId}, "NotFoundException", "Grant ID "+*decrypt.GrantId+" not found")
		for _, tt := range []struct {
			subset, equals map[string]string
			allowed        bool
		}{
			{Context{"app": "web"}, nil, true}, {Context{"app": "api"}, nil, false}, {Context{"other": ""}, nil, false}, {Context{}, nil, true},
			{nil, Context{"app": "web"}, false}, {nil, ec, true}, {nil, Context{}, false},
		} {
			in := to("Decrypt")
			in.Constraints = &model.GrantConstraints{EncryptionContextSubset: tt.subset, EncryptionContextEquals: tt.equals}
			out := w.grant(in)
			if got := w.decrypts(ben, blob, ec); got != tt.allowed {
				w.t.Errorf("under %+v: %v", in.Constraints, got)
			}
			do(w, w.RevokeGrant, &model.RevokeGrantInput{KeyId: key.KeyId, GrantId: out.GrantId})
		}
		policyDenies := document(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"},{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}`)
		w.grant(to("Decrypt"))
		do(w, w.PutKeyPolicy, &model.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policyDenies})
		if w.decrypts(ben, blob, ec) {
			w.t.Error("a grant overrules the key's policy")
		}
	})
}

func TestGrantRefusals(t *testing.T) {
	w := newWorld(t)
	ben := w.user("ben")
	w.caller = nil
	key := w.newKey(nil)
	pair := w.newKey(&model.CreateKeyInput{KeySpec: new("ECC_NIST_P256"), KeyUsage: new("SIGN_VERIFY")})
	ec := &model.GrantConstraints{EncryptionContextSubset: Context{"a": "b"}}
	nobody := "arn:aws:iam::111111111111:user/nobody"
	many := Context{}
	for i := range maxConstraintPairs + 1 {
		many[strings.Repeat("k", i+1)] = ""
	}
	for _, tt := range []struct {
		in         model.CreateGrantInput
		code, text string
	}{
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Decrypt"}}, "ValidationException", "Specify either GranteePrincipal or GranteeServicePrincipal."},
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Decrypt"}, GranteePrincipal: &nobody}, "InvalidArnException", "ARN does not refer to a valid principal: " + nobody},
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Decrypt"}, GranteePrincipal: new("*")}, "InvalidArnException", "ARN does not refer to a valid principal: *"},
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Sign"}, GranteePrincipal: &ben.ARN}, "ValidationException",
			"The operation Sign cannot be granted on the key " + *key.Arn + ", whose spec is SYMMETRIC_DEFAULT and usage ENCRYPT_DECRYPT."},
		{model.CreateGrantInput{KeyId: pair.KeyId, Operations: []string{"Decrypt"}, GranteePrincipal: &ben.ARN}, "ValidationException",
			"The operation Decrypt cannot be granted on the key " + *pair.Arn + ", whose spec is ECC_NIST_P256 and usage SIGN_VERIFY."},
		{model.CreateGrantInput{KeyId: pair.KeyId, Operations: []string{"Sign"}, GranteePrincipal: &ben.ARN, Constraints: ec}, "ValidationException",
			"The operation Sign has no encryption context that a grant could constrain."},
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Decrypt"}, GranteePrincipal: &ben.ARN,
			Constraints: &model.GrantConstraints{EncryptionContextSubset: Context{}, EncryptionContextEquals: Context{}}}, "ValidationException",
			"Specify either EncryptionContextSubset or EncryptionContextEquals."},
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Decrypt"}, GranteePrincipal: &ben.ARN, Constraints: &model.GrantConstraints{EncryptionContextSubset: many}},
			"ValidationException", "A constraint can have at most 8 pairs."},
		{model.CreateGrantInput{KeyId: key.KeyId, Operations: []string{"Decrypt"}, GranteePrincipal: &ben.ARN, DryRun: new(true)}, "DryRunOperationException",
			"The request would have succeeded, but the DryRun option is set."},
	} {
		refuse(w, w.CreateGrant, &tt.in, tt.code, tt.text)
	}
	if got := do(w, w.ListGrants, &model.ListGrantsInput{KeyId: key.KeyId}); len(got.Grants) != 0 {
		t.Errorf("refused calls made %v", got.Grants)
	}
}

// Who has a grant for CreateGrant hands on what it has, and no more.
func TestGrantsThatGrant(t *testing.T) {
	w := newWorld(t)
	ben, eve := w.user("ben"), w.user("eve")
	w.caller = nil
	key := w.newKey(nil)
	parent := &model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, Operations: []string{"CreateGrant", "Decrypt"},
		Constraints: &model.GrantConstraints{EncryptionContextSubset: Context{"app": "web"}}}
	w.grant(parent)
	for _, tt := range []struct {
		operations     []string
		subset, equals map[string]string
		allowed        bool
	}{
		{[]string{"Decrypt"}, Context{"app": "web"}, nil, true},
		{[]string{"Decrypt"}, Context{"app": "web", "stage": "prod"}, nil, true},
		{[]string{"Decrypt", "CreateGrant"}, nil, Context{"app": "web", "x": "y"}, true},
		{[]string{"Decrypt"}, nil, nil, false},
		{[]string{"Decrypt"}, Context{"app": "api"}, nil, false},
		{[]string{"Decrypt"}, nil, Context{"x": "y"}, false},
		{[]string{"Decrypt", "Encrypt"}, Context{"app": "web"}, nil, false},
	} {
		in := &model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &eve.ARN, Operations: tt.operations}
		if tt.subset != nil || tt.equals != nil {
			in.Constraints = &model.GrantConstraints{EncryptionContextSubset: tt.subset, EncryptionContextEquals: tt.equals}
		}
		w.as(ben, &policy.Set{}, func() {
			if _, err := try(w, w.CreateGrant, in); (err == nil) != tt.allowed {
				t.Errorf("%v under %+v: %v", tt.operations, in.Constraints, err)
			}
		})
	}
}

// A grant with a name is made once.
func TestGrantNames(t *testing.T) {
	w := newWorld(t)
	ben := w.user("ben")
	w.caller = nil
	key := w.newKey(nil)
	in := model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, Operations: []string{"Encrypt", "Decrypt"}, Name: new("n")}
	first := w.grant(&in)
	again := in
	again.Operations = []string{"Decrypt", "Encrypt", "Decrypt"}
	if got := w.grant(&again); *got.GrantId != *first.GrantId {
		t.Error("the same grant was made twice")
	}
	other := in
	other.Operations = []string{"Decrypt"}
	if got := w.grant(&other); *got.GrantId == *first.GrantId {
		t.Error("another grant was not made")
	}
	nameless := in
	nameless.Name = nil
	if a, b := w.grant(&nameless), w.grant(&nameless); *a.GrantId == *b.GrantId {
		t.Error("grants without a name are one")
	}
}

func TestRetireGrant(t *testing.T) {
	each(t, func(w *world) {
		ben, eve := w.user("ben"), w.user("eve")
		w.caller = nil
		key := w.newKey(nil)
		made := func(operations ...string) *model.CreateGrantOutput {
			return w.grant(&model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, RetiringPrincipal: &eve.ARN, Operations: operations})
		}
		none := &policy.Set{}
		byID := func(g *model.CreateGrantOutput) *model.RetireGrantInput {
			return &model.RetireGrantInput{KeyId: key.Arn, GrantId: g.GrantId}
		}
		g := made("Decrypt")
		w.as(ben, none, func() {
			if _, err := try(w, w.RetireGrant, byID(g)); err == nil {
				w.t.Error("a grantee who was not granted that retires")
			}
		})
		w.as(eve, none, func() {
			dry := byID(g)
			dry.DryRun = new(true)
			refuse(w, w.RetireGrant, dry, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
			do(w, w.RetireGrant, byID(g))
		})
		g = made("Decrypt")
		w.as(eve, none, func() { do(w, w.RetireGrant, &model.RetireGrantInput{GrantToken: g.GrantToken}) })
		g = made("Decrypt", "RetireGrant")
		w.as(ben, none, func() { do(w, w.RetireGrant, byID(g)) })
		refuse(w, w.RetireGrant, byID(g), "NotFoundException", "Grant ID "+*g.GrantId+" not found")
		refuse(w, w.RetireGrant, &model.RetireGrantInput{GrantToken: new("made-up")}, "InvalidGrantTokenException", "The grant token is invalid.")
		refuse(w, w.RetireGrant, &model.RetireGrantInput{GrantId: g.GrantId}, "ValidationException", "Specify either a grant token, or a key ARN and a grant id.")
		if got := do(w, w.ListGrants, &model.ListGrantsInput{KeyId: key.KeyId}); len(got.Grants) != 0 {
			w.t.Errorf("left: %v", got.Grants)
		}
	})
}

func TestListGrants(t *testing.T) {
	each(t, func(w *world) {
		ben, eve := w.user("ben"), w.user("eve")
		w.caller = nil
		key := w.newKey(nil)
		var want []string
		constrained := &model.GrantConstraints{EncryptionContextSubset: Context{"a": "b"}}
		for range 3 {
			want = append(want, *w.grant(&model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, RetiringPrincipal: &eve.ARN,
				Operations: []string{"Decrypt"}, Name: new("n" + *w.newKey(nil).KeyId), Constraints: constrained}).GrantId)
		}
		service := w.grant(&model.CreateGrantInput{KeyId: key.KeyId, GranteeServicePrincipal: new("lambda.amazonaws.com"), Operations: []string{"Decrypt"}})
		slices.Sort(want)
		var got, retirable []string
		in := &model.ListGrantsInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, Limit: new(int64(2))}
		for {
			out := do(w, w.ListGrants, in)
			for _, g := range out.Grants {
				got = append(got, *g.GrantId)
				if *g.KeyId != *key.Arn || *g.GranteePrincipal != ben.ARN || *g.RetiringPrincipal != eve.ARN || *g.IssuingAccount != "arn:aws:iam::111111111111:root" ||
					cmp.Diff(constrained, g.Constraints) != "" {
					w.t.Error(g)
				}
			}
			if in.Marker = out.NextMarker; in.Marker == nil {
				break
			}
		}
		for _, g := range do(w, w.ListRetirableGrants, &model.ListRetirableGrantsInput{RetiringPrincipal: &eve.ARN}).Grants {
			retirable = append(retirable, *g.GrantId)
		}
		if diff := cmp.Diff(want, got) + cmp.Diff(want, retirable); diff != "" {
			w.t.Error(diff)
		}
		one := do(w, w.ListGrants, &model.ListGrantsInput{KeyId: key.KeyId, GrantId: service.GrantId}).Grants
		if len(one) != 1 || *one[0].GranteeServicePrincipal != "lambda.amazonaws.com" || one[0].GranteePrincipal != nil {
			w.t.Error(one)
		}
		if all := do(w, w.ListGrants, &model.ListGrantsInput{KeyId: key.KeyId}); len(all.Grants) != 4 {
			w.t.Error(all)
		}
	})
}

// Policies can bound who grants what to whom.
func TestGrantConditions(t *testing.T) {
	w := newWorld(t)
	ben := w.user("ben")
	w.caller = nil
	key := w.newKey(nil)
	in := &model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, Operations: []string{"Decrypt", "Encrypt"},
		Constraints: &model.GrantConstraints{EncryptionContextSubset: Context{"app": "web"}}}
	for condition, allowed := range map[string]bool{
		`{"StringEquals":{"kms:GranteePrincipal":"` + ben.ARN + `"}}`:                    true,
		`{"StringEquals":{"kms:GranteePrincipal":"arn:aws:iam::111111111111:user/eve"}}`: false,
		`{"Null":{"kms:RetiringPrincipal":"true"}}`:                                      true,
		`{"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt","Encrypt"]}}`:    true,
		`{"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt"]}}`:              false,
		`{"StringEquals":{"kms:GrantConstraintType":"EncryptionContextSubset"}}`:         true,
		`{"StringEquals":{"kms:GrantConstraintType":"EncryptionContextEquals"}}`:         false,
		`{"StringEquals":{"kms:EncryptionContext:app":"web"}}`:                           true,
		`{"StringEquals":{"kms:EncryptionContext:app":"api"}}`:                           false,
		`{"Bool":{"kms:GrantIsForAWSResource":"false"}}`:                                 true,
		`{"Bool":{"kms:GrantIsForAWSResource":"true"}}`:                                  false,
	} {
		w.as(userOf(account, "ann"), granting(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+condition+`}`), func() {
			if _, err := try(w, w.CreateGrant, in); (err == nil) != allowed {
				t.Errorf("under %s: %v", condition, err)
			}
		})
	}
	w.via = []string{"secretsmanager.amazonaws.com"}
	w.as(userOf(account, "ann"), granting(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}}`), func() {
		if _, err := try(w, w.CreateGrant, in); err != nil {
			t.Error(err)
		}
	})
}

// Who is named to retire a grant may, unless something denies it: a session
// that was made for less may not.
func TestRetiringPrincipalsAreBound(t *testing.T) {
	w := newWorld(t)
	ben, eve := w.user("ben"), w.user("eve")
	w.caller = nil
	key := w.newKey(nil)
	for name, tt := range map[string]struct {
		caller   call.Principal
		policies *policy.Set
		allowed  bool
	}{
		"no policies":     {eve, &policy.Set{}, true},
		"denied":          {eve, granting(t, `{"Effect":"Deny","Action":"kms:*","Resource":"*"}`), false},
		"somebody else":   {ben, &policy.Set{}, false},
		"a federated one": {federated(eve), (&policy.Set{}).WithSession(passed(t, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)), false},
	} {
		g := w.grant(&model.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: &ben.ARN, RetiringPrincipal: &eve.ARN, Operations: []string{"Decrypt"}})
		w.as(tt.caller, tt.policies, func() {
			if _, err := try(w, w.RetireGrant, &model.RetireGrantInput{KeyId: key.Arn, GrantId: g.GrantId}); (err == nil) != tt.allowed {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// federated is a session that a user has asked for.
func federated(user call.Principal) call.Principal {
	user.Kind, user.ARN, user.Session = policy.Federated, "arn:aws:sts::"+user.Account+":federated-user/f", "f"
	return user
}

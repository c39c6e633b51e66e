package secretsmanager

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"azekura/internal/api"
	"azekura/internal/api/apitest"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/policy"
)

// notServed are the operations of the model that are refused as unknown.
var notServed = []string{
	"CancelRotateSecret", "RotateSecret",
	"RemoveRegionsFromReplication", "ReplicateSecretToRegions", "StopReplicationToReplica",
}

// Every operation of the model is served or on the list of those that are not.
func TestComplete(t *testing.T) {
	got := slices.Clone(notServed)
	for _, op := range (&Service{}).API().Ops {
		got = append(got, op.Name)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(model.Operations)); !slices.Equal(got, want) {
		t.Errorf("served or refused: %v\nthe model has %v", got, want)
	}
}

// smallest is the least input that an operation accepts, on the secret named
// id if it takes one.
func smallest(t *testing.T, in any, id string) any {
	t.Helper()
	apitest.Smallest(in)
	switch in := in.(type) {
	case *model.CreateSecretInput:
		in.Name, in.ClientRequestToken = &id, token("t")
	case *model.PutSecretValueInput:
		in.ClientRequestToken, in.SecretString = token("t"), secretText("v")
	case *model.UpdateSecretInput:
		in.ClientRequestToken = token("t")
	case *model.BatchGetSecretValueInput:
		in.SecretIdList = []string{id}
	case *model.PutResourcePolicyInput:
		in.ResourcePolicy = new(`{"Version":"2012-10-17","Statement":[]}`)
	}
	setSecretID(in, id)
	return in
}

// No operation serves a caller without permission, and none tells such a
// caller whether the secret exists.
func TestDenied(t *testing.T) {
	w := newWorld(t)
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("there"), ClientRequestToken: token("c"), SecretString: secretText("x")})
	for _, policies := range []*policy.Set{nil, {}} {
		w.policies = policies
		for _, op := range w.API().Ops {
			for _, id := range []string{"there", "missing"} {
				in := smallest(t, op.New(), id)
				_, err := op.Run(t.Context(), w.call(op.Name, in), in)
				e, ok := errors.AsType[*api.Error](err)
				if !ok || e.Code != "AccessDeniedException" || !strings.Contains(e.Message, "is not authorized to perform: secretsmanager:"+op.Name) {
					t.Errorf("%s of %s: got %v, want AccessDeniedException", op.Name, id, err)
				}
			}
		}
	}
	w.policies = everythingAllowed(t)
	if got := do(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("there")}); got.SecretString.String() == "" || string(*got.SecretString) != "x" {
		t.Error("the refused calls changed the secret")
	}
}

// A denial is the same whether the secret exists or not, except to who may
// describe it.
func TestDenialNames(t *testing.T) {
	w := newWorld(t)
	sec := do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("there"), ClientRequestToken: token("c")})
	guarded := do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("guarded"), ClientRequestToken: token("c")})
	do(w, w.PutResourcePolicy, &model.PutResourcePolicyInput{SecretId: new("guarded"), ResourcePolicy: new(
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`)})
	w.policies = nil
	const tail = " because no identity-based policy allows the secretsmanager:GetSecretValue action"
	const head = "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: secretsmanager:GetSecretValue on resource: "
	for _, id := range []string{"there", "guarded", "missing", *sec.ARN, strings.Replace(*sec.ARN, "there", "where", 1)} {
		refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &id}, "AccessDeniedException", head+id+tail)
	}
	w.as(nil, `{"Effect":"Allow","Action":"secretsmanager:DescribeSecret","Resource":"*"}`)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("there")}, "AccessDeniedException", head+*sec.ARN+tail)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("missing")}, "AccessDeniedException", head+"missing"+tail)
	w.as(nil, `{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("guarded")}, "AccessDeniedException", head+*guarded.ARN+" with an explicit deny in a resource-based policy")
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: new("missing")}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")

	// Who may use a complete ARN is told that nothing has it any more.
	gone := strings.Replace(*sec.ARN, "there", "where", 1)
	w.as(nil, `{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"`+gone+`"}`)
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: &gone}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	refuse(w, w.GetSecretValue, &model.GetSecretValueInput{SecretId: sec.ARN}, "AccessDeniedException", head+*sec.ARN+tail)
}

// What may be done to a secret that is scheduled for deletion.
func TestScheduledForDeletion(t *testing.T) {
	w := newWorld(t)
	const text = "You can't perform this operation on the secret because it was marked for deletion."
	do(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("c"), SecretString: secretText("x")})
	do(w, w.DeleteSecret, &model.DeleteSecretInput{SecretId: new("s")})
	for _, op := range w.API().Ops {
		switch op.Name {
		case "CreateSecret", "GetRandomPassword", "ListSecrets", "BatchGetSecretValue", "DescribeSecret", "RestoreSecret":
			continue
		}
		in := smallest(t, op.New(), "s")
		_, err := op.Run(t.Context(), w.call(op.Name, in), in)
		if e, ok := errors.AsType[*api.Error](err); !ok || e.Code != "InvalidRequestException" || e.Message != text {
			t.Errorf("%s: got %v", op.Name, err)
		}
	}
	if d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); d.DeletedDate == nil || len(d.VersionIdsToStages) != 1 {
		t.Errorf("described as %+v", d)
	}
	refuse(w, w.CreateSecret, &model.CreateSecretInput{Name: new("s"), ClientRequestToken: token("c"), SecretString: secretText("x")},
		"InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
	batch := do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{SecretIdList: []string{"s"}})
	if len(batch.Errors) != 1 || *batch.Errors[0].ErrorCode != "InvalidRequestException" || *batch.Errors[0].Message != text {
		t.Errorf("batch answered %+v", batch.Errors)
	}
	do(w, w.RestoreSecret, &model.RestoreSecretInput{SecretId: new("s")})
	if d := do(w, w.DescribeSecret, &model.DescribeSecretInput{SecretId: new("s")}); d.DeletedDate != nil {
		t.Error("restored, but still with a DeletedDate")
	}
}

// Operations that do what another operation does need its permission, too.
func TestDependentPermissions(t *testing.T) {
	w := newWorld(t)
	w.add("s")
	allow := func(actions string) {
		t.Helper()
		doc, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}}`, policy.Identity)
		if err != nil {
			t.Fatal(err)
		}
		w.policies = policy.NewSet(policy.Policy{Name: "some", Document: doc})
	}
	denied := func(action, on string) string {
		return "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: secretsmanager:" + action + on +
			" because no identity-based policy allows the secretsmanager:" + action + " action"
	}
	allow(`"secretsmanager:CreateSecret"`)
	tagged := &model.CreateSecretInput{Name: new("t"), ClientRequestToken: token("t"), Tags: []model.Tag{{Key: new("k"), Value: new("v")}}}
	refuse(w, w.CreateSecret, tagged, "AccessDeniedException", denied("TagResource", " on resource: t"))
	allow(`"secretsmanager:CreateSecret","secretsmanager:TagResource"`)
	do(w, w.CreateSecret, tagged)

	allow(`"secretsmanager:ValidateResourcePolicy"`)
	refuse(w, w.ValidateResourcePolicy, &model.ValidateResourcePolicyInput{ResourcePolicy: new("{}")}, "AccessDeniedException", denied("PutResourcePolicy", ""))

	allow(`"secretsmanager:BatchGetSecretValue"`)
	byName := []model.Filter{{Key: new("name"), Values: []string{"s"}}}
	refuse(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{Filters: byName}, "AccessDeniedException", denied("ListSecrets", ""))
	allow(`"secretsmanager:BatchGetSecretValue","secretsmanager:ListSecrets"`)
	out := do(w, w.BatchGetSecretValue, &model.BatchGetSecretValueInput{Filters: byName})
	if len(out.SecretValues) != 0 || len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "AccessDeniedException" {
		t.Errorf("without GetSecretValue: %d values, errors %v", len(out.SecretValues), out.Errors)
	}
}

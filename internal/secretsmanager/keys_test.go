package secretsmanager

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
)

// Each condition key is there when the request has its member, and only then.
func TestConditionKeys(t *testing.T) {
	sec := &secret{account: account, region: region, name: "s", suffix: "AbCdEf", tags: []model.Tag{{Key: new("Team"), Value: new("db")}}}
	tags := []model.Tag{{Key: new("Env"), Value: new("prod")}, {Key: new("Team"), Value: new("db")}}
	for _, tt := range []struct {
		in   any
		on   *secret
		key  string
		want []string
	}{
		{&model.CreateSecretInput{Name: new("n"), Tags: tags}, nil, "secretsmanager:name", []string{"n"}},
		{&model.CreateSecretInput{Name: new("n"), Tags: tags}, nil, "secretsmanager:description", nil},
		{&model.CreateSecretInput{Description: new("d")}, nil, "secretsmanager:description", []string{"d"}},
		{&model.CreateSecretInput{Tags: tags}, nil, "aws:requesttag/env", []string{"prod"}},
		{&model.CreateSecretInput{Tags: tags}, nil, "aws:requesttag/none", nil},
		{&model.CreateSecretInput{Tags: tags}, nil, "aws:tagkeys", []string{"Env", "Team"}},
		{&model.CreateSecretInput{}, nil, "aws:tagkeys", nil},
		{&model.TagResourceInput{Tags: tags}, sec, "aws:tagkeys", []string{"Env", "Team"}},
		{&model.UntagResourceInput{TagKeys: []string{"a"}}, sec, "aws:tagkeys", []string{"a"}},
		{&model.GetSecretValueInput{}, sec, "secretsmanager:secretid", []string{"arn:aws:secretsmanager:us-east-1:111111111111:secret:s-AbCdEf"}},
		{&model.GetSecretValueInput{}, nil, "secretsmanager:secretid", nil},
		{&model.GetSecretValueInput{}, sec, "secretsmanager:resourcetag/team", []string{"db"}},
		{&model.GetSecretValueInput{}, sec, "aws:resourcetag/team", []string{"db"}},
		{&model.GetSecretValueInput{}, sec, "aws:resourcetag/env", nil},
		{&model.GetSecretValueInput{VersionStage: new("AWSPREVIOUS")}, sec, "secretsmanager:versionstage", []string{"AWSPREVIOUS"}},
		{&model.GetSecretValueInput{}, sec, "secretsmanager:versionstage", nil},
		{&model.GetSecretValueInput{VersionStage: new("AWSPREVIOUS")}, sec, "aws:versionstage", nil},
		{&model.DeleteSecretInput{RecoveryWindowInDays: new(int64(7))}, sec, "secretsmanager:recoverywindowindays", []string{"7"}},
		{&model.DeleteSecretInput{ForceDeleteWithoutRecovery: new(true)}, sec, "secretsmanager:forcedeletewithoutrecovery", []string{"true"}},
		{&model.PutResourcePolicyInput{BlockPublicPolicy: new(false)}, sec, "secretsmanager:blockpublicpolicy", []string{"false"}},
		{&model.UpdateSecretInput{KmsKeyId: new("k")}, sec, "secretsmanager:kmskeyid", []string{"k"}},
		{&model.UpdateSecretVersionStageInput{VersionStage: new("x")}, sec, "secretsmanager:versionstage", []string{"x"}},
		{&model.GetSecretValueInput{}, sec, "secretsmanager:secretprimaryregion", []string{"us-east-1"}},
		{&model.CreateSecretInput{Tags: tags}, nil, "aws:resourcetag/env", []string{"prod"}},
		{&model.CreateSecretInput{Tags: tags}, nil, "secretsmanager:resourcetag/env", []string{"prod"}},
		{&model.TagResourceInput{Tags: tags}, sec, "aws:resourcetag/env", nil},
		{&model.CreateSecretInput{Type: new("x")}, nil, "secretsmanager:type", []string{"x"}},
		{&model.PutSecretValueInput{}, sec, "secretsmanager:versionstage", nil},
		{&model.ListSecretsInput{}, nil, "secretsmanager:name", nil},
		{nil, nil, "aws:sourceip", nil},
	} {
		got, present := requestKeys(&call.Call{Input: tt.in}, tt.on)(tt.key)
		if diff := cmp.Diff(tt.want, got); diff != "" || present != (tt.want != nil) {
			t.Errorf("%T %s: %v %s", tt.in, tt.key, present, diff)
		}
	}
}

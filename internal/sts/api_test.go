package sts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	model "azekura/internal/api/sts"
	"azekura/internal/call"
	"azekura/internal/policy"
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

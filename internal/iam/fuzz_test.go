package iam

import (
	"strings"
	"testing"

	"azekura/internal/arn"
)

// The parts of what passes for a managed policy's ARN make it up again, and
// nothing that a stranger sends in its place breaks what takes it apart.
func FuzzPolicyARN(f *testing.F) {
	f.Add("arn:aws:iam::111111111111:policy/a/b/Name")
	f.Add("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
	f.Add("arn:aws:iam::111111111111:policy/a:policy/b")
	f.Add("arn:aws:iam::111111111111:user/x")
	f.Add(":policy")
	f.Fuzz(func(t *testing.T, text string) {
		name, path := policyName(text), policyPath(text)
		if checkPolicyARN(text) != nil {
			return
		}
		a, err := arn.Parse(text)
		if err != nil || strings.Contains(name, "/") {
			t.Errorf("%q is let pass: name %q, %v", text, name, err)
		}
		if a.Partition == "aws" && a.Region == "" && arnOf(a.Account, "policy", path, name) != text {
			t.Errorf("%q is taken apart into %q and %q", text, path, name)
		}
	})
}

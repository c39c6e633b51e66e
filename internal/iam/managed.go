package iam

import "azekura/internal/policy"

const administratorAccess = "arn:aws:iam::aws:policy/AdministratorAccess"

// managedPolicy is the document of one of the policies that belong to no
// account, "" if there is none of that name.
func managedPolicy(arn string) string {
	switch arn {
	case administratorAccess:
		return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`
	}
	return ""
}

// compile is the set of all policies attached to one identity. One that cannot
// be read might deny, so it denies everything (see policy.Policy).
func compile(policyARNs []string) *policy.Set {
	var attached []policy.Policy
	for _, arn := range policyARNs {
		document, err := policy.Parse(managedPolicy(arn), policy.Identity)
		if err != nil {
			document = nil
		}
		attached = append(attached, policy.Policy{Name: arn, Document: document})
	}
	return policy.NewSet(attached...)
}

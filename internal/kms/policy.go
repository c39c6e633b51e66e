package kms

import (
	"context"
	"errors"
	"strings"

	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/policy"
	"azekura/internal/store"
)

// maxPolicy is AWS's quota of a key policy, in bytes.
const maxPolicy = 32768

// defaultPolicy is the policy of a key that was made without one: it leaves
// everything to the account's own policies.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
func defaultPolicy(account string) string {
	return strings.ReplaceAll(`{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`, "ACCOUNT", account)
}

// managedPolicy is the policy of an account's aws/secretsmanager, which nobody
// can change: whoever may use Secrets Manager may use the key through it, and
// the account may look at it.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func managedPolicy(account, region string) string {
	return strings.NewReplacer("ACCOUNT", account, "REGION", region).Replace(`{
  "Version" : "2012-10-17",
  "Id" : "auto-secretsmanager-2",
  "Statement" : [ {
    "Sid" : "Allow access through AWS Secrets Manager for all principals in the account that are authorized to use AWS Secrets Manager",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:CreateGrant", "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "ACCOUNT",
        "kms:ViaService" : "secretsmanager.REGION.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow data keys through AWS Secrets Manager of any Region for all principals in the account that are authorized to use it",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : "kms:GenerateDataKey*",
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:CallerAccount" : "ACCOUNT"
      },
      "StringLike" : {
        "kms:ViaService" : "secretsmanager.*.amazonaws.com"
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::ACCOUNT:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
}`)
}

// readPolicy checks a policy that a key is to have, and returns it as it is
// stored: with unique ids in the place of users and roles, who have to exist.
// Unless it is bypassed, it refuses a policy under which the caller could not
// put another. target is the key.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html#prevent-unmanageable-key
func readPolicy(tx *store.Tx, c *call.Call, target call.Target, text string, bypass bool) (stored string, err error) {
	if len(text) > maxPolicy {
		return "", model.LimitExceeded("The key policy is larger than %d bytes.", maxPolicy)
	}
	doc, err := policy.Parse(text, policy.Key)
	if err == nil {
		stored, err = iam.StorePrincipals(tx, text)
	}
	if fault, ok := errors.AsType[*policy.SyntaxError](err); ok {
		return "", malformed(fault)
	}
	if err != nil {
		return "", err
	}
	if stored != text { // its principals go by the ids that callers have
		if doc, err = policy.Parse(stored, policy.Key); err != nil {
			return "", err
		}
	}
	target.Policy, target.MustAllow = doc, true
	if !bypass && !c.Would("kms:PutKeyPolicy", target).Allowed {
		return "", model.MalformedPolicyDocument("The new key policy will not allow you to update the key policy in the future.")
	}
	return stored, nil
}

func malformed(fault *policy.SyntaxError) error {
	e := model.MalformedPolicyDocument("%s", fault.Message)
	if fault.Principal != "" {
		e = model.MalformedPolicyDocument("Policy contains a statement with one or more invalid principals.")
	}
	e.Err = fault
	return e
}

// policyName is the name of every key's one policy.
const policyName = "default"

// GetKeyPolicy shows a key's policy as it was put, but for the users and roles
// in it: they go by the names that they have now, and by their unique ids if
// they are gone.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
func (s *Service) GetKeyPolicy(ctx context.Context, c *call.Call, in *model.GetKeyPolicyInput) (*model.GetKeyPolicyOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	if deref(in.PolicyName, policyName) != policyName {
		return nil, model.NotFound("No such policy exists")
	}
	if k.Managed {
		return &model.GetKeyPolicyOutput{Policy: new(managedPolicy(k.account, k.region)), PolicyName: new(policyName)}, nil
	}
	var shown string
	err = s.db.View(ctx, func(tx *store.Tx) error {
		shown, err = iam.ShowPrincipals(tx, k.policyText)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &model.GetKeyPolicyOutput{Policy: &shown, PolicyName: new(policyName)}, nil
}

// PutKeyPolicy sets a key's policy, in the place of the one it had.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html
func (s *Service) PutKeyPolicy(ctx context.Context, c *call.Call, in *model.PutKeyPolicyInput) (*model.PutKeyPolicyOutput, error) {
	_, err := s.change(ctx, c, *in.KeyId, func(tx *store.Tx, k *Key) (err error) {
		if deref(in.PolicyName, policyName) != policyName {
			return model.UnsupportedOperation("Only default policy is supported")
		}
		k.policyText, err = readPolicy(tx, c, k.target(c), *in.Policy, isTrue(in.BypassPolicyLockoutSafetyCheck))
		return err
	})
	return nil, err
}

// ListKeyPolicies lists the names of a key's policies: there is one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyPolicies.html
func (s *Service) ListKeyPolicies(ctx context.Context, c *call.Call, in *model.ListKeyPoliciesInput) (*model.ListKeyPoliciesOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	if _, err := s.page(c, in.Marker, in.Limit, pageLimits{usual: 100, most: 1000}, k.ARN); err != nil {
		return nil, err
	}
	return &model.ListKeyPoliciesOutput{PolicyNames: []string{policyName}, Truncated: new(false)}, nil
}

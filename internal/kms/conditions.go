package kms

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/policy"
)

// conditionKeys are the condition keys of KMS for a call on a key, nil if there
// is none. A key is present only for the operations that AWS lists it for, and
// only if the request has what it stands for.
// https://docs.aws.amazon.com/kms/latest/developerguide/policy-conditions.html
func conditionKeys(c *call.Call, k *Key) policy.Keys {
	return func(key string) ([]string, bool) {
		own, isOwn := strings.CutPrefix(key, "kms:")
		if !isOwn {
			return tagKeys(c, k, strings.TrimPrefix(key, "aws:"))
		}
		if pair, ok := strings.CutPrefix(own, "encryptioncontext:"); ok {
			return contextValues(encryptionContext(c.Input), pair)
		}
		switch own {
		case "calleraccount":
			return c.ValueIfAny(c.Principal.Account)
		case "viaservice":
			return c.ValueIfAny(viaService(c))
		case "grantoperations":
			if in, ok := c.Input.(*model.CreateGrantInput); ok {
				return in.Operations, true
			}
			return nil, false
		case "grantisforawsresource":
			if _, ok := c.Input.(*model.CreateGrantInput); ok || c.Op == "RevokeGrant" || c.Op == "ListGrants" {
				return c.Value(strconv.FormatBool(len(c.Via) > 0))
			}
			return nil, false
		case "requestalias":
			return c.ValueIfAny(requestAlias(c.Input))
		case "resourcealiases":
			if k == nil {
				return nil, false
			}
			return k.aliases, len(k.aliases) > 0
		case "encryptioncontextkeys":
			names := slices.Sorted(maps.Keys(encryptionContext(c.Input)))
			return names, len(names) > 0
		}
		if k != nil {
			if value, present := k.condition(own); present {
				return c.Value(value)
			}
		}
		if value, present := inputCondition(c.Input, own); present {
			return c.Value(value)
		}
		return nil, false
	}
}

// condition is a condition key, without its prefix, that is about the key.
func (k *Key) condition(own string) (value string, present bool) {
	switch own {
	case "keyspec", "customermasterkeyspec":
		return string(k.spec), true
	case "keyusage", "customermasterkeyusage":
		return string(k.usage), true
	case "keyorigin":
		return k.origin, true
	case "multiregion":
		return strconv.FormatBool(k.multiRegion()), true
	case "multiregionkeytype":
		if k.primary == k.region {
			return "PRIMARY", true
		}
		return "REPLICA", k.multiRegion()
	}
	return "", false
}

func isTrue(member *bool) bool { return member != nil && *member }

// requestAlias is the alias by which a request names its key, "" if it does not.
func requestAlias(in any) string {
	var keyID *string
	switch in := in.(type) {
	case *model.DescribeKeyInput:
		keyID = in.KeyId
	case *model.GetPublicKeyInput:
		keyID = in.KeyId
	case *model.EncryptInput:
		keyID = in.KeyId
	case *model.DecryptInput:
		keyID = in.KeyId
	case *reEncryptFrom:
		keyID = in.SourceKeyId
	case *reEncryptTo:
		keyID = in.DestinationKeyId
	case *model.GenerateDataKeyInput:
		keyID = in.KeyId
	case *model.GenerateDataKeyWithoutPlaintextInput:
		keyID = in.KeyId
	case *model.GenerateDataKeyPairInput:
		keyID = in.KeyId
	case *model.GenerateDataKeyPairWithoutPlaintextInput:
		keyID = in.KeyId
	case *model.SignInput:
		keyID = in.KeyId
	case *model.VerifyInput:
		keyID = in.KeyId
	case *model.GenerateMacInput:
		keyID = in.KeyId
	case *model.VerifyMacInput:
		keyID = in.KeyId
	case *model.DeriveSharedSecretInput:
		keyID = in.KeyId
	}
	if keyID == nil || !isAlias(*keyID) {
		return ""
	}
	return (*keyID)[strings.Index(*keyID, aliasPrefix):]
}

// viaService is the service that passes the caller's call on, as
// kms:ViaService names it; "" if the caller calls KMS itself.
func viaService(c *call.Call) string {
	if len(c.Via) == 0 {
		return ""
	}
	service, _, _ := strings.Cut(c.Via[len(c.Via)-1], ".")
	return service + "." + c.Region + ".amazonaws.com"
}

// encryptionContext is the encryption context of a request, nil if it has none.
func encryptionContext(in any) map[string]string {
	switch in := in.(type) {
	case *model.EncryptInput:
		return in.EncryptionContext
	case *model.DecryptInput:
		return in.EncryptionContext
	case *model.CreateGrantInput:
		if in.Constraints == nil {
			return nil
		}
		if in.Constraints.EncryptionContextEquals != nil {
			return in.Constraints.EncryptionContextEquals
		}
		return in.Constraints.EncryptionContextSubset
	case *reEncryptFrom:
		return in.SourceEncryptionContext
	case *reEncryptTo:
		return in.DestinationEncryptionContext
	case *model.GenerateDataKeyInput:
		return in.EncryptionContext
	case *model.GenerateDataKeyWithoutPlaintextInput:
		return in.EncryptionContext
	case *model.GenerateDataKeyPairInput:
		return in.EncryptionContext
	case *model.GenerateDataKeyPairWithoutPlaintextInput:
		return in.EncryptionContext
	}
	return nil
}

// contextValues are the values under a key of an encryption context, letter
// case aside as in all names of condition keys. Of several that differ in that
// alone it has all: with one alone, a harmless one would hide the one that a
// policy denies.
func contextValues(ec map[string]string, key string) (values []string, present bool) {
	for name, value := range ec {
		if policy.FoldKey(name) == key {
			values = append(values, value)
		}
	}
	return values, len(values) > 0
}

// tagKeys are the condition keys about tags, without their prefix.
func tagKeys(c *call.Call, k *Key, own string) ([]string, bool) {
	if own == "tagkeys" {
		return requestTagKeys(c.Input)
	}
	if tag, ok := strings.CutPrefix(own, "requesttag/"); ok {
		return tagValues(requestTags(c.Input), tag)
	}
	if tag, ok := strings.CutPrefix(own, "resourcetag/"); ok && k != nil {
		for _, t := range k.tags {
			if strings.EqualFold(t.Key, tag) {
				return c.Value(t.Value)
			}
		}
	}
	return nil, false
}

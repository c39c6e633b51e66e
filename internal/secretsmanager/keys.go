package secretsmanager

import (
	"context"
	"strconv"
	"strings"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/kms"
	"azekura/internal/policy"
)

// requestKeys are the condition keys of Secrets Manager for a call on a
// secret, nil if there is none. A key is present only if the request has the
// member, so that policies can insist on one with Null; and only for the
// operations that AWS lists it for.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
func requestKeys(c *call.Call, sec *secret) policy.Keys {
	return func(key string) ([]string, bool) {
		if tag, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
			return requestTag(c, tag)
		}
		if key == "aws:tagkeys" {
			return requestTagKeys(c.Input)
		}
		own, isOwn := strings.CutPrefix(key, "secretsmanager:")
		if !isOwn {
			own = strings.TrimPrefix(key, "aws:")
		}
		if tag, ok := strings.CutPrefix(own, "resourcetag/"); ok {
			return resourceTag(c, sec, tag)
		}
		if !isOwn {
			return nil, false
		}
		if value, present := secretKey(sec, own); present {
			return c.Value(value)
		}
		if value, present := inputKey(c.Input, own); present {
			return c.Value(value)
		}
		return nil, false
	}
}

// resourceTag is a tag of the secret; of one that is to be created, of the
// request.
func resourceTag(c *call.Call, sec *secret, name string) ([]string, bool) {
	if sec != nil {
		return tagKey(c, sec.tags, name)
	}
	if in, isCreate := c.Input.(*model.CreateSecretInput); isCreate {
		return tagKey(c, in.Tags, name)
	}
	return nil, false
}

// secretKey is a key of the secret, without its prefix.
func secretKey(sec *secret, key string) (value string, present bool) {
	if sec == nil {
		return "", false
	}
	switch key {
	case "secretid":
		return sec.arn(), true
	case "secretprimaryregion":
		return sec.region, true
	}
	return "", false
}

// tagKey is the value of the tag that a condition key names, letter case aside.
func tagKey(c *call.Call, tags []model.Tag, name string) ([]string, bool) {
	for _, t := range tags {
		if strings.EqualFold(*t.Key, name) {
			return c.Value(tagValue(t))
		}
	}
	return nil, false
}

// requestTag is tagKey for the tags of the request. Of several that differ in
// letter case alone it has all: with the first alone, a harmless one would hide
// the one that a policy denies.
func requestTag(c *call.Call, name string) ([]string, bool) {
	var values []string
	for _, t := range requestTags(c.Input) {
		if strings.EqualFold(*t.Key, name) {
			values = append(values, tagValue(t))
		}
	}
	return values, values != nil
}

func requestTags(in any) []model.Tag {
	switch in := in.(type) {
	case *model.CreateSecretInput:
		return in.Tags
	case *model.TagResourceInput:
		return in.Tags
	}
	return nil
}

func requestTagKeys(in any) ([]string, bool) {
	if untag, ok := in.(*model.UntagResourceInput); ok {
		return untag.TagKeys, len(untag.TagKeys) > 0
	}
	var keys []string
	for _, t := range requestTags(in) {
		keys = append(keys, *t.Key)
	}
	return keys, len(keys) > 0
}

// inputKey is the condition key, without its prefix and in lower case, that a
// member of the request stands for.
func inputKey(in any, key string) (value string, present bool) {
	switch in := in.(type) {
	case *model.GetSecretValueInput:
		switch key {
		case "versionid":
			return keyText(in.VersionId)
		case "versionstage":
			return keyText(in.VersionStage)
		}
	case *model.UpdateSecretVersionStageInput:
		if key == "versionstage" {
			return keyText(in.VersionStage)
		}
	case *model.DeleteSecretInput:
		switch key {
		case "forcedeletewithoutrecovery":
			return keyFlag(in.ForceDeleteWithoutRecovery)
		case "recoverywindowindays":
			if in.RecoveryWindowInDays != nil {
				return strconv.FormatInt(*in.RecoveryWindowInDays, 10), true
			}
		}
	case *model.PutResourcePolicyInput:
		if key == "blockpublicpolicy" {
			return keyFlag(in.BlockPublicPolicy)
		}
	case *model.CreateSecretInput:
		switch key {
		case "name":
			return keyText(in.Name)
		case "forceoverwritereplicasecret":
			return keyFlag(in.ForceOverwriteReplicaSecret)
		}
		return describingKey(key, in.Description, in.KmsKeyId, in.Type)
	case *model.UpdateSecretInput:
		return describingKey(key, in.Description, in.KmsKeyId, in.Type)
	}
	return "", false
}

// describingKey is a key that CreateSecret and UpdateSecret have in common.
func describingKey(key string, description, kmsKeyID, kind *string) (value string, present bool) {
	switch key {
	case "description":
		return keyText(description)
	case "kmskeyid":
		return keyText(kmsKeyID)
	case "type":
		return keyText(kind)
	}
	return "", false
}

func keyText(member *string) (value string, present bool) { return deref(member), member != nil }

func keyFlag(member *bool) (value string, present bool) {
	return strconv.FormatBool(member != nil && *member), member != nil
}

// learnKey finds out which key a KmsKeyId means, for secretsmanager:KmsKeyArn.
// One that means none makes the call fail later, if it is allowed at all. The
// default key is not made for a caller of whom nothing is known yet.
func (s *Service) learnKey(ctx context.Context, c *call.Call, kmsKeyID *string) {
	if kmsKeyID == nil || *kmsKeyID == "" || strings.HasSuffix(*kmsKeyID, kms.DefaultAlias) {
		return
	}
	if key, err := s.kms.Resolve(ctx, c, *kmsKeyID); err == nil {
		c.Learn("secretsmanager:kmskeyarn", key.ARN)
	}
}

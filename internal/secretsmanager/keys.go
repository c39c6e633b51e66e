package secretsmanager

import (
	"strconv"
	"strings"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/policy"
)

// requestKeys are the condition keys of Secrets Manager for a call on a
// secret, nil if there is none. A key is present only if the request has the
// member, so that policies can insist on one with Null.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
func requestKeys(c *call.Call, sec *secret) policy.Keys {
	return func(key string) ([]string, bool) {
		if tag, ok := strings.CutPrefix(key, "aws:requesttag/"); ok {
			return tagKey(requestTags(c.Input), tag)
		}
		if key == "aws:tagkeys" {
			return requestTagKeys(c.Input)
		}
		own, ok := strings.CutPrefix(key, "secretsmanager:")
		if !ok {
			own, ok = strings.CutPrefix(key, "aws:")
			if !ok || !strings.HasPrefix(own, "resourcetag/") {
				return nil, false
			}
		}
		if sec != nil {
			if tag, ok := strings.CutPrefix(own, "resourcetag/"); ok {
				return tagKey(sec.tags, tag)
			}
			if own == "secretid" {
				return []string{sec.arn()}, true
			}
		}
		return inputKey(c.Input, own)
	}
}

// tagKey is the value of the tag that a condition key names, letter case aside.
func tagKey(tags []model.Tag, name string) ([]string, bool) {
	for _, t := range tags {
		if strings.EqualFold(*t.Key, name) {
			return []string{tagValue(t)}, true
		}
	}
	return nil, false
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
func inputKey(in any, key string) ([]string, bool) {
	members := map[string]any{}
	switch in := in.(type) {
	case *model.CreateSecretInput:
		members = map[string]any{"name": in.Name, "description": in.Description, "kmskeyid": in.KmsKeyId, "type": in.Type,
			"forceoverwritereplicasecret": in.ForceOverwriteReplicaSecret}
	case *model.UpdateSecretInput:
		members = map[string]any{"description": in.Description, "kmskeyid": in.KmsKeyId, "type": in.Type}
	case *model.DeleteSecretInput:
		members = map[string]any{"forcedeletewithoutrecovery": in.ForceDeleteWithoutRecovery, "recoverywindowindays": in.RecoveryWindowInDays}
	case *model.GetSecretValueInput:
		members = map[string]any{"versionid": in.VersionId, "versionstage": in.VersionStage}
	case *model.PutResourcePolicyInput:
		members = map[string]any{"blockpublicpolicy": in.BlockPublicPolicy}
	case *model.UpdateSecretVersionStageInput:
		members = map[string]any{"versionstage": in.VersionStage}
	}
	return keyText(members[key])
}

func keyText(member any) ([]string, bool) {
	switch m := member.(type) {
	case *string:
		if m != nil {
			return []string{*m}, true
		}
	case *bool:
		if m != nil {
			return []string{strconv.FormatBool(*m)}, true
		}
	case *int64:
		if m != nil {
			return []string{strconv.FormatInt(*m, 10)}, true
		}
	}
	return nil, false
}

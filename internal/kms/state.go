package kms

import (
	"azekura/internal/api"
	model "azekura/internal/api/kms"
)

// The states of a key.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
const (
	stateEnabled                = "Enabled"
	stateDisabled               = "Disabled"
	statePendingDeletion        = "PendingDeletion"
	statePendingReplicaDeletion = "PendingReplicaDeletion"
	statePendingImport          = "PendingImport"
)

// A need is what an operation asks of the state of its key.
type need int

const (
	needEnabled   need = iota // what uses the material
	needMaterial              // what changes how a key with material works, also a disabled one
	needRotatable             // what has a say in rotation, which imported material has none of
	needLife                  // what changes a key that is to stay
	needDeletion              // what calls the deletion off
	needNothing               // what looks, and what takes away
)

// needs is what operations ask that are not content with nothing less than an
// enabled key.
var needs = map[string]need{
	"EnableKey": needMaterial, "DisableKey": needMaterial,
	"EnableKeyRotation": needRotatable, "DisableKeyRotation": needRotatable,
	"CreateAlias": needLife, "UpdateAlias": needLife, "TagResource": needLife, "UntagResource": needLife, "UpdateKeyDescription": needLife,
	"ScheduleKeyDeletion": needLife, "GetParametersForImport": needLife, "ImportKeyMaterial": needLife, "DeleteImportedKeyMaterial": needLife,
	"CancelKeyDeletion": needDeletion,
	"DescribeKey":       needNothing, "GetKeyPolicy": needNothing, "PutKeyPolicy": needNothing, "ListAliases": needNothing,
	"ListGrants": needNothing, "ListKeyPolicies": needNothing, "ListResourceTags": needNothing, "ListKeyRotations": needNothing,
	"DeleteAlias": needNothing, "RetireGrant": needNothing, "RevokeGrant": needNothing, "GetKeyRotationStatus": needNothing,
}

// ready refuses an operation that the state of the key does not let through,
// in AWS's words.
func (k *Key) ready(op string) *api.Error {
	n := needs[op]
	pending := k.state == statePendingDeletion || k.state == statePendingReplicaDeletion
	switch {
	case n == needNothing:
		return nil
	case n == needDeletion && !pending:
		return model.KMSInvalidState("%s is not pending deletion.", k.ARN)
	case n == needDeletion:
		return nil
	case pending:
		return model.KMSInvalidState("%s is pending deletion.", k.ARN)
	case n == needLife, n == needRotatable && k.state == statePendingImport:
		return nil
	case k.state == statePendingImport:
		return model.KMSInvalidState("%s is pending import.", k.ARN)
	case n == needMaterial || k.state == stateEnabled:
		return nil
	case k.state == stateDisabled:
		return model.Disabled("%s is disabled.", k.ARN)
	}
	return model.KMSInvalidState("%s is unavailable.", k.ARN)
}

package kms

import (
	"strconv"
	"time"

	model "azekura/internal/api/kms"
)

// inputCondition is a condition key, without its prefix and in lower case, that
// is about the request.
func inputCondition(in any, own string) (value string, present bool) {
	switch in := in.(type) {
	case *model.CreateKeyInput:
		return createCondition(in, own)
	case *model.PutKeyPolicyInput:
		return flagCondition(own == "bypasspolicylockoutsafetycheck", in.BypassPolicyLockoutSafetyCheck)
	case *model.ReplicateKeyInput:
		if own == "replicaregion" {
			return *in.ReplicaRegion, true
		}
		return flagCondition(own == "bypasspolicylockoutsafetycheck", in.BypassPolicyLockoutSafetyCheck)
	case *model.UpdatePrimaryRegionInput:
		return textCondition(own == "primaryregion", in.PrimaryRegion)
	case *model.EnableKeyRotationInput:
		return numberCondition(own == "rotationperiodindays", in.RotationPeriodInDays)
	case *model.ScheduleKeyDeletionInput:
		return numberCondition(own == "schedulekeydeletionpendingwindowindays", in.PendingWindowInDays)
	case *model.CreateGrantInput:
		return grantCondition(in, own)
	case *model.GetParametersForImportInput:
		if own == "wrappingkeyspec" {
			return *in.WrappingKeySpec, true
		}
		return textCondition(own == "wrappingalgorithm", in.WrappingAlgorithm)
	case *model.ImportKeyMaterialInput:
		if own == "validto" && in.ValidTo != nil {
			return in.ValidTo.Time().Format(time.RFC3339), true
		}
		return textCondition(own == "expirationmodel", in.ExpirationModel)
	}
	return usingCondition(in, own)
}

// usingCondition is inputCondition for the requests that use a key.
func usingCondition(in any, own string) (value string, present bool) {
	const symmetric = symmetricAlgorithm
	switch in := in.(type) {
	case *model.EncryptInput:
		return deref(in.EncryptionAlgorithm, symmetric), own == "encryptionalgorithm"
	case *model.DecryptInput:
		return deref(in.EncryptionAlgorithm, symmetric), own == "encryptionalgorithm"
	case *reEncryptFrom:
		return deref(in.SourceEncryptionAlgorithm, symmetric), own == "encryptionalgorithm"
	case *reEncryptTo:
		return deref(in.DestinationEncryptionAlgorithm, symmetric), own == "encryptionalgorithm"
	case *model.GenerateDataKeyInput, *model.GenerateDataKeyWithoutPlaintextInput:
		return symmetric, own == "encryptionalgorithm"
	case *model.GenerateDataKeyPairInput:
		return pairCondition(in.KeyPairSpec, own)
	case *model.GenerateDataKeyPairWithoutPlaintextInput:
		return pairCondition(in.KeyPairSpec, own)
	case *model.SignInput:
		return signCondition(in.SigningAlgorithm, in.MessageType, own)
	case *model.VerifyInput:
		return signCondition(in.SigningAlgorithm, in.MessageType, own)
	case *model.GenerateMacInput:
		return *in.MacAlgorithm, own == "macalgorithm"
	case *model.VerifyMacInput:
		return *in.MacAlgorithm, own == "macalgorithm"
	case *model.DeriveSharedSecretInput:
		return *in.KeyAgreementAlgorithm, own == "keyagreementalgorithm"
	}
	return "", false
}

func createCondition(in *model.CreateKeyInput, own string) (value string, present bool) {
	switch own {
	case "keyspec", "customermasterkeyspec":
		return string(specOf(in)), true
	case "keyusage", "customermasterkeyusage":
		return string(usageOf(in)), true
	case "keyorigin":
		return originOf(in), true
	case "multiregion":
		return strconv.FormatBool(isTrue(in.MultiRegion)), true
	case "multiregionkeytype":
		return "PRIMARY", isTrue(in.MultiRegion)
	}
	return flagCondition(own == "bypasspolicylockoutsafetycheck", in.BypassPolicyLockoutSafetyCheck)
}

func grantCondition(in *model.CreateGrantInput, own string) (value string, present bool) {
	switch own {
	case "granteeprincipal":
		return textCondition(true, in.GranteePrincipal)
	case "retiringprincipal":
		return textCondition(true, in.RetiringPrincipal)
	case "grantconstrainttype":
		switch {
		case in.Constraints == nil:
			return "", false
		case in.Constraints.EncryptionContextEquals != nil:
			return "EncryptionContextEquals", true
		case in.Constraints.EncryptionContextSubset != nil:
			return "EncryptionContextSubset", true
		}
	}
	return "", false
}

func pairCondition(spec *string, own string) (value string, present bool) {
	if own == "datakeypairspec" {
		return *spec, true
	}
	return symmetricAlgorithm, own == "encryptionalgorithm"
}

func signCondition(algorithm, messageType *string, own string) (value string, present bool) {
	if own == "messagetype" {
		return deref(messageType, "RAW"), true
	}
	return *algorithm, own == "signingalgorithm"
}

func textCondition(asked bool, member *string) (value string, present bool) {
	return deref(member, ""), asked && member != nil
}

func flagCondition(asked bool, member *bool) (value string, present bool) {
	return strconv.FormatBool(isTrue(member)), asked
}

func numberCondition(asked bool, member *int64) (value string, present bool) {
	if !asked || member == nil {
		return "", false
	}
	return strconv.FormatInt(*member, 10), true
}

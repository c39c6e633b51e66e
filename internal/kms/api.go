package kms

import (
	model "azekura/internal/api/kms"
	"azekura/internal/call"
)

// API is the service as the wire serves it: one line an operation.
func (s *Service) API() call.Service {
	const throttled = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
	return call.Service{Name: "kms", Target: model.Target, Throttled: throttled, Ops: []call.Op{
		call.Bind("CancelKeyDeletion", s.CancelKeyDeletion),
		call.Bind("CreateAlias", s.CreateAlias),
		call.Bind("CreateGrant", s.CreateGrant),
		call.Bind("CreateKey", s.CreateKey),
		call.BindRead("Decrypt", s.Decrypt),
		call.Bind("DeleteAlias", s.DeleteAlias),
		call.Bind("DeleteImportedKeyMaterial", s.DeleteImportedKeyMaterial),
		call.BindRead("DeriveSharedSecret", s.DeriveSharedSecret),
		call.BindRead("DescribeKey", s.DescribeKey),
		call.Bind("DisableKey", s.DisableKey),
		call.Bind("DisableKeyRotation", s.DisableKeyRotation),
		call.Bind("EnableKey", s.EnableKey),
		call.Bind("EnableKeyRotation", s.EnableKeyRotation),
		call.BindRead("Encrypt", s.Encrypt),
		call.BindRead("GenerateDataKey", s.GenerateDataKey),
		call.BindRead("GenerateDataKeyPair", s.GenerateDataKeyPair),
		call.BindRead("GenerateDataKeyPairWithoutPlaintext", s.GenerateDataKeyPairWithoutPlaintext),
		call.BindRead("GenerateDataKeyWithoutPlaintext", s.GenerateDataKeyWithoutPlaintext),
		call.BindRead("GenerateMac", s.GenerateMac),
		call.BindRead("GenerateRandom", s.GenerateRandom),
		call.BindRead("GetKeyPolicy", s.GetKeyPolicy),
		call.BindRead("GetKeyRotationStatus", s.GetKeyRotationStatus),
		call.BindRead("GetParametersForImport", s.GetParametersForImport),
		call.BindRead("GetPublicKey", s.GetPublicKey),
		call.Bind("ImportKeyMaterial", s.ImportKeyMaterial),
		call.BindRead("ListAliases", s.ListAliases),
		call.BindRead("ListGrants", s.ListGrants),
		call.BindRead("ListKeyPolicies", s.ListKeyPolicies),
		call.BindRead("ListKeyRotations", s.ListKeyRotations),
		call.BindRead("ListKeys", s.ListKeys),
		call.BindRead("ListResourceTags", s.ListResourceTags),
		call.BindRead("ListRetirableGrants", s.ListRetirableGrants),
		call.Bind("PutKeyPolicy", s.PutKeyPolicy),
		call.BindRead("ReEncrypt", s.ReEncrypt),
		call.Bind("ReplicateKey", s.ReplicateKey),
		call.Bind("RetireGrant", s.RetireGrant),
		call.Bind("RevokeGrant", s.RevokeGrant),
		call.Bind("RotateKeyOnDemand", s.RotateKeyOnDemand),
		call.Bind("ScheduleKeyDeletion", s.ScheduleKeyDeletion),
		call.BindRead("Sign", s.Sign),
		call.Bind("TagResource", s.TagResource),
		call.Bind("UntagResource", s.UntagResource),
		call.Bind("UpdateAlias", s.UpdateAlias),
		call.Bind("UpdateKeyDescription", s.UpdateKeyDescription),
		call.Bind("UpdatePrimaryRegion", s.UpdatePrimaryRegion),
		call.BindRead("Verify", s.Verify),
		call.BindRead("VerifyMac", s.VerifyMac),
	}}
}

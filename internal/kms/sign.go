package kms

import (
	"context"
	"errors"
	"fmt"

	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/material"
)

// GetPublicKey is the public half of a key pair, as SubjectPublicKeyInfo.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html
func (s *Service) GetPublicKey(ctx context.Context, c *call.Call, in *model.GetPublicKeyInput) (*model.GetPublicKeyOutput, error) {
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	if !k.spec.IsPair() {
		return nil, model.UnsupportedOperation("")
	}
	m := k.metadata()
	return &model.GetPublicKeyOutput{
		KeyId: &k.ARN, PublicKey: k.newest().key.PublicDER(), KeySpec: m.KeySpec, CustomerMasterKeySpec: m.CustomerMasterKeySpec, KeyUsage: m.KeyUsage,
		EncryptionAlgorithms: m.EncryptionAlgorithms, SigningAlgorithms: m.SigningAlgorithms, KeyAgreementAlgorithms: m.KeyAgreementAlgorithms,
	}, nil
}

// Sign signs a message of up to 4096 bytes, or the digest of one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
func (s *Service) Sign(ctx context.Context, c *call.Call, in *model.SignInput) (*model.SignOutput, error) {
	k, err := s.with(ctx, c, *in.KeyId, material.SignVerify, *in.SigningAlgorithm)
	if err != nil {
		return nil, err
	}
	digest, err := isDigest(in.MessageType)
	if err != nil {
		return nil, err
	}
	signature, err := k.newest().key.Sign(*in.SigningAlgorithm, in.Message, digest)
	if err != nil {
		return nil, signingError(err, *in.SigningAlgorithm)
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	return &model.SignOutput{KeyId: &k.ARN, Signature: signature, SigningAlgorithm: in.SigningAlgorithm}, nil
}

// Verify says that a signature is the key's, or fails with
// KMSInvalidSignatureException.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html
func (s *Service) Verify(ctx context.Context, c *call.Call, in *model.VerifyInput) (*model.VerifyOutput, error) {
	k, err := s.with(ctx, c, *in.KeyId, material.SignVerify, *in.SigningAlgorithm)
	if err != nil {
		return nil, err
	}
	digest, err := isDigest(in.MessageType)
	if err != nil {
		return nil, err
	}
	sound, err := k.newest().key.Verify(*in.SigningAlgorithm, in.Message, digest, in.Signature)
	switch {
	case err != nil:
		return nil, signingError(err, *in.SigningAlgorithm)
	case !sound:
		return nil, model.KMSInvalidSignature("")
	case isTrue(in.DryRun):
		return nil, errDryRun()
	}
	return &model.VerifyOutput{KeyId: &k.ARN, SignatureValid: new(true), SigningAlgorithm: in.SigningAlgorithm}, nil
}

// with finds a key for a call that uses it for its one usage, with an
// algorithm.
func (s *Service) with(ctx context.Context, c *call.Call, keyID string, usage material.Usage, algorithm string) (*Key, error) {
	k, err := s.look(ctx, c, keyID)
	switch {
	case err != nil:
		return nil, err
	case k.usage != usage:
		return nil, wrongUsage(k, c.Op)
	}
	return k, k.has(algorithm)
}

func isDigest(messageType *string) (bool, error) {
	switch deref(messageType, "RAW") {
	case "RAW":
		return false, nil
	case "DIGEST":
		return true, nil
	}
	return false, invalid("MessageType EXTERNAL_MU is for ML-DSA keys.")
}

func signingError(err error, algorithm string) error {
	switch {
	case errors.Is(err, material.ErrDigest):
		return invalid("Digest is invalid length for algorithm %s.", algorithm)
	case errors.Is(err, material.ErrAlgorithm): // of Ed25519, whose algorithms take the one or the other
		return invalid("Algorithm %s is incompatible with the message type.", algorithm)
	}
	return fmt.Errorf("sign or verify with %s: %w", algorithm, err)
}

// GenerateMac makes the HMAC of a message of up to 4096 bytes.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
func (s *Service) GenerateMac(ctx context.Context, c *call.Call, in *model.GenerateMacInput) (*model.GenerateMacOutput, error) {
	k, err := s.with(ctx, c, *in.KeyId, material.GenerateVerifyMAC, *in.MacAlgorithm)
	if err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	mac, err := k.newest().key.MAC(*in.MacAlgorithm, in.Message)
	if err != nil {
		return nil, err
	}
	return &model.GenerateMacOutput{KeyId: &k.ARN, Mac: mac, MacAlgorithm: in.MacAlgorithm}, nil
}

// VerifyMac says that a MAC is the key's, or fails with KMSInvalidMacException.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html
func (s *Service) VerifyMac(ctx context.Context, c *call.Call, in *model.VerifyMacInput) (*model.VerifyMacOutput, error) {
	k, err := s.with(ctx, c, *in.KeyId, material.GenerateVerifyMAC, *in.MacAlgorithm)
	if err != nil {
		return nil, err
	}
	sound, err := k.newest().key.VerifyMAC(*in.MacAlgorithm, in.Message, in.Mac)
	switch {
	case err != nil:
		return nil, err
	case !sound:
		return nil, model.KMSInvalidMac("")
	case isTrue(in.DryRun):
		return nil, errDryRun()
	}
	return &model.VerifyMacOutput{KeyId: &k.ARN, MacValid: new(true), MacAlgorithm: in.MacAlgorithm}, nil
}

// DeriveSharedSecret is what the key and a peer's public key come to by ECDH.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeriveSharedSecret.html
func (s *Service) DeriveSharedSecret(ctx context.Context, c *call.Call, in *model.DeriveSharedSecretInput) (*model.DeriveSharedSecretOutput, error) {
	k, err := s.with(ctx, c, *in.KeyId, material.KeyAgreement, *in.KeyAgreementAlgorithm)
	if err != nil {
		return nil, err
	}
	if in.Recipient != nil {
		return nil, errRecipient()
	}
	secret, err := k.newest().key.SharedSecret(in.PublicKey)
	c.Wipe(secret)
	switch {
	case errors.Is(err, material.ErrPeer):
		return nil, invalid("The public key is no valid key on the curve of %s.", k.spec)
	case err != nil:
		return nil, err
	case isTrue(in.DryRun):
		return nil, errDryRun()
	}
	return &model.DeriveSharedSecretOutput{
		KeyId: &k.ARN, SharedSecret: secret, KeyAgreementAlgorithm: in.KeyAgreementAlgorithm, KeyOrigin: &k.origin,
	}, nil
}

package kms

import (
	"context"
	"crypto/rand"

	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/material"
)

// GenerateDataKey makes a data key: in the clear for use now, and encrypted
// under a symmetric key to be kept.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (s *Service) GenerateDataKey(ctx context.Context, c *call.Call, in *model.GenerateDataKeyInput) (*model.GenerateDataKeyOutput, error) {
	k, size, err := s.dataKeyOf(ctx, c, in)
	if err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	plaintext := make([]byte, size)
	rand.Read(plaintext) // never fails: it ends the program rather than return
	c.Wipe(plaintext)
	return &model.GenerateDataKeyOutput{
		CiphertextBlob: k.seal(plaintext, in.EncryptionContext), Plaintext: plaintext, KeyId: &k.ARN, KeyMaterialId: &k.newest().id,
	}, nil
}

// GenerateDataKeyWithoutPlaintext is GenerateDataKey for a data key that is
// used later, by who may Decrypt it.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyWithoutPlaintext.html
func (s *Service) GenerateDataKeyWithoutPlaintext(ctx context.Context, c *call.Call, in *model.GenerateDataKeyWithoutPlaintextInput) (*model.GenerateDataKeyWithoutPlaintextOutput, error) {
	k, size, err := s.dataKeyOf(ctx, c, &model.GenerateDataKeyInput{
		KeyId: in.KeyId, EncryptionContext: in.EncryptionContext, NumberOfBytes: in.NumberOfBytes, KeySpec: in.KeySpec,
	})
	if err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	plaintext := make([]byte, size)
	rand.Read(plaintext)
	defer clear(plaintext)
	return &model.GenerateDataKeyWithoutPlaintextOutput{
		CiphertextBlob: k.seal(plaintext, in.EncryptionContext), KeyId: &k.ARN, KeyMaterialId: &k.newest().id,
	}, nil
}

// dataKeyOf is the key that a request wants a data key encrypted under, and the
// data key's size in bytes.
func (s *Service) dataKeyOf(ctx context.Context, c *call.Call, in *model.GenerateDataKeyInput) (k *Key, size int, err error) {
	if k, err = s.look(ctx, c, *in.KeyId); err != nil {
		return nil, 0, err
	}
	if err := k.symmetric(c.Op); err != nil {
		return nil, 0, err
	}
	if err := k.encrypts(c.Op, symmetricAlgorithm, in.EncryptionContext); err != nil {
		return nil, 0, err
	}
	switch {
	case (in.NumberOfBytes == nil) == (in.KeySpec == nil):
		return nil, 0, invalid("Please specify either number of bytes or key spec.")
	case in.Recipient != nil:
		return nil, 0, errRecipient()
	case in.NumberOfBytes != nil:
		return k, int(*in.NumberOfBytes), nil
	case *in.KeySpec == "AES_128":
		return k, 16, nil
	}
	return k, 32, nil
}

// GenerateDataKeyPair makes a key pair for use outside of KMS: the private half
// in the clear, and encrypted under a symmetric key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPair.html
func (s *Service) GenerateDataKeyPair(ctx context.Context, c *call.Call, in *model.GenerateDataKeyPairInput) (*model.GenerateDataKeyPairOutput, error) {
	p, err := s.dataKeyPair(ctx, c, in)
	if err != nil {
		return nil, err
	}
	c.Wipe(p.private)
	return &model.GenerateDataKeyPairOutput{
		PrivateKeyCiphertextBlob: p.sealed, PrivateKeyPlaintext: p.private, PublicKey: p.public,
		KeyId: &p.key.ARN, KeyPairSpec: in.KeyPairSpec, KeyMaterialId: &p.key.newest().id,
	}, nil
}

// GenerateDataKeyPairWithoutPlaintext is GenerateDataKeyPair for a pair that is
// used later, by who may Decrypt its private half.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPairWithoutPlaintext.html
func (s *Service) GenerateDataKeyPairWithoutPlaintext(ctx context.Context, c *call.Call, in *model.GenerateDataKeyPairWithoutPlaintextInput) (*model.GenerateDataKeyPairWithoutPlaintextOutput, error) {
	p, err := s.dataKeyPair(ctx, c, &model.GenerateDataKeyPairInput{
		KeyId: in.KeyId, EncryptionContext: in.EncryptionContext, KeyPairSpec: in.KeyPairSpec, DryRun: in.DryRun,
	})
	if err != nil {
		return nil, err
	}
	clear(p.private)
	return &model.GenerateDataKeyPairWithoutPlaintextOutput{
		PrivateKeyCiphertextBlob: p.sealed, PublicKey: p.public, KeyId: &p.key.ARN, KeyPairSpec: in.KeyPairSpec, KeyMaterialId: &p.key.newest().id,
	}, nil
}

// A pair is a key pair that was made for a caller.
type pair struct {
	key                     *Key // that sealed it
	private, public, sealed []byte
}

func (s *Service) dataKeyPair(ctx context.Context, c *call.Call, in *model.GenerateDataKeyPairInput) (p pair, err error) {
	if p.key, err = s.look(ctx, c, *in.KeyId); err != nil {
		return p, err
	}
	if err := p.key.symmetric(c.Op); err != nil {
		return p, err
	}
	if err := p.key.encrypts(c.Op, symmetricAlgorithm, in.EncryptionContext); err != nil {
		return p, err
	}
	spec := material.Spec(*in.KeyPairSpec)
	switch {
	case in.Recipient != nil:
		return p, errRecipient()
	case spec.Usages() == nil:
		return p, model.UnsupportedOperation("")
	case isTrue(in.DryRun):
		return p, errDryRun()
	}
	if p.private, p.public, err = material.GeneratePair(spec); err != nil {
		return p, err
	}
	p.sealed = p.key.seal(p.private, in.EncryptionContext)
	return p, nil
}

// GenerateRandom is up to 1024 bytes of the system's randomness, by way of the
// FIPS 140-3 module's generator where that is on.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateRandom.html
func (s *Service) GenerateRandom(_ context.Context, c *call.Call, in *model.GenerateRandomInput) (*model.GenerateRandomOutput, error) {
	if err := c.Allow(everything(c)); err != nil {
		return nil, err
	}
	switch {
	case in.CustomKeyStoreId != nil:
		return nil, model.UnsupportedOperation("")
	case in.Recipient != nil:
		return nil, errRecipient()
	case in.NumberOfBytes == nil:
		return nil, invalid("NumberOfBytes is required.")
	}
	random := make([]byte, *in.NumberOfBytes)
	rand.Read(random)
	c.Wipe(random)
	return &model.GenerateRandomOutput{Plaintext: random}, nil
}

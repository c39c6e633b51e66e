package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"azekura/internal/api"
	model "azekura/internal/api/kms"
	"azekura/internal/call"
	"azekura/internal/material"
	"azekura/internal/policy"
)

// Encrypt encrypts up to 4096 bytes under a symmetric key or the public half of
// an RSA key. Only a symmetric key binds an encryption context.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
func (s *Service) Encrypt(ctx context.Context, c *call.Call, in *model.EncryptInput) (*model.EncryptOutput, error) {
	c.Wipe(in.Plaintext)
	k, err := s.look(ctx, c, *in.KeyId)
	if err != nil {
		return nil, err
	}
	algorithm := deref(in.EncryptionAlgorithm, symmetricAlgorithm)
	if err := k.encrypts(c.Op, algorithm, in.EncryptionContext); err != nil {
		return nil, err
	}
	if err := k.fits(algorithm, in.Plaintext); err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	blob, err := k.encrypt(algorithm, in.Plaintext, in.EncryptionContext)
	if err != nil {
		return nil, err
	}
	return &model.EncryptOutput{CiphertextBlob: blob, KeyId: &k.ARN, EncryptionAlgorithm: &algorithm}, nil
}

// Decrypt opens what Encrypt and the operations for data keys have made. A
// symmetric key is found by the ciphertext; a KeyId then only has to agree.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) Decrypt(ctx context.Context, c *call.Call, in *model.DecryptInput) (*model.DecryptOutput, error) {
	source := sealed{
		blob: in.CiphertextBlob, keyID: in.KeyId, algorithm: deref(in.EncryptionAlgorithm, symmetricAlgorithm), ec: in.EncryptionContext,
		ignored: isTrue(in.DryRun) && slices.Contains(in.DryRunModifiers, ignoreCiphertext),
	}
	k, err := s.opener(ctx, c, "kms:Decrypt", source)
	if err != nil {
		return nil, err
	}
	if in.Recipient != nil {
		return nil, errRecipient()
	}
	out := &model.DecryptOutput{KeyId: &k.ARN, EncryptionAlgorithm: &source.algorithm}
	if !source.ignored {
		if out.Plaintext, out.KeyMaterialId, err = k.decrypt(source); err != nil {
			return nil, err
		}
		c.Wipe(out.Plaintext)
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	return out, nil
}

// reEncryptFrom and reEncryptTo are a ReEncrypt as the policies of its two keys
// see it, each with an encryption context of its own.
type (
	reEncryptFrom struct{ *model.ReEncryptInput }
	reEncryptTo   struct{ *model.ReEncryptInput }
)

// ReEncrypt decrypts under one key and encrypts under another; the plaintext
// does not leave the server.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html
func (s *Service) ReEncrypt(ctx context.Context, c *call.Call, in *model.ReEncryptInput) (*model.ReEncryptOutput, error) {
	source := sealed{
		blob: in.CiphertextBlob, keyID: in.SourceKeyId, ec: in.SourceEncryptionContext,
		algorithm: deref(in.SourceEncryptionAlgorithm, symmetricAlgorithm),
		ignored:   isTrue(in.DryRun) && slices.Contains(in.DryRunModifiers, ignoreCiphertext),
	}
	from, to, err := s.reEncryptKeys(ctx, c, in, source)
	if err != nil {
		return nil, err
	}
	algorithm := deref(in.DestinationEncryptionAlgorithm, symmetricAlgorithm)
	if err := to.encrypts(c.Op, algorithm, in.DestinationEncryptionContext); err != nil {
		return nil, err
	}
	out := &model.ReEncryptOutput{
		KeyId: &to.ARN, SourceKeyId: &from.ARN, SourceEncryptionAlgorithm: &source.algorithm, DestinationEncryptionAlgorithm: &algorithm,
	}
	if source.ignored {
		return nil, errDryRun()
	}
	plaintext, id, err := from.decrypt(source)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	out.SourceKeyMaterialId = id
	if err := to.fits(algorithm, plaintext); err != nil {
		return nil, err
	}
	if isTrue(in.DryRun) {
		return nil, errDryRun()
	}
	if out.CiphertextBlob, err = to.encrypt(algorithm, plaintext, in.DestinationEncryptionContext); err != nil {
		return nil, err
	}
	if algorithm == symmetricAlgorithm {
		out.DestinationKeyMaterialId = &to.newest().id
	}
	return out, nil
}

// reEncryptKeys are the keys of a ReEncrypt, both of which the caller may use
// for it.
func (s *Service) reEncryptKeys(ctx context.Context, c *call.Call, in *model.ReEncryptInput, source sealed) (from, to *Key, err error) {
	n, err := s.named(ctx, c, *in.DestinationKeyId)
	if err != nil {
		return nil, nil, err
	}
	read := *c
	read.Input = &reEncryptFrom{in}
	write := *c
	write.Input = &reEncryptTo{in}
	if id, _, ok := keyIn(in.CiphertextBlob); ok {
		same := fmt.Sprint(id == n.id)
		read.Learn("kms:reencryptonsamekey", same)
		write.Learn("kms:reencryptonsamekey", same)
	}
	from, err = s.opener(ctx, &read, "kms:ReEncryptFrom", source)
	c.Resource, c.Decision = read.Resource, read.Decision
	if err != nil {
		return nil, nil, err
	}
	to, err = s.lookAt(ctx, &write, "kms:ReEncryptTo", n)
	c.Resource, c.Decision = write.Resource, write.Decision
	return from, to, err
}

const (
	symmetricAlgorithm = "SYMMETRIC_DEFAULT"
	ignoreCiphertext   = "IGNORE_CIPHERTEXT"
	maxContext         = 8192 // bytes of an encryption context
)

// A sealed is a ciphertext that a request wants opened.
type sealed struct {
	blob      []byte
	keyID     *string // nil: the one that the ciphertext names
	algorithm string
	ec        Context
	ignored   bool // a dry run that does not look at it
}

// opener finds the key that a ciphertext is to be opened with, for a call that
// needs an action on it.
func (s *Service) opener(ctx context.Context, c *call.Call, action string, what sealed) (*Key, error) {
	if what.blob == nil && !what.ignored {
		return nil, invalid("1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member must not be null")
	}
	var k *Key
	var err error
	if what.keyID != nil {
		k, err = s.lookTo(ctx, c, action, *what.keyID)
	} else {
		k, err = s.lookIn(ctx, c, action, what.blob)
	}
	if err != nil {
		return nil, err
	}
	if err := k.encrypts(c.Op, what.algorithm, what.ec); err != nil {
		return nil, err
	}
	if id, _, ok := keyIn(what.blob); ok && id != k.ID && what.algorithm == symmetricAlgorithm && !what.ignored {
		return nil, model.IncorrectKey("The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return k, nil
}

// lookIn is lookTo for the key that a ciphertext names. A caller who may not
// use it learns nothing of it: neither which it is nor whether there is one.
func (s *Service) lookIn(ctx context.Context, c *call.Call, action string, blob []byte) (*Key, error) {
	id, _, ok := keyIn(blob)
	if !ok {
		if err := c.AllowAction(action, everything(c)); err != nil {
			return nil, err
		}
		return nil, invalidCiphertext()
	}
	k, err := s.holder(ctx, c, action, id, api.AccessDenied(""))
	e, refused := errors.AsType[*api.Error](err)
	if !refused || e.Code != "AccessDeniedException" {
		return k, err
	}
	because := "because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
	if d := c.Decision; !d.Allowed && d.Type != policy.ResourcePolicy {
		because = d.Because(action)
	}
	return nil, api.AccessDenied("User: %s is not authorized to perform: %s on the resource associated with this ciphertext %s", c.Principal.ARN, action, because)
}

// encrypts refuses a key that is not for encryption with an algorithm, and a
// context that the algorithm does not bind.
func (k *Key) encrypts(op, algorithm string, ec Context) error {
	if k.usage != material.EncryptDecrypt {
		return wrongUsage(k, op)
	}
	if err := k.has(algorithm); err != nil {
		return err
	}
	size := 0
	for name, value := range ec {
		size += len(name) + len(value)
	}
	switch {
	case size > maxContext:
		return invalid("The encryption context is longer than %d bytes.", maxContext)
	case len(ec) > 0 && algorithm != symmetricAlgorithm:
		return invalid("An encryption context cannot be specified with an asymmetric key.")
	}
	return nil
}

// has refuses an algorithm that keys like this one do not have.
func (k *Key) has(algorithm string) error {
	if !k.spec.Allows(k.usage, algorithm) {
		return model.InvalidKeyUsage("Algorithm %s is incompatible with key spec %s.", algorithm, k.spec)
	}
	return nil
}

// symmetric refuses a key that is none that data keys are encrypted under.
func (k *Key) symmetric(op string) error {
	if k.spec != material.SymmetricDefault {
		return wrongUsage(k, op)
	}
	return nil
}

func wrongUsage(k *Key, op string) error {
	return model.InvalidKeyUsage("%s key usage is %s which is not valid for %s.", k.ARN, k.usage, op)
}

// fits refuses a plaintext that an RSA key cannot encrypt. What a symmetric key
// can, the model bounds.
func (k *Key) fits(algorithm string, plaintext []byte) error {
	if limit := k.spec.MaxPlaintext(algorithm); algorithm != symmetricAlgorithm && len(plaintext) > limit {
		return invalid("Algorithm %s and key spec %s cannot encrypt data larger than %d bytes.", algorithm, k.spec, limit)
	}
	return nil
}

func (k *Key) encrypt(algorithm string, plaintext []byte, ec Context) ([]byte, error) {
	if algorithm == symmetricAlgorithm {
		return k.seal(plaintext, ec), nil
	}
	blob, err := k.newest().key.Encrypt(algorithm, plaintext)
	if err != nil {
		return nil, fmt.Errorf("encrypt with %s: %w", algorithm, err)
	}
	return blob, nil
}

// decrypt is the plaintext, which is the caller's, and the id of the material
// that opened it, nil for an RSA key's.
func (k *Key) decrypt(what sealed) (plaintext []byte, id *string, err error) {
	if what.algorithm == symmetricAlgorithm {
		plaintext, v, err := k.unseal(what.blob, what.ec)
		if err != nil {
			return nil, nil, err
		}
		return plaintext, &v.id, nil
	}
	plaintext, err = k.newest().key.Decrypt(what.algorithm, what.blob)
	if err != nil {
		return nil, nil, invalidCiphertext()
	}
	return plaintext, nil, nil
}

func errDryRun() error {
	return model.DryRunOperation("The request would have succeeded, but the DryRun option is set.")
}

// errRecipient refuses to encrypt an answer for an attested Nitro enclave:
// there are none here.
func errRecipient() error {
	return model.UnsupportedOperation("Recipient is not supported: attestation documents are those of AWS Nitro Enclaves.")
}

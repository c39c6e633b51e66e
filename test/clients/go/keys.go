package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// keys encrypts in an encryption context, which has to be the same to decrypt.
func (l *life) keys(ctx context.Context) error {
	client := kms.NewFromConfig(l.cfg)
	made, err := client.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	pairs := map[string]string{"app": l.prefix, "stage": "prod"}
	data, err := client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: made.KeyMetadata.Arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: pairs})
	if err != nil {
		return err
	}
	opened, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: data.CiphertextBlob, EncryptionContext: pairs})
	if err != nil {
		return err
	}
	if !bytes.Equal(opened.Plaintext, data.Plaintext) || *opened.KeyId != *made.KeyMetadata.Arn {
		return errors.New("expected the data key, and its key's ARN")
	}
	delete(pairs, "stage")
	_, err = client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: data.CiphertextBlob, EncryptionContext: pairs})
	if _, ok := errors.AsType[*types.InvalidCiphertextException](err); !ok {
		return fmt.Errorf("expected InvalidCiphertextException in another context, got %v", err)
	}
	if _, err := client.DisableKey(ctx, &kms.DisableKeyInput{KeyId: made.KeyMetadata.KeyId}); err != nil {
		return err
	}
	_, err = client.Encrypt(ctx, &kms.EncryptInput{KeyId: made.KeyMetadata.KeyId, Plaintext: []byte("x")})
	if _, ok := errors.AsType[*types.DisabledException](err); !ok {
		return fmt.Errorf("expected DisabledException, got %v", err)
	}
	return nil
}

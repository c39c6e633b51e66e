package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

func (l *life) emptyName(ctx context.Context) error {
	_, err := l.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: new(""), SecretString: new("value")})
	return failsWith("ValidationException", err)
}

func (l *life) wrongSecretKey(ctx context.Context) error {
	creds, err := l.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	return failsWith("InvalidSignatureException", l.listAs(ctx, creds.AccessKeyID, strings.Repeat("x", 40)))
}

func (l *life) unknownAccessKey(ctx context.Context) error {
	return failsWith("UnrecognizedClientException", l.listAs(ctx, "AKIAAAAAAAAAAAAAAAAA", strings.Repeat("x", 40)))
}

func (l *life) regionNotServed(ctx context.Context) error {
	client := secretsmanager.NewFromConfig(l.cfg, func(o *secretsmanager.Options) { o.Region = "eu-west-3" })
	_, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	return holds(err != nil && strings.Contains(err.Error(), "Credential should be scoped to a valid region"),
		"an error that says the region is not valid, got %v", err)
}

// listAs makes a call with other credentials.
func (l *life) listAs(ctx context.Context, accessKeyID, secret string) error {
	cfg := l.cfg.Copy()
	cfg.Credentials = aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(accessKeyID, secret, ""))
	_, err := secretsmanager.NewFromConfig(cfg).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	return err
}

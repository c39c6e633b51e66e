package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

func (l *life) tags(ctx context.Context) error {
	if _, err := l.client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: &l.name, Tags: []types.Tag{
		{Key: new("team"), Value: new("支払い")},
		{Key: new("stage"), Value: new("changed")},
	}}); err != nil {
		return err
	}
	if err := l.tagged(ctx, "stage=changed team=支払い"); err != nil {
		return err
	}
	if _, err := l.client.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &l.name, TagKeys: []string{"stage", "never set"}}); err != nil {
		return err
	}
	return l.tagged(ctx, "team=支払い")
}

func (l *life) tagged(ctx context.Context, want string) error {
	out, err := l.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	return equal("tags", pairs(out.Tags), want)
}

func (l *life) updateDescription(ctx context.Context) error {
	if _, err := l.client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: &l.name, Description: new("second description")}); err != nil {
		return err
	}
	out, err := l.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	return errors.Join(
		equal("description", aws.ToString(out.Description), "second description"),
		equal("versions", len(out.VersionIdsToStages), 2),
	)
}

func (l *life) resourcePolicy(ctx context.Context) error {
	described, err := l.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	account := strings.Split(aws.ToString(described.ARN), ":")[4]
	document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},`+
		`"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}`, account)
	valid, err := l.client.ValidateResourcePolicy(ctx, &secretsmanager.ValidateResourcePolicyInput{SecretId: &l.name, ResourcePolicy: &document})
	if err != nil {
		return err
	}
	if err := holds(valid.PolicyValidationPassed, "the policy to be valid"); err != nil {
		return err
	}
	if _, err := l.client.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{
		SecretId: &l.name, ResourcePolicy: &document, BlockPublicPolicy: new(true),
	}); err != nil {
		return err
	}
	kept, err := l.client.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	if err := holds(strings.Contains(aws.ToString(kept.ResourcePolicy), account+":root"), "the policy that was put"); err != nil {
		return err
	}
	_, err = l.client.PutResourcePolicy(ctx, &secretsmanager.PutResourcePolicyInput{
		SecretId: &l.name, ResourcePolicy: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}`),
	})
	if err := fails[*types.MalformedPolicyDocumentException](err); err != nil {
		return err
	}
	if _, err := l.client.DeleteResourcePolicy(ctx, &secretsmanager.DeleteResourcePolicyInput{SecretId: &l.name}); err != nil {
		return err
	}
	gone, err := l.client.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	return holds(gone.ResourcePolicy == nil, "no policy after its deletion")
}

func (l *life) deleteAndRestore(ctx context.Context) error {
	out, err := l.client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &l.name, RecoveryWindowInDays: new(int64(7))})
	if err != nil {
		return err
	}
	window := time.Until(aws.ToTime(out.DeletionDate)) - 7*24*time.Hour
	if err := holds(window.Abs() < time.Minute, "a date of deletion in 7 days, got %v", aws.ToTime(out.DeletionDate)); err != nil {
		return err
	}
	_, err = l.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: &l.name})
	if err := errors.Join(
		fails[*types.InvalidRequestException](err),
		holds(err != nil && strings.Contains(err.Error(), "marked for deletion"), "an error that says marked for deletion, got %v", err),
	); err != nil {
		return err
	}
	if _, err := l.client.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &l.name}); err != nil {
		return err
	}
	got, err := l.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	return holds(got == "fourth", "the current value after the restore")
}

func (l *life) forceDelete(ctx context.Context) error {
	if err := l.remove(ctx, l.name); err != nil {
		return err
	}
	_, err := l.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: &l.name})
	if err := fails[*types.ResourceNotFoundException](err); err != nil {
		return err
	}
	for i := range 25 {
		if err := l.remove(ctx, l.listed(i)); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

func (l *life) list(ctx context.Context) error {
	want := map[string]bool{}
	for i := range 25 {
		name := l.listed(i)
		if _, err := l.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: new(fmt.Sprint("value ", i))}); err != nil {
			return err
		}
		want[name] = true
	}
	pages := secretsmanager.NewListSecretsPaginator(l.client, &secretsmanager.ListSecretsInput{
		MaxResults: new(int32(10)),
		Filters:    []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{l.prefix + "/list/"}}},
	})
	var sizes []int
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		sizes = append(sizes, len(page.SecretList))
		for _, s := range page.SecretList {
			if !want[aws.ToString(s.Name)] {
				return fmt.Errorf("expected each secret of the filter once, got %s", aws.ToString(s.Name))
			}
			delete(want, aws.ToString(s.Name))
		}
	}
	return errors.Join(equal("sizes of the pages", fmt.Sprint(sizes), "[10 10 5]"), equal("secrets not listed", len(want), 0))
}

func (l *life) batchGet(ctx context.Context) error {
	missing := l.prefix + "/missing"
	out, err := l.client.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{
		SecretIdList: []string{l.listed(0), l.listed(1), missing, l.listed(2)},
	})
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, v := range out.SecretValues {
		got[aws.ToString(v.Name)] = aws.ToString(v.SecretString)
	}
	if err := errors.Join(equal("values", len(out.SecretValues), 3), equal("errors", len(out.Errors), 1)); err != nil {
		return err
	}
	for i := range 3 {
		if err := holds(got[l.listed(i)] == fmt.Sprint("value ", i), "the value of %s", l.listed(i)); err != nil {
			return err
		}
	}
	return errors.Join(
		equal("code of the error", aws.ToString(out.Errors[0].ErrorCode), "ResourceNotFoundException"),
		equal("secret of the error", aws.ToString(out.Errors[0].SecretId), missing),
	)
}

func (l *life) binary(ctx context.Context) error {
	name := l.prefix + "/binary"
	value := make([]byte, 256)
	for i := range value {
		value[i] = byte(i)
	}
	if _, err := l.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretBinary: value}); err != nil {
		return err
	}
	out, err := l.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return err
	}
	return errors.Join(
		holds(bytes.Equal(out.SecretBinary, value), "the 256 bytes as they were put"),
		holds(out.SecretString == nil, "no text beside the binary value"),
		l.remove(ctx, name),
	)
}

func (l *life) unicode(ctx context.Context) error {
	var controls strings.Builder
	for c := rune(1); c < ' '; c++ {
		controls.WriteRune(c)
	}
	return l.roundTrip(ctx, l.prefix+"/unicode", "🔑 秘密の値 é \u2028\u2029\u007f \"\\/<>& "+controls.String())
}

func (l *life) longest(ctx context.Context) error {
	return l.roundTrip(ctx, l.prefix+"/longest", strings.Repeat("0123456789abcdef", 65_536/16))
}

func (l *life) roundTrip(ctx context.Context, name, value string) error {
	if _, err := l.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value}); err != nil {
		return err
	}
	got, err := l.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return err
	}
	return errors.Join(holds(got == value, "the %d bytes as they were put", len(value)), l.remove(ctx, name))
}

func (l *life) randomPassword(ctx context.Context) error {
	out, err := l.client.GetRandomPassword(ctx, &secretsmanager.GetRandomPasswordInput{
		PasswordLength: new(int64(20)), ExcludePunctuation: new(true),
	})
	if err != nil {
		return err
	}
	password := aws.ToString(out.RandomPassword)
	odd := strings.ContainsFunc(password, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", c)
	})
	return errors.Join(equal("length", len(password), 20), holds(!odd, "letters and digits only"))
}

// listed is the name of the i-th of the secrets made to be listed.
func (l *life) listed(i int) string { return fmt.Sprintf("%s/list/%02d", l.prefix, i+1) }

// remove deletes a secret for good.
func (l *life) remove(ctx context.Context, name string) error {
	_, err := l.client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: new(true)})
	return err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

const (
	firstValue  = `{"username":"app","password":"pa55"}`
	secondValue = `{"username":"app","password":"pa56"}`
)

func (l *life) create(ctx context.Context) error {
	out, err := l.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name:         &l.name,
		Description:  new("first description"),
		SecretString: new(firstValue),
		Tags:         []types.Tag{{Key: new("stage"), Value: new("test")}},
	})
	if err != nil {
		return err
	}
	l.first = aws.ToString(out.VersionId)
	got, err := l.value(ctx, &secretsmanager.GetSecretValueInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	var fields struct{ Username, Password string }
	if err := json.Unmarshal([]byte(got), &fields); err != nil {
		return errors.New("expected a value that is JSON")
	}
	if err := holds(fields.Username == "app" && fields.Password == "pa55", "both fields as they were put"); err != nil {
		return err
	}
	_, err = l.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &l.name, SecretString: new(secondValue)})
	return fails[*types.ResourceExistsException](err)
}

func (l *life) get(ctx context.Context) error {
	out, err := l.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	ending := regexp.MustCompile(`^arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:` + regexp.QuoteMeta(l.name) + `-[A-Za-z0-9]{6}$`)
	return errors.Join(
		equal("name", aws.ToString(out.Name), l.name),
		equal("version id", aws.ToString(out.VersionId), l.first),
		equal("stages", fmt.Sprint(out.VersionStages), "[AWSCURRENT]"),
		holds(ending.MatchString(aws.ToString(out.ARN)), "an ARN that ends in -XXXXXX, got %s", aws.ToString(out.ARN)),
		holds(time.Since(aws.ToTime(out.CreatedDate)).Abs() < time.Minute, "a date of creation within a minute of now, got %v", aws.ToTime(out.CreatedDate)),
		holds(out.SecretBinary == nil, "no binary value"),
	)
}

func (l *life) put(ctx context.Context) error {
	l.second = newToken()
	out, err := l.client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &l.name, SecretString: new(secondValue), ClientRequestToken: &l.second,
	})
	if err != nil {
		return err
	}
	if err := errors.Join(
		equal("version id", aws.ToString(out.VersionId), l.second),
		equal("stages", fmt.Sprint(out.VersionStages), "[AWSCURRENT]"),
	); err != nil {
		return err
	}
	for _, c := range []struct {
		what string
		in   secretsmanager.GetSecretValueInput
		want string
	}{
		{"current value", secretsmanager.GetSecretValueInput{}, secondValue},
		{"value by AWSCURRENT", secretsmanager.GetSecretValueInput{VersionStage: new("AWSCURRENT")}, secondValue},
		{"value by AWSPREVIOUS", secretsmanager.GetSecretValueInput{VersionStage: new("AWSPREVIOUS")}, firstValue},
		{"value by the first version's id", secretsmanager.GetSecretValueInput{VersionId: &l.first}, firstValue},
		{"value by id and label", secretsmanager.GetSecretValueInput{VersionId: &l.second, VersionStage: new("AWSCURRENT")}, secondValue},
	} {
		c.in.SecretId = &l.name
		got, err := l.value(ctx, &c.in)
		if err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		if err := holds(got == c.want, "the %s as it was put", c.what); err != nil {
			return err
		}
	}
	return nil
}

func (l *life) putAgain(ctx context.Context) error {
	in := &secretsmanager.PutSecretValueInput{SecretId: &l.name, SecretString: new(secondValue), ClientRequestToken: &l.second}
	out, err := l.client.PutSecretValue(ctx, in)
	if err != nil {
		return err
	}
	if err := equal("version id", aws.ToString(out.VersionId), l.second); err != nil {
		return err
	}
	in.SecretString = new(firstValue)
	_, err = l.client.PutSecretValue(ctx, in)
	return fails[*types.ResourceExistsException](err)
}

func (l *life) describe(ctx context.Context) error {
	out, err := l.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	// The service keeps the day of the last access, not the time of it.
	accessed := time.Since(aws.ToTime(out.LastAccessedDate))
	return errors.Join(
		equal("description", aws.ToString(out.Description), "first description"),
		equal("stages", fmt.Sprint(out.VersionIdsToStages), fmt.Sprint(map[string][]string{l.first: {"AWSPREVIOUS"}, l.second: {"AWSCURRENT"}})),
		equal("tags", pairs(out.Tags), "stage=test"),
		holds(accessed > -time.Minute && accessed < 25*time.Hour, "to have been accessed today, got %v", aws.ToTime(out.LastAccessedDate)),
		holds(out.DeletedDate == nil, "no date of deletion"),
	)
}

func (l *life) moveLabel(ctx context.Context) error {
	move := func(label, from, to string) error {
		in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &l.name, VersionStage: &label, MoveToVersionId: &to}
		if from != "" {
			in.RemoveFromVersionId = &from
		}
		_, err := l.client.UpdateSecretVersionStage(ctx, in)
		return err
	}
	if err := move("approved", "", l.first); err != nil {
		return err
	}
	if err := fails[*types.InvalidParameterException](move("approved", "", l.second)); err != nil {
		return fmt.Errorf("a move that does not say where from: %w", err)
	}
	if err := errors.Join(move("approved", l.first, l.second), move("AWSCURRENT", l.second, l.first)); err != nil {
		return err
	}
	out, err := l.client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &l.name})
	if err != nil {
		return err
	}
	slices.Sort(out.VersionIdsToStages[l.second])
	return equal("stages", fmt.Sprint(out.VersionIdsToStages),
		fmt.Sprint(map[string][]string{l.first: {"AWSCURRENT"}, l.second: {"AWSPREVIOUS", "approved"}}))
}

func (l *life) listVersions(ctx context.Context) error {
	for _, value := range []string{"third", "fourth"} {
		if _, err := l.client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &l.name, SecretString: &value}); err != nil {
			return err
		}
	}
	list := func(deprecated *bool) ([]string, error) {
		pages := secretsmanager.NewListSecretVersionIdsPaginator(l.client, &secretsmanager.ListSecretVersionIdsInput{
			SecretId: &l.name, IncludeDeprecated: deprecated, MaxResults: new(int32(2)),
		})
		var ids []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, v := range page.Versions {
				ids = append(ids, aws.ToString(v.VersionId))
			}
		}
		return ids, nil
	}
	labelled, err := list(nil)
	if err != nil {
		return err
	}
	all, err := list(new(true))
	if err != nil {
		return err
	}
	return errors.Join(
		equal("versions with a label", len(labelled), 3),
		equal("versions", len(all), 4),
		holds(!slices.Contains(labelled, l.first), "the first version only among the deprecated"),
		holds(slices.Contains(all, l.first), "the first version among the deprecated"),
	)
}

// value returns the text of one version.
func (l *life) value(ctx context.Context, in *secretsmanager.GetSecretValueInput) (string, error) {
	out, err := l.client.GetSecretValue(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.SecretString), nil
}

// pairs writes tags as "key=value", sorted.
func pairs(tags []types.Tag) string {
	var all []string
	for _, t := range tags {
		all = append(all, aws.ToString(t.Key)+"="+aws.ToString(t.Value))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

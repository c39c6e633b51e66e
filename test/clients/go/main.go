// Command clients takes secrets through their whole life with the AWS SDK for Go v2.
//
// It reads nothing but the SDK's own environment variables and PREFIX, with which the name of every secret begins. It
// prints "ok" last and exits with 0, or prints what was expected and exits with 1; it never prints a credential.
//
// With arguments, read NAME, it prints the value of that secret alone, as whoever the environment makes it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

// life is what the steps share: they run in order, and later ones use what earlier ones made.
type life struct {
	cfg    aws.Config
	client *secretsmanager.Client
	prefix string
	name   string // the secret whose life it is
	first  string // its oldest version
	second string // and the one put after it
}

func main() {
	ctx := context.Background()
	if len(os.Args) == 3 && os.Args[1] == "read" {
		if err := read(ctx, os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func read(ctx context.Context, name string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("load the configuration: %w", err)
	}
	got, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		return err
	}
	fmt.Println(*got.SecretString)
	return nil
}

func run(ctx context.Context) error {
	prefix := os.Getenv("PREFIX")
	if prefix == "" {
		return errors.New("PREFIX is not set")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("load the configuration: %w", err)
	}
	l := &life{cfg: cfg, client: secretsmanager.NewFromConfig(cfg), prefix: prefix, name: prefix + "/test01"}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"create", l.create},
		{"get", l.get},
		{"put", l.put},
		{"put again", l.putAgain},
		{"describe", l.describe},
		{"list", l.list},
		{"batch get", l.batchGet},
		{"binary", l.binary},
		{"unicode", l.unicode},
		{"longest value", l.longest},
		{"tags", l.tags},
		{"update the description", l.updateDescription},
		{"move a label", l.moveLabel},
		{"list versions", l.listVersions},
		{"random password", l.randomPassword},
		{"resource policy", l.resourcePolicy},
		{"delete and restore", l.deleteAndRestore},
		{"force delete", l.forceDelete},
		{"empty name", l.emptyName},
		{"KMS keys", l.keys},
		{"wrong secret key", l.wrongSecretKey},
		{"unknown access key", l.unknownAccessKey},
		{"region not served", l.regionNotServed},
	} {
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("passed:", step.name)
	}
	return nil
}

// equal says what was expected when got is not want. What it prints are names and dates, not values of secrets.
func equal[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: expected %v, got %v", what, want, got)
	}
	return nil
}

// holds says what was expected when it is not so.
func holds(so bool, expected string, args ...any) error {
	if !so {
		return fmt.Errorf("expected "+expected, args...)
	}
	return nil
}

// fails expects err to be the SDK's type E.
func fails[E smithy.APIError](err error) error {
	if _, ok := errors.AsType[E](err); !ok {
		var want E
		return fmt.Errorf("expected %T, got %w", want, orNone(err))
	}
	return nil
}

// failsWith expects err to carry a code for which the SDK has no type.
func failsWith(code string, err error) error {
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code {
		return fmt.Errorf("expected %s, got %w", code, orNone(err))
	}
	return nil
}

func orNone(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// newToken returns a token that the service takes as a version's id: 32 to 64 characters.
func newToken() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}

package seal

import (
	"crypto/fips140"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileBehindConfig(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), Config{Kind: KindFile}.In(dir)); !errors.Is(err, ErrNoRootKey) {
		t.Errorf("before there is one: %v", err)
	}
	c := Config{}.In(dir)
	if c.Path != filepath.Join(dir, "root-key") {
		t.Fatalf("it would be kept in %s", c.Path)
	}
	made, err := Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := Open(t.Context(), c); err != nil || opened.Fingerprint() != made.Fingerprint() {
		t.Errorf("another key came back, %v", err)
	}
	if _, err := Create(t.Context(), c); err == nil {
		t.Error("a second root key was made")
	}
}

func TestUnknownKind(t *testing.T) {
	c := Config{Kind: "post-it"}
	for _, err := range []error{c.Check(), second(Open(t.Context(), c)), second(Create(t.Context(), c))} {
		if err == nil || !strings.Contains(err.Error(), `seal "post-it"`) || !strings.Contains(err.Error(), KindFile) {
			t.Errorf("got %v", err)
		}
	}
	if path := c.In("x").Path; path != "" {
		t.Errorf("it would be kept in %s", path)
	}
}

func second[T any](_ T, err error) error { return err }

// Each mistake in the settings is told with the setting's name.
func TestCheck(t *testing.T) {
	const name = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
	pkcs11 := Config{Kind: KindPKCS11, Module: "m.so", Slot: "s", Key: "k", PIN: "1234"}
	transit := Config{Kind: KindTransit, Key: "k", Endpoint: "https://vault.example.com:8200", Token: "t"}
	for _, test := range []struct {
		want string // empty is right
		c    Config
	}{
		{"", Config{}},
		{"", Config{Kind: KindFile}},
		{"", Config{Kind: KindAWSKMS, Key: awsKey}},
		{"", Config{Kind: KindAWSKMS, Key: strings.Replace(awsKey, "aws", "aws-cn", 1)}},
		{"", Config{Kind: KindAWSKMS, Key: awsKey, Endpoint: "http://127.0.0.1:4584"}},
		{"seal-key", Config{Kind: KindAWSKMS}},
		{"seal-key", Config{Kind: KindAWSKMS, Key: "alias/azekura"}},
		{"seal-key", Config{Kind: KindAWSKMS, Key: awsKey + "\n"}},
		{"seal-key", Config{Kind: KindAWSKMS, Key: "arn:aws:kms:eu-west-1:222222222222:alias/azekura"}},
		{"seal-endpoint", Config{Kind: KindAWSKMS, Key: strings.Replace(awsKey, "aws", "aws-iso", 1)}},
		{"seal-endpoint", Config{Kind: KindAWSKMS, Key: awsKey, Endpoint: "http://kms.example.com"}},
		{"seal-endpoint", Config{Kind: KindAWSKMS, Key: awsKey, Endpoint: "https://me:pass@kms.example.com"}},
		{"seal-endpoint", Config{Kind: KindAWSKMS, Key: awsKey, Endpoint: "kms.example.com"}},
		{"", Config{Kind: KindGCPKMS, Key: name}},
		{"seal-key", Config{Kind: KindGCPKMS, Key: name + "/cryptoKeyVersions/1"}},
		{"seal-key", Config{Kind: KindGCPKMS, Key: "k"}},
		{"seal-endpoint", Config{Kind: KindGCPKMS, Key: name, Endpoint: "https://x?y"}},
		{"", Config{Kind: KindAzureKeyVault, Key: azureKeyURL}},
		{"seal-key", Config{Kind: KindAzureKeyVault, Key: azureKeyURL + "/0123"}},
		{"seal-key", Config{Kind: KindAzureKeyVault, Key: "http" + strings.TrimPrefix(azureKeyURL, "https")}},
		{"seal-key", Config{Kind: KindAzureKeyVault, Key: "https://localhost/keys/root"}},
		{"seal-endpoint", Config{Kind: KindAzureKeyVault, Key: azureKeyURL, Endpoint: "ftp://x"}},
		{"", transit},
		{"seal-key", transit.with(func(c *Config) { c.Key = "../sys" })},
		{"seal-endpoint", transit.with(func(c *Config) { c.Endpoint = "" })},
		{"seal-endpoint", transit.with(func(c *Config) { c.Endpoint = "http://vault.example.com:8200" })},
		{"seal-mount", transit.with(func(c *Config) { c.Mount = "/transit/" })},
		{"seal-token-file", transit.with(func(c *Config) { c.Token = "" })},
		{"seal-token-file", transit.with(func(c *Config) { c.TokenFile = "f" })},
		{"seal-module", pkcs11.with(func(c *Config) { c.Module = "" })},
		{"seal-slot", pkcs11.with(func(c *Config) { c.Slot = "" })},
		{"seal-key", pkcs11.with(func(c *Config) { c.Key = "" })},
		{"seal-pin-file", pkcs11.with(func(c *Config) { c.PIN = "" })},
	} {
		switch err := test.c.Check(); {
		case test.want == "" && err != nil:
			t.Errorf("%v: %v", test.c, err)
		case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
			t.Errorf("%v: %v, which does not begin with %s", test.c, err, test.want)
		}
	}
	if err := pkcs11.Check(); err != builtWithPKCS11 {
		t.Errorf("pkcs11: %v", err)
	}
	if !fips140.Enforced() {
		none, both := Config{Kind: KindPassphrase}, Config{Kind: KindPassphrase, Passphrase: "x", PassphraseFile: "f"}
		for _, c := range []Config{none, both} {
			if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "seal-passphrase-file") {
				t.Errorf("%v: %v", c, err)
			}
		}
	}
}

func (c Config) with(change func(*Config)) Config {
	change(&c)
	return c
}

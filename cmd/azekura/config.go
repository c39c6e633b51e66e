package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/pflag"

	"azekura/internal/api"
	"azekura/internal/seal"
	"azekura/internal/server"
)

// config is everything that can be set. Each setting has one name: the key
// `listen` in the file, the variable AZEKURA_LISTEN, the flag --listen. What
// each means is told in docs/azekura.yaml.
type config struct {
	server.Config
	dev       bool
	logFormat string
	logLevel  string
	coreDumps bool
}

// settings is the one list of settings: it gives c its defaults and is how all
// three layers, file, environment and flags, are parsed into c.
func (c *config) settings() *pflag.FlagSet {
	d := server.Defaults()
	f := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	f.SortFlags = false
	f.StringVar(&c.DataDir, "data-dir", d.DataDir, "where everything is kept; made at the first start")
	f.StringVar(&c.Seal.Kind, "seal", d.Seal.Kind, "where the root key sleeps: "+strings.Join(seal.Kinds(), ", "))
	f.StringVar(&c.Seal.Key, "seal-key", d.Seal.Key, "the key that is the root key, or opens it; what names it depends on the seal")
	f.StringVar(&c.Seal.Endpoint, "seal-endpoint", d.Seal.Endpoint, "URL of what keeps that key, if it is not the usual one")
	f.StringVar(&c.Seal.CAFile, "seal-ca-file", d.Seal.CAFile, "file with certificates that sign that of seal-endpoint, PEM")
	f.StringVar(&c.Seal.PassphraseFile, "seal-passphrase-file", d.Seal.PassphraseFile, "file with the passphrase, of the seal passphrase")
	f.StringVar(&c.Seal.Mount, "seal-mount", d.Seal.Mount, "path of the secrets engine, of the seal transit")
	f.StringVar(&c.Seal.TokenFile, "seal-token-file", d.Seal.TokenFile, "file with the token, of the seal transit; read for each call")
	f.StringVar(&c.Seal.Module, "seal-module", d.Seal.Module, "file of the HSM's library, of the seal pkcs11")
	f.StringVar(&c.Seal.Slot, "seal-slot", d.Seal.Slot, "label of the HSM's token, of the seal pkcs11")
	f.StringVar(&c.Seal.PINFile, "seal-pin-file", d.Seal.PINFile, "file with the token's PIN, of the seal pkcs11")
	f.BoolVar(&c.Seal.MakeKey, "seal-make-key", d.Seal.MakeKey, "let the first start make the key in the token, of the seal pkcs11")
	f.StringVar(&c.DatabaseURL, "database-url", d.DatabaseURL, "PostgreSQL database for the data, postgres://...; empty keeps it in data-dir")
	f.BoolVar(&c.DatabaseStandby, "database-standby", d.DatabaseStandby, "refuse a PostgreSQL primary that has lost its synchronous standbys")
	f.DurationVar(&c.MaxStale, "max-stale", d.MaxStale, "how long reads are served from memory while PostgreSQL is away; 0 is not at all")
	f.StringVar(&c.Listen, "listen", d.Listen, "address and port; port 0 takes a free one")
	f.StringVar(&c.EndpointURL, "endpoint-url", d.EndpointURL, "the URL clients reach this server at, if it is not the listen address")
	f.StringSliceVar(&c.TrustedProxies, "trusted-proxy", d.TrustedProxies, "address or network of proxies whose X-Forwarded-For is believed; repeat it or separate by commas")
	f.StringSliceVar(&c.RateLimits, "rate-limit", d.RateLimits, "quotas of an account: aws, off, or like secretsmanager:GetSecretValue=20000; repeat it or separate by commas")
	f.StringVar(&c.AccountID, "account-id", d.AccountID, "12-digit id of the first account, fixed by the first start")
	f.StringSliceVar(&c.Regions, "region", d.Regions, "regions to serve; repeat it or separate by commas")
	f.BoolVar(&c.dev, "dev", false, "keep nothing on disk; credentials test/test")
	f.StringVar(&c.TLSCert, "tls-cert", d.TLSCert, "file with the certificate chain, PEM; read again on SIGHUP")
	f.StringVar(&c.TLSKey, "tls-key", d.TLSKey, "file with the certificate's key, PEM")
	f.StringVar(&c.OIDCCAFile, "oidc-ca-file", d.OIDCCAFile, "file with certificates that sign those of OpenID Connect issuers, PEM")
	f.BoolVar(&c.InsecureHTTP, "insecure-http", d.InsecureHTTP, "allow plain HTTP on an address that is not loopback")
	f.StringVar(&c.logFormat, "log-format", "text", "text or json")
	f.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
	f.DurationVar(&c.ShutdownGrace, "shutdown-grace", d.ShutdownGrace, "how long a stop waits for requests in flight")
	f.DurationVar(&c.ReadHeaderTimeout, "read-header-timeout", d.ReadHeaderTimeout, "limit for a request's headers")
	f.DurationVar(&c.ReadTimeout, "read-timeout", d.ReadTimeout, "limit for a whole request")
	f.DurationVar(&c.WriteTimeout, "write-timeout", d.WriteTimeout, "limit for the answer, from the end of the headers")
	f.DurationVar(&c.IdleTimeout, "idle-timeout", d.IdleTimeout, "how long an idle connection is kept")
	f.IntVar(&c.MaxHeaderBytes, "max-header-bytes", d.MaxHeaderBytes, "limit for the size of a request's headers")
	f.Int64Var(&c.CacheBytes, "cache-bytes", d.CacheBytes, "memory for the caches of encrypted rows and keys")
	f.StringVar(&c.MetricsListen, "metrics-listen", d.MetricsListen, "address and port of Prometheus metrics; empty is off")
	f.BoolVar(&c.MetricsRemote, "metrics-remote", d.MetricsRemote, "allow metrics on an address that is not loopback")
	f.BoolVar(&c.Pprof, "pprof", d.Pprof, "serve Go's profiles beside the metrics, on loopback only")
	f.BoolVar(&c.coreDumps, "core-dumps", false, "let a crash write the memory, with all keys in it, to the disk")
	return f
}

// load lays the layers over the defaults: flags over environment over file.
// given holds the flags of the command line, path names the file or is empty.
// An empty variable counts as not set. What is secret itself is no setting:
// flags can be seen by other users of the machine.
func load(given *pflag.FlagSet, path string, getenv func(string) string) (*config, error) {
	var fileConfig, c config
	file := fileConfig.settings()
	if path != "" {
		if err := readFile(path, file); err != nil {
			return nil, err
		}
	}
	var errs []error
	c.settings().VisitAll(func(f *pflag.Flag) {
		name, env := variable(f.Name), getenv(variable(f.Name))
		switch flag := given.Lookup(f.Name); {
		case flag != nil && flag.Changed:
			errs = append(errs, f.Value.Set(text(flag.Value)))
		case env != "":
			if err := set(f.Value, env); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		case file.Changed(f.Name):
			errs = append(errs, f.Value.Set(text(file.Lookup(f.Name).Value)))
		}
	})
	c.Seal.Passphrase = api.Sensitive(getenv("AZEKURA_SEAL_PASSPHRASE"))
	c.Seal.Token = api.Sensitive(getenv("AZEKURA_SEAL_TOKEN"))
	c.Seal.PIN = api.Sensitive(getenv("AZEKURA_SEAL_PIN"))
	return &c, errors.Join(errs...)
}

func set(v pflag.Value, text string) error {
	if v.Set(text) != nil {
		return fmt.Errorf("%q is not a %s", text, v.Type())
	}
	return nil
}

// variable is the environment's name for a setting.
func variable(setting string) string {
	return "AZEKURA_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// text is a value as its own Set takes it.
func text(v pflag.Value) string {
	list, ok := v.(pflag.SliceValue)
	if !ok {
		return v.String()
	}
	return commaList(list.GetSlice())
}

func commaList(items []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Write(items) // a Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// readFile lays a YAML file of settings over f. It is strict: a key that is no
// setting, a value that is none for its key, a key given twice are errors that
// name the line.
func readFile(path string, f *pflag.FlagSet) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	parsed, err := parser.ParseBytes(raw, 0)
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		return at(path, e.GetToken().Position.Line, errors.New(e.GetMessage()))
	} else if err != nil {
		return fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if len(parsed.Docs) > 1 {
		return fmt.Errorf("configuration %s: it holds %d documents, there can be one", path, len(parsed.Docs))
	}
	for _, doc := range parsed.Docs {
		if err := readDocument(path, doc.Body, f); err != nil {
			return err
		}
	}
	return nil
}

func readDocument(path string, body ast.Node, f *pflag.FlagSet) error {
	if body == nil || body.Type() == ast.CommentType || body.Type() == ast.NullType {
		return nil // empty, or comments only
	}
	mapping, ok := body.(ast.MapNode)
	if !ok {
		return at(path, body.GetToken().Position.Line, errors.New("expected lines of the form key: value"))
	}
	for entries := mapping.MapRange(); entries.Next(); {
		line := entries.Key().GetToken().Position.Line
		key := entries.Key().GetToken().Value
		setting := f.Lookup(key)
		if setting == nil {
			return at(path, line, fmt.Errorf("unknown key %q", key))
		}
		value, err := plain(entries.Value(), setting.Value)
		if err == nil {
			err = set(setting.Value, value)
		}
		if err != nil {
			return at(path, line, fmt.Errorf("%s: %w", key, err))
		}
		setting.Changed = true
	}
	return nil
}

// plain is the text of a value as it stands in the file, so that an account id
// keeps its leading zeros. Only settings that are lists take lists.
func plain(n ast.Node, setting pflag.Value) (string, error) {
	if list, ok := n.(*ast.SequenceNode); ok {
		if _, wanted := setting.(pflag.SliceValue); !wanted {
			return "", errors.New("expected one value, not a list")
		}
		items := make([]string, len(list.Values))
		for i, item := range list.Values {
			text, err := scalar(item)
			if err != nil {
				return "", err
			}
			items[i] = text
		}
		return commaList(items), nil
	}
	return scalar(n)
}

func scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, nil
	}
	return "", errors.New("expected a plain value")
}

func at(path string, line int, err error) error {
	return fmt.Errorf("configuration %s, line %d: %w", path, line, err)
}

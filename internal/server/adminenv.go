package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"azekura/internal/iam"
)

// endpointVariables are where SDKs look for the server. The Go SDK's own
// providers, of roles and web identities, look for STS under its own name only.
var endpointVariables = []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"}

// A Variable is one line of admin.env.
type Variable struct{ Name, Value string }

// AdminEnvPath is where a data directory keeps the first administrator's
// credentials.
func AdminEnvPath(dir string) string { return filepath.Join(dir, "admin.env") }

// ReadAdminEnv reads the credentials and the address that the server wrote.
// The error is fs.ErrNotExist if it wrote none there.
func ReadAdminEnv(dir string) ([]Variable, error) {
	raw, err := os.ReadFile(AdminEnvPath(dir))
	if err != nil {
		return nil, fmt.Errorf("read the administrator's credentials: %w", err)
	}
	vars, err := parseEnv(string(raw))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", AdminEnvPath(dir), err)
	}
	return vars, nil
}

// parseEnv reads KEY=value lines; empty lines and lines that start with # do
// not count. The result goes to a shell, so names are checked. Errors name
// the line, never what stands in it.
func parseEnv(text string) ([]Variable, error) {
	name := regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	var vars []Variable
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !name.MatchString(key) || strings.ContainsAny(value, "\x00\r") {
			return nil, fmt.Errorf("line %d is not of the form NAME=value", number)
		}
		vars = append(vars, Variable{key, value})
	}
	return vars, nil
}

// administrator makes the first account if the store has none, and sees to it
// that admin.env tells how to reach the server as its administrator.
func (s *Server) administrator(ctx context.Context, users *iam.Service) ([]Variable, error) {
	if s.cfg.DataDir == "" {
		known := iam.AccessKey{AccessKeyID: "test", Secret: "test"}
		_, _, err := users.BootstrapWith(ctx, s.cfg.AccountID, known)
		return s.environment(known), err
	}
	key, made, err := users.Bootstrap(ctx, s.cfg.AccountID)
	if err != nil {
		return nil, err
	}
	if !made {
		vars, err := moveAdminEnv(s.cfg.DataDir, s.URL())
		if !errors.Is(err, fs.ErrNotExist) {
			return vars, err
		}
		key, err = users.AdminKey(ctx)
		if errors.Is(err, iam.ErrNoAdminKey) {
			s.cfg.Log.Warn("admin.env is not written", "because", err)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	vars := s.environment(key)
	return vars, writeAdminEnv(s.cfg.DataDir, vars)
}

func (s *Server) environment(key iam.AccessKey) []Variable {
	vars := []Variable{
		{"AWS_ACCESS_KEY_ID", key.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", string(key.Secret)},
		{"AWS_DEFAULT_REGION", s.cfg.Regions[0]},
	}
	for _, name := range endpointVariables {
		vars = append(vars, Variable{name, s.URL()})
	}
	return vars
}

// moveAdminEnv brings the endpoints in admin.env up to date. All else in the
// file is the operator's. The error is fs.ErrNotExist if there is no file.
func moveAdminEnv(dir, endpoint string) ([]Variable, error) {
	vars, err := ReadAdminEnv(dir)
	if err != nil {
		return nil, err
	}
	moved := false
	for _, name := range endpointVariables {
		want := Variable{name, endpoint}
		i := slices.IndexFunc(vars, func(v Variable) bool { return v.Name == name })
		switch {
		case i < 0:
			vars = append(vars, want)
		case vars[i] == want:
			continue
		default:
			vars[i] = want
		}
		moved = true
	}
	if !moved {
		return vars, nil
	}
	return vars, writeAdminEnv(dir, vars)
}

// writeAdminEnv is atomic and durable: a kill at any moment leaves the old
// file or the new one. The name of the temporary file is fixed, so that what a
// kill leaves behind is used up by the next start.
func writeAdminEnv(dir string, vars []Variable) error {
	var text strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&text, "%s=%s\n", v.Name, v.Value)
	}
	path := AdminEnvPath(dir)
	if err := writeSynced(path+".new", text.String()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(dir)
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

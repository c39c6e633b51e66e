// Package clients runs real AWS clients against the built server.
package clients

import (
	"bytes"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"azekura/internal/oidc/oidctest"
	"azekura/internal/totp"
	"azekura/test/process"
)

// server is the one that all clients share, each under names of its own, and
// bin is its program.
var (
	server *process.Server
	bin    string
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "azekura-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if bin, err = process.Build(dir); err == nil {
		server, err = start(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// start starts a server that believes the certificate of oidctest's issuers,
// which have one and the same.
func start(dir string) (*process.Server, error) {
	issuer := oidctest.Start("")
	issuer.Close()
	ca := filepath.Join(dir, "issuers.pem")
	if err := os.WriteFile(ca, issuer.CA(), 0o600); err != nil {
		return nil, err
	}
	return process.StartWith(process.Config{
		Command: []string{bin}, DataDir: filepath.Join(dir, "data"), Args: []string{"--oidc-ca-file", ca},
	})
}

// cache is where test/install puts what it installs.
func cache(t *testing.T, path string) string {
	t.Helper()
	found, err := filepath.Abs(filepath.Join("../../.cache", path))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// need skips the test of a client that is not installed, and has its name told
// at the end of make test, which then fails.
func need(t *testing.T, client string, files ...string) {
	t.Helper()
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if list := os.Getenv("AZEKURA_NOT_RUN"); list != "" {
			f, err := os.OpenFile(list, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(f, "%s: %s is not installed\n", t.Name(), client)
			f.Close()
		}
		t.Skipf("%s is not installed; make test installs it", client)
	}
}

// environment is all that a client is told: a first user's, and nothing of
// this machine's.
func environment(t *testing.T, home string) []string {
	t.Helper()
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "TZ=UTC",
		"AWS_ACCESS_KEY_ID=" + server.Credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + server.Credentials.Secret,
		"AWS_DEFAULT_REGION=" + server.Region, "AWS_REGION=" + server.Region,
		"AWS_ENDPOINT_URL=" + server.URL,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"PREFIX=" + prefix(t),
	}
}

func prefix(t *testing.T) string { return strings.ReplaceAll(t.Name(), "/", "-") }

// program runs a client's program, which says ok at its end.
func program(t *testing.T, command ...string) {
	t.Helper()
	programWith(t, nil, command...)
}

// programWith is program with more variables.
func programWith(t *testing.T, variables []string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(environment(t, t.TempDir()), variables...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	out = bytes.ReplaceAll(out, []byte(server.Credentials.Secret), []byte("***"))
	if lines := strings.Fields(string(out)); err != nil || len(lines) == 0 || lines[len(lines)-1] != "ok" {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	python := cache(t, "venv/bin/python")
	need(t, "boto3", python)
	program(t, python, "python/life.py")
	issuer := oidctest.New(t, "/"+prefix(t))
	now := time.Now()
	programWith(t, []string{
		"ISSUER=" + issuer.URL, "TOKEN=" + issuer.Token(t, now, "ci", "repo:shop:main", nil),
		"OVER=" + issuer.Token(t, now.Add(-time.Hour), "ci", "repo:shop:main", nil),
	}, python, "python/sessions.py")
}

func TestBoto3IAM(t *testing.T) {
	t.Parallel()
	python := cache(t, "venv/bin/python")
	need(t, "boto3", python)
	program(t, python, "python/iam.py")
}

// Who encrypts with the AWS Encryption SDKs, or by KMS itself, binds what is
// encrypted to a context.
func TestEncryptionInPython(t *testing.T) {
	t.Parallel()
	python := cache(t, "venv/bin/python")
	need(t, "aws-encryption-sdk", python)
	program(t, python, "python/encryption.py")
}

func TestEncryptionInJavaScript(t *testing.T) {
	t.Parallel()
	need(t, "@aws-crypto/client-node", "js/node_modules/@aws-crypto/client-node", "js/node_modules/@aws-sdk/client-kms")
	program(t, "node", "js/encryption.mjs")
}

func TestGoSDK(t *testing.T) {
	t.Parallel()
	need(t, "aws-sdk-go-v2", cache(t, "go-client"))
	program(t, cache(t, "go-client"))
}

func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	need(t, "@aws-sdk/client-secrets-manager", "js/node_modules/@aws-sdk/client-secrets-manager")
	program(t, "node", "js/life.mjs")
}

func TestJavaSDK(t *testing.T) {
	t.Parallel()
	need(t, "the Java SDK v2", "java/target/lib", "java/target/classes/Life.class")
	program(t, "java", "-cp", "java/target/classes:java/target/lib/*", "Life")
}

// Terraform makes what terraform/main.tf says, finds nothing to change then,
// changes what is changed, and removes all of it. It runs where there is a
// terraform, and AZEKURA_TERRAFORM_MIRROR names a folder with the AWS provider.
// What it makes exists once in an account: nothing runs beside it.
func TestTerraform(t *testing.T) {
	terraform, err := exec.LookPath("terraform")
	mirror := os.Getenv("AZEKURA_TERRAFORM_MIRROR")
	if err != nil || mirror == "" {
		t.Skip("there is no terraform, or AZEKURA_TERRAFORM_MIRROR is not set")
	}
	dir := t.TempDir()
	text, err := os.ReadFile("terraform/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	settings := "disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = \"" + mirror + "\"\n  }\n}\n"
	for name, text := range map[string]string{"main.tf": string(text), "settings": settings} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(arguments ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), terraform, append([]string{"-chdir=" + dir}, arguments...)...)
		cmd.Env = append(environment(t, dir), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "settings"), "TF_IN_AUTOMATION=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("terraform %s: %v\n%s", strings.Join(arguments, " "), err, bytes.ReplaceAll(out, []byte(server.Credentials.Secret), []byte("***")))
		}
	}
	changes := []string{"-var=session=3600", "-var=description=changed"}
	run("init", "-no-color")
	run("apply", "-no-color", "-auto-approve")
	run("plan", "-no-color", "-detailed-exitcode") // fails if there is something to change
	run(append([]string{"apply", "-no-color", "-auto-approve"}, changes...)...)
	run(append([]string{"plan", "-no-color", "-detailed-exitcode"}, changes...)...)
	run("destroy", "-no-color", "-auto-approve")
}

func TestDebianCLI(t *testing.T) {
	t.Parallel()
	need(t, "Debian's awscli", "/usr/bin/aws")
	// Version 2.9 does not know AWS_ENDPOINT_URL yet.
	story(t, "/usr/bin/aws", "--endpoint-url", server.URL)
}

func TestCurrentCLI(t *testing.T) {
	t.Parallel()
	need(t, "the current awscli", cache(t, "venv/bin/aws"))
	story(t, cache(t, "venv/bin/aws"))
}

// story runs the CLI, with options before each command, through the scripts.
func story(t *testing.T, cli ...string) {
	wrapper := filepath.Join(t.TempDir(), "aws")
	script := "#!/bin/sh\nexec " + strings.Join(cli, " ") + " \"$@\"\n"
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	batch := exec.Command(wrapper, "secretsmanager", "batch-get-secret-value", "--generate-cli-skeleton", "--region", server.Region).Run() == nil
	issuer := oidctest.New(t, "/"+prefix(t))
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			for _, variable := range environment(t, e.WorkDir) {
				name, value, _ := strings.Cut(variable, "=")
				e.Setenv(name, value)
			}
			e.Setenv("AWS", wrapper)
			e.Setenv("S", prefix(t))
			e.Setenv("ROLE", "arn:aws:iam::111111111111:role/"+prefix(t))
			e.Setenv("MFA", "arn:aws:iam::111111111111:mfa/"+prefix(t))
			e.Setenv("ISSUER", issuer.URL)
			return errors.Join(
				os.WriteFile(filepath.Join(e.WorkDir, "token"), []byte(issuer.Token(t, time.Now(), "ci", "repo:shop:main", nil)), 0o600),
				os.WriteFile(filepath.Join(e.WorkDir, "other-token"), []byte(issuer.Token(t, time.Now(), "ci", "repo:else:main", nil)), 0o600),
			)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"refused": refused, "totp": showCode},
		Condition: func(name string) (bool, error) {
			known := map[string]bool{"batch": batch, "endpoints": len(cli) == 1}
			holds, ok := known[name]
			if !ok {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return holds, nil
		},
	})
}

// showCode is the command totp SEED VARIABLE STEPS: it sets a variable to what a
// device with the seed in a file shows so many steps from now.
func showCode(ts *testscript.TestScript, _ bool, args []string) {
	seed, err := base32.StdEncoding.DecodeString(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	steps, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Setenv(args[1], totp.Seed(seed).Code(totp.At(time.Now())+totp.Step(steps)))
}

// refused runs a CLI that must exit as it does when the server, and not the
// CLI itself, refuses a call: with 254, or 255 before version 2.
func refused(ts *testscript.TestScript, _ bool, command []string) {
	err := ts.Exec(command[0], command[1:]...)
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 254 && exit.ExitCode() != 255 {
		ts.Fatalf("expected exit code 254 or 255, got: %v", err)
	}
}

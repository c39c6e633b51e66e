package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"azekura/internal/oidc/oidctest"
	"azekura/test/deployment"
)

// policies writes those of docs/access.md and docs/kms.md to files of a
// directory, each named by the heading above it: "Only from your network" is in
// only-from-your-network.json, and the next one there in
// only-from-your-network-2.json.
func policies(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, page := range []string{"access", "kms"} {
		policiesOf(t, dir, "../../docs/"+page+".md")
	}
	return dir
}

func policiesOf(t *testing.T, dir, file string) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		name := strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(heading), "-"), "-")
		for n, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(text, -1) {
			file := name + ".json"
			if n > 0 {
				file = fmt.Sprintf("%s-%d.json", name, n+1)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(block[1]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Who may do what, told by boto3 with the policies of docs/access.md.
func TestAccessWithBoto3(t *testing.T) {
	t.Parallel()
	python := cache(t, "venv/bin/python")
	need(t, "boto3", python)
	programWith(t, []string{"POLICIES=" + policies(t)}, python, "python/access.py")
}

// How an application and a job get in by what docs/access.md says.
func TestProviders(t *testing.T) {
	t.Parallel()
	aws, python, client := cache(t, "venv/bin/aws"), cache(t, "venv/bin/python"), cache(t, "go-client")
	need(t, "the current awscli", aws)
	need(t, "boto3", python)
	need(t, "aws-sdk-go-v2", client)
	documented, issuer := policies(t), oidctest.New(t, "/ci")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/access",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, environment(t, e.WorkDir)...)
			e.Vars = append(e.Vars, "AWS="+aws, "PYTHON="+python, "GO_CLIENT="+client, "S="+prefix(t),
				"POLICIES="+documented, "ISSUER="+issuer.URL)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refused": refused,
			// token FILE AUDIENCE SUBJECT has the issuer make a token.
			"token": func(ts *testscript.TestScript, _ bool, args []string) {
				text := issuer.Token(t, time.Now(), args[1], args[2], nil)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
			},
		},
	})
}

// What is taken away through one node is gone on both with the next call.
func TestNodesWithBoto3(t *testing.T) {
	t.Parallel()
	python := cache(t, "venv/bin/python")
	need(t, "boto3", python)
	nodes := deployment.Postgres(t, bin, 2)
	up, err := nodes.Running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	programWith(t, []string{
		"AWS_ACCESS_KEY_ID=" + up[0].Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + up[0].Credentials.Secret,
	}, python, "python/nodes.py", up[0].URL, up[1].URL)
}

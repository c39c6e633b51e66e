package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
)

const sample = "../../docs/azekura.yaml"

func TestSampleIsCompleteAndHoldsTheDefaults(t *testing.T) {
	var c config
	settings := c.settings()
	if err := readFile(sample, settings); err != nil {
		t.Fatal(err)
	}
	settings.VisitAll(func(f *pflag.Flag) {
		switch {
		case !f.Changed:
			t.Errorf("%s does not mention %s", sample, f.Name)
		case f.Value.String() != f.DefValue:
			t.Errorf("%s says %s: %s, the default is %s", sample, f.Name, f.Value, f.DefValue)
		}
	})
}

func TestFlagsOverEnvironmentOverFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	text := "listen: file:1\ndata-dir: file\naccount-id: 012345678901\nread-timeout: 3s\nregion: [a, b]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"AZEKURA_LISTEN": "env:2", "AZEKURA_DATA_DIR": "env", "AZEKURA_REGION": "c,d", "AZEKURA_READ_TIMEOUT": ""}
	var scratch config
	given := scratch.settings()
	if err := given.Parse([]string{"--listen", "flag:3", "--region", "e", "--region", "f,g"}); err != nil {
		t.Fatal(err)
	}
	got, err := load(given, file, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	type picked struct {
		Listen, DataDir, AccountID string
		ReadTimeout, WriteTimeout  time.Duration
		Regions                    []string
	}
	want := picked{"flag:3", "env", "012345678901", 3 * time.Second, time.Minute, []string{"e", "f", "g"}}
	if diff := cmp.Diff(want, picked{got.Listen, got.DataDir, got.AccountID, got.ReadTimeout, got.WriteTimeout, got.Regions}); diff != "" {
		t.Errorf("flag, environment, file, default (-want +got):\n%s", diff)
	}
}

func TestEnvironmentIsCheckedToo(t *testing.T) {
	var scratch config
	_, err := load(scratch.settings(), "", func(name string) string {
		return map[string]string{"AZEKURA_CACHE_BYTES": "much"}[name]
	})
	if err == nil || err.Error() != `AZEKURA_CACHE_BYTES: "much" is not a int64` {
		t.Errorf("got %v", err)
	}
}

// FuzzReadFile: what is read can be written down plainly, and means the same;
// what is refused says where.
func FuzzReadFile(f *testing.F) {
	raw, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(raw), "", "# only a comment\n", "a", "- a", "listen: [", "? a\n: b", "listen: &x a\ndata-dir: *x", "<<: {listen: x}", "--- \n...\n--- \n", "listen: |\n  x", "listen: !!str 5", "dev: null", "0\n--- ", "region: [[a]]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var c, again config
		read := c.settings()
		if err := readFile(file, read); err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("it does not say where: %v", err)
			}
			return
		}
		var plain strings.Builder
		read.Visit(func(f *pflag.Flag) { t.Fatalf("%s counts as a flag of the command line", f.Name) })
		read.VisitAll(func(f *pflag.Flag) {
			if f.Changed {
				fmt.Fprintf(&plain, "%s: %s\n", f.Name, quotedYAML(t, f.Value))
			}
		})
		if err := os.WriteFile(file, []byte(plain.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readFile(file, again.settings()); err != nil {
			t.Fatalf("what was read, written plainly:\n%s%v", plain.String(), err)
		}
		if diff := cmp.Diff(c, again, cmp.AllowUnexported(config{}), cmpopts.IgnoreFields(config{}, "Log")); diff != "" {
			t.Errorf("read and read again:\n%s", diff)
		}
	})
}

// quotedYAML is a setting's value as JSON, which is YAML too.
func quotedYAML(t *testing.T, v pflag.Value) string {
	t.Helper()
	var value any = v.String()
	if list, ok := v.(pflag.SliceValue); ok {
		value = list.GetSlice()
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package main

import (
	"os/exec"
	"strings"
	"testing"

	"azekura/internal/server"
)

// What a shell makes of the exports is the value again, whatever is in it.
func TestExportsSurviveTheShell(t *testing.T) {
	value := "a'b \"$HOME\" `id` \\ $(id) ; # *"
	var out strings.Builder
	if err := printExports(&out, "sh", []server.Variable{{Name: "AWS_X", Value: value}}); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("sh", "-c", out.String()+`printf %s "$AWS_X"`).Output()
	if err != nil || string(got) != value {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestExportsForFish(t *testing.T) {
	var out strings.Builder
	if err := printExports(&out, "fish", []server.Variable{{Name: "AWS_X", Value: `a'b\c$d`}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "set -gx AWS_X 'a\\'b\\\\c$d'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/secretsmanager"
)

// The coverage page says of every operation of the model what is so.
func TestCoveragePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	ops := secretsmanager.New(secretsmanager.Config{}).API().Ops
	for _, name := range model.Operations {
		state := "not yet"
		if slices.ContainsFunc(ops, func(op call.Op) bool { return op.Name == name }) {
			state = "served"
		}
		if line := fmt.Sprintf("\n| %s | %s |\n", name, state); !strings.Contains(string(page), line) {
			t.Errorf("docs/api.md lacks the line %q", strings.TrimSpace(line))
		}
	}
}

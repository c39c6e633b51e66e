package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/iam"
	"azekura/internal/organizations"
	"azekura/internal/secretsmanager"
	"azekura/internal/sts"
)

func coveragePage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// The coverage page says of every operation of the model what is so.
func TestCoveragePage(t *testing.T) {
	page := coveragePage(t)
	ops := secretsmanager.New(secretsmanager.Config{}).API().Ops
	for _, name := range model.Operations {
		state := "not yet"
		if slices.ContainsFunc(ops, func(op call.Op) bool { return op.Name == name }) {
			state = "served"
		}
		if line := fmt.Sprintf("\n| %s | %s |\n", name, state); !strings.Contains(page, line) {
			t.Errorf("docs/api.md lacks the line %q", strings.TrimSpace(line))
		}
	}
}

// The first table of each other service's section names what is served, and
// nothing else.
func TestCoverageOfOtherServices(t *testing.T) {
	page := coveragePage(t)
	for heading, service := range map[string]call.Service{
		"IAM": new(iam.Service).API(), "STS": new(sts.Service).API(), "Organizations": new(organizations.Service).API(),
	} {
		_, section, _ := strings.Cut(page, "\n## "+heading+"\n\n| | |\n|---|---|\n")
		table, _, _ := strings.Cut(section, "\n\n")
		var told, served []string
		for row := range strings.Lines(table) {
			cells := strings.Split(row, "|")
			if len(cells) != 4 {
				t.Fatalf("%s: a row of %d cells: %s", heading, len(cells), row)
			}
			told = append(told, strings.Split(strings.TrimSpace(cells[2]), ", ")...)
		}
		for _, op := range service.Ops {
			served = append(served, op.Name)
		}
		slices.Sort(told)
		slices.Sort(served)
		if !slices.Equal(told, served) {
			t.Errorf("docs/api.md says of %s\n%v, served are\n%v", heading, told, served)
		}
	}
}

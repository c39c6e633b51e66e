package internal

import (
	"os"
	"regexp"
	"testing"
)

func createdTables(t *testing.T, file string) []string {
	t.Helper()
	return named(t, file, `CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
}

// namedTables are the names that stand in a file where SQL has those of tables.
func namedTables(t *testing.T, file string) []string {
	t.Helper()
	return named(t, file, `\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+(\w+)`)
}

// named are the texts of a pattern's one group, as often as it matches.
func named(t *testing.T, file, pattern string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	return names
}

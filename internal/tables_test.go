package internal

import (
	"os"
	"regexp"
	"testing"
)

func createdTables(t *testing.T, file string) (tables []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+)`).FindAllStringSubmatch(string(text), -1) {
		tables = append(tables, m[1])
	}
	return tables
}

// namesTable says whether a file holds SQL on a table.
func namesTable(t *testing.T, file, table string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`\b(FROM|INTO|UPDATE|JOIN|TABLE)\s+` + table + `\b`).Match(text)
}

package seal

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileBehindConfig(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), Config{Kind: KindFile}.In(dir)); !errors.Is(err, ErrNoRootKey) {
		t.Errorf("before there is one: %v", err)
	}
	c := Config{}.In(dir)
	if c.Path != filepath.Join(dir, "root-key") {
		t.Fatalf("it would be kept in %s", c.Path)
	}
	made, err := Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := Open(t.Context(), c); err != nil || opened.Fingerprint() != made.Fingerprint() {
		t.Errorf("another key came back, %v", err)
	}
	if _, err := Create(t.Context(), c); err == nil {
		t.Error("a second root key was made")
	}
}

func TestUnknownKind(t *testing.T) {
	c := Config{Kind: "post-it"}
	for _, err := range []error{c.Check(), second(Open(t.Context(), c)), second(Create(t.Context(), c))} {
		if err == nil || !strings.Contains(err.Error(), `seal "post-it"`) || !strings.Contains(err.Error(), KindFile) {
			t.Errorf("got %v", err)
		}
	}
	if path := c.In("x").Path; path != "" {
		t.Errorf("it would be kept in %s", path)
	}
}

func second[T any](_ T, err error) error { return err }

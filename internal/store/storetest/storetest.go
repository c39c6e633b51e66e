// Package storetest opens fresh databases for tests.
package storetest

import (
	"path/filepath"
	"testing"

	"azekura/internal/store"
)

// Open returns an empty, migrated database in a file, closed when t ends.
func Open(t testing.TB) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "azekura.db"))
}

// Memory is Open in memory.
func Memory(t testing.TB) *store.DB {
	t.Helper()
	return open(t, "")
}

// EachEmbedded runs f as a subtest on an empty, migrated database of each
// engine that no other process can use at the same time.
func EachEmbedded(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Open(t)) })
	t.Run("memory", func(t *testing.T) { f(t, Memory(t)) })
}

// Each runs f as a subtest on an empty, migrated database of every engine.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachEmbedded(t, f)
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

func open(t testing.TB, path string) *store.DB {
	t.Helper()
	return openConfig(t, store.Config{Path: path})
}

func openConfig(t testing.TB, cfg store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}

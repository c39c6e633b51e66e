// Package storetest opens fresh databases for tests.
package storetest

import (
	"os"
	"path/filepath"
	"testing"

	"azekura/internal/store"
)

// Open returns an empty, migrated database, closed when t ends. It is the
// engine that AZEKURA_TEST_ENGINE names, so that a whole suite can run on
// another one: sqlite, which is the default, or postgres.
func Open(t testing.TB) *store.DB {
	t.Helper()
	switch engine := os.Getenv("AZEKURA_TEST_ENGINE"); engine {
	case "", "sqlite":
		return File(t)
	case "postgres":
		return Postgres(t)
	default:
		t.Fatalf("AZEKURA_TEST_ENGINE=%s: it can be sqlite or postgres", engine)
		return nil
	}
}

// File is Open in a SQLite file, whatever the environment says.
func File(t testing.TB) *store.DB {
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
	t.Run("sqlite", func(t *testing.T) { f(t, File(t)) })
	t.Run("memory", func(t *testing.T) { f(t, Memory(t)) })
}

// Each runs f as a subtest on an empty, migrated database of every engine. It
// skips t where AZEKURA_TEST_ENGINE asks for a suite again on one engine: this
// test has run on it.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	if os.Getenv("AZEKURA_TEST_ENGINE") != "" {
		t.Skip("runs on every engine without AZEKURA_TEST_ENGINE")
	}
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

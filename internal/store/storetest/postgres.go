package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"azekura/internal/store"
	"azekura/internal/store/storetest/postgres"
)

// Postgres is Open in a PostgreSQL server that the test binary starts for
// itself. The test is skipped, and that is noted in the file that
// $AZEKURA_NOT_RUN names, if PostgreSQL is not installed.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return openConfig(t, store.Config{URL: PostgresURL(t)})
}

// PostgresURL is the URL of an empty, migrated database, removed when t ends.
// Several DBs opened with it share it like the nodes of a cluster. The server
// is the test binary's one, and does not survive a crash.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server, err := sharedServer()
	need(t, err)
	name := fmt.Sprintf("test%d", databases.Add(1))
	// Not t.Context, which ends before the cleanup.
	ctx := context.Background()
	if err := server.Create(ctx, name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Drop(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return server.URL(name)
}

// PostgresServer is a server for t alone, as durable as PostgreSQL is, that may
// be killed. It ends with t. Without PostgreSQL it skips t like Postgres.
func PostgresServer(t testing.TB) *postgres.Server {
	t.Helper()
	server, err := postgres.Start()
	need(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, postgres.ErrNotInstalled) {
		notRun(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func notRun(t testing.TB, err error) {
	t.Helper()
	if list := os.Getenv("AZEKURA_NOT_RUN"); list != "" {
		f, err := os.OpenFile(list, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "%s: PostgreSQL is not installed\n", t.Name())
		f.Close()
	}
	t.Skip(err)
}

// template is a migrated database that the tests' are copies of.
const template = "migrated"

var (
	sharedServer = sync.OnceValues(startShared)
	databases    atomic.Int64
)

func startShared() (*postgres.Server, error) {
	server, err := postgres.Start("fsync=off", "full_page_writes=off")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := server.Create(ctx, template, "template0"); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Config{URL: server.URL(template)})
	if err != nil {
		return nil, err
	}
	return server, db.Close()
}

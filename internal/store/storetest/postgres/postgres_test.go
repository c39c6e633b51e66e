package postgres_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"azekura/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// Killed and started again, the server has what it acknowledged, nothing that
// it did not, and its old address.
func TestKill(t *testing.T) {
	server := storetest.PostgresServer(t)
	ctx := t.Context()
	if err := server.Create(ctx, "kept", "template0"); err != nil {
		t.Fatal(err)
	}
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, server.URL("kept"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	exec := func(conn *pgx.Conn, statement string) {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := connect().QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&value); err != nil || value != "on" {
			t.Errorf("%s is %s, %v", setting, value, err)
		}
	}
	acknowledged, open := connect(), connect()
	exec(acknowledged, `CREATE TABLE t (n BIGINT)`)
	for round := range 3 {
		if round > 0 {
			acknowledged, open = connect(), connect()
		}
		exec(acknowledged, `INSERT INTO t VALUES (1)`)
		exec(open, `BEGIN`)
		exec(open, `INSERT INTO t VALUES (1000)`)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := acknowledged.Ping(ctx); err == nil {
			t.Error("a killed server answers")
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		var sum int
		if err := connect().QueryRow(ctx, `SELECT sum(n) FROM t`).Scan(&sum); err != nil || sum != round+1 {
			t.Errorf("after kill %d the sum is %d, %v", round+1, sum, err)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(server.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

// Nothing is left of a server whose test was killed.
func TestEndsWithTheTest(t *testing.T) {
	const variable = "AZEKURA_POSTGRES_FOR_A_KILLED_TEST"
	if os.Getenv(variable) != "" {
		os.Stdout.WriteString(storetest.PostgresServer(t).Dir + "\n")
		select {}
	}
	storetest.PostgresServer(t) // or the test is skipped
	child := exec.Command(os.Args[0], "-test.run", "^TestEndsWithTheTest$")
	child.Env = append(os.Environ(), variable+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	child.Process.Kill()
	child.Wait()
	dir, _, _ := strings.Cut(string(buf[:n]), "\n")
	if err != nil || !strings.Contains(dir, "azekura-postgres-") {
		t.Fatalf("it said %q, %v", buf[:n], err)
	}
	untilGone(t, dir)
}

func untilGone(t *testing.T, dir string) {
	t.Helper()
	for range 60_000 {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%s is there still", dir)
}

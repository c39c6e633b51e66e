package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"azekura/internal/store"

	"github.com/jackc/pgx/v5"
)

// Postgres is Open in a PostgreSQL server that the test binary starts for
// itself. The test is skipped, and that is noted in the file that
// $AZEKURA_NOT_RUN names, if PostgreSQL is not installed.
func Postgres(t testing.TB) *store.DB {
	t.Helper()
	return openConfig(t, store.Config{URL: PostgresURL(t)})
}

// PostgresURL is the URL of an empty, migrated database, removed when t ends.
// Several DBs opened with it share it like the nodes of a cluster.
func PostgresURL(t testing.TB) string {
	t.Helper()
	cluster, err := theCluster()
	if errors.Is(err, errNotInstalled) {
		notRun(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test%d", cluster.databases.Add(1))
	// Not t.Context, which ends before the cleanup.
	ctx := context.Background()
	if err := cluster.admin(ctx, `CREATE DATABASE `+name+` TEMPLATE `+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.admin(ctx, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return cluster.url(name)
}

var errNotInstalled = errors.New("PostgreSQL is not installed; make test installs it")

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

// A cluster is a PostgreSQL server on a socket in a directory of its own.
type cluster struct {
	dir       string
	databases atomic.Int64
	one       sync.Mutex // databases are made one by one: the template may have no other user
}

var theCluster = sync.OnceValues(startCluster)

// supervise runs the server until its standard input ends, which is when the
// test binary has, however it did. $1 is the directory, $2 that of the programs.
const supervise = `
"$2/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$1/log" 2>&1 || exit 1
"$2/postgres" -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c full_page_writes=off \
	-c max_connections=300 -c shared_buffers=64MB -c log_min_messages=fatal </dev/null >>"$1/log" 2>&1 &
server=$!
read -r _
kill -QUIT $server
wait $server
rm -rf "$1"/* 2>/dev/null
rmdir "$1" 2>/dev/null || true
`

func startCluster() (*cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "azekura-postgres-")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", supervise, "sh", dir, bin)
	cmd.Dir = "/"
	if cmd.SysProcAttr, err = unprivileged(dir); err != nil {
		return nil, err
	}
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	c := &cluster{dir: dir}
	if err := c.await(ended); err != nil {
		return nil, err
	}
	return c, c.prepare()
}

// programs finds where PostgreSQL's are: Debian keeps them out of PATH.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errNotInstalled
	}
	return filepath.Dir(path), nil
}

// unprivileged makes root's server run as the user that Debian has for it, and
// gives that the directory: PostgreSQL refuses to run as root. The process has
// a group of its own, so that an interrupt at a terminal does not end the
// server before the tests.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{Setpgid: true}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func (c *cluster) url(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {c.dir}, "user": {"postgres"}}.Encode()
}

// admin runs a statement on the server's own database.
func (c *cluster) admin(ctx context.Context, statement string) error {
	c.one.Lock()
	defer c.one.Unlock()
	conn, err := pgx.Connect(ctx, c.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// await waits until the server answers.
func (c *cluster) await(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := c.admin(ctx, `SELECT 1`)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
			continue
		}
		log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, strings.TrimSpace(string(log)))
	}
}

func (c *cluster) prepare() error {
	ctx := context.Background()
	if err := c.admin(ctx, `CREATE DATABASE `+template+` TEMPLATE template0`); err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Config{URL: c.url(template)})
	if err != nil {
		return err
	}
	return db.Close()
}

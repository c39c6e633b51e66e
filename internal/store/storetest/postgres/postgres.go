// Package postgres runs PostgreSQL servers for tests: Debian's programs, on a
// socket in a directory of their own.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is why no server can be started on a machine without
// PostgreSQL.
var ErrNotInstalled = errors.New("PostgreSQL is not installed; make test installs it")

// A Server is a PostgreSQL server. It may be killed and started again on its
// data, at the same address. It ends with the process that started it, however
// that ends. Its methods may be called concurrently, but Kill and Restart only
// in turns.
type Server struct {
	// Dir holds the socket, .s.PGSQL.5432, the data, and what the server says,
	// in the file log.
	Dir string

	supervisor io.WriteCloser
	ended      chan struct{} // the supervisor has ended, and nothing is left
	one        sync.Mutex    // databases are made one by one: a template may have no other user
}

// supervise runs the server, and runs it again for each line of standard
// input. The end of that is the end of the test, however it came: then the
// server goes, too, and its directory. $1 is the directory, $2 that of the
// programs; the others are for the server.
const supervise = `
dir=$1 bin=$2
shift 2
"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log" 2>&1 || exit 1
while :; do
	"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=300 \
		-c shared_buffers=64MB -c log_min_messages=fatal "$@" </dev/null >>"$dir/log" 2>&1 &
	server=$!
	read -r _ || break
	wait $server
done
kill -QUIT $server
kill -CONT $server
wait $server
rm -rf "$dir"/* 2>/dev/null
rmdir "$dir" 2>/dev/null || true
`

// Start makes and starts a server, in UTF-8 and byte order, and waits until it
// answers. It keeps what it acknowledges as PostgreSQL does out of the box,
// unless settings such as "fsync=off" say otherwise. The caller closes it.
func Start(settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "azekura-postgres-")
	if err != nil {
		return nil, err
	}
	args := []string{"-c", supervise, "sh", dir, bin}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = "/"
	if cmd.SysProcAttr, err = unprivileged(dir); err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, ended: make(chan struct{})}
	if s.supervisor, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	go func() { cmd.Wait(); close(s.ended) }()
	if err := s.await(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the server, if it runs, and removes its data. It may be called
// more than once.
func (s *Server) Close() error {
	err := s.supervisor.Close()
	<-s.ended
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Restart starts the server again after Kill and waits until it answers, which
// is after it has replayed its log.
func (s *Server) Restart() error {
	if _, err := io.WriteString(s.supervisor, "\n"); err != nil {
		return fmt.Errorf("start PostgreSQL again: %w", err)
	}
	return s.await()
}

// URL is that of a database, for pgx and for --database-url.
func (s *Server) URL(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.Dir}, "user": {"postgres"}}.Encode()
}

// Create makes a database, a copy of template, which has to be out of use.
// What is in the server from the start is template0.
func (s *Server) Create(ctx context.Context, database, template string) error {
	return s.admin(ctx, `CREATE DATABASE `+pgx.Identifier{database}.Sanitize()+
		` TEMPLATE `+pgx.Identifier{template}.Sanitize()+` ENCODING 'UTF8' LOCALE 'C.UTF-8'`)
}

// Drop removes a database and ends the connections to it.
func (s *Server) Drop(ctx context.Context, database string) error {
	return s.admin(ctx, `DROP DATABASE `+pgx.Identifier{database}.Sanitize()+` WITH (FORCE)`)
}

// admin runs a statement on the server's own database.
func (s *Server) admin(ctx context.Context, statement string) error {
	s.one.Lock()
	defer s.one.Unlock()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// await waits until the server answers.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := s.admin(ctx, `SELECT 1`)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
			continue
		}
		log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
		return fmt.Errorf("PostgreSQL did not start: %w\n%s", err, strings.TrimSpace(string(log)))
	}
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
		return "", ErrNotInstalled
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

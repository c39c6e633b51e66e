// Package process runs the built server as its users do: as a process of its
// own over a data directory.
package process

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"azekura/internal/sigv4"
)

// Build builds the server into dir and returns the binary's path.
func Build(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	bin := filepath.Join(dir, "azekura")
	build := exec.Command("go", "build", "-trimpath", "-o", bin, "./cmd/azekura")
	build.Dir = filepath.Dir(string(root))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, out)
	}
	return bin, nil
}

// A Server is a running server. Its methods may be called concurrently.
type Server struct {
	URL         string
	Region      string
	Credentials sigv4.Credentials

	cmd    *exec.Cmd
	stderr *bytes.Buffer
	exited chan error
}

// A Config says how a server is started.
type Config struct {
	Command []string // the binary, with what is to run it in front, if any
	DataDir string
	Args    []string // more flags
	Log     *os.File // what the server logs goes there; nil keeps its warnings for Server.Log

	// RootKey is the file of another server of the same database, if any. A
	// data directory that has none gets a copy.
	RootKey string
}

// Start starts the server on a free port of the loopback, quietly, and waits
// until it listens. command is the binary, with what is to run it in front, if
// any.
func Start(dataDir string, command ...string) (*Server, error) {
	return StartWith(Config{Command: command, DataDir: dataDir})
}

// StartWith is Start for who has more to say.
func StartWith(cfg Config) (*Server, error) {
	if err := takeRootKey(cfg); err != nil {
		return nil, err
	}
	s := &Server{stderr: new(bytes.Buffer), exited: make(chan error, 1)}
	listening, err := s.start(cfg)
	if err != nil {
		return nil, err
	}
	if err = s.await(listening); err == nil {
		err = s.readCredentials(filepath.Join(cfg.DataDir, "admin.env"))
	}
	if err != nil {
		s.Kill()
		return nil, err
	}
	return s, nil
}

func takeRootKey(cfg Config) error {
	file := filepath.Join(cfg.DataDir, "root-key")
	if _, err := os.Stat(file); cfg.RootKey == "" || err == nil {
		return nil
	}
	key, err := os.ReadFile(cfg.RootKey)
	if err != nil {
		return fmt.Errorf("copy the root key: %w", err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("copy the root key: %w", err)
	}
	return os.WriteFile(file, key, 0o600)
}

// start returns what the server says that it listens on.
func (s *Server) start(cfg Config) (listening <-chan string, err error) {
	args := slices.Concat(cfg.Command[1:], []string{"server", "--data-dir", cfg.DataDir, "--listen", "127.0.0.1:0", "--rate-limit", "off"}, cfg.Args)
	s.cmd = exec.Command(cfg.Command[0], args...)
	if cfg.Log != nil {
		s.cmd.Stderr = cfg.Log
	} else {
		s.cmd.Args = append(s.cmd.Args, "--log-level", "warn")
		s.cmd.Stderr = s.stderr
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	urls := make(chan string, 1)
	go func() {
		defer close(urls)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				urls <- url
			}
		}
		io.Copy(io.Discard, stdout)
		s.exited <- s.cmd.Wait()
		close(s.exited)
	}()
	return urls, nil
}

func (s *Server) await(listening <-chan string) error {
	select {
	case url, ok := <-listening:
		if !ok {
			return fmt.Errorf("the server did not start: %s", s.stderr)
		}
		s.URL = url
		return nil
	case <-time.After(time.Minute):
		return errors.New("the server did not start within a minute")
	}
}

func (s *Server) readCredentials(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "AWS_ACCESS_KEY_ID":
			s.Credentials.AccessKeyID = value
		case "AWS_SECRET_ACCESS_KEY":
			s.Credentials.Secret = value
		case "AWS_DEFAULT_REGION":
			s.Region = value
		}
	}
	return nil
}

// PID is the server's process, or that of what runs it.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Kill ends the server as kill -9 does, and waits for its end. It may be called
// again, and after Stop.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Stop ends the server as a user does, and returns what it said if it did not
// end well.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-s.exited; err != nil {
		return fmt.Errorf("stop the server: %w\n%s", err, s.stderr)
	}
	return nil
}

// Log is what the server has written to stderr. It may be called once the
// server has ended.
func (s *Server) Log() string { return s.stderr.String() }

// Request is a signed request of a Secrets Manager operation.
func (s *Server) Request(ctx context.Context, op string, in any) (*http.Request, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager."+op)
	sigv4.Sign(r, s.Credentials, s.Region, "secretsmanager", sha256.Sum256(body), time.Now())
	return r, nil
}

// Call calls an operation through client and decodes the answer into out,
// which stays as it is if the operation answers nothing. An answer other than
// 200 is an error that holds its body.
func (s *Server) Call(ctx context.Context, client *http.Client, op string, in, out any) error {
	r, err := s.Request(ctx, op, in)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return &Refusal{answer.StatusCode, string(body)}
	}
	if out == nil || len(body) == 0 {
		return nil
	}
	return json.Unmarshal(body, out)
}

// A Refusal is an answer of the server other than 200.
type Refusal struct {
	Status int
	Body   string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d %s", r.Status, r.Body) }

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

// Start starts the server on a free port of the loopback, quietly, and waits
// until it listens. command is the binary, with what is to run it in front, if
// any.
func Start(dataDir string, command ...string) (*Server, error) {
	s := &Server{stderr: new(bytes.Buffer)}
	return s, s.start(dataDir, s.stderr, append(command[:len(command):len(command)], "server", "--log-level", "warn"))
}

// StartLogging is Start with the server's own log settings, into a file.
func StartLogging(dataDir string, log *os.File, command ...string) (*Server, error) {
	s := &Server{stderr: new(bytes.Buffer)}
	return s, s.start(dataDir, log, append(command[:len(command):len(command)], "server"))
}

func (s *Server) start(dataDir string, stderr io.Writer, command []string) error {
	s.cmd = exec.Command(command[0], append(command[1:], "--data-dir", dataDir, "--listen", "127.0.0.1:0")...)
	s.cmd.Stderr = stderr
	s.exited = make(chan error, 1)
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	listening := make(chan string, 1)
	go func() {
		defer close(listening)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				listening <- url
			}
		}
		io.Copy(io.Discard, stdout)
		s.exited <- s.cmd.Wait()
		close(s.exited)
	}()
	select {
	case url, ok := <-listening:
		if !ok {
			return fmt.Errorf("the server did not start: %s", s.stderr)
		}
		s.URL = url
	case <-time.After(time.Minute):
		s.Kill()
		return errors.New("the server did not start within a minute")
	}
	return s.readCredentials(filepath.Join(dataDir, "admin.env"))
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

// Call calls an operation through client and decodes the answer into out. An
// answer other than 200 is an error that holds its body.
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
	if out == nil {
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

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"azekura": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			if name != "fips140only" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return fips140.Enforced(), nil
		},
		Setup: func(e *testscript.Env) error {
			e.Values[running{}] = map[string]*process{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serveCmd,
			"halt":  haltCmd,
			"crash": crashCmd,
			"api":   apiCmd,
			"mode":  modeCmd,
		},
	})
}

type running struct{}

// serve NAME ARGS... starts `azekura server ARGS...`, waits until it listens,
// and keeps what it prints in NAME.out and NAME.err.
func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve NAME ARGS...")
	}
	env := append(os.Environ(), "AZEKURA_CONFIG="+ts.Getenv("AZEKURA_CONFIG"), "AZEKURA_LOG_LEVEL="+ts.Getenv("AZEKURA_LOG_LEVEL"))
	p, err := launch(ts.MkAbs("."), env, append([]string{"server"}, args[1:]...)...)
	ts.Check(err)
	ts.Value(running{}).(map[string]*process)[args[0]] = p
	ts.Defer(func() { p.kill() })
	ts.Setenv("URL", p.url)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(p.stdout.String()), 0o600))
}

// halt NAME stops a server with SIGTERM; it has to end well.
func haltCmd(ts *testscript.TestScript, neg bool, args []string) {
	endCmd(ts, args, (*process).stop)
}

// crash NAME ends a server with SIGKILL.
func crashCmd(ts *testscript.TestScript, neg bool, args []string) {
	endCmd(ts, args, func(p *process) error { p.kill(); return nil })
}

func endCmd(ts *testscript.TestScript, args []string, end func(*process) error) {
	if len(args) != 1 {
		ts.Fatalf("which server?")
	}
	p := ts.Value(running{}).(map[string]*process)[args[0]]
	if p == nil {
		ts.Fatalf("no server %s", args[0])
	}
	ts.Check(end(p))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), []byte(p.stderr.String()), 0o600))
}

// api DIR OPERATION JSON calls the server that DIR/admin.env names and prints
// the answer; it fails if the status is not 200.
func apiCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: api DIR OPERATION JSON")
	}
	vars, err := server.ReadAdminEnv(ts.MkAbs(args[0]))
	ts.Check(err)
	client := servertest.NewClient(vars)
	defer client.HTTP.CloseIdleConnections()
	status, body, err := client.Do(context.Background(), args[1], json.RawMessage(args[2]))
	ts.Check(err)
	ts.Check(json.NewEncoder(ts.Stdout()).Encode(body))
	if (status == 200) == neg {
		ts.Fatalf("%s: status %d", args[1], status)
	}
}

// mode PERM FILE... compares the permissions of files.
func modeCmd(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args[1:] {
		info, err := os.Stat(ts.MkAbs(file))
		ts.Check(err)
		if mode := fmt.Sprintf("%o", info.Mode().Perm()); mode != args[0] {
			ts.Fatalf("%s has mode %s, want %s", file, mode, args[0])
		}
	}
}

// A process is a server started by a test.
type process struct {
	cmd    *exec.Cmd
	url    string
	stdout *output
	stderr *output
	ended  func() error // waits
}

// launch starts the real binary, which testscript.Main has put into PATH, and
// returns when it listens. It serves calls as fast as they come. If the server does not start, the process that
// comes with the error has ended.
func launch(dir string, env []string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command("azekura", args...), stdout: &output{}, stderr: &output{}}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stderr = dir, append(slices.Clip(env), "AZEKURA_RATE_LIMIT=off"), p.stderr
	pipe, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	listening := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		defer close(listening)
		announced(pipe, p.stdout, listening)
	}()
	p.ended = sync.OnceValue(func() error {
		<-drained
		return p.cmd.Wait()
	})
	url, ok := <-listening
	if !ok {
		return p, fmt.Errorf("the server did not start: %w: %s", p.ended(), p.stderr)
	}
	p.url = url
	return p, nil
}

// announced copies what a server prints, and sends its URL when all that it
// prints at its start is there.
func announced(from io.Reader, to io.Writer, listening chan<- string) {
	var url string
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		fmt.Fprintln(to, lines.Text())
		if at, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			url = at
		}
		if url != "" && strings.Contains(lines.Text(), "AWS_ENDPOINT_URL=") || strings.Contains(lines.Text(), "azekura env") {
			listening <- url
		}
	}
}

// stop is what an init system does.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.ended(); err != nil {
		return fmt.Errorf("the server did not end well: %w: %s", err, p.stderr)
	}
	return nil
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.ended()
}

// output is a buffer that a test may read while a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

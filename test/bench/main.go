// Command bench measures the server against its floor, a bare net/http server
// that does the least a server of this API can do, and writes
// docs/performance.md. Server and load generator have a processor each; the
// two servers take turns, run by run, so that a machine whose speed drifts
// drifts for both; what counts is the ratio within a run, and its median.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"azekura/internal/sigv4"
	"azekura/test/process"
)

var (
	secrets  = flag.Int("secrets", 10_000, "how many secrets are stored")
	rounds   = flag.Int("rounds", 5, "how often each pair is measured")
	duration = flag.Duration("duration", 2*time.Second, "how long one run takes")
	report   = flag.String("report", "docs/performance.md", "the file to write")
)

var value1K = strings.Repeat("0123456789abcdef", 64)

func main() {
	flag.Parse()
	var err error
	if flag.Arg(0) == "floor" {
		err = runFloor(flag.Arg(1))
	} else {
		err = bench()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A target is a server under load.
type target struct {
	name, url, region string
	credentials       sigv4.Credentials
	pid               int
}

func bench() error {
	if err := pinSelf(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "azekura-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(os.Stderr, "building the server ...")
	bin, err := process.Build(dir)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	server, err := process.StartLogging(filepath.Join(dir, "data"), log, append(onProcessor(0), bin)...)
	if err != nil {
		return err
	}
	defer server.Stop()
	bare, stop, err := startFloor(filepath.Join(dir, "journal"))
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(os.Stderr, "storing %d secrets ...\n", *secrets)
	if err := fill(server); err != nil {
		return err
	}
	ours := target{"azekura", server.URL, server.Region, server.Credentials, server.PID()}
	var pairs []pair
	for _, op := range []string{"GetSecretValue", "PutSecretValue"} {
		for _, connections := range []int{1, 16, 64} {
			fmt.Fprintf(os.Stderr, "%s over %d connections ...\n", op, connections)
			p, err := measure(op, connections, ours, bare)
			if err != nil {
				return fmt.Errorf("%s over %d connections: %w", op, connections, err)
			}
			pairs = append(pairs, p)
		}
	}
	text := render(pairs)
	fmt.Print(text)
	return os.WriteFile(*report, []byte(text), 0o644)
}

// onProcessor is the command that keeps what follows it on one processor.
func onProcessor(n int) []string {
	if runtime.NumCPU() < 2 {
		return nil
	}
	return []string{"taskset", "-c", fmt.Sprint(n)}
}

// pinSelf starts the program again on the second processor, unless it is
// there already.
func pinSelf() error {
	const mark = "AZEKURA_BENCH_PINNED"
	pin := onProcessor(1)
	if pin == nil || os.Getenv(mark) != "" {
		return nil
	}
	again := exec.Command(pin[0], append(pin[1:], os.Args...)...)
	again.Env = append(os.Environ(), mark+"=1")
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	if err := again.Run(); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

func startFloor(journal string) (target, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return target{}, nil, err
	}
	command := append(onProcessor(0), self, "floor", journal)
	cmd := exec.Command(command[0], command[1:]...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return target{}, nil, err
	}
	if err := cmd.Start(); err != nil {
		return target{}, nil, err
	}
	var url string
	if _, err := fmt.Fscanf(stdout, "listening on %s\n", &url); err != nil {
		return target{}, nil, fmt.Errorf("start the floor: %w", err)
	}
	stop := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	return target{"floor", url, "us-east-1", floorCredentials, cmd.Process.Pid}, stop, nil
}

// fill stores the secrets that are read, a few at a time so that they share
// commits.
func fill(server *process.Server) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	names := make(chan int)
	errs := make(chan error, 32)
	var wg sync.WaitGroup
	for range cap(errs) {
		wg.Go(func() {
			for n := range names {
				in := map[string]any{"Name": secretName(n), "ClientRequestToken": fmt.Sprintf("%032d", n), "SecretString": value1K}
				if err := server.Call(context.Background(), client, "CreateSecret", in, nil); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	for n := range *secrets {
		select {
		case names <- n:
		case err := <-errs:
			close(names)
			return err
		}
	}
	close(names)
	wg.Wait()
	return nil
}

func secretName(n int) string { return fmt.Sprintf("bench/secret-%07d", n) }

// A pair is what both servers did with the same load, round by round.
type pair struct {
	op          string
	connections int
	ours, floor []sample
}

func measure(op string, connections int, ours, floor target) (pair, error) {
	p := pair{op: op, connections: connections}
	for round := range *rounds + 1 {
		for _, t := range []struct {
			target
			to *[]sample
		}{{ours, &p.ours}, {floor, &p.floor}} {
			requests, err := t.requests(op, connections, round)
			if err != nil {
				return p, err
			}
			s, err := run(t.target, connections, *duration, requests)
			if err != nil {
				return p, fmt.Errorf("%s: %w", t.name, err)
			}
			if round > 0 { // the first is to warm up
				*t.to = append(*t.to, s)
			}
		}
	}
	return p, nil
}

// requests prepares the load of one run. Reads are signed beforehand, a
// thousand different ones that are sent again and again: a signature holds for
// five minutes, and verifying it costs the same each time. Each write must be
// another, so writes are signed as they go.
func (t target) requests(op string, connections, round int) (func(connection, n int) []byte, error) {
	if op == "PutSecretValue" {
		return func(connection, n int) []byte {
			name := secretName((connection + n*connections) % *secrets)
			body, err := t.sign(op, fmt.Sprintf(`{"SecretId":%q,"ClientRequestToken":"%08d-%08d-%014d","SecretString":%q}`, name, round, connection, n+connections*1_000_000, value1K))
			if err != nil {
				panic(err)
			}
			return body
		}, nil
	}
	ready := make([][]byte, min(1000, *secrets))
	for i := range ready {
		var err error
		if ready[i], err = t.sign(op, fmt.Sprintf(`{"SecretId":%q}`, secretName(i**secrets/len(ready)))); err != nil {
			return nil, err
		}
	}
	return func(connection, n int) []byte { return ready[(connection*97+n)%len(ready)] }, nil
}

func (t target) sign(op, body string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, t.url+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager."+op)
	sigv4.Sign(r, t.credentials, t.region, "secretsmanager", sha256.Sum256([]byte(body)), time.Now())
	return raw(r)
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"azekura/internal/server"
	"azekura/internal/sigv4"
)

// A node is our server as it runs over a data directory.
type node struct {
	*child
	target
}

// serve starts the server over a data directory, on some processors, with more
// flags than those that every start has.
func (b *bench) serve(cpus []int, dataDir string, flags ...string) (*node, error) {
	log, err := os.OpenFile(filepath.Join(b.work, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c, err := b.launch(cpus, log, nil, append(b.command(dataDir), flags...)...)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, lastLines(log.Name()))
	}
	credentials, region, err := administrator(dataDir)
	if err != nil {
		return nil, err
	}
	return &node{c, target{url: c.address, region: region, credentials: credentials, pid: c.cmd.Process.Pid}}, nil
}

// command starts the server on a free port. A given endpoint-url spares it to
// write admin.env again because of the new port; a server that is started again
// by its user has the port that it had.
func (b *bench) command(dataDir string) []string {
	return []string{b.server, "server", "--data-dir", dataDir, "--listen", "127.0.0.1:0", "--endpoint-url", "http://127.0.0.1:4584", "--rate-limit", "off"}
}

func administrator(dataDir string) (creds sigv4.Credentials, region string, err error) {
	env, err := server.ReadAdminEnv(dataDir)
	for _, v := range env {
		switch v.Name {
		case "AWS_ACCESS_KEY_ID":
			creds.AccessKeyID = v.Value
		case "AWS_SECRET_ACCESS_KEY":
			creds.Secret = v.Value
		case "AWS_DEFAULT_REGION":
			region = v.Value
		}
	}
	return creds, region, err
}

func lastLines(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// store is a data directory in which secrets of 1 KiB are stored. Each copy is
// a store of its own, since a store has one server at a time.
func (b *bench) store(secrets, copy int) (string, error) {
	base := b.work
	if b.stores != "" {
		base = b.stores
	}
	dir := filepath.Join(base, fmt.Sprintf("store-%d-%d", secrets, copy))
	whole := filepath.Join(dir, "filled")
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(base, 0o700)); err != nil {
		return "", err
	}
	b.say("storing %d secrets ...", secrets)
	n, err := b.serve(b.cpus.all, dir)
	if err != nil {
		return "", err
	}
	defer n.kill()
	if err := n.fill(b, secrets); err != nil {
		return "", err
	}
	if err := n.stop(); err != nil {
		return "", err
	}
	return dir, os.WriteFile(whole, nil, 0o600)
}

// fill creates the secrets, through the API.
func (t target) fill(b *bench, secrets int) error {
	return t.each(b, secrets, func(n int) ([]byte, error) {
		return t.request("CreateSecret", fmt.Sprintf(`{"Name":%q,"ClientRequestToken":"%032d","SecretString":%q}`, secretName(n), n, value1K))
	})
}

// readAll reads each of the secrets once.
func (t target) readAll(b *bench, secrets int) error {
	return t.each(b, secrets, func(n int) ([]byte, error) { return t.read(n) })
}

// warm reads each of some secrets twice: the first read of a day changes the
// secret, and so takes it out of the cache.
func (t target) warm(b *bench, secrets []int) error {
	return t.each(b, 2*len(secrets), func(i int) ([]byte, error) { return t.read(secrets[i%len(secrets)]) })
}

func (t target) read(n int) ([]byte, error) {
	return t.request("GetSecretValue", fmt.Sprintf(`{"SecretId":%q}`, secretName(n)))
}

// each sends a request for every number below limit, over so many connections
// that those that change something share their commits.
func (t target) each(b *bench, limit int, request func(n int) ([]byte, error)) error {
	const connections = 128
	began := time.Now()
	var next atomic.Int64
	errs := make([]error, connections)
	var wg sync.WaitGroup
	for c := range connections {
		wg.Go(func() {
			errs[c] = t.converse(func(send func([]byte) error) error {
				for n := int(next.Add(1)) - 1; n < limit; n = int(next.Add(1)) - 1 {
					if n > 0 && n%100_000 == 0 {
						b.say("... %d after %v", n, time.Since(began).Round(time.Second))
					}
					r, err := request(n)
					if err != nil {
						return err
					}
					if err := send(r); err != nil {
						next.Store(int64(limit)) // the others need not go on
						return fmt.Errorf("request %d: %w", n, err)
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// converse hands f a function that sends a request over one connection and
// waits for its answer.
func (t target) converse(f func(send func(request []byte) error) error) error {
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	return f(func(request []byte) error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		_, err := readAnswer(in, nil)
		return err
	})
}

// A gauge is the server's own figures at a moment, by name and labels.
type gauge map[string]float64

// scrape reads the figures of a server that was started to show them.
func (c *child) scrape() (gauge, error) {
	url := <-c.metrics
	c.metrics <- url
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	g := gauge{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			g[name] = n
		}
	}
	return g, nil
}

// showMetrics are the flags that make scrape work.
var showMetrics = []string{"--metrics-listen", "127.0.0.1:0"}

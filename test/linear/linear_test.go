package linear

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"azekura/test/process"
)

var rounds = flag.Int("rounds", 4, "how many histories are checked")

const (
	clients = 16
	calls   = 60 // of each client, in a round
	secrets = 10 // few, so that clients meet; fewer, and the check takes for ever
)

// A cluster is one server that is killed and started again on its data.
type cluster struct {
	bin, dir string
	begun    time.Time

	mu       sync.RWMutex
	server   *process.Server
	replaced chan struct{} // closed when another server takes its place
}

func (c *cluster) now() int64 { return time.Since(c.begun).Nanoseconds() }

func (c *cluster) start() (err error) {
	server, err := process.Start(c.dir, c.bin)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replaced != nil {
		close(c.replaced)
	}
	c.server, c.replaced = server, make(chan struct{})
	return err
}

// running is the server, and what tells when it is another.
func (c *cluster) running() (*process.Server, <-chan struct{}) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.server, c.replaced
}

func (c *cluster) kill() {
	server, _ := c.running()
	server.Kill()
}

func TestLinearizable(t *testing.T) {
	dir := t.TempDir()
	bin, err := process.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{bin: bin, dir: dir + "/data", begun: time.Now()}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	defer c.kill()
	for round := range *rounds {
		history := c.history(t, round)
		cut := 0
		for _, op := range history {
			if op.Output == unknown {
				cut++
			}
		}
		switch result := porcupine.CheckOperationsTimeout(model(), history, time.Minute); result {
		case porcupine.Ok:
			t.Logf("round %d: %d calls, %d of them cut", round, len(history), cut)
		default:
			t.Errorf("round %d: %d calls, %d of them cut: %v", round, len(history), cut, result)
		}
	}
}

// history lets the clients call for a round, kills the server in the middle of
// it, and returns what was asked and answered.
func (c *cluster) history(t *testing.T, round int) (all []porcupine.Operation) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	answered := make(chan struct{}, clients*calls)
	for id := range clients {
		wg.Go(func() {
			client := &caller{cluster: c, id: id, round: round, http: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
			defer client.http.CloseIdleConnections()
			for range calls {
				op := client.call(t)
				mu.Lock()
				all = append(all, op)
				mu.Unlock()
				answered <- struct{}{}
			}
		})
	}
	for range clients * calls / 4 * (1 + rand.IntN(2)) {
		<-answered
	}
	c.kill()
	if err := c.start(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	return all
}

// A caller is one client. Like an SDK it sends a call again, with the same
// token, when the connection was cut; unlike an SDK it sometimes does not.
type caller struct {
	*cluster
	id, round int
	made      int
	last      input // the call whose outcome it does not know, if any
	known     []string
	http      *http.Client
}

func (c *caller) call(t *testing.T) porcupine.Operation {
	in := c.last
	if in.op == "" || rand.IntN(2) == 0 {
		in = c.next()
	}
	c.last = input{}
	server, replaced := c.running()
	began := c.now()
	answer, err := send(t.Context(), server, c.http, in)
	ended := c.now()
	if err != nil {
		answer, c.last = unknown, in
		<-replaced
	}
	return porcupine.Operation{ClientId: c.id, Input: in, Call: began, Output: answer, Return: ended}
}

// next makes up a call.
func (c *caller) next() input {
	c.made++
	token := fmt.Sprintf("client-%02d-call-%03d-%s", c.id, c.made, strings.Repeat("x", 32))[:32]
	in := input{secret: fmt.Sprintf("round-%d/secret-%d", c.round, rand.IntN(secrets)), token: token}
	switch n := rand.IntN(100); {
	case n < 12:
		in.op = "create"
	case n < 32:
		in.op = "put"
	case n < 40:
		in.op = "put pending"
	case n < 50 && len(c.known) > 1:
		in.op, in.token, in.from = "promote", c.any(), c.any()
	case n < 53:
		in.op = "delete"
	case n < 57:
		in.op = "schedule"
	case n < 64:
		in.op = "restore"
	case n < 70 && len(c.known) > 0:
		in.op, in.token = "get", c.any()
	default:
		in.op, in.label = "get", []string{"AWSCURRENT", "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"}[rand.IntN(4)]
	}
	if strings.HasPrefix(in.op, "put") || in.op == "create" {
		c.known = append(c.known, token)
	}
	return in
}

func (c *caller) any() string { return c.known[rand.IntN(len(c.known))] }

// send makes the call and returns what the model says of it: done, the token
// whose value came back, or an error's code.
func send(ctx context.Context, server *process.Server, client *http.Client, in input) (string, error) {
	op, members := "GetSecretValue", map[string]any{"SecretId": in.secret}
	switch in.op {
	case "create":
		op, members = "CreateSecret", map[string]any{"Name": in.secret, "ClientRequestToken": in.token, "SecretString": value(in.token)}
	case "put", "put pending":
		op = "PutSecretValue"
		members["ClientRequestToken"], members["SecretString"] = in.token, value(in.token)
		if in.op == "put pending" {
			members["VersionStages"] = []string{"AWSPENDING"}
		}
	case "promote":
		op = "UpdateSecretVersionStage"
		members["VersionStage"], members["MoveToVersionId"], members["RemoveFromVersionId"] = "AWSCURRENT", in.token, in.from
	case "delete":
		op, members["ForceDeleteWithoutRecovery"] = "DeleteSecret", true
	case "schedule":
		op = "DeleteSecret"
	case "restore":
		op = "RestoreSecret"
	case "get":
		if in.label != "" {
			members["VersionStage"] = in.label
		} else {
			members["VersionId"] = in.token
		}
	}
	var out struct{ VersionId, SecretString string }
	err := server.Call(ctx, client, op, members, &out)
	if refusal, ok := errors.AsType[*process.Refusal](err); ok && refusal.Status == http.StatusBadRequest {
		return code(refusal.Body), nil
	}
	if err != nil {
		return "", err
	}
	if op != "GetSecretValue" {
		return done, nil
	}
	if out.SecretString != value(out.VersionId) {
		return "the value of another version", nil
	}
	return out.VersionId, nil
}

func code(body string) string {
	var e struct {
		Type string `json:"__type"`
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return err.Error()
	}
	return e.Type
}

func value(token string) string { return "value of " + token }

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"azekura/internal/sigv4"
)

// A target is a server that requests are sent to.
type target struct {
	url, region string
	credentials sigv4.Credentials
	pid         int
	parent      int         // of the processes that work for it, 0 if there are none
	tls         *tls.Config // nil for plain HTTP
}

// cpuTime is the processor time of the server, and of those who work for it.
func (t target) cpuTime() (time.Duration, error) {
	sum, err := cpuTime(t.pid)
	if err != nil || t.parent == 0 {
		return sum, err
	}
	workers, err := children(t.parent)
	for _, pid := range workers {
		if used, err := cpuTime(pid); err == nil { // else it has ended since
			sum += used
		}
	}
	return sum, err
}

var value1K = strings.Repeat("0123456789abcdef", 64)

func secretName(n int) string { return fmt.Sprintf("bench/secret-%07d", n) }

// request is a signed request of an operation as it goes over the wire.
func (t target) request(op, body string) ([]byte, error) {
	return t.requestOf("secretsmanager", "secretsmanager."+op, body)
}

// requestOf is request for an operation of another service.
func (t target) requestOf(service, target, body string) ([]byte, error) {
	r, err := http.NewRequest(http.MethodPost, t.url+"/", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	sigv4.Sign(r, t.credentials, t.region, service, sha256.Sum256([]byte(body)), time.Now())
	var b bytes.Buffer
	err = r.Write(&b)
	return b.Bytes(), err
}

// call calls an operation once, and decodes the answer into out unless that is
// nil.
func (t target) call(op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := t.request(op, string(body))
	if err != nil {
		return err
	}
	return t.ask(op, request, out)
}

// ask sends one request, and decodes the answer into out unless that is nil.
func (t target) ask(op string, request []byte, out any) error {
	conn, err := t.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var answer bytes.Buffer
	if _, err := readAnswer(bufio.NewReader(conn), &answer); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Bytes(), out)
}

// repeated is a load of the same few requests again and again. They are signed
// before the run, since a signature holds for five minutes and verifying it
// costs the same each time; connections begin at different ones.
func (t target) repeated(op string, connections, least int, bodies func(round int) []string) load {
	return load{target: t, connections: connections, least: least, requests: func(round int) (func(connection, n int) []byte, error) {
		var signed [][]byte
		for _, body := range bodies(round) {
			request, err := t.request(op, body)
			if err != nil {
				return nil, err
			}
			signed = append(signed, request)
		}
		return func(connection, n int) []byte { return signed[(connection*len(signed)/connections+n)%len(signed)] }, nil
	}}
}

// reads is GetSecretValue of the secrets that pick names, in its order.
func (t target) reads(connections int, pick func(round int) []int) load {
	return t.repeated("GetSecretValue", connections, len(value1K), func(round int) []string {
		var bodies []string
		for _, n := range pick(round) {
			bodies = append(bodies, fmt.Sprintf(`{"SecretId":%q}`, secretName(n)))
		}
		return bodies
	})
}

// spread is the working set of n of all secrets, evenly spread over them, in an
// order that is different each round.
func spread(n, all int) func(round int) []int {
	n = min(n, all)
	return func(round int) []int {
		set := rand.New(rand.NewPCG(1, uint64(round))).Perm(n)
		for i := range set {
			set[i] = set[i] * all / n
		}
		return set
	}
}

// anywhere is n secrets out of all, others each round: more than a run sends
// requests, so that hardly any is read twice.
func anywhere(n, all int) func(round int) []int {
	return func(round int) []int {
		random := rand.New(rand.NewPCG(2, uint64(round)))
		if n >= all {
			return random.Perm(all)
		}
		set := make([]int, n)
		for i := range set {
			set[i] = random.IntN(all)
		}
		return set
	}
}

// puts is PutSecretValue to one secret after the other. Each request must be
// another; they are signed before the run, somewhat more than the last one
// sent, and beyond that as they are sent. salt tells the loads of one store
// apart.
func (t target) puts(connections, secrets, salt int) load {
	const first = 5_000
	sent := first
	return load{target: t, connections: connections, requests: func(round int) (func(connection, n int) []byte, error) {
		sign := func(n int) ([]byte, error) {
			return t.request("PutSecretValue", fmt.Sprintf(`{"SecretId":%q,"ClientRequestToken":"%010d-%010d-%010d","SecretString":%q}`,
				secretName(n%secrets), salt, round, n, value1K))
		}
		signed := make([][]byte, sent+sent/2)
		for n := range signed {
			var err error
			if signed[n], err = sign(n); err != nil {
				return nil, err
			}
		}
		sent = 0
		return func(int, int) []byte {
			n := sent
			if sent++; n < len(signed) {
				return signed[n]
			}
			request, err := sign(n)
			if err != nil {
				panic(err) // of a URL that has served until now
			}
			return request
		}, nil
	}}
}

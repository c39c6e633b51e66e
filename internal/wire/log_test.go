package wire_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/sigv4"
	"azekura/internal/store"
)

// line is the one line that was logged.
func (b *bench) line(t *testing.T) map[string]any {
	t.Helper()
	if n := bytes.Count(b.log.Bytes(), []byte("\n")); n != 1 {
		t.Fatalf("got %d lines, want 1:\n%s", n, &b.log)
	}
	var line map[string]any
	if err := json.Unmarshal(b.log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	return line
}

func TestLogLine(t *testing.T) {
	op := func(err error) call.Op {
		return call.Bind("GetSecretValue", func(_ context.Context, c *call.Call, in *model.GetSecretValueInput) (*model.GetSecretValueOutput, error) {
			c.Resource = *in.SecretId
			return nil, err
		})
	}
	for _, c := range []struct {
		name                   string
		err                    error
		level, outcome, detail string
		status                 float64
	}{
		{"ok", nil, "INFO", "ok", "", 200},
		{"refused", model.ResourceNotFound("gone"), "INFO", "ResourceNotFoundException", "", 400},
		{"with a cause", &api.Error{Code: "EncryptionFailure", Status: 400, Err: errors.New("disk")}, "INFO", "EncryptionFailure", "disk", 400},
		{"failed", errors.New("disk"), "WARN", "InternalServiceError", "disk", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(op(c.err))
			r := post("GetSecretValue", `{"SecretId":"db"}`)
			r.RemoteAddr = "192.0.2.7:4711"
			w := b.do(r)
			got := b.line(t)
			for _, name := range []string{"time", "duration"} {
				if _, ok := got[name]; !ok {
					t.Errorf("%s is missing", name)
				}
				delete(got, name)
			}
			want := map[string]any{
				"level": c.level, "msg": "request", "id": w.Header().Get("x-amzn-RequestId"),
				"service": "secretsmanager", "operation": "GetSecretValue", "region": "us-east-1", "principal": ann,
				"access_key": "AKIDANN", "source": "192.0.2.7", "resource": "db", "outcome": c.outcome, "status": c.status,
			}
			if c.detail != "" {
				want["error"] = c.detail
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogLineOfStrangers(t *testing.T) {
	b := newBench()
	r := post("", "")
	r.Header.Set("X-Amz-Target", strings.Repeat("garbage\xff\n", 10000))
	r.Header.Set("User-Agent", strings.Repeat("garbage", 10000))
	b.do(r)
	line := b.line(t)
	if op, _ := line["operation"].(string); len(op) < 64 || len(op) > 512 || line["outcome"] != "UnknownOperationException" {
		t.Errorf("logged %v", line)
	}
	if n := b.log.Len(); n > 2000 {
		t.Errorf("the line has %d bytes", n)
	}
}

func TestLogLineUnauthenticated(t *testing.T) {
	b := newBench(getSecretValue(nil, nil))
	b.Authenticate = func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
		return nil, &sigv4.Error{Kind: sigv4.UnknownKey, Message: "planted"}
	}
	b.call("GetSecretValue", "{}")
	if line := b.line(t); line["outcome"] != "UnrecognizedClientException" || line["operation"] != "GetSecretValue" || line["principal"] != "" {
		t.Errorf("logged %v", line)
	}
}

const planted = "Xplanted-secret-0123456789-abcdefghijX"

// A secret does not reach the log from any place in which it can stand: the
// members of in- and outputs, good or bad, what is not understood, and the
// text of a panic.
func TestLogHoldsNoSecret(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(planted))
	secret := api.Sensitive(planted)
	get := getSecretValue(&model.GetSecretValueOutput{SecretString: &secret, SecretBinary: api.SensitiveBlob(planted)}, nil)
	put := call.Bind("PutSecretValue", func(_ context.Context, _ *call.Call, in *model.PutSecretValueInput) (*model.PutSecretValueOutput, error) {
		switch *in.SecretId {
		case "text":
			panic(string(*in.SecretString))
		case "value":
			panic(in)
		case "error":
			panic(errors.New(string(*in.SecretString)))
		}
		return nil, nil
	})
	password := answering("GetRandomPassword", new(model.GetRandomPasswordInput), &model.GetRandomPasswordOutput{RandomPassword: &secret}, nil)
	for _, c := range []struct{ op, body string }{
		{"GetSecretValue", `{"SecretId":"db"}`},
		{"GetRandomPassword", `{}`},
		{"PutSecretValue", `{"SecretId":"db","SecretString":"` + planted + `","SecretBinary":"` + encoded + `","RotationToken":"` + planted + `"}`},
		{"PutSecretValue", `{"SecretId":"db","SecretString":"` + strings.Repeat(planted, 2000) + `","RotationToken":"` + strings.Repeat(planted, 20) + `"}`},
		{"PutSecretValue", `{"SecretId":"db","RotationToken":"` + planted + `!"}`},
		{"PutSecretValue", `{"SecretId":"db","SecretBinary":"` + planted + `"}`},
		{"PutSecretValue", `{"SecretId":"db","SecretString":["` + planted + `"]}`},
		{"PutSecretValue", `{"` + planted + `":1,"` + planted + `":2}`},
		{"PutSecretValue", `{"SecretId":"db","SecretString":"` + planted + `\q"}`},
		{"PutSecretValue", `"` + planted + `"`},
		{"PutSecretValue", planted},
		{"PutSecretValue", `{"SecretId":"text","SecretString":"` + planted + `"}`},
		{"PutSecretValue", `{"SecretId":"value","SecretString":"` + planted + `"}`},
		{"PutSecretValue", `{"SecretId":"error","SecretString":"` + planted + `"}`},
	} {
		b := newBench(get, put, password)
		w := b.call(c.op, c.body)
		for _, trace := range []string{planted, encoded, "planted"} {
			if strings.Contains(b.log.String(), trace) {
				t.Errorf("%s %.80s: the log holds the secret", c.op, c.body)
			}
			if w.Code != 200 && strings.Contains(w.Body.String(), trace) {
				t.Errorf("%s %.80s: the error holds the secret", c.op, c.body)
			}
		}
		if w.Code == 200 && c.op != "PutSecretValue" && !strings.Contains(w.Body.String(), planted) {
			t.Errorf("%s: the answer lacks the secret", c.op)
		}
	}
}

func exploding(context.Context, *call.Call, *model.ListSecretsInput) (*model.ListSecretsOutput, error) {
	panic("boom")
}

func TestPanic(t *testing.T) {
	b := newBench(call.Bind("ListSecrets", exploding))
	want(t, b.call("ListSecrets", ""), 500, `{"__type":"InternalServiceError","Message":"An error occurred on the server side."}`)
	trace, request, _ := strings.Cut(b.log.String(), "\n")
	if !strings.Contains(trace, "exploding") || strings.Contains(trace, "boom") {
		t.Errorf("trace: %s", trace)
	}
	if !strings.Contains(request, `"outcome":"InternalServiceError"`) {
		t.Errorf("request: %s", request)
	}
}

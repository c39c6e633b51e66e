package wire_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"azekura/internal/api"
	model "azekura/internal/api/secretsmanager"
	"azekura/internal/call"
	"azekura/internal/policy"
	"azekura/internal/sigv4"
	"azekura/internal/store"
	"azekura/internal/wire"
)

const ann = "arn:aws:iam::111111111111:user/ann"

// A bench is a handler over a service of one's making, and what it logged.
type bench struct {
	*wire.Handler
	log bytes.Buffer
}

func newBench(ops ...call.Op) *bench {
	b := &bench{}
	b.Handler = &wire.Handler{
		Authenticate: func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
			return func([32]byte) (*call.Call, error) {
				return &call.Call{Region: "us-east-1", Principal: call.Principal{Principal: policy.Principal{ARN: ann}}, AccessKeyID: "AKIDANN"}, nil
			}, nil
		},
		Log: slog.New(slog.NewJSONHandler(&b.log, nil)),
	}
	b.Handle(call.Service{Name: "secretsmanager", Target: "secretsmanager", Ops: ops})
	return b
}

func (b *bench) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func (b *bench) call(op, body string) *httptest.ResponseRecorder { return b.do(post(op, body)) }

func post(op, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "secretsmanager."+op)
	return r
}

// answering is an operation that answers out or err, and keeps its input.
func answering[In, Out any](name string, in *In, out *Out, err error) call.Op {
	return call.Bind(name, func(_ context.Context, _ *call.Call, got *In) (*Out, error) {
		*in = *got
		return out, err
	})
}

func getSecretValue(out *model.GetSecretValueOutput, err error) call.Op {
	return answering("GetSecretValue", new(model.GetSecretValueInput), out, err)
}

func want(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, status, body)
	}
}

func TestServe(t *testing.T) {
	var in model.GetSecretValueInput
	b := newBench(answering("GetSecretValue", &in, &model.GetSecretValueOutput{
		ARN:           new("arn:aws:secretsmanager:us-east-1:111111111111:secret:db-a1b2c3"),
		Name:          new("db"),
		SecretString:  new(api.Sensitive("p\"w\\\n\x01é<&>")),
		SecretBinary:  api.SensitiveBlob{0, 255, 1},
		VersionStages: []string{"AWSCURRENT", "x"},
		CreatedDate:   new(api.Timestamp(1523477145713)),
	}, nil))
	w := b.call("GetSecretValue", `{"SecretId":"db","VersionStage":null,"Unknown":[1,{"a":null}]}`)
	want(t, w, 200, `{"ARN":"arn:aws:secretsmanager:us-east-1:111111111111:secret:db-a1b2c3","Name":"db",`+
		`"SecretBinary":"AP8B","SecretString":"p\"w\\\n\u0001é<&>","VersionStages":["AWSCURRENT","x"],"CreatedDate":1523477145.713}`)
	if diff := cmp.Diff(model.GetSecretValueInput{SecretId: new("db")}, in); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	header := w.Result().Header
	if _, err := uuid.Parse(header.Get("x-amzn-RequestId")); err != nil {
		t.Errorf("request id: %v", err)
	}
	if _, err := http.ParseTime(header.Get("Date")); err != nil {
		t.Errorf("date: %v", err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/x-amz-json-1.1", "Cache-Control": "no-store", "x-amzn-ErrorType": "", "Content-Length": "207",
	} {
		if got := header.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

func TestServeEmpty(t *testing.T) {
	b := newBench(
		answering[model.TagResourceInput, model.TagResourceOutput]("TagResource", new(model.TagResourceInput), nil, nil),
		answering("ListSecrets", new(model.ListSecretsInput), &model.ListSecretsOutput{}, nil),
		answering("DescribeSecret", new(model.DescribeSecretInput), &model.DescribeSecretOutput{
			Tags:               []model.Tag{},
			RotationEnabled:    new(false),
			VersionIdsToStages: map[string][]string{"b": {"AWSCURRENT"}, "a": {}},
			RotationRules:      &model.RotationRulesType{AutomaticallyAfterDays: new(int64(30))},
		}, nil),
	)
	want(t, b.call("TagResource", `{"SecretId":"a","Tags":[]}`), 200, "")
	want(t, b.call("ListSecrets", ""), 200, "{}")
	want(t, b.call("DescribeSecret", `{"SecretId":"a"}`), 200,
		`{"RotationEnabled":false,"RotationRules":{"AutomaticallyAfterDays":30},"Tags":[],"VersionIdsToStages":{"a":[],"b":["AWSCURRENT"]}}`)
}

// The operation gets all that is known of the request, on top of what the
// authentication knows of the caller.
func TestServeCall(t *testing.T) {
	var got call.Call
	b := newBench(call.Bind("ListSecrets", func(_ context.Context, c *call.Call, _ *model.ListSecretsInput) (*model.ListSecretsOutput, error) {
		got = *c
		return nil, nil
	}))
	r := post("ListSecrets", "{}")
	r.RemoteAddr = "[::ffff:192.0.2.7]:4711"
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13}
	r.Header.Set("User-Agent", "aws-cli/2 "+strings.Repeat("x", 5000))
	w := b.do(r)
	if got.ID != w.Header().Get("x-amzn-RequestId") || got.Time.IsZero() {
		t.Errorf("got id %q at %v", got.ID, got.Time)
	}
	if len(got.UserAgent) != 1024 || !strings.HasPrefix(got.UserAgent, "aws-cli/2 x") {
		t.Errorf("user agent has %d bytes", len(got.UserAgent))
	}
	got.ID, got.Time, got.UserAgent, got.Spent = "", time.Time{}, "", nil
	diff := cmp.Diff(call.Call{
		Service: "secretsmanager", Op: "ListSecrets", Input: &model.ListSecretsInput{}, Region: "us-east-1", Principal: call.Principal{Principal: policy.Principal{ARN: ann}},
		AccessKeyID: "AKIDANN", SourceIP: netip.MustParseAddr("192.0.2.7"), TLS: "TLSv1.3", Secure: true,
	}, got, cmp.Comparer(func(x, y netip.Addr) bool { return x == y }), cmpopts.IgnoreUnexported(call.Call{}))
	if diff != "" {
		t.Errorf("call (-want +got):\n%s", diff)
	}
}

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"method", func(r *http.Request) { r.Method = http.MethodGet }, 404},
		{"path", func(r *http.Request) { r.URL.Path = "/x" }, 404},
		{"no target", func(r *http.Request) { r.Header.Del("X-Amz-Target") }, 400},
		{"two targets", func(r *http.Request) { r.Header.Add("X-Amz-Target", r.Header.Get("X-Amz-Target")) }, 400},
		{"other operation", func(r *http.Request) { r.Header.Set("X-Amz-Target", "secretsmanager.Get") }, 400},
		{"other service", func(r *http.Request) { r.Header.Set("X-Amz-Target", "kms.GetSecretValue") }, 400},
		{"no service", func(r *http.Request) { r.Header.Set("X-Amz-Target", "GetSecretValue") }, 400},
		{"other case", func(r *http.Request) { r.Header.Set("X-Amz-Target", "SecretsManager.GetSecretValue") }, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(getSecretValue(nil, nil))
			r := post("GetSecretValue", `{"SecretId":"db"}`)
			r.Body = unreadable{t}
			c.change(r)
			w := b.do(r)
			want(t, w, c.status, `{"__type":"UnknownOperationException"}`)
			if got := w.Header().Get("x-amzn-ErrorType"); got != "UnknownOperationException" {
				t.Errorf("x-amzn-ErrorType: got %q", got)
			}
		})
	}
}

// unreadable is a body that nobody may read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (unreadable) Close() error { return nil }

func TestErrors(t *testing.T) {
	internal := `{"__type":"InternalServiceError","Message":"An error occurred on the server side."}`
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"modelled", model.ResourceNotFound("Secrets Manager can't find the %s.", "specified secret"), 400,
			`{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret."}`},
		{"modelled, the server's", model.InternalServiceError("no"), 500, `{"__type":"InternalServiceError","Message":"no"}`},
		{"wrapped", errors.Join(errors.New("private"), model.DecryptionFailure("key")), 400, `{"__type":"DecryptionFailure","Message":"key"}`},
		{"framework", api.AccessDenied("User: %s", ann), 400, `{"__type":"AccessDeniedException","message":"User: ` + ann + `"}`},
		{"quotes", api.Validation("\"\x00\xff\u2028"), 400, `{"__type":"ValidationException","message":"\"\u0000` + "\ufffd\u2028" + `"}`},
		{"no message", api.UnknownOperation(), 400, `{"__type":"UnknownOperationException"}`},
		{"other", errors.New("private"), 500, internal},
		{"no status", &api.Error{Code: "X", Message: "private"}, 500, internal},
		{"deadline", context.DeadlineExceeded, 500, internal},
		{"missing", &sigv4.Error{Kind: sigv4.Missing, Message: "m"}, 400, `{"__type":"MissingAuthenticationTokenException","message":"m"}`},
		{"incomplete", &sigv4.Error{Kind: sigv4.Incomplete, Message: "m"}, 400, `{"__type":"IncompleteSignatureException","message":"m"}`},
		{"unknown key", &sigv4.Error{Kind: sigv4.UnknownKey, Message: "m"}, 400, `{"__type":"UnrecognizedClientException","message":"m"}`},
		{"closed", &sigv4.Error{Kind: sigv4.Closed, Message: "m"}, 403, `{"__type":"OptInRequired","message":"m"}`},
		{"expired", &sigv4.Error{Kind: sigv4.ExpiredToken, Message: "m"}, 400, `{"__type":"ExpiredTokenException","message":"m"}`},
		{"mismatch", &sigv4.Error{Kind: sigv4.Mismatch, Message: "m"}, 400, `{"__type":"InvalidSignatureException","message":"m"}`},
		{"unknown kind", &sigv4.Error{Kind: 99, Message: "m"}, 500, internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(getSecretValue(&model.GetSecretValueOutput{Name: new("left over")}, c.err))
			w := b.call("GetSecretValue", `{"SecretId":"db"}`)
			want(t, w, c.status, c.body)
			if strings.Contains(w.Body.String(), "private") {
				t.Error("the caller was told of a private error")
			}
		})
	}
}

// A caller who is turned away at either stage makes no operation run, and at
// the first stage not even the body is read.
func TestUnauthenticated(t *testing.T) {
	refused := &sigv4.Error{Kind: sigv4.Mismatch, Message: "no"}
	answer := `{"__type":"InvalidSignatureException","message":"no"}`
	op := call.Bind("ListSecrets", func(context.Context, *call.Call, *model.ListSecretsInput) (*model.ListSecretsOutput, error) {
		t.Error("the operation ran")
		return nil, nil
	})
	t.Run("first stage", func(t *testing.T) {
		b := newBench(op)
		b.Authenticate = func(_ *http.Request, service string, _ netip.Addr, _ time.Time, _ *store.Reads) (func([32]byte) (*call.Call, error), error) {
			if service != "secretsmanager" {
				t.Errorf("service %q", service)
			}
			return nil, refused
		}
		r := post("ListSecrets", "{}")
		r.Body = unreadable{t}
		want(t, b.do(r), 400, answer)
	})
	t.Run("second stage", func(t *testing.T) {
		b := newBench(op)
		const body = "not JSON, and not looked at"
		b.Authenticate = func(*http.Request, string, netip.Addr, time.Time, *store.Reads) (func([32]byte) (*call.Call, error), error) {
			return func(sum [32]byte) (*call.Call, error) {
				if sum != sha256.Sum256([]byte(body)) {
					t.Error("the hash is not the body's")
				}
				return nil, refused
			}, nil
		}
		want(t, b.call("ListSecrets", body), 400, answer)
	})
}

func TestBodyTooLarge(t *testing.T) {
	const answer = `{"__type":"RequestEntityTooLargeException","message":"The request body is too large."}`
	padding := strings.Repeat(" ", 100)
	t.Run("announced", func(t *testing.T) {
		b := newBench(getSecretValue(nil, nil))
		r := post("GetSecretValue", "")
		r.Body, r.ContentLength = unreadable{t}, 1<<20+1
		w := b.do(r)
		want(t, w, 413, answer)
		if got := w.Header().Get("Connection"); got != "close" {
			t.Errorf("Connection: got %q, want close", got)
		}
	})
	t.Run("chunked", func(t *testing.T) {
		b := newBench(getSecretValue(nil, nil))
		b.MaxBody = 50
		r := post("GetSecretValue", `{"SecretId":"db"}`+padding)
		r.ContentLength = -1
		want(t, b.do(r), 413, answer)
	})
	t.Run("exactly", func(t *testing.T) {
		b := newBench(getSecretValue(nil, nil))
		body := `{"SecretId":"db"}` + padding
		b.MaxBody = int64(len(body))
		r := post("GetSecretValue", body)
		want(t, b.do(r), 200, "")
		r = post("GetSecretValue", body)
		r.ContentLength = -1
		want(t, b.do(r), 200, "")
	})
}

// A sender that is slow, or gone, is not an error of the server's.
func TestBodyCut(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"cut", io.ErrUnexpectedEOF, 400, `{"__type":"SerializationException","message":"The request body could not be read to its end."}`},
		{"slow", os.ErrDeadlineExceeded, 408, `{"__type":"RequestTimeoutException","message":"The request was not completed in time."}`},
		{"slow connection", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 408, `{"__type":"RequestTimeoutException","message":"The request was not completed in time."}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(getSecretValue(nil, nil))
			r := post("GetSecretValue", "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"Secret`), failing{c.err}))
			want(t, b.do(r), c.status, c.body)
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestCallerGone(t *testing.T) {
	b := newBench(call.Bind("ListSecrets", func(ctx context.Context, _ *call.Call, _ *model.ListSecretsInput) (*model.ListSecretsOutput, error) {
		return nil, ctx.Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.do(post("ListSecrets", "").WithContext(ctx))
	if line := b.line(t); line["outcome"] != "RequestTimeoutException" || line["level"] != "INFO" {
		t.Errorf("logged %v", line)
	}
}

// A whole server: what the tests above reach through a recorder holds over a
// connection too.
func TestOverTheNetwork(t *testing.T) {
	b := newBench(getSecretValue(&model.GetSecretValueOutput{SecretString: new(api.Sensitive(strings.Repeat("s", 65536)))}, nil))
	server := httptest.NewServer(b)
	defer server.Close()
	send := func(body io.Reader) (*http.Response, []byte) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, text
	}
	answer, text := send(strings.NewReader(`{"SecretId":"db"}`))
	if answer.StatusCode != 200 || len(text) != 65536+len(`{"SecretString":""}`) || !json.Valid(text) {
		t.Errorf("got %d, %d bytes", answer.StatusCode, len(text))
	}
	if dates := answer.Header["Date"]; len(dates) != 1 {
		t.Errorf("got dates %v, want one", dates)
	}
	chunked := io.MultiReader(strings.NewReader(strings.Repeat(" ", 1<<20)), strings.NewReader(`{}`))
	if answer, _ := send(chunked); answer.StatusCode != 413 || !answer.Close {
		t.Errorf("got %d, close %v; want 413 and a closed connection", answer.StatusCode, answer.Close)
	}
}

func TestHandlePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an operation that is there twice did not panic")
		}
	}()
	newBench(getSecretValue(nil, nil), getSecretValue(nil, nil))
}

// Check finds what a request would.
func TestCheck(t *testing.T) {
	type unknownTag struct {
		A *string `api:"requird"`
	}
	if err := newBench(getSecretValue(nil, nil)).Check(); err != nil {
		t.Error(err)
	}
	for name, op := range map[string]call.Op{
		"pointers in a list": answering("Other", new(struct{ A []*string }), new(struct{}), nil),
		"unknown tag":        answering[unknownTag, struct{}]("Other", new(unknownTag), nil, nil),
	} {
		if err := newBench(getSecretValue(nil, nil), op).Check(); err == nil || !strings.Contains(err.Error(), "operation Other of") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A service tells whose quota is used up in its own words, if it has some.
func TestThrottledInAServicesWords(t *testing.T) {
	b := newBench(getSecretValue(nil, nil))
	b.Handle(call.Service{Name: "kms", Target: "TrentService", Throttled: "too fast for KMS", Ops: []call.Op{getSecretValue(nil, nil)}})
	b.Admit = func(*call.Call) time.Duration { return time.Second }
	want(t, b.call("GetSecretValue", `{"SecretId":"db"}`), 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
	r := post("GetSecretValue", `{"SecretId":"db"}`)
	r.Header.Set("X-Amz-Target", "TrentService.GetSecretValue")
	want(t, b.do(r), 400, `{"__type":"ThrottlingException","message":"too fast for KMS"}`)
}

package servertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"azekura/internal/server"
	"azekura/internal/sigv4"
)

// A Client signs calls and posts them; it knows nothing of the server's
// inside. Its fields may be changed between calls.
type Client struct {
	URL         string
	Region      string
	Credentials sigv4.Credentials
	HTTP        *http.Client
}

// NewClient makes a client of the variables in admin.env.
func NewClient(env []server.Variable) *Client {
	c := &Client{HTTP: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	for _, v := range env {
		switch v.Name {
		case "AWS_ACCESS_KEY_ID":
			c.Credentials.AccessKeyID = v.Value
		case "AWS_SECRET_ACCESS_KEY":
			c.Credentials.Secret = v.Value
		case "AWS_DEFAULT_REGION":
			c.Region = v.Value
		case "AWS_ENDPOINT_URL":
			c.URL = v.Value
		}
	}
	return c
}

// marshal does what SDKs do: it gives each change a token of its own, unless
// the input has one.
func marshal(op string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil || !slices.Contains([]string{"CreateSecret", "PutSecretValue", "RotateSecret", "UpdateSecret"}, op) {
		return body, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	if _, given := members["ClientRequestToken"]; !given {
		members["ClientRequestToken"] = json.RawMessage(strconv.Quote(uuid.NewString()))
	}
	return json.Marshal(members)
}

// Request is the signed request that calls an operation of Secrets Manager
// with in as its JSON input.
func (c *Client) Request(ctx context.Context, op string, in any) (*http.Request, error) {
	body, err := marshal(op, in)
	if err != nil {
		return nil, err
	}
	return c.request(ctx, "secretsmanager", "secretsmanager."+op, body)
}

func (c *Client) request(ctx context.Context, service, target string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	sigv4.Sign(r, c.Credentials, c.Region, service, sha256.Sum256(body), time.Now())
	return r, nil
}

// Organizations calls an operation of Organizations, with in as its JSON input.
func (c *Client) Organizations(ctx context.Context, op string, in any) (status int, body map[string]any, err error) {
	text, err := json.Marshal(in)
	if err != nil {
		return 0, nil, err
	}
	r, err := c.request(ctx, "organizations", "AWSOrganizationsV20161128."+op, text)
	if err != nil {
		return 0, nil, err
	}
	return c.send(r)
}

// Query calls an operation of IAM or STS, which speak the query protocol, with
// its parameters, each a name and a value. The body is the answer in JSON.
func (c *Client) Query(ctx context.Context, service, op string, parameters ...string) (status int, body map[string]any, err error) {
	versions := map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}
	form := url.Values{"Action": {op}, "Version": {versions[service]}}
	for i := 0; i+1 < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	text := []byte(form.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/", bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	sigv4.Sign(r, c.Credentials, c.Region, service, sha256.Sum256(text), time.Now())
	return c.send(r)
}

// Do calls an operation. The body is nil if the answer has none; the error is
// for calls that got no answer.
func (c *Client) Do(ctx context.Context, op string, in any) (status int, body map[string]any, err error) {
	r, err := c.Request(ctx, op, in)
	if err != nil {
		return 0, nil, err
	}
	return c.send(r)
}

func (c *Client) send(r *http.Request) (status int, body map[string]any, err error) {
	res, err := c.HTTP.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || len(raw) == 0 {
		return res.StatusCode, nil, err
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return 0, nil, fmt.Errorf("answer with status %d is not a JSON object", res.StatusCode)
	}
	return res.StatusCode, body, nil
}

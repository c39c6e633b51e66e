package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"azekura/internal/api"
	"azekura/internal/envelope"
)

// KindTransit is a key of the transit engine of HashiCorp Vault or OpenBao.
const KindTransit = "transit"

const (
	transitName  = `^[A-Za-z0-9][A-Za-z0-9._-]*$`
	transitMount = `^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`
)

func checkTransit(c Config) error {
	if !regexp.MustCompile(transitName).MatchString(c.Key) {
		return fmt.Errorf("seal-key %q: for transit it takes the name of a key", c.Key)
	}
	if c.Endpoint == "" {
		return errors.New("seal-endpoint: for transit it takes the address of Vault or OpenBao, such as https://vault.example.com:8200")
	}
	if !regexp.MustCompile(transitMount).MatchString(c.mount()) {
		return fmt.Errorf("seal-mount %q: it takes the path where the transit engine is mounted, such as transit", c.Mount)
	}
	if err := oneSecret("seal-token-file", c.TokenFile, "AZEKURA_SEAL_TOKEN", c.Token); err != nil {
		return err
	}
	return checkEndpoint(c.Endpoint)
}

func (c Config) mount() string {
	if c.Mount == "" {
		return "transit"
	}
	return c.Mount
}

// A transit speaks two paths of
// https://developer.hashicorp.com/vault/api-docs/secret/transit.
type transit struct {
	key, mount, endpoint string
	client               *http.Client
	token                func() (api.Sensitive, error)
}

func openTransit(_ context.Context, c Config) (envelope.Root, error) {
	client, err := newClient(c.CAFile)
	if err != nil {
		return nil, err
	}
	// The file is read for each call: an agent beside the server renews it.
	token := func() (api.Sensitive, error) { return secret(c.TokenFile, c.Token) }
	endpoint := strings.TrimSuffix(c.Endpoint, "/")
	t := &transit{c.Key, c.mount(), endpoint, client, token}
	return &remote{t, KindTransit + ":" + endpoint + "/" + t.mount + "/" + c.Key}, nil
}

type transitRequest struct {
	Plaintext      []byte `json:"plaintext,omitempty"`
	Ciphertext     string `json:"ciphertext,omitempty"`
	AssociatedData []byte `json:"associated_data"`
}

type transitAnswer struct {
	Data struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
}

func (t *transit) encrypt(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	out, err := t.call(ctx, "encrypt", transitRequest{Plaintext: plaintext, AssociatedData: aad})
	return []byte(out.Data.Ciphertext), err
}

func (t *transit) decrypt(ctx context.Context, ciphertext, aad []byte) ([]byte, error) {
	out, err := t.call(ctx, "decrypt", transitRequest{Ciphertext: string(ciphertext), AssociatedData: aad})
	return out.Data.Plaintext, err
}

func (t *transit) call(ctx context.Context, method string, in transitRequest) (out transitAnswer, err error) {
	path := t.endpoint + "/v1/" + t.mount + "/" + method + "/" + url.PathEscape(t.key)
	err = ask(ctx, t.client, path, in, &out, func(r *http.Request, _ []byte) error {
		token, err := t.token()
		if err != nil {
			return err
		}
		r.Header.Set("X-Vault-Token", string(token))
		r.Header.Set("X-Vault-Request", "true")
		return nil
	}, explainTransit)
	if err != nil {
		return transitAnswer{}, t.failed(method, err)
	}
	return out, nil
}

func explainTransit(no *refusal, text []byte) {
	var answer struct{ Errors []string }
	if json.Unmarshal(text, &answer) == nil {
		no.message = strings.Join(answer.Errors, "; ")
	}
}

func (t *transit) failed(method string, err error) error {
	hint := "see that this server reaches " + t.endpoint
	if no, ok := errors.AsType[*refusal](err); ok {
		switch {
		// Vault gives these no code: the words are those of its keysutil.
		case no.status == http.StatusBadRequest && (strings.Contains(no.message, "invalid ciphertext") ||
			strings.Contains(no.message, "message authentication failed")):
			return envelope.ErrOpen
		case no.status == http.StatusBadRequest && strings.Contains(no.message, "key not found"), no.status == http.StatusNotFound:
			hint = "see whether seal-key and seal-mount are right; nothing opens without that key"
		case no.status == http.StatusBadRequest && strings.Contains(no.message, "disallowed by policy"):
			hint = "lower the key's min_decryption_version until this server has wrapped its keys again (azekura seal rotate)"
		case no.status == http.StatusBadRequest && strings.Contains(no.message, "non-AEAD"):
			hint = "name a key of the type aes256-gcm96: others are not bound to what they encrypt for"
		case no.status == http.StatusForbidden:
			hint = "give this server a token, not expired, whose policy allows update on " + t.mount + "/encrypt/" + t.key + " and " + t.mount + "/decrypt/" + t.key
		case no.status == http.StatusServiceUnavailable:
			hint = "unseal it; then it is asked again"
		default:
			hint = "it is asked again"
		}
	}
	return unreachable("ask transit to "+method+" with the key "+t.mount+"/"+t.key, err, hint)
}

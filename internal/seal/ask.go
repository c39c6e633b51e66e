package seal

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// maxAnswer bounds what is read of a keeper's answer, which is a few KB.
const maxAnswer = 1 << 20

// checkEndpoint takes https, and http for loopback only: what crosses the
// network opens everything.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("seal-endpoint: it takes a URL such as https://kms.example.com, without a name, password or query")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("seal-endpoint %q: it takes https, or http for this machine itself", endpoint)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// newClient trusts the certificates of caFile, PEM, besides those the system
// does. It follows no redirects: where keys and credentials go, the settings
// alone say.
func newClient(caFile string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("seal-ca-file: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("seal-ca-file %s: it holds no certificate in PEM form", caFile)
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			IdleConnTimeout: 30 * time.Second, MaxIdleConns: 2,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       callTimeout,
	}, nil
}

// ask posts in as JSON and decodes the answer into out. authorize adds the
// credentials to the request, whose body is body. An answer that is not 200 is
// a *refusal, which explain reads from its text.
func ask(ctx context.Context, client *http.Client, url string, in, out any,
	authorize func(r *http.Request, body []byte) error, explain func(*refusal, []byte)) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	defer clear(body)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if err := authorize(r, body); err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	defer clear(text)
	if resp.StatusCode != http.StatusOK {
		no := &refusal{status: resp.StatusCode}
		explain(no, text)
		no.code, no.message = legible(no.code), legible(no.message)
		return no
	}
	// The text of this error would quote the answer, which may hold a key.
	if json.Unmarshal(text, out) != nil {
		return errors.New("it answers 200 with something else than was asked for; is that its address?")
	}
	return nil
}

// legible is a keeper's word cut to what an error can bear.
func legible(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "..."
	}
	return text
}

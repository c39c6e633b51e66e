package wire

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestSource(t *testing.T) {
	h := &Handler{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for name, test := range map[string]struct {
		peer, forwarded, proto string
		want                   string
	}{
		"no proxy":                           {"192.0.2.1:9", "", "", "192.0.2.1"},
		"a stranger's word":                  {"192.0.2.1:9", "198.51.100.1", "https", "192.0.2.1"},
		"a proxy":                            {"10.0.0.1:9", "192.0.2.1", "https", "192.0.2.1 secure"},
		"a proxy without TLS in front":       {"10.0.0.1:9", "192.0.2.1", "http", "192.0.2.1"},
		"a proxy that says nothing":          {"10.0.0.1:9", "", "", "10.0.0.1"},
		"two proxies":                        {"10.0.0.1:9", "192.0.2.1, 10.0.0.2", "", "192.0.2.1"},
		"what the client wrote":              {"10.0.0.1:9", "198.51.100.1, 192.0.2.1", "", "192.0.2.1"},
		"a trusted address the client wrote": {"10.0.0.1:9", "10.9.9.9, 192.0.2.1", "", "192.0.2.1"},
		"two headers":                        {"10.0.0.1:9", "198.51.100.1|192.0.2.1", "", "192.0.2.1"},
		"only proxies":                       {"10.0.0.1:9", "10.0.0.3, 10.0.0.2", "", "10.0.0.3"},
		"no address":                         {"10.0.0.1:9", "192.0.2.1, unknown", "", "10.0.0.1"},
		"nothing between commas":             {"10.0.0.1:9", ",", "", "10.0.0.1"},
		"a port":                             {"10.0.0.1:9", "192.0.2.1:1234", "", "192.0.2.1"},
		"IPv6":                               {"[fd00::1]:9", "2001:db8::1", "", "2001:db8::1"},
		"IPv6 with brackets":                 {"[fd00::1]:9", "[2001:db8::1]", "", "2001:db8::1"},
		"IPv6 with a port":                   {"[fd00::1]:9", "[2001:db8::1]:55", "", "2001:db8::1"},
		"IPv4 in IPv6":                       {"[::ffff:10.0.0.1]:9", "::ffff:192.0.2.1", "", "192.0.2.1"},
		"a zone":                             {"10.0.0.1:9", "fe80::1%eth0", "", "fe80::1"},
		"no peer":                            {"@", "192.0.2.1", "", "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{}}
		if test.forwarded != "" {
			r.Header["X-Forwarded-For"] = strings.Split(test.forwarded, "|")
		}
		if test.proto != "" {
			r.Header.Set("X-Forwarded-Proto", test.proto)
		}
		from, secure := h.source(r)
		got := from.String()
		if secure {
			got += " secure"
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestTLSIsSecure(t *testing.T) {
	h := &Handler{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	r := &http.Request{RemoteAddr: "192.0.2.1:9", TLS: &tls.ConnectionState{}, Header: http.Header{"X-Forwarded-Proto": {"http"}}}
	if _, secure := h.source(r); !secure {
		t.Error("a stranger's header hides its TLS")
	}
	r.RemoteAddr = "10.0.0.1:9"
	if _, secure := h.source(r); secure {
		t.Error("TLS from the proxy hides that the client had none")
	}
}

package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// address is what to listen on, unless that would put plain HTTP, and with it
// every secret, on a network.
func (c *Config) address() (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: it takes host:port: %w", c.Listen, err)
	}
	if !addr.IP.IsLoopback() && c.TLSCert == "" && !c.InsecureHTTP {
		return nil, fmt.Errorf("refuse to listen on %s without TLS, where secrets would cross the network in clear: "+
			"give --tls-cert and --tls-key, or --insecure-http if a proxy in front does TLS", c.Listen)
	}
	return addr, nil
}

func (c *Config) listen() (net.Listener, error) {
	addr, err := c.address()
	if err != nil {
		return nil, err
	}
	l, err := listenOn(addr, "listen")
	if err != nil {
		return nil, err
	}
	return &patientListener{Listener: l, log: c.Log}, nil
}

// A patientListener waits when file descriptors are used up, and says so once
// a minute. net/http would wait too, and say it each time, of which there may
// be many a second. Accept is for one goroutine.
type patientListener struct {
	net.Listener
	log  *slog.Logger
	said time.Time
}

func (l *patientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return c, err
		}
		if time.Since(l.said) >= time.Minute {
			l.said = time.Now()
			l.log.Error("file descriptors are used up, new connections wait: raise the limit (ulimit -n, LimitNOFILE), or have idle connections closed sooner (idle-timeout)", "error", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// listenOn opens an address that was given by a setting.
func listenOn(addr *net.TCPAddr, setting string) (net.Listener, error) {
	l, err := net.ListenTCP("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the address is in use; is another server running? choose another with --%s", addr, setting)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// endpoint is the URL of the server for clients on this machine.
func endpoint(cfg Config, bound *net.TCPAddr) string {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil || host == "" {
		host = "0.0.0.0"
	}
	switch ip := net.ParseIP(host); {
	case ip == nil: // a name, which a certificate may be for
	case ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(bound.Port))}
	if cfg.TLSCert != "" {
		u.Scheme = "https"
	}
	return u.String()
}

func checkEndpoint(raw string) error {
	u, err := url.Parse(raw)
	if err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") &&
		*u == (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return nil
	}
	return fmt.Errorf("endpoint-url %q: it takes a URL such as https://secrets.example.com", raw)
}

// A certificate can be replaced while connections use it.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// loadCertificate returns nil if there is none to load.
func loadCertificate(certFile, keyFile string) (*certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.reload()
}

func (c *certificate) reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load the TLS certificate %s: %w", c.certFile, err)
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

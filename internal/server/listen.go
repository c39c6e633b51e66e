package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
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
	return newPatientListener(l, c.Log)
}

// spareFiles are file descriptors that connections leave to the database, to
// backups and to whatever else is opened while the server runs.
const spareFiles = 64

// A patientListener has new connections wait when those that there are have
// used up the file descriptors, but for the spare ones, and says so once a
// minute. Without it whatever opens a file next would fail, and net/http would
// log each of its many tries to accept. Accept is for one goroutine.
type patientListener struct {
	net.Listener
	log   *slog.Logger
	slots chan struct{} // one for each connection that is open
	said  time.Time

	closing sync.Once
	closed  chan struct{}
}

func newPatientListener(l net.Listener, log *slog.Logger) (*patientListener, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("read the limit of open files: %w", err)
	}
	files := int(min(uint64(limit.Cur), 1<<24))
	return &patientListener{
		Listener: l, log: log,
		slots:  make(chan struct{}, files-min(spareFiles, files/2)),
		closed: make(chan struct{}),
	}, nil
}

func (l *patientListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		if err := l.wait(); err != nil {
			return nil, err
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotConn{Conn: c, slots: l.slots}, nil
}

func (l *patientListener) wait() error {
	if time.Since(l.said) >= time.Minute {
		l.said = time.Now()
		l.log.Error("connections have used up the file descriptors, new ones wait: raise the limit (ulimit -n, LimitNOFILE), or have idle ones closed sooner (idle-timeout)", "connections", cap(l.slots))
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-l.closed:
		return net.ErrClosed
	}
}

func (l *patientListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// A slotConn gives its slot back when it is closed.
type slotConn struct {
	net.Conn
	slots  chan struct{}
	closed atomic.Bool
}

func (c *slotConn) Close() error {
	err := c.Conn.Close()
	if !c.closed.Swap(true) {
		<-c.slots
	}
	return err
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

package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const tlsConnections = 16

// tls measures handshakes, and reads over connections that are kept.
func (b *bench) tls() (section, error) {
	s := section{title: "TLS 1.3"}
	s.text = fmt.Sprintf(`The certificate is for an ECDSA P-256 key. A handshake here is a TCP connection, the handshake, a GET of /healthz whose answer
proves that the server finished it (and brings the client its ticket), and the end of the connection; %d clients do that one
after the other. A resumed one must say that it was resumed, a full one that it was not, or the run fails. The clients verify the
certificate, on the generator's processor, and cannot keep the server busy: what it could do is a second of its processor, divided
by what one handshake takes of it.`, tlsConnections)
	secured, err := b.store(fewSecrets, 2)
	if err != nil {
		return s, err
	}
	plain, err := b.store(fewSecrets, 1)
	if err != nil {
		return s, err
	}
	cert, err := b.makeCertificate()
	if err != nil {
		return s, err
	}
	ours, err := b.serve(b.cpus.server, secured, "--tls-cert", cert.certFile, "--tls-key", cert.keyFile)
	if err != nil {
		return s, err
	}
	defer ours.kill()
	ours.tls = cert.client()
	reference, err := b.serve(b.cpus.server, plain)
	if err != nil {
		return s, err
	}
	defer reference.kill()
	if err := b.handshakes(&s, ours.target); err != nil {
		return s, err
	}
	b.say("GetSecretValue over TLS against plain ...")
	pick := spread(fewSecrets, fewSecrets)
	if err := errors.Join(ours.warm(b, pick(0)), reference.warm(b, pick(0))); err != nil {
		return s, err
	}
	over, without := ours.reads(tlsConnections, pick), reference.reads(tlsConnections, pick)
	over.sleepy, without.sleepy = true, true
	results, err := b.takeTurns(over, without)
	if err != nil {
		return s, err
	}
	t := s.table("", "TLS 1.3", "plain")
	perSecond, cpu, p50, p99 := figures()
	for _, f := range []figure{perSecond, cpu, p50, p99} {
		t.compare(fmt.Sprintf("GetSecretValue, %d connections kept open", tlsConnections), f, results[0], results[1], nil)
	}
	return s, errors.Join(ours.stop(), reference.stop())
}

// handshakes measures full and resumed ones by turns.
func (b *bench) handshakes(s *section, t target) error {
	var full, resumed series
	b.say("TLS handshakes, full and resumed ...")
	for round := range b.rounds + 1 {
		for _, kind := range []struct {
			resume bool
			to     *series
		}{{false, &full}, {true, &resumed}} {
			one, err := clocked(t, tlsConnections, b.duration, func(_ int, deadline time.Time) ([]time.Duration, error) {
				return t.shakeHands(deadline, kind.resume)
			})
			if err != nil {
				return err
			}
			if round > 0 {
				*kind.to = append(*kind.to, one)
			}
		}
	}
	perSecond, cpu, p50, p99 := figures()
	busy := figure{of: func(one sample) float64 { return 100 * one.busy }}
	s.goal(&goal{what: "TLS 1.3: clients that come again resume their session", target: "all", figure: "all", met: true}) // else there is no report
	rows := s.plain("handshake", "per second", "CPU of the server", "in a second of it", "p50", "p99", "server busy")
	for _, kind := range []struct {
		name string
		s    series
	}{{"full", full}, {"resumed", resumed}} {
		rows.row(kind.name, spreadOver(kind.s.all(perSecond)).String(), short(kind.s.median(cpu))+cpu.unit, short(1e6/kind.s.median(cpu)),
			short(kind.s.median(p50))+p50.unit, short(kind.s.median(p99))+p99.unit, fmt.Sprintf("%.0f %%", kind.s.median(busy)))
	}
	return nil
}

// shakeHands opens connections one after the other and returns how long each
// took. The first of a client that resumes has nothing to resume and does not
// count.
func (t target) shakeHands(deadline time.Time, resume bool) ([]time.Duration, error) {
	config := t.tls.Clone()
	if resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		if _, err := t.shakeHandsOnce(config); err != nil {
			return nil, err
		}
	}
	var took []time.Duration
	for time.Now().Before(deadline) {
		began := time.Now()
		resumed, err := t.shakeHandsOnce(config)
		if err != nil {
			return took, err
		}
		if resumed != resume {
			return took, fmt.Errorf("a handshake was resumed: %t, where %t was wanted", resumed, resume)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func (t target) shakeHandsOnce(config *tls.Config) (resumed bool, err error) {
	u, err := url.Parse(t.url)
	if err != nil {
		return false, err
	}
	conn, err := tls.Dial("tcp", u.Host, config)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", u.Host); err != nil {
		return false, err
	}
	_, err = readAnswer(bufio.NewReader(conn), nil)
	state := conn.ConnectionState()
	if err == nil && state.Version != tls.VersionTLS13 {
		err = fmt.Errorf("the connection speaks %s", tls.VersionName(state.Version))
	}
	return state.DidResume, err
}

// A testCertificate is one that signs itself, in files as the server reads it.
type testCertificate struct {
	certFile, keyFile string
	roots             *x509.CertPool
}

// client trusts the certificate and speaks HTTP/1.1, as the load generator
// does.
func (c *testCertificate) client() *tls.Config {
	return &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
}

func (b *bench) makeCertificate() (*testCertificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "azekura bench"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &testCertificate{certFile: filepath.Join(b.work, "cert.pem"), keyFile: filepath.Join(b.work, "key.pem"), roots: x509.NewCertPool()}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if !c.roots.AppendCertsFromPEM(certPEM) {
		return nil, errors.New("the certificate that was made cannot be read")
	}
	return c, errors.Join(os.WriteFile(c.certFile, certPEM, 0o600),
		os.WriteFile(c.keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

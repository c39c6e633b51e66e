package server

import (
	"crypto/x509"
	"fmt"
	"os"
)

// issuerRoots are the certificates that the system trusts, and those in a file;
// nil stands for the system's alone.
func issuerRoots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("oidc-ca-file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil { // a system without any
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("oidc-ca-file: %s holds no certificate, PEM", name)
	}
	return roots, nil
}

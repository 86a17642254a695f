package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// certificates are what servers are verified with: all of them, and those of --ca-file alone (nil: none), which stay
// where AWS_CA_BUNDLE takes the place of the system's.
type certificates struct{ all, extra *x509.CertPool }

// certificates reads the system's certificates and those of --ca-file.
func (c *call) certificates() (roots certificates) {
	var err error
	if roots.all, err = systemCertificates(os.Getenv("SSL_CERT_FILE"), os.Getenv("SSL_CERT_DIR")); err != nil {
		c.fault(fmt.Errorf("read the system's certificates: %w", err))
		return roots
	}
	path := c.optional(c.ca)
	if path == "" {
		return roots
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		c.fault(fmt.Errorf("read --ca-file %q: %w", path, errors.Unwrap(err)))
		return roots
	}
	roots.extra = x509.NewCertPool()
	if !roots.extra.AppendCertsFromPEM(pem) {
		c.fault(fmt.Errorf("read --ca-file %q: no certificate in PEM in it", path))
	}
	roots.all.AppendCertsFromPEM(pem)
	return roots
}

// systemCertificates returns the system's certificates as Go reads them, but where one of Go's own bundle files exists
// only that file is parsed: Go also parses the hundreds of files beside it, half of a step's time.
func systemCertificates(file, dir string) (*x509.CertPool, error) {
	if runtime.GOOS != "linux" || file != "" || dir != "" {
		return x509.SystemCertPool()
	}
	for _, bundle := range []string{ // crypto/x509/root_linux.go, in its order
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	} {
		pool := x509.NewCertPool()
		if pem, err := os.ReadFile(bundle); err == nil && pool.AppendCertsFromPEM(pem) {
			return pool, nil
		}
	}
	return x509.SystemCertPool()
}

// Package trust judges the TLS certificates of servers: by those of --ca-file and by the system's.
//
// Reading the system's certificates took half of a step's whole time: Go parses every file in /etc/ssl/certs to judge
// one chain. Here only those are parsed that may have issued it. What is accepted is exactly what crypto/tls accepts with
// Pool as RootCAs, and trust_test.go holds the two side by side.
package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
)

// Roots are the certificates to trust. The system's are read when a chain asks for them.
type Roots struct {
	extraPEM []byte
	extra    *x509.CertPool
	bundles  []string
	system   func() (*x509.CertPool, error)
	standard *tls.Config // not nil: crypto/tls itself judges
}

// New trusts the certificates of extraPEM (nil: none) and the system's. bundles are the files in which crypto/x509 looks
// for the system's; of these the first that can be read counts.
func New(extraPEM []byte, bundles []string) (*Roots, error) {
	r := &Roots{extraPEM: extraPEM, extra: x509.NewCertPool(), bundles: bundles, system: sync.OnceValues(x509.SystemCertPool)}
	if extraPEM != nil && !r.extra.AppendCertsFromPEM(extraPEM) {
		return r, errors.New("no certificate in PEM in it")
	}
	return r, nil
}

// SystemBundles are the files that crypto/x509 knows on Linux, in its order (root_linux.go). Other systems have their
// own way to trust.
func SystemBundles() []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	}
}

// ConfigFor gives the configuration of a client that calls host alone. A host that is an IP address is judged by
// crypto/tls itself, since a connection does not tell us its address (RFC 6066 has only names).
func (r *Roots) ConfigFor(host string) (*tls.Config, error) {
	if net.ParseIP(host) == nil {
		return r.ConfigForNames(), nil
	}
	pool, err := r.Pool()
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, err
}

// LeaveToStandard makes crypto/tls judge every host itself: for a proxy that is called by its address over TLS.
func (r *Roots) LeaveToStandard() error {
	pool, err := r.Pool()
	r.standard = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return err
}

// ConfigForNames gives the configuration of a client that calls hosts by their names. It refuses a host that is an IP
// address.
func (r *Roots) ConfigForNames() *tls.Config {
	if r.standard != nil {
		return r.standard
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // #nosec G402 -- not skipped: VerifyConnection does all that crypto/tls would do
		VerifyConnection:   r.verify,
	}
}

// Pool gives all certificates that are trusted, for crypto/tls itself; nil means the system's alone.
func (r *Roots) Pool() (*x509.CertPool, error) {
	if r.extraPEM == nil {
		return nil, nil
	}
	system, err := r.system()
	if err != nil {
		return nil, err
	}
	pool := system.Clone()
	pool.AppendCertsFromPEM(r.extraPEM)
	return pool, nil
}

// Extra gives the certificates that are trusted beside the system's, for one who has others in the place of those; nil where
// there are none.
func (r *Roots) Extra() *x509.CertPool {
	if r.extraPEM == nil {
		return nil
	}
	return r.extra.Clone()
}

// verify does what crypto/tls does to a server's certificate (verifyServerCertificate), with one pool after another.
func (r *Roots) verify(conn tls.ConnectionState) error {
	if conn.ServerName == "" {
		return &tls.CertificateVerificationError{Err: errors.New("the server is called by its address, and a certificate is checked against a name")}
	}
	chain := conn.PeerCertificates
	options := x509.VerifyOptions{DNSName: conn.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	try := func(pool *x509.CertPool) error {
		options.Roots = pool
		_, err := chain[0].Verify(options)
		return err
	}
	if try(r.extra) == nil || r.issued(chain, try) {
		return nil
	}
	all, err := r.system()
	if err == nil {
		err = try(all)
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// issued tries, one by one, those certificates of the system's bundle that may have issued one of chain: an issuer's name
// stands in its certificate as it stands in those that it issued. What follows the right one is not even decoded.
func (r *Roots) issued(chain []*x509.Certificate, try func(*x509.CertPool) error) bool {
	for block, rest := pem.Decode(r.bundle()); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" || len(block.Headers) > 0 || !slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return bytes.Contains(block.Bytes, c.RawIssuer) }) {
			continue
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		pool := x509.NewCertPool()
		if pool.AddCert(root); try(pool) == nil {
			return true
		}
	}
	return false
}

func (r *Roots) bundle() []byte {
	for _, path := range r.bundles {
		if text, err := os.ReadFile(path); err == nil {
			return text
		}
	}
	return nil
}

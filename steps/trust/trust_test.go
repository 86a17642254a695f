package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const name = "registry.example.com"

// authority is a certificate with its key, which may issue others.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; change edits what is otherwise a good one for name.
func (a *authority) issue(t *testing.T, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: serial.String()}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	change(c)
	parent, signer := c, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	must(t, err)
	c, err = x509.ParseCertificate(der)
	must(t, err)
	return &authority{c, key}
}

func isCA(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.DNSNames = true, x509.KeyUsageCertSign, nil, nil
}

func good(*x509.Certificate) {}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func asPEM(certs ...*authority) (text []byte) {
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
	}
	return text
}

// handshake connects to a server that shows chain, and gives the client's error.
func handshake(t *testing.T, config *tls.Config, host string, maxVersion uint16, chain ...*authority) error {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	shown := tls.Certificate{PrivateKey: chain[0].key}
	for _, c := range chain {
		shown.Certificate = append(shown.Certificate, c.cert.Raw)
	}
	go func() {
		server, err := listener.Accept()
		if err != nil {
			return
		}
		defer server.Close()
		_ = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{shown}, MinVersion: tls.VersionTLS10, MaxVersion: maxVersion}).Handshake()
	}()
	client, err := net.Dial("tcp", listener.Addr().String())
	must(t, err)
	defer client.Close()
	config = config.Clone()
	config.ServerName = host
	return tls.Client(client, config).HandshakeContext(t.Context())
}

// What ConfigForNames and ConfigFor accept is what crypto/tls accepts with all certificates as its RootCAs.
func TestAcceptsWhatCryptoTLSAccepts(t *testing.T) {
	t.Parallel()
	var (
		none   *authority
		extra  = none.issue(t, isCA) // in --ca-file
		listed = none.issue(t, isCA) // in the system's bundle
		filed  = none.issue(t, isCA) // in the system's folder alone
		other  = none.issue(t, isCA) // nowhere
		middle = listed.issue(t, isCA)
		twin   = none.issue(t, func(c *x509.Certificate) { isCA(c); c.Subject = listed.cert.Subject }) // a name that is known, a key that is not
		self   = none.issue(t, good)
		// In the bundle, in ways that crypto/x509 passes over.
		labelled = none.issue(t, isCA)
		headed   = none.issue(t, isCA)
	)
	odd := pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: labelled.cert.Raw})
	odd = append(odd, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"Proc-Type": "4"}, Bytes: headed.cert.Raw})...)
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	must(t, os.WriteFile(bundle, append(append(asPEM(listed, self), odd...), "rubbish"...), 0o600))
	all := x509.NewCertPool()
	for _, c := range []*authority{listed, self, filed} {
		all.AddCert(c.cert)
	}
	roots, err := New(asPEM(extra), []string{filepath.Join(t.TempDir(), "missing.pem"), bundle})
	must(t, err)
	roots.system = func() (*x509.CertPool, error) { return all, nil }
	pool, err := roots.Pool()
	must(t, err)
	standard := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}

	for _, c := range []struct {
		what  string
		host  string
		good  bool
		chain []*authority
	}{
		{"of --ca-file", name, true, []*authority{extra.issue(t, good)}},
		{"of the bundle", name, true, []*authority{listed.issue(t, good)}},
		{"of the folder", name, true, []*authority{filed.issue(t, good)}},
		{"of nobody known", name, false, []*authority{other.issue(t, good)}},
		{"of one under another label", name, false, []*authority{labelled.issue(t, good)}},
		{"of one with headers", name, false, []*authority{headed.issue(t, good)}},
		{"of a twin of one known", name, false, []*authority{twin.issue(t, good)}},
		{"with an intermediate", name, true, []*authority{middle.issue(t, good), middle}},
		{"with an intermediate and the root", name, true, []*authority{middle.issue(t, good), middle, listed}},
		{"without its intermediate", name, false, []*authority{middle.issue(t, good)}},
		{"self-signed, in the bundle", name, true, []*authority{self}},
		{"self-signed, unknown", name, false, []*authority{none.issue(t, good)}},
		{"for another name", "other.example.com", false, []*authority{listed.issue(t, good)}},
		{"for a wildcard", "a.example.com", true, []*authority{listed.issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} })}},
		{"for a wildcard, too deep", "a.b.example.com", false, []*authority{listed.issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} })}},
		{"expired", name, false, []*authority{listed.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })}},
		{"not valid yet", name, false, []*authority{listed.issue(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })}},
		{"for clients", name, false, []*authority{listed.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })}},
		{"of one that may not issue", name, false, []*authority{listed.issue(t, good).issue(t, good), listed.issue(t, good)}},
		{"for an address", "127.0.0.1", true, []*authority{listed.issue(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })}},
		{"for another address", "127.0.0.2", false, []*authority{listed.issue(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })}},
		{"for a name, asked by address", "127.0.0.1", false, []*authority{listed.issue(t, good)}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			ours, err := roots.ConfigFor(c.host)
			must(t, err)
			err, want := handshake(t, ours, c.host, version, c.chain...), handshake(t, standard, c.host, version, c.chain...)
			if (want == nil) != c.good || (err == nil) != c.good {
				t.Errorf("a certificate %s (TLS %x): ours says %v, crypto/tls %v, want good=%v", c.what, version, err, want, c.good)
			}
		}
	}
}

// Whoever is issued by one of the bundle is judged by that alone: by each of those that have the issuer's name.
func TestSystemIsNotReadForTheBundle(t *testing.T) {
	t.Parallel()
	var none *authority
	first := none.issue(t, isCA)
	renewed := none.issue(t, func(c *x509.Certificate) { isCA(c); c.Subject = first.cert.Subject })
	bundle := filepath.Join(t.TempDir(), "bundle.pem")
	must(t, os.WriteFile(bundle, asPEM(none.issue(t, isCA), first, renewed, none.issue(t, isCA)), 0o600))
	roots, err := New(nil, []string{bundle})
	must(t, err)
	roots.system = func() (*x509.CertPool, error) { return nil, errors.New("the system's certificates were read") }
	middle := renewed.issue(t, isCA)
	for _, chain := range [][]*authority{{first.issue(t, good)}, {renewed.issue(t, good)}, {middle.issue(t, good), middle}} {
		if err := handshake(t, roots.ConfigForNames(), name, tls.VersionTLS13, chain...); err != nil {
			t.Error(err)
		}
	}
}

// Without a name nothing can be checked, so nothing is accepted.
func TestConfigForNamesRefusesAddresses(t *testing.T) {
	t.Parallel()
	var none *authority
	ca := none.issue(t, isCA)
	roots, err := New(asPEM(ca), nil)
	must(t, err)
	leaf := ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if handshake(t, roots.ConfigForNames(), "127.0.0.1", version, leaf) == nil {
			t.Errorf("an address passes (TLS %x)", version)
		}
	}
}

func TestTLS11IsRefused(t *testing.T) {
	t.Parallel()
	var none *authority
	ca := none.issue(t, isCA)
	roots, err := New(asPEM(ca), nil)
	must(t, err)
	if handshake(t, roots.ConfigForNames(), name, tls.VersionTLS11, ca.issue(t, good)) == nil {
		t.Error("TLS 1.1 passes")
	}
}

func TestNewWantsACertificate(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := New([]byte(text), nil); err == nil {
			t.Errorf("%q passes", text)
		}
	}
}

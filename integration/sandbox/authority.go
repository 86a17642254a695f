package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"time"
)

// Authority signs certificates with one key, which is theirs, too. Their times are of the machine's clock, not of the
// sandbox's: so are those of the clients that verify.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	leaves      sync.Map // name → *tls.Certificate
}

// NewAuthority makes an authority that nobody trusts yet.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateTemplate(rand.Text(), time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour))
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &Authority{certificate: certificate, key: key}, err
}

// PEM returns the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// KeyPEM returns the authority's private key.
func (a *Authority) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

// Issue returns a server's certificate for names.
func (a *Authority) Issue(begins, ends time.Time, names ...string) (*tls.Certificate, error) {
	template := certificateTemplate(names[0], begins, ends)
	template.DNSNames = names
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, a.key.Public(), a.key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, err
}

// leaf issues a good certificate once for each name.
func (a *Authority) leaf(name string) (*tls.Certificate, error) {
	if leaf, found := a.leaves.Load(name); found {
		return leaf.(*tls.Certificate), nil
	}
	issued, err := a.Issue(time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour), name)
	if err != nil {
		return nil, err
	}
	leaf, _ := a.leaves.LoadOrStore(name, issued)
	return leaf.(*tls.Certificate), nil
}

func certificateTemplate(name string, begins, ends time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: begins, NotAfter: ends,
	}
}

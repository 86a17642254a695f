package faults

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"
)

// certificates: nobody's word is taken for a host's name. Nothing is answered behind a bad certificate, so that whoever
// goes on gets another error.
func certificates(peer string) (all []row) {
	for _, bad := range []struct {
		fault, says  string
		known        bool
		name         string
		begins, ends time.Duration
	}{
		{"certificate of an unknown authority", "signed by unknown authority", false, "", -time.Hour, time.Hour},
		{"certificate of another name", "certificate is valid for other.example.com", true, "other.example.com", -time.Hour, time.Hour},
		{"expired certificate", "certificate has expired or is not yet valid", true, "", -2 * time.Hour, -time.Hour},
		{"certificate of the future", "certificate has expired or is not yet valid", true, "", time.Hour, 2 * time.Hour},
	} {
		all = append(all, row{peer: peer, fault: bad.fault, exit: 2, says: bad.says, inject: func(s *setting) {
			ca := s.newAuthority()
			names := []string{"localhost", "api.ecr.us-east-1.amazonaws.com", s.RegistryHost()}
			if bad.name != "" {
				names = []string{bad.name}
			}
			s.overTLS(peer, ca.listen(names, bad.begins, bad.ends))
			if !bad.known {
				ca = s.newAuthority()
			}
			s.trust(ca)
		}})
	}
	if peer == "airflow" {
		all = append(all, row{peer: peer, fault: "https where http is spoken", exit: 2, says: named(peer), inject: func(s *setting) { s.setenv("ECR_REFRESH_AIRFLOW_SCHEMA", "https") }})
	}
	return all
}

// overTLS leads the program to a peer that speaks TLS on localhost.
func (s *setting) overTLS(peer, port string) {
	s.leadTo(peer, "localhost:"+port)
	s.setenv("ECR_REFRESH_AIRFLOW_SCHEMA", "https")
	s.setenv("DOCKER_TLS_VERIFY", "1")
}

// trust adds an authority to those that the program trusts.
func (s *setting) trust(ca authority) {
	known, err := os.ReadFile(s.Proxy.CAFile())
	must(s.t, err)
	dir := s.path("certificates")
	must(s.t, os.MkdirAll(dir, 0o700))
	own := block("CERTIFICATE", ca.der)
	must(s.t, os.WriteFile(s.path("ca.pem"), append(known, own...), 0o600))
	s.setenv("ECR_REFRESH_CA_FILE", s.path("ca.pem"))
	key, err := x509.MarshalECPrivateKey(ca.key)
	must(s.t, err)
	for name, text := range map[string][]byte{"ca.pem": own, "cert.pem": own, "key.pem": block("EC PRIVATE KEY", key)} {
		must(s.t, os.WriteFile(dir+"/"+name, text, 0o600))
	}
	s.setenv("DOCKER_CERT_PATH", dir)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// authority signs certificates.
type authority struct {
	s    *setting
	key  *ecdsa.PrivateKey
	der  []byte
	self *x509.Certificate
}

func (s *setting) newAuthority() authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(s.t, err)
	self := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, self, self, key.Public(), key)
	must(s.t, err)
	return authority{s, key, der, self}
}

// listen serves TLS with a certificate for names, directly and behind CONNECT, and gives the port.
func (ca authority) listen(names []string, begins, ends time.Duration) (port string) {
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(begins), NotAfter: time.Now().Add(ends)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca.self, ca.key.Public(), ca.key)
	must(ca.s.t, err)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: ca.key}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(ca.s.t, err)
	ca.s.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go shake(conn, config)
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

// shake makes the handshake, behind CONNECT where that comes first, and hangs up.
func shake(conn net.Conn, config *tls.Config) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	if first, err := reader.Peek(1); err == nil && first[0] == 'C' {
		if _, err := http.ReadRequest(reader); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	}
	_ = tls.Server(peeked{conn, reader}, config).Handshake()
}

// peeked reads what was looked at first.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.reader.Read(b) }

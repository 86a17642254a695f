package faults

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"ecr-refresh/integration/sandbox"
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
		all = append(all, row{peer: peer, fault: bad.fault, exit: 2, says: named(peer), because: bad.says, advises: "certificate", inject: func(s *setting) {
			ca := s.newAuthority()
			names := []string{"localhost", "api.ecr.us-east-1.amazonaws.com", s.RegistryHost()}
			if bad.name != "" {
				names = []string{bad.name}
			}
			certificate, err := ca.Issue(time.Now().Add(bad.begins), time.Now().Add(bad.ends), names...)
			must(s.t, err)
			s.overTLS(peer, s.listenTLS(certificate))
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
func (s *setting) trust(ca *sandbox.Authority) {
	known, err := os.ReadFile(s.Proxy.CAFile())
	must(s.t, err)
	dir := s.path("certificates")
	must(s.t, os.MkdirAll(dir, 0o700))
	must(s.t, os.WriteFile(s.path("ca.pem"), append(known, ca.PEM()...), 0o600))
	s.setenv("ECR_REFRESH_CA_FILE", s.path("ca.pem"))
	key, err := ca.KeyPEM()
	must(s.t, err)
	for name, text := range map[string][]byte{"ca.pem": ca.PEM(), "cert.pem": ca.PEM(), "key.pem": key} {
		must(s.t, os.WriteFile(dir+"/"+name, text, 0o600))
	}
	s.setenv("DOCKER_CERT_PATH", dir)
}

func (s *setting) newAuthority() *sandbox.Authority {
	ca, err := sandbox.NewAuthority()
	must(s.t, err)
	return ca
}

// listenTLS serves TLS with a certificate, directly and behind CONNECT, and gives the port.
func (s *setting) listenTLS(certificate *tls.Certificate) (port string) {
	config := &tls.Config{Certificates: []tls.Certificate{*certificate}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.t.Cleanup(func() { listener.Close() })
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
	_ = tls.Server(&sandbox.BufferedConn{Conn: conn, Reader: reader}, config).Handshake()
}

package faults

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"ecr-refresh/integration/sandbox"
)

// certificates: nobody's word is taken for a host's name. Nothing is answered behind a bad certificate, so that whoever
// goes on gets another error.
func certificates(peer string) (all []row) {
	for _, bad := range []struct {
		fault, error string
		known        bool
		name         string
		begins, ends time.Duration
	}{
		{"certificate of an unknown authority", "signed by unknown authority", false, "", -time.Hour, time.Hour},
		{"certificate of another name", "certificate is valid for other.example.com", true, "other.example.com",
			-time.Hour, time.Hour},
		{"expired certificate", "certificate has expired or is not yet valid", true, "",
			-2 * time.Hour, -time.Hour},
		{"certificate of the future", "certificate has expired or is not yet valid", true, "",
			time.Hour, 2 * time.Hour},
	} {
		all = append(all, row{peer: peer, fault: bad.fault, exit: 2, error: named(peer), because: bad.error,
			advises: "certificate", inject: func(s *setting) {
				ca := s.newAuthority()
				names := s.namesOfPeers()
				if bad.name != "" {
					names = []string{bad.name}
				}
				s.overTLS(peer, s.listenTLS(s.issue(ca, bad.begins, bad.ends, names...), func(*tls.Config) {}))
				if !bad.known {
					ca = s.newAuthority()
				}
				s.trust(ca)
			}})
	}
	all = append(all, handshakes(peer)...)
	if peer == "engine" {
		all = append(all, goodCertificate())
	}
	if peer == "airflow" {
		all = append(all, row{peer: peer, fault: "https where http is spoken", exit: 2, error: named(peer),
			inject: func(s *setting) { s.setenv("ECR_REFRESH_AIRFLOW_SCHEMA", "https") }})
	}
	return all
}

// goodCertificate: an Engine that is reached over TLS, and trusted.
func goodCertificate() row {
	return row{peer: "engine", fault: "a good certificate", inject: func(s *setting) {
		ca := s.newAuthority()
		server := httptest.NewUnstartedServer(s.Engine)
		server.TLS = &tls.Config{Certificates: []tls.Certificate{*s.issue(ca, -time.Hour, time.Hour, "localhost")}}
		server.StartTLS()
		s.t.Cleanup(server.Close)
		_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
		s.overTLS("engine", port)
		s.trust(ca)
	}}
}

// handshakes are peers that speak no TLS that the program does.
func handshakes(peer string) (all []row) {
	for fault, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS10,
				tls.VersionTLS11
		},
		"asks for a client certificate": func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert,
				x509.NewCertPool()
		},
	} {
		all = append(all, row{peer: peer, fault: fault, exit: 2, error: named(peer), because: "agree on TLS",
			advises: "TLS 1.2 or newer", inject: func(s *setting) {
				ca := s.newAuthority()
				s.overTLS(peer, s.listenTLS(s.issue(ca, -time.Hour, time.Hour, s.namesOfPeers()...), change))
				s.trust(ca)
			}})
	}
	return all
}

func (s *setting) namesOfPeers() []string {
	return []string{"localhost", "api.ecr.us-east-1.amazonaws.com", s.RegistryHost()}
}

func (s *setting) issue(ca *sandbox.Authority, begins, ends time.Duration, names ...string) *tls.Certificate {
	certificate, err := ca.Issue(time.Now().Add(begins), time.Now().Add(ends), names...)
	must(s.t, err)
	return certificate
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

// listenTLS serves TLS with a certificate, directly and behind CONNECT, and returns the port.
func (s *setting) listenTLS(certificate *tls.Certificate, change func(*tls.Config)) (port string) {
	config := &tls.Config{Certificates: []tls.Certificate{*certificate}}
	change(config)
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
	// What the client has sent already would turn the end into a reset, which may overtake the alert.
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, reader)
}

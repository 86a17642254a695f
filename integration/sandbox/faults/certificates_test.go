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
	"slices"
	"time"

	"ecr-refresh/integration/sandbox"
)

// tlsFault is how a peer speaks TLS. The zero value is good.
type tlsFault struct {
	unknown bool          // the authority
	name    string        // "" is the peer's
	shift   time.Duration // of the certificate's times, which are an hour about now
	config  *tls.Config
}

// certificates: nobody's word is taken for a host's name. Nothing is answered behind a bad certificate, so that whoever
// goes on gets another error.
func certificates(peer string) []row {
	bad := func(fault, because, advises string, f tlsFault) row {
		return row{fault: fault, exit: 2, because: because, advises: advises, inject: func(s *setting) {
			s.overTLS(peer, s.listenTLS(s.speaking(f)))
		}}
	}
	const expired, version = "certificate has expired or is not yet valid", "TLS 1.2 or newer"
	all := []row{
		bad("certificate of an unknown authority", "signed by unknown authority", "certificate",
			tlsFault{unknown: true}),
		bad("certificate of another name", "certificate is valid for other.example.com", "certificate",
			tlsFault{name: "other.example.com"}),
		bad("expired certificate", expired, "certificate", tlsFault{shift: -2 * time.Hour}),
		bad("certificate of the future", expired, "certificate", tlsFault{shift: 2 * time.Hour}),
		bad("TLS 1.1", "agree on TLS", version,
			tlsFault{config: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}),
		bad("asks for a client certificate", "agree on TLS", version,
			tlsFault{config: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}}),
	}
	switch peer {
	case "airflow":
		all = append(all, row{fault: "https where http is spoken", exit: 2, inject: func(s *setting) {
			s.setenv("ECR_REFRESH_AIRFLOW_SCHEMA", "https")
		}})
	case "engine":
		all = append(all, row{fault: "a good certificate", inject: func(s *setting) {
			server := httptest.NewUnstartedServer(s.Engine)
			server.TLS = s.speaking(tlsFault{})
			server.StartTLS()
			s.t.Cleanup(server.Close)
			s.overTLS(peer, server.Listener.Addr())
		}})
	}
	return all
}

// speaking returns a peer's side of TLS, and makes the program trust the authority, if it is to be known.
func (s *setting) speaking(f tlsFault) *tls.Config {
	ca, err := sandbox.NewAuthority()
	must(s.t, err)
	names := []string{"localhost", "api.ecr.us-east-1.amazonaws.com", s.RegistryHost()}
	if f.name != "" {
		names = []string{f.name}
	}
	middle := time.Now().Add(f.shift)
	certificate, err := ca.Issue(middle.Add(-time.Hour), middle.Add(time.Hour), names...)
	must(s.t, err)
	if f.unknown {
		ca, err = sandbox.NewAuthority()
		must(s.t, err)
	}
	s.trust(ca)
	config := f.config.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	config.Certificates = []tls.Certificate{*certificate}
	return config
}

// trust adds an authority to those that the program trusts.
func (s *setting) trust(ca *sandbox.Authority) {
	known, err := os.ReadFile(s.Proxy.CAFile())
	must(s.t, err)
	key, err := ca.KeyPEM()
	must(s.t, err)
	dir := s.path("certificates")
	must(s.t, os.Mkdir(dir, 0o700))
	for name, text := range map[string][]byte{"all.pem": slices.Concat(known, ca.PEM()), "ca.pem": ca.PEM(),
		"cert.pem": ca.PEM(), "key.pem": key} {
		must(s.t, os.WriteFile(dir+"/"+name, text, 0o600))
	}
	s.setenv("ECR_REFRESH_CA_FILE", dir+"/all.pem")
	s.setenv("DOCKER_CERT_PATH", dir)
}

// overTLS leads the program to a peer that speaks TLS on localhost.
func (s *setting) overTLS(peer string, address net.Addr) {
	_, port, _ := net.SplitHostPort(address.String())
	s.leadTo(peer, "localhost:"+port)
	s.setenv("ECR_REFRESH_AIRFLOW_SCHEMA", "https")
	s.setenv("DOCKER_TLS_VERIFY", "1")
}

// listenTLS makes handshakes, directly and behind CONNECT.
func (s *setting) listenTLS(config *tls.Config) net.Addr {
	return s.listen(func(conn net.Conn) { shake(conn, config) })
}

// listen serves connections until the row ends, and closes each behind serve.
func (s *setting) listen(serve func(net.Conn)) net.Addr {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr()
}

// behindConnect answers CONNECT where that comes first, and returns the connection behind it. It is nil if the client
// hung up.
func behindConnect(conn net.Conn) (inner *sandbox.BufferedConn, tunnel bool) {
	inner = &sandbox.BufferedConn{Conn: conn, Reader: bufio.NewReader(conn)}
	if first, err := inner.Reader.Peek(1); err != nil || first[0] != 'C' {
		return inner, false
	}
	if _, err := http.ReadRequest(inner.Reader); err != nil {
		return nil, true
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	return inner, true
}

// shake makes the handshake, behind CONNECT where that comes first.
func shake(conn net.Conn, config *tls.Config) {
	inner, _ := behindConnect(conn)
	if inner == nil {
		return
	}
	_ = tls.Server(inner, config).Handshake()
	// What the client has sent already would turn the end into a reset, which may overtake the alert.
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, inner.Reader)
}

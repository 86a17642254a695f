package sandbox

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// Proxy is an HTTPS proxy that answers for ECR and its registries itself, over TLS and with their names, and rejects
// every other host.
type Proxy struct {
	Faults
	ecr      *ECR
	sts      *STS
	registry *Registry
	ca       *Authority
	caFile   string
	url      *url.URL
	inner    *http.Server // speaks TLS, HTTP/1.1 and HTTP/2 inside the tunnels
	tunnels  *tunnels
	stops    []func() error

	state   sync.Mutex
	refused []string
}

func newProxy(caFile string, ecr *ECR, sts *STS, registry *Registry) (*Proxy, error) {
	ca, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(caFile, ca.PEM(), 0o644); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		ecr: ecr, sts: sts, registry: registry, ca: ca, caFile: caFile, tunnels: newTunnels(listener.Addr()),
		url: &url.URL{Scheme: "http", Host: listener.Addr().String()},
	}
	p.stops = []func() error{serve(listener, p), p.serveTunnels()}
	return p, nil
}

// URL returns the proxy's address, as HTTPS_PROXY wants it.
func (p *Proxy) URL() *url.URL { return p.url }

// CAFile returns the file with the certificate of the proxy's authority, as PEM.
func (p *Proxy) CAFile() string { return p.caFile }

// Refused returns the hosts that were asked for and rejected.
func (p *Proxy) Refused() []string {
	return locked(&p.state, func() []string { return slices.Clone(p.refused) })
}

func (p *Proxy) close() (err error) {
	for _, stop := range p.stops {
		if e := stop(); err == nil {
			err = e
		}
	}
	return err
}

func (p *Proxy) clientTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(p.ca.certificate)
	return &tls.Config{RootCAs: pool}
}

// ServeHTTP takes CONNECT for the hosts it answers for, and rejects everything else.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.answer(w, r, p.connect) }

func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	peer := p.peer(r.Host)
	if _, port, _ := net.SplitHostPort(r.Host); r.Method != http.MethodConnect || port != "443" || peer == nil {
		change(&p.state, func() { p.refused = append(p.refused, r.Host) })
		http.Error(w, fmt.Sprintf("ecr-sandbox: %s %s refused: nothing leaves the sandbox", r.Method, r.Host),
			http.StatusForbidden)
		return
	}
	if peer.isDown() {
		http.Error(w, "ecr-sandbox: "+hostname(r.Host)+" is down", http.StatusBadGateway)
		return
	}
	p.tunnel(w)
}

// tunnel hands the connection over to the inner server.
func (p *Proxy) tunnel(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	p.tunnels.push(&BufferedConn{conn, buffered.Reader})
}

// serveTunnels starts the inner server.
func (p *Proxy) serveTunnels() func() error {
	p.inner = &http.Server{
		Handler:           http.HandlerFunc(p.dispatch),
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{GetCertificate: p.certificate},
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = p.inner.ServeTLS(p.tunnels, "", "") }()
	return func() error {
		err := p.inner.Close()
		<-done
		return err
	}
}

func (p *Proxy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p.peer(hello.ServerName) == nil {
		return nil, fmt.Errorf("no certificate for %q", hello.ServerName)
	}
	return p.ca.leaf(hello.ServerName)
}

func (p *Proxy) dispatch(w http.ResponseWriter, r *http.Request) {
	peer := p.peer(r.Host)
	if peer == nil || hostname(r.Host) != r.TLS.ServerName {
		http.Error(w, "misdirected request", http.StatusMisdirectedRequest)
		return
	}
	peer.ServeHTTP(w, r)
}

// peer is a stand-in that the proxy answers for.
type peer interface {
	http.Handler
	isDown() bool
}

func (p *Proxy) peer(host string) peer {
	if region, _ := ecrHost(host); region != "" || publicHost(host) != "" {
		return p.ecr
	}
	if registryRegion(host) != "" {
		return p.registry
	}
	if stsRegion(host) != "" {
		return p.sts
	}
	return nil
}

// hostname cuts the port off.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// tunnels is a listener of the connections pushed into it.
type tunnels struct {
	address net.Addr
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newTunnels(address net.Addr) *tunnels {
	return &tunnels{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (t *tunnels) push(conn net.Conn) {
	select {
	case t.conns <- conn:
	case <-t.closed:
		_ = conn.Close()
	}
}

// Accept waits for the next tunnel.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case conn := <-t.conns:
		return conn, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (t *tunnels) Close() error { t.once.Do(func() { close(t.closed) }); return nil }

// Addr returns the proxy's address.
func (t *tunnels) Addr() net.Addr { return t.address }

// BufferedConn is a connection of which something was read already, such as a CONNECT request with what came behind it.
type BufferedConn struct {
	net.Conn
	Reader *bufio.Reader // of Conn
}

// Read reads from the buffer and then from the connection.
func (c *BufferedConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

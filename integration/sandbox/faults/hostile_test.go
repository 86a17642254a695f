package faults

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// TestOneNameOnEachConnection has one server with one certificate for all names, which speaks HTTP/2: a client that
// shared its connections (RFC 9113, 9.1.1) would send the login of one registry to another one.
func TestOneNameOnEachConnection(t *testing.T) {
	t.Parallel()
	s := newSetting(t, 0)
	hosts := []string{s.RegistryHost(), strings.Replace(s.RegistryHost(), "123456789012", "210987654321", 1)}
	ca := s.newAuthority()
	server := httptest.NewUnstartedServer(nil)
	server.TLS, server.EnableHTTP2 = certificateOf(s, ca, append(hosts, "api.ecr.us-east-1.amazonaws.com")...), true
	var mu sync.Mutex
	asked := map[string]int{}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Host]++
		mu.Unlock()
		if r.TLS.ServerName != r.Host {
			t.Errorf("a request to %s came on a connection to %s", r.Host, r.TLS.ServerName)
		}
		if slices.Contains(hosts, r.Host) {
			s.Registry.ServeHTTP(w, r)
		} else {
			s.ECR.ServeHTTP(w, r)
		}
	})
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.leadTo("ecr", s.serve(connectTo(server.Listener.Addr().String())))
	s.setenv("AIRFLOW_VAR_ECR_TARGETS", fmt.Sprintf(
		`[{"connection_id":"a","registry":%q},{"connection_id":"b","registry":%q}]`, hosts[0], hosts[1]))
	s.good(extract)
	for _, host := range hosts {
		if asked[host] == 0 {
			t.Errorf("%s was not asked: %v", host, asked)
		}
	}
}

// TestConnectToAnotherName has a proxy that connects to another registry than it was asked for. That one has a good
// certificate, of its own name, and gets no request.
func TestConnectToAnotherName(t *testing.T) {
	t.Parallel()
	for _, args := range []string{extract, update, "run"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := newSetting(t, 0)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("%s %s%s was asked", r.Method, r.Host, r.URL.Path)
			}))
			server.TLS = certificateOf(s, s.newAuthority(), "210987654321.dkr.ecr.us-east-1.amazonaws.com")
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			s.leadTo("ecr", s.serve(connectTo(server.Listener.Addr().String())))
			p := s.start(patience, args)
			if p.wait(); p.exit != 2 || !strings.Contains(p.error, "certificate is valid for 210987654321") {
				t.Errorf("exit code %d: %s", p.exit, p.error)
			}
			s.wantAlone()
			s.wantNoSecret()
		})
	}
}

// newAuthority returns one that the program trusts.
func (s *setting) newAuthority() *sandbox.Authority {
	s.t.Helper()
	ca, err := sandbox.NewAuthority()
	must(s.t, err)
	s.trust(ca)
	return ca
}

func certificateOf(s *setting, ca *sandbox.Authority, names ...string) *tls.Config {
	s.t.Helper()
	certificate, err := ca.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), names...)
	must(s.t, err)
	return &tls.Config{Certificates: []tls.Certificate{*certificate}}
}

// connectTo is a proxy that leads each CONNECT to address.
func connectTo(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		to, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(to, buffered.Reader); _ = to.Close() }()
		_, _ = io.Copy(from, to)
	}
}

// TestAnswersThatAreNoHTTP has peers that write what no HTTP server should. The program ends by itself, with one error
// line and a hint, in bounded memory.
func TestAnswersThatAreNoHTTP(t *testing.T) {
	t.Parallel()
	const (
		head     = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		switches = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n"
	)
	for _, a := range []struct{ name, begins, again string }{ // what comes again and again ends with the client
		{"no status line", "\x00\x01\x02 hello\r\n\r\n", ""},
		{"a status that is no number", "HTTP/1.1 OK fine\r\n\r\n", ""},
		{"a status line without end", "HTTP/1.1 200 ", strings.Repeat("x", 4096)},
		{"a header without end", head + "X-A: ", strings.Repeat("x", 4096)},
		{"headers without end", head, "X-A: " + strings.Repeat("x", 4096) + "\r\n"},
		{"NUL in a header", head + "X-A: a\x00b\r\nContent-Length: 2\r\n\r\n{}", ""},
		{"two lengths", head + "Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}", ""},
		{"a length below zero", head + "Content-Length: -2\r\n\r\n{}", ""},
		{"a length of 2^63", head + "Content-Length: 9223372036854775808\r\n\r\n{}", ""},
		{"a chunk of no size", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", ""},
		{"a chunk of 2^63 bytes", head + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", "{}  "},
		{"100 Continue for ever", "", "HTTP/1.1 100 Continue\r\n\r\n"},
		{"switches protocols", switches + "\r\n", "x"},
		{"switches protocols, and is silent", switches + "\r\n", ""},
		{"switches protocols to JSON without end", switches + "Content-Type: application/json\r\n\r\n{\"a\":\"", "x"},
		{"deep JSON", head + "\r\n", strings.Repeat("[", 4096)},
	} {
		for peer, p := range peers {
			t.Run(peer+"/"+a.name, func(t *testing.T) {
				t.Parallel()
				s := newSetting(t, 0)
				s.answersRaw(peer, a.begins, a.again)
				run := s.start(8*time.Second, p.step)
				run.wait()
				known := run.exit == 1 || run.exit == 2 ||
					run.exit == 0 && peer == "registry" // which reads a status alone
				if lines := strings.Count("\n"+run.stderr.String(), "\necr-refresh: error: "); !known ||
					run.exit != 0 && (lines != 1 || run.hint == "") || len(run.stderr.String()) > 8<<10 {
					t.Errorf("exit code %d, %d error lines, hint %q:\n%.2000s", run.exit, lines, run.hint, &run.stderr)
				}
				s.wantAlone()
				s.wantNoSecret()
			})
		}
	}
}

// answersRaw leads the program to a peer that answers the beginning of each request with raw bytes.
func (s *setting) answersRaw(peer, begins, again string) {
	config := s.speaking(tlsFault{})
	address := s.listen(func(conn net.Conn) {
		switch inner, tunnel := behindConnect(conn); {
		case inner == nil:
		case tunnel: // ECR and the registry
			speak(tls.Server(inner, config), begins, again)
		default:
			speak(inner, begins, again)
		}
	})
	s.setenv("DOCKER_CERT_PATH", "")
	s.leadTo(peer, address.String())
}

func speak(conn net.Conn, begins, again string) {
	_, _ = conn.Read(make([]byte, 1024)) // of the request
	_, err := io.WriteString(conn, begins)
	for again != "" && err == nil {
		_, err = io.WriteString(conn, again)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience)) // or the end becomes a reset
	_, _ = io.Copy(io.Discard, conn)
}

// A proxy that refuses to connect to Docker is named, not Docker.
func TestProxyBeforeDocker(t *testing.T) {
	t.Parallel()
	s := newSetting(t, 0)
	s.setenv("DOCKER_HOST", "https://docker.invalid:2376")
	p := s.start(patience, "test-docker-connection --in two.json")
	if p.wantEnd(); !strings.Contains(p.stderr.String(), s.Proxy.URL().Host+" answered 403 Forbidden") {
		t.Error(p.stderr.String())
	}
}

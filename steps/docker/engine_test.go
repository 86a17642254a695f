package docker_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
)

// An Engine that wants TLS and a client's certificate, as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH have it.
func TestEngineOverTLS(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ca, host := engineOverTLS(t, f.box)
	known := certPath(t, ca)
	stranger, err := sandbox.NewAuthority()
	must(t, err)
	engine, err := docker.NewEngine(host, known, true)
	must(t, err)
	version, api, err := engine.Reach(t.Context())
	if err != nil || version != "28.5.2" || api != "1.51" {
		t.Errorf("version %q, API %q, error %v", version, api, err)
	}
	engine, err = docker.NewEngine(host, certPath(t, stranger), true)
	must(t, err)
	_, _, err = engine.Reach(t.Context())
	wantError(t, err, "certificate signed by unknown authority")
	_, err = docker.NewEngine(host, t.TempDir(), true)
	wantError(t, err, "load Engine certificates")
}

func TestNewEngineRefuses(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "/var/run/docker.sock", "unix://", "tcp://", "ssh://me@host", "npipe:////./pipe/docker", "unix://" + strings.Repeat("/long", 40)} {
		_, err := docker.NewEngine(host, "", false)
		wantError(t, err, "read Engine host")
	}
}

// Airflow's own default is unix://var/run/docker.sock, which docker-py takes for unix:///var/run/docker.sock.
func TestEngineAtPathWithoutSlash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	engine, err := docker.NewEngine(strings.Replace(f.box.Engine.Host(), "unix:///", "unix://", 1), "", false)
	must(t, err)
	version, _, err := engine.Reach(t.Context())
	if err != nil || version != "28.5.2" {
		t.Errorf("version %q, error %v", version, err)
	}
}

// What answers in JSON need not be an Engine, and a filter before one may deny a call in JSON, too.
func TestEngineIsNone(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status       int
		answer, says string
		permanent    bool
	}{
		{200, `{}`, "it names no version", true},
		{403, `{"message":"authorization denied by plugin opa"}`, "answered 403: authorization denied by plugin opa", true},
		{404, `{"detail":"Not Found"}`, "answered 404: Not Found", true},
		{405, `{}`, "answered 405: Method Not Allowed", true},
		{500, `{"message":"no space"}`, "answered 500: no space", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
				t.Errorf("GET has a body of %d bytes, %q", r.ContentLength, r.Header.Get("Content-Type"))
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.answer)
		}))
		defer server.Close()
		engine, err := docker.NewEngine("tcp://"+server.Listener.Addr().String(), "", false)
		must(t, err)
		_, _, err = engine.Reach(t.Context())
		wantError(t, err, row.says)
		if failure.IsPermanent(err) != row.permanent {
			t.Errorf("permanent %v: %v", failure.IsPermanent(err), err)
		}
	}
}

// docker-py refuses a password in the address, which would stand in every log.
func TestEngineAddressHoldsNoPassword(t *testing.T) {
	t.Parallel()
	_, err := docker.NewEngine("tcp://me:S3CRET@host:2375", "", false)
	wantError(t, err, "read Engine host: it holds a login")
	if err != nil && strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("%v", err)
	}
}

// engineOverTLS serves the sandbox's Engine on localhost to clients of one authority.
func engineOverTLS(t *testing.T, box *sandbox.Sandbox) (ca *sandbox.Authority, host string) {
	t.Helper()
	ca, err := sandbox.NewAuthority()
	must(t, err)
	certificate, err := ca.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost")
	must(t, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca.PEM())
	server := httptest.NewUnstartedServer(box.Engine)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	return ca, "tcp://localhost:" + port
}

// certPath is a folder as DOCKER_CERT_PATH names one.
func certPath(t *testing.T, ca *sandbox.Authority) string {
	t.Helper()
	key, err := ca.KeyPEM()
	must(t, err)
	dir := t.TempDir()
	for name, text := range map[string][]byte{"ca.pem": ca.PEM(), "cert.pem": ca.PEM(), "key.pem": key} {
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

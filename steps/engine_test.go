package steps_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
)

// An Engine that wants TLS and a client's certificate, as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH have it.
func TestEngineOverTLS(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ca, host := engineOverTLS(t, f.box)
	known := certPath(t, ca)
	stranger, err := sandbox.NewAuthority()
	must(t, err)
	engine, err := steps.NewEngine(host, known, true)
	must(t, err)
	version, api, err := engine.Reach(t.Context())
	if err != nil || version != "28.5.2" || api != "1.51" {
		t.Errorf("version %q, API %q, error %v", version, api, err)
	}
	engine, err = steps.NewEngine(host, certPath(t, stranger), true)
	must(t, err)
	_, _, err = engine.Reach(t.Context())
	wantError(t, err, "certificate signed by unknown authority")
	_, err = steps.NewEngine(host, t.TempDir(), true)
	wantError(t, err, "load Engine certificates")
}

func TestNewEngineRefuses(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "/var/run/docker.sock", "unix://", "tcp://", "ssh://me@host", "npipe:////./pipe/docker", "unix://" + strings.Repeat("/long", 40)} {
		_, err := steps.NewEngine(host, "", false)
		wantError(t, err, "read Engine host")
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

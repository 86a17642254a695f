package docker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
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
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, want failure.Kind, message, object string) {
	t.Helper()
	kind, facts := failure.Describe(err)
	if err == nil || kind != want || facts.Object != object || !strings.Contains(err.Error(), message) {
		t.Errorf("%v of kind %q and %+v, want %q of kind %q, object %q", err, kind, facts, message, want, object)
	}
}

func startSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	return box
}

// wantReached calls a sandbox's daemon.
func wantReached(t *testing.T, host, certPath string, verify bool) {
	t.Helper()
	engine, err := docker.NewEngine(host, certPath, verify)
	must(t, err)
	version, api, err := engine.Reach(t.Context())
	if err != nil || version != "28.5.2" || api != "1.51" || engine.Host != host {
		t.Errorf("host %q, version %q, API %q, error %v", engine.Host, version, api, err)
	}
}

// A daemon that wants TLS and a client's certificate, as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH have it. Without
// DOCKER_TLS_VERIFY nobody is verified, as in docker-py.
func TestEngineOverTLS(t *testing.T) {
	t.Parallel()
	ca, host := engineOverTLS(t, startSandbox(t))
	stranger, err := sandbox.NewAuthority()
	must(t, err)
	known, unknown := certPath(t, ca, ca), certPath(t, stranger, ca)
	wantReached(t, host, known, true)
	wantReached(t, host, unknown, false)

	foreign := certPath(t, ca, stranger)
	for _, folder := range []string{unknown, foreign} {
		engine, err := docker.NewEngine(host, folder, true)
		must(t, err)
		_, _, err = engine.Reach(t.Context())
		wantKind(t, err, docker.BadCertificates, "tls: ", host)
		if !failure.IsPermanent(err) {
			t.Errorf("not permanent: %v", err)
		}
	}
	empty := t.TempDir()
	_, err = docker.NewEngine(host, empty, true)
	wantKind(t, err, docker.BadCertificates, "load Docker's certificates of ", "")
}

func TestNewEngineRejects(t *testing.T) {
	t.Parallel()
	long := "unix://" + strings.Repeat("/long", 40)
	for _, host := range []string{
		"", "/var/run/docker.sock", "unix://", "tcp://", "ssh://me", "npipe:////./pipe/docker", "fd://x", long,
	} {
		_, err := docker.NewEngine(host, "", false)
		wantKind(t, err, docker.BadHost, "read Docker host", "")
	}
	// docker-py rejects a password in the address, too: it would be in every log.
	_, err := docker.NewEngine("tcp://me:S3CRET@host:2375", "", false)
	wantKind(t, err, docker.BadHost, "read Docker host: it holds a login", "")
	if strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("%v", err)
	}
	engine, err := docker.NewEngine("tcp://%zz", "", false)
	must(t, err)
	_, _, err = engine.Reach(t.Context())
	wantKind(t, err, docker.BadHost, "its address is not valid", "")
}

// Airflow's own default is unix://var/run/docker.sock, which docker-py reads as unix:///var/run/docker.sock.
func TestEngineAtASocket(t *testing.T) {
	t.Parallel()
	box := startSandbox(t)
	wantReached(t, box.Engine.Host(), "", false)
	wantReached(t, strings.Replace(box.Engine.Host(), "unix:///", "unix://", 1), "", false)
	must(t, box.Engine.SetDown(true))
	engine, err := docker.NewEngine(box.Engine.Host(), "", false)
	must(t, err)
	_, _, err = engine.Reach(t.Context())
	wantKind(t, err, docker.NoDaemon, box.Engine.Host()+": connect: no such file or directory", box.Engine.Host())
	if failure.IsPermanent(err) {
		t.Errorf("permanent: %v", err)
	}
}

// serve returns a daemon that answers as written, and checks what it is asked.
func serve(t *testing.T, status int, kind, answer string) *docker.Engine {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hasBody := r.ContentLength != 0 || r.Header.Get("Content-Type") != ""
		if post := r.Method == http.MethodPost; hasBody != post || post != (r.URL.Path == "/auth") {
			t.Errorf("%s %s with a body of %d bytes", r.Method, r.URL, r.ContentLength)
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Location", "https://elsewhere.example.com/path?S3CRET")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	engine, err := docker.NewEngine("tcp://"+server.Listener.Addr().String()+"/", "", false)
	must(t, err)
	return engine
}

// What answers need not be Docker, and a filter before it may deny a call.
func TestReachErrors(t *testing.T) {
	t.Parallel()
	const json = "application/json; charset=utf-8"
	long := strings.Repeat("x", 1<<20)
	for _, row := range []struct {
		status          int
		answered, body  string
		kind            failure.Kind
		message         string
		permanent, good bool
	}{
		{status: 200, answered: json, body: `{"Version":"1"}`, good: true},
		{200, json, `{}`, docker.NotDocker, "it names no version", true, false},
		{200, json, `{"Version":`, docker.NotDocker, "its answer is not Docker's JSON, or is cut", false, false},
		{200, json, `{"Version":"` + long + `"}`, docker.NotDocker, "its answer is longer than 1 MiB", true, false},
		{200, "text/html", `S3CRET`, docker.NotDocker, "it answered 200 with text/html instead of JSON", true, false},
		{200, "", ``, docker.NotDocker, "it answered 200 with nothing instead of JSON", true, false},
		{301, json, `{}`, docker.NotDocker, `it answered 301, a redirect to "elsewhere.example.com"`, true, false},
		{307, "text/html", `S3CRET`, docker.NotDocker, "it answered 307, a redirect", true, false},
		{403, "text/html", `S3CRET`, docker.NotDocker, "it answered 403 with text/html instead of JSON", true, false},
		{429, "text/html", `S3CRET`, docker.Unavailable, "it answered 429 Too Many Requests", false, false},
		{500, "text/html", `S3CRET`, docker.Unavailable, "it answered 500 Internal Server Error", false, false},
		{403, json, `{"message":"denied by\nopa"}`, docker.NotDocker, "answered 403: denied by opa", true, false},
		{404, json, `{"detail":"S3CRET"}`, docker.NotDocker, "Docker answered 404: Not Found", true, false},
		{405, json, `{}`, docker.NotDocker, "Docker answered 405: Method Not Allowed", true, false},
		{400, json, `S3CRET`, docker.Failed, "Docker answered 400: Bad Request", false, false},
		{429, json, `{}`, docker.Unavailable, "Docker answered 429: Too Many Requests", false, false},
		{500, json, `{"message":"no space"}`, docker.Failed, "Docker answered 500: no space", false, false},
	} {
		engine := serve(t, row.status, row.answered, row.body)
		_, _, err := engine.Reach(t.Context())
		if row.good {
			must(t, err)
			continue
		}
		wantKind(t, err, row.kind, row.message, engine.Host)
		if failure.IsPermanent(err) != row.permanent || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("permanent %v: %v", failure.IsPermanent(err), err)
		}
	}
}

// A registry's answer comes as Docker's own error.
func TestLoginErrors(t *testing.T) {
	t.Parallel()
	const prefix = `{"message":"login attempt to https://r/v2/ failed with status: `
	for _, row := range []struct {
		body, message       string
		kind                failure.Kind
		permanent, rejected bool
	}{
		{prefix + `400 Bad Request"}`, "the registry answered Docker 400", docker.BadCredential, false, true},
		{prefix + `401 Unauthorized"}`, "the registry answered Docker 401", docker.BadCredential, false, true},
		{prefix + `403 Forbidden"}`, "the registry answered Docker 403", docker.BadCredential, false, true},
		{prefix + `503 Service Unavailable"}`, "answered Docker 503", docker.Unavailable, false, false},
		{`{"message":"Get r: x509: unknown authority"}`, "x509: unknown", docker.UntrustedRegistry, true, false},
		{`{"message":"dial: refused"}`, "Docker answered 500: dial: refused", docker.Failed, false, false},
	} {
		engine := serve(t, 500, "application/json", row.body)
		_, err := engine.Login(t.Context(), "r", "AWS", secret.New("p"))
		wantKind(t, err, row.kind, row.message, engine.Host)
		rejected := errors.Is(err, registry.ErrRejected)
		if failure.IsPermanent(err) != row.permanent || rejected != row.rejected {
			t.Errorf("permanent %v, rejected %v: %v", failure.IsPermanent(err), rejected, err)
		}
	}
	engine := serve(t, 200, "application/json", `{"Status":"Login\nSucceeded"}`)
	answer, err := engine.Login(t.Context(), "r", "AWS", secret.New("p"))
	if err != nil || answer != "Login Succeeded" {
		t.Errorf("%q, %v", answer, err)
	}
	if _, err := engine.Login(t.Context(), "", "AWS", secret.New("p")); err == nil || !failure.IsPermanent(err) {
		t.Errorf("without a host the password would go to Docker Hub: %v", err)
	}
}

// A daemon that answers late, or only in part, is no other program.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"", `{"Version":`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if part != "" {
				_, _ = io.WriteString(w, part)
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		}))
		t.Cleanup(server.Close)
		engine, err := docker.NewEngine("tcp://"+server.Listener.Addr().String(), "", false)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, _, err = engine.Reach(ctx)
		wantKind(t, err, docker.Failed, "no answer in time", engine.Host)
		_, err = engine.Login(ctx, "r", "AWS", secret.New("p"))
		wantKind(t, err, docker.Failed, "log in to r through Docker: no answer in time", engine.Host)
	}
}

// engineOverTLS serves the sandbox's daemon on localhost to clients of one authority.
func engineOverTLS(t *testing.T, box *sandbox.Sandbox) (ca *sandbox.Authority, host string) {
	t.Helper()
	ca, err := sandbox.NewAuthority()
	must(t, err)
	certificate, err := ca.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost")
	must(t, err)
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca.PEM())
	server := httptest.NewUnstartedServer(box.Engine)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{*certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	return ca, "tcp://localhost:" + port
}

// certPath returns a folder as DOCKER_CERT_PATH names one: it trusts one authority, and its client is of another.
func certPath(t *testing.T, trusted, client *sandbox.Authority) string {
	t.Helper()
	key, err := client.KeyPEM()
	must(t, err)
	dir := t.TempDir()
	for name, text := range map[string][]byte{"ca.pem": trusted.PEM(), "cert.pem": client.PEM(), "key.pem": key} {
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	return dir
}

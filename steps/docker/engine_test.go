package docker_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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

// outcome is what an error says.
type outcome struct {
	kind                failure.Kind
	permanent, rejected bool
	message             string
}

func outcomeOf(err error) outcome {
	if err == nil {
		return outcome{}
	}
	kind, _ := failure.Describe(err)
	return outcome{kind, failure.IsPermanent(err), errors.Is(err, registry.ErrRejected), err.Error()}
}

// reach calls the Engine at host.
func reach(t *testing.T, host, certPath string, verify bool) error {
	t.Helper()
	engine, err := docker.NewEngine(host, certPath, verify)
	if err != nil {
		return err
	}
	shown := regexp.MustCompile(`^(unix:///.*/[\w.]+|(tcp|https?)://127\.0\.0\.1:\d+)$`)
	version, api, err := engine.Reach(t.Context())
	if err == nil && (version != "28.5.2" || api != "1.51" || !shown.MatchString(engine.Host)) {
		t.Errorf("host %q, version %q, API %q", engine.Host, version, api)
	}
	return err
}

// Airflow's own default is unix://var/run/docker.sock, which docker-py reads as unix:///var/run/docker.sock. Over TLS
// the client's certificate is sent, and without DOCKER_TLS_VERIFY nobody is verified, as in docker-py.
func TestReach(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	must(t, reach(t, box.Engine.Host(), "", false))
	for _, form := range []string{"unix://", "unix:/", "http+unix:///", "Unix:///"} {
		must(t, reach(t, strings.Replace(box.Engine.Host(), "unix:///", form, 1), "", false))
	}
	plain := httptest.NewServer(box.Engine)
	t.Cleanup(plain.Close)
	for _, form := range []string{"", "tcp://", "http://", " TCP://"} {
		must(t, reach(t, form+plain.Listener.Addr().String(), "", false))
	}

	server := httptest.NewUnstartedServer(box.Engine)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca, err := sandbox.NewAuthority()
	must(t, err)
	key, err := ca.KeyPEM()
	must(t, err)
	dir, host := t.TempDir(), "tcp://"+server.Listener.Addr().String()
	if got := outcomeOf(reach(t, host, dir, true)); got.kind != docker.BadCertificates || !got.permanent {
		t.Errorf("no certificates: %+v", got)
	}
	for name, text := range map[string][]byte{"ca.pem": ca.PEM(), "cert.pem": ca.PEM(), "key.pem": key} {
		must(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	must(t, reach(t, host, dir, false))
	must(t, reach(t, strings.Replace(host, "tcp", "https", 1), dir, false))
	if got := outcomeOf(reach(t, host, dir, true)); got.kind != docker.BadCertificates || !got.permanent {
		t.Errorf("another authority: %+v", got)
	}
}

// docker-py rejects a password in the address, too: it would be in every log. No error repeats a part of one.
func TestNewEngineRejects(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"", "/var/run/docker.sock", "unix://", "tcp://", "ssh://me", "npipe:////./pipe/docker", "fd://x", "tcp://%zz",
		"tcp://h", "tcp://h:0", "tcp://h:99999", "h:2375", "localhost:2375", "127.0.0.1", "tcp://h:1?x", "unix:",
		"unix://" + strings.Repeat("/long", 40), "tcp://me:S3CRET@host:2375", "me:S3CRET@host:2375", "host/S3CRET",
		"me:S3CRET", "S3CRET", "tcp://S3CRET", "tcp://host:S3CRET", "S3CRET://host:2375", "ssh://S3CRET",
		"x://h:1/S3CRET", "tcp:S3CRET",
		"tcp://h:1?S3CRET", "tcp://h:1#S3CRET", "unix://me:S3CRET/p", "tcp://%zzS3CRET", "[S3CRET:2375",
	} {
		got := outcomeOf(reach(t, host, "", false))
		if got.kind != docker.BadHost || !got.permanent || strings.Contains(got.message, "S3CRET") {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

// What Docker answers, or a filter before it; the faults of integration/sandbox have what is no answer of Docker.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const json, at = "application/json; charset=utf-8", "login attempt to https://r/v2/ failed with status: "
	const podman, ping = "login attempt to r failed with status: ", "pinging container registry r: "
	const code = "invalid status code from registry "
	rejected := func(status string) outcome {
		return outcome{docker.BadCredential, false, true, "the registry answered Docker " + status + ": login rejected"}
	}
	permanent := func(kind failure.Kind, says string) outcome { return outcome{kind, true, false, says} }
	passing := func(kind failure.Kind, says string) outcome { return outcome{kind, false, false, says} }
	for _, row := range []struct {
		status     int
		form, body string
		want       outcome
	}{
		{200, json, `{"Status":"Login\nSucceeded"}`, outcome{}},
		{200, "", ``, permanent(docker.NotDocker, "it answered 200 with nothing instead of JSON")},
		{301, json, `{}`, permanent(docker.NotDocker, `it answered 301, a redirect to "https://elsewhere:8443"`)},
		{400, json, `S3CRET`, passing(docker.Failed, "Docker answered 400: Bad Request")},
		{403, json, `{"message":"by\nopa"}`, permanent(docker.NotDocker, "Docker answered 403: by opa")},
		{404, json, `{"detail":"S3CRET"}`, permanent(docker.NotDocker, "Docker answered 404: Not Found")},
		{405, json, `{}`, permanent(docker.NotDocker, "Docker answered 405: Method Not Allowed")},
		{429, json, `{}`, passing(docker.Unavailable, "Docker answered 429: Too Many Requests")},
		{500, json, `{"message":"no space"}`, passing(docker.Failed, "Docker answered 500: no space")},
		{500, json, `{"message":"x509: no"}`, permanent(docker.UntrustedRegistry, "Docker answered 500: x509: no")},
		{500, json, `{"message":"` + at + `400"}`, rejected("400")},
		{500, json, `{"message":"` + at + `401"}`, rejected("401")},
		{500, json, `{"message":"` + at + `403"}`, rejected("403")},
		{500, json, `{"message":"` + at + `503"}`, passing(docker.Unavailable, "the registry answered Docker 503")},
		{500, json, `{"message":"` + podman + `401 Unauthorized"}`, rejected("401")},
		{500, json, `{"message":"` + podman + code + `400 (Bad Request)"}`, rejected("400")},
		{500, json, `{"message":"` + podman + code + `403 (Forbidden)"}`, rejected("403")},
		{500, json, `{"message":"` + podman + `authenticating creds for \"r\": ` + code + `403 (F)"}`, rejected("403")},
		{500, json, `{"message":"` + podman + ping + code + `503 (Service Unavailable)"}`,
			passing(docker.Unavailable, "the registry answered Docker 503")},
		{500, json, `{"message":"` + podman + ping + `received unexpected HTTP status: 502 Bad Gateway"}`,
			passing(docker.Unavailable, "the registry answered Docker 502")},
		{500, json, `{"message":"` + podman + `too many requests to registry"}`,
			passing(docker.Unavailable, "the registry answered Docker 429")},
		{500, json, `{"message":"` + podman + ping + `Get \"https://r/v2/\": x509: no"}`,
			permanent(docker.UntrustedRegistry, `Docker answered 500: Get "https://r/v2/": x509: no`)},
	} {
		engine := serve(t, row.status, row.form, row.body)
		answer, err := engine.Login(t.Context(), "r", "AWS", secret.New("p"))
		got := outcomeOf(err)
		got.message = strings.TrimPrefix(got.message, "log in to r through Docker: ")
		if _, facts := failure.Describe(err); got != row.want || err != nil && facts.Object != engine.Host {
			t.Errorf("%d %s: %+v of %q, want %+v", row.status, row.body, got, facts.Object, row.want)
		}
		if err == nil && answer != "Login Succeeded" {
			t.Errorf("%q", answer)
		}
	}
	engine := serve(t, 200, json, `{}`)
	_, _, err := engine.Reach(t.Context())
	want := outcome{docker.NotDocker, true, false, "reach Docker at " + engine.Host + ": it names no version"}
	if got := outcomeOf(err); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := engine.Login(t.Context(), "", "AWS", secret.New("p")); err == nil || !failure.IsPermanent(err) {
		t.Errorf("without a host the password would go to Docker Hub: %v", err)
	}
}

// serve returns a daemon that answers as written, and checks what it is asked.
func serve(t *testing.T, status int, form, answer string) *docker.Engine {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hasBody := r.ContentLength != 0 || r.Header.Get("Content-Type") != ""
		if post := r.Method == http.MethodPost; hasBody != post || post != (r.URL.Path == "/auth") {
			t.Errorf("%s %s with a body of %d bytes", r.Method, r.URL, r.ContentLength)
		}
		w.Header().Set("Content-Type", form)
		w.Header().Set("Location", "https://user:S3CRET@elsewhere:8443/path?S3CRET")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	engine, err := docker.NewEngine("tcp://"+server.Listener.Addr().String()+"/", "", false)
	must(t, err)
	return engine
}

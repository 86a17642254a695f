package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// fixture is a sandbox whose peers' clock a test can set forward, and a client that goes through its proxy.
type fixture struct {
	*sandbox.Sandbox
	t     *testing.T
	ahead time.Duration
	http  *http.Client
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t}
	s, err := sandbox.Start(sandbox.Options{Now: func() time.Time { return time.Now().Add(f.ahead) }})
	must(t, err)
	f.Sandbox, f.http = s, s.HTTPClient()
	t.Cleanup(func() { f.http.CloseIdleConnections(); must(t, s.Close()) })
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) request(method, url, body string, header ...string) *http.Request {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, url, strings.NewReader(body))
	must(f.t, err)
	for pair := range slices.Chunk(header, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	return request
}

// do returns status and body of an answer in one text.
func do(t *testing.T, client *http.Client, request *http.Request) string {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

func TestEnvironIsClean(t *testing.T) {
	for _, name := range []string{"AWS_PROFILE", "DOCKER_CERT_PATH", "https_proxy", "AIRFLOW_CONN_DOCKER_DEFAULT"} {
		t.Setenv(name, "of the caller")
	}
	s := start(t)
	if all := strings.Join(s.Environ(), "\n"); strings.Contains(all, "of the caller") {
		t.Error(all)
	}
	if got := s.TaskEnviron("nope"); !slices.Equal(got, sandbox.Connection{}.TaskEnviron()) {
		t.Errorf("a missing connection renders as %q", got)
	}
}

// Close leaves nothing, also of a sandbox whose folder has no room for the name of a socket.
func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", t.TempDir() + strings.Repeat("/long-name", 12)} {
		s, err := sandbox.Start(sandbox.Options{Dir: dir})
		must(t, err)
		socket := strings.TrimPrefix(s.Engine.Host(), "unix://")
		for range 2 {
			must(t, s.Close())
		}
		if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) || len(socket) > 103 {
			t.Errorf("%s is still there, or too long: %v", socket, err)
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, address := range []string{
		"https://example.com/", "https://iam.amazonaws.com/", "https://registry-1.docker.io/v2/",
		"https://" + s.RegistryHost() + ":8443/v2/", "https://12345.dkr.ecr.us-east-1.amazonaws.com/v2/",
		"https://evil" + s.RegistryHost() + "/v2/", "http://" + s.RegistryHost() + "/v2/",
	} {
		if got := do(t, s.http, s.request("GET", address, "")); !strings.Contains(got, "Forbidden") &&
			!strings.Contains(got, "nothing leaves the sandbox") {
			t.Errorf("%s: %s", address, got)
		}
	}
	if got := s.Proxy.Refused(); len(got) != 7 || got[0] != "example.com:443" {
		t.Errorf("refused: %q", got)
	}
}

// The first fault that fits a request decides, as many times as it is to.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := start(t)
	call := func() string { return s.check(s.RegistryHost(), "", "")[:3] }
	s.Registry.Inject(sandbox.Fault{Method: "POST", Status: 418})
	s.Registry.Inject(sandbox.Fault{Path: "/v2/_catalog", Status: 418})
	s.Registry.Inject(sandbox.Fault{Times: 2, Status: 429})
	s.Registry.Inject(sandbox.Fault{Status: 503})
	got := []string{call(), call(), call(), call()}
	s.Registry.Clear()
	got = append(got, call())
	s.Registry.SetDown(true) // an open tunnel does not keep it reachable
	got = append(got, call())
	s.http.CloseIdleConnections()
	got = append(got, call())
	s.Registry.SetDown(false)
	if got = append(got, call()); strings.Join(got, " ") != "429 429 503 503 401 Get Get 401" {
		t.Errorf("got %v", got)
	}
}

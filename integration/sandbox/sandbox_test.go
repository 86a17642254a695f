package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

func start(t *testing.T, opts sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// do sends one request and returns status and body.
func do(t *testing.T, client *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func newRequest(t *testing.T, method, url, body string, header ...string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return request
}

func environ(list []string, name string) string {
	for _, entry := range list {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

func TestEnvironIsCompleteAndClean(t *testing.T) {
	for _, name := range []string{
		"AWS_PROFILE", "AWS_SESSION_TOKEN", "DOCKER_CERT_PATH", "https_proxy", "AIRFLOW_CONN_DOCKER_DEFAULT",
	} {
		t.Setenv(name, "of the caller")
	}
	s := start(t, sandbox.Options{})
	var names []string
	for _, entry := range s.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, name)
		if strings.Contains(entry, "of the caller") {
			t.Errorf("the caller's %s is in it", name)
		}
	}
	for _, name := range []string{
		"PATH", "TERM", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "DOCKER_HOST", "ECR_REFRESH_CA_FILE",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED",
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT", "AIRFLOW_VAR_ECR_AWS_REGION_NAME",
		"ECR_REFRESH_AIRFLOW_CONN_TYPE", "ECR_REFRESH_AIRFLOW_SCHEMA",
		"ECR_REFRESH_AIRFLOW_HOST", "ECR_REFRESH_AIRFLOW_PORT",
		"ECR_REFRESH_AIRFLOW_LOGIN", "ECR_REFRESH_AIRFLOW_PASSWORD", sandbox.ExecutionAPI, sandbox.TaskToken,
	} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestTaskEnvironIsTheStoredConnection(t *testing.T) {
	s := start(t, sandbox.Options{})
	c, _ := s.Airflow.Connection("docker_default")
	got := s.TaskEnviron("docker_default")
	want := []string{"ECR_REFRESH_DOCKER_HOST=" + s.RegistryHost(), "ECR_REFRESH_DOCKER_PORT=",
		"ECR_REFRESH_DOCKER_LOGIN=AWS", "ECR_REFRESH_DOCKER_PASSWORD=" + c.Password}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := s.TaskEnviron("nope"); environ(got, "ECR_REFRESH_DOCKER_HOST") != "" || len(got) != 4 {
		t.Errorf("a missing connection renders as %q", got)
	}
}

func TestStartIsFastAndCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	begun := time.Now()
	s, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(begun))
	client := s.HTTPClient()
	do(t, client, newRequest(t, "GET", "https://"+s.RegistryHost()+"/v2/", ""))
	client.CloseIdleConnections()
	home := environ(s.Environ(), "HOME")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := os.Stat(home); !os.IsNotExist(err) {
		t.Errorf("%s is still there", home)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s",
				runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestLongFolderStillGetsASocket(t *testing.T) {
	s, err := sandbox.Start(sandbox.Options{Dir: t.TempDir() + strings.Repeat("/long-name", 12)})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(s.Engine.Host(), "unix://")
	if len(path) > 103 {
		t.Errorf("%s has %d bytes", path, len(path))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("%s is still there", filepath.Dir(path))
	}
}

func TestProxyRefusesOtherHosts(t *testing.T) {
	s := start(t, sandbox.Options{})
	client := s.HTTPClient()
	defer client.CloseIdleConnections()
	for _, address := range []string{
		"https://example.com/", "https://iam.amazonaws.com/", "https://registry-1.docker.io/v2/",
		"https://" + s.RegistryHost() + ":8443/v2/", "https://12345.dkr.ecr.us-east-1.amazonaws.com/v2/",
		"https://evil" + s.RegistryHost() + "/v2/",
	} {
		if response, err := client.Do(newRequest(t, "GET", address, "")); err == nil {
			response.Body.Close()
			t.Errorf("%s: %s", address, response.Status)
		} else if !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("%s: %v", address, err)
		}
	}
	response, body := do(t, client, newRequest(t, "GET", "http://"+s.RegistryHost()+"/v2/", ""))
	if response.StatusCode != http.StatusForbidden || !strings.Contains(body, "nothing leaves the sandbox") {
		t.Errorf("plain http: %d %s", response.StatusCode, body)
	}
	if got := s.Proxy.Refused(); len(got) != 7 || got[0] != "example.com:443" {
		t.Errorf("refused: %q", got)
	}
}

func TestProxySpeaksBothVersionsOfHTTP(t *testing.T) {
	s := start(t, sandbox.Options{})
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		client := s.HTTPClient()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
		response, _ := do(t, client, newRequest(t, "GET", "https://"+s.RegistryHost()+"/v2/", ""))
		client.CloseIdleConnections()
		if response.Proto != proto {
			t.Errorf("%s, want %s", response.Proto, proto)
		}
	}
}

func TestUntrustedAuthority(t *testing.T) {
	s := start(t, sandbox.Options{})
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(s.Proxy.URL())}}
	if response, err := client.Do(newRequest(t, "GET", "https://"+s.RegistryHost()+"/v2/", "")); err == nil {
		response.Body.Close()
		t.Error("a client that does not know the authority got an answer")
	} else if !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := start(t, sandbox.Options{})
	op := login(t, s, "refresher")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			newToken(t, s)
			checkV2(t, s, s.RegistryHost(), "AWS", s.ECR.LastToken().Password)
			entity := fmt.Sprintf(`{"connection_id":"docker_default","conn_type":"docker","password":"new-%d"}`, i)
			do(t, http.DefaultClient, newRequest(t, "PATCH", s.Airflow.URL()+"/api/v2/connections", update(entity),
				"Authorization", op, "Content-Type", jsonType))
			s.Registry.Refuse(i%2 == 0)
			s.Airflow.FailNext(1, 503, "")
			_, _, _ = s.Environ(), s.TaskEnviron("docker_default"), s.Airflow.Requests()
		})
	}
	all.Wait()
	if got := s.ECR.Calls(); got != 8 {
		t.Errorf("%d calls", got)
	}
}

func TestFaults(t *testing.T) {
	s := start(t, sandbox.Options{})
	version := s.Airflow.URL() + "/api/v2/version"
	status := func() int {
		response, _ := do(t, http.DefaultClient, newRequest(t, "GET", version, ""))
		return response.StatusCode
	}
	s.Airflow.Inject(sandbox.Fault{Path: "/api/v2/connections", Status: 418})
	s.Airflow.FailNext(2, 429, "3")
	if got := []int{status(), status(), status()}; !slices.Equal(got, []int{429, 429, 200}) {
		t.Errorf("%v", got)
	}
	s.Airflow.Inject(sandbox.Fault{Status: 503})
	if got := []int{status(), status(), status()}; !slices.Equal(got, []int{503, 503, 503}) {
		t.Errorf("%v", got)
	}
	s.Airflow.Clear()
	s.Airflow.Inject(sandbox.Fault{Times: 1, Delay: 20 * time.Millisecond})
	if begun := time.Now(); status() != 200 || time.Since(begun) < 20*time.Millisecond {
		t.Error("the delay is missing")
	}
	s.Airflow.Inject(sandbox.Fault{Drop: true})
	if response, err := http.Post(version, "", nil); err == nil { // POST: net/http repeats a GET
		response.Body.Close()
		t.Errorf("dropped: %s", response.Status)
	}
	if got := s.Airflow.Requests(); got[0] != "GET /api/v2/version" || len(got) != 8 {
		t.Errorf("%q", got)
	}
}

func TestDown(t *testing.T) {
	s := start(t, sandbox.Options{})
	client := s.HTTPClient()
	defer client.CloseIdleConnections()
	address := "https://" + s.RegistryHost() + "/v2/"
	do(t, client, newRequest(t, "GET", address, "")) // leaves a tunnel open
	s.Registry.SetDown(true)
	for range 2 {
		response, err := client.Do(newRequest(t, "POST", address, ""))
		if err == nil {
			response.Body.Close()
			t.Errorf("down: %s", response.Status)
		}
		client.CloseIdleConnections()
	}
	s.Registry.SetDown(false)
	if response, _ := do(t, client, newRequest(t, "GET", address, "")); response.StatusCode != 401 {
		t.Errorf("up again: %s", response.Status)
	}
}

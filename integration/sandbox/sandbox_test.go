package sandbox_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"

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

func TestEngineLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	docker, err := client.NewClientWithOpts(client.WithHost(s.Engine.Host()), client.WithAPIVersionNegotiation())
	must(t, err)
	defer docker.Close()
	password := s.token()
	login := func(address, want string) {
		body, err := docker.RegistryLogin(t.Context(),
			registry.AuthConfig{Username: "AWS", Password: password, ServerAddress: address})
		if got := fmt.Sprint(body.Status, err); !strings.HasSuffix(got, want) {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
	login(s.RegistryHost(), "Login Succeeded<nil>")
	login("https://"+s.RegistryHost(), "Login Succeeded<nil>")
	login("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "Error response from daemon: login attempt to "+
		"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/ failed with status: 400 Bad Request")
	login("", `Get "https://registry-1.docker.io/v2/": Forbidden`)
	login("example.com", `Get "https://example.com/v2/": Forbidden`)
	s.ECR.ExpireTokens()
	login(s.RegistryHost(), "failed with status: 403 Forbidden")
	if got := s.Engine.Logins(); len(got) != 6 || got[0].Username != "AWS" || got[5].Status != 500 {
		t.Errorf("%v", got)
	}
}

// call is a signed call of ECR.
type call struct {
	credentials     aws.Credentials
	region, service string
	skew            time.Duration
	change          func(*http.Request) // after it was signed
}

func (f *fixture) signed(change func(*call)) *http.Request {
	f.t.Helper()
	c := call{credentials: f.ECR.Credentials(), region: "us-east-1", service: "ecr"}
	change(&c)
	request := f.request("POST", "https://api.ecr.us-east-1.amazonaws.com/", "{}", "Content-Type",
		"application/x-amz-json-1.1", "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("{}")))
	must(f.t, v4.NewSigner().SignHTTP(f.t.Context(), c.credentials, request, sum, c.service, c.region,
		time.Now().Add(c.skew)))
	if c.change != nil {
		c.change(request)
	}
	return request
}

// token issues a token and returns its password.
func (f *fixture) token() string {
	f.t.Helper()
	do(f.t, f.http, f.signed(func(*call) {}))
	return f.ECR.LastToken().Password
}

func TestECRRejects(t *testing.T) {
	t.Parallel()
	s := start(t)
	credentials := s.ECR.Credentials()
	credentials.SessionToken = "session"
	s.ECR.SetCredentials(credentials)
	set := func(name, value string) func(*call) {
		return func(c *call) { c.change = func(r *http.Request) { r.Header.Set(name, value) } }
	}
	for want, change := range map[string]func(*call){
		`"proxyEndpoint":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com"`: func(*call) {},
		"200":                          func(c *call) { c.skew = -14 * time.Minute },
		"authorizationData":            set("X-Amz-Meta", "added later"),
		"Signature expired":            func(c *call) { c.skew = -16 * time.Minute },
		"Signature not yet current":    func(c *call) { c.skew = 16 * time.Minute },
		"scoped to a valid region":     func(c *call) { c.region = "eu-west-1" },
		"scoped to correct service":    func(c *call) { c.service = "sts" },
		"InvalidSignatureException":    func(c *call) { c.credentials.SecretAccessKey += "x" },
		"UnrecognizedClientException":  func(c *call) { c.credentials.AccessKeyID = "AKIANOBODY" },
		"UnrecognizedClient":           func(c *call) { c.credentials.SessionToken = "another" },
		"requires existence":           set("X-Amz-Date", ""),
		"MissingAuthenticationToken":   set("Authorization", ""),
		"IncompleteSignatureException": set("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
		"UnknownOperationException":    set("X-Amz-Target", "ListImages"),
		"UnknownOperation":             set("Content-Type", "application/cbor"),
		"request signature we calculated": func(c *call) {
			c.change = func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }
		},
	} {
		if got := do(t, s.http, s.signed(change)); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// check asks a registry with credentials, or without any for an empty username.
func (f *fixture) check(host, username, password string) string {
	f.t.Helper()
	request := f.request("GET", "https://"+host+"/v2/", "")
	if username != "" {
		request.SetBasicAuth(username, password)
	}
	return do(f.t, f.http, request)
}

func TestRegistryVerifiesTheToken(t *testing.T) {
	t.Parallel()
	s := start(t)
	token, own := s.token(), s.RegistryHost()
	for name, test := range map[string]struct {
		host, username, password, want string
		ahead                          time.Duration
	}{
		"good":            {own, "AWS", token, "200 {}", 12*time.Hour - 10*time.Second},
		"expired":         {own, "AWS", token, "403 Your authorization token has expired", 12 * time.Hour},
		"another account": {"210987654321.dkr.ecr.us-east-1.amazonaws.com", "AWS", token, "200 {}", 0},
		"dual-stack":      {"123456789012.dkr-ecr.us-east-1.on.aws", "AWS", token, "200 {}", 0},
		"another region":  {"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS", token, "400 ", 0},
		"mangled":         {own, "AWS", token[:100], "400 ", 0},
		"no token":        {own, "AWS", "eyJwYXlsb2FkIjoieCJ9", "403 Your Authorization Token is invalid.", 0},
		"another user":    {own, "root", token, "401 Not Authorized", 0},
		"nobody":          {own, "", "", "401 Not Authorized", 0},
	} {
		s.ahead = test.ahead
		if got := s.check(test.host, test.username, test.password); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
	if all := s.Registry.Checks(); !slices.Contains(all, sandbox.Check{Host: own, Username: "root", Status: 401}) {
		t.Errorf("it notes %v", all)
	}
}

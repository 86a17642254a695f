package airflowclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

const (
	apiPassword = `r3fresher "pass" <&> 4711`
	newPassword = "eyJwYXlsb2FkIjoiQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoi/+=="
	jwtEnd      = "-0123456789" // of every JWT and bearer token here
)

// request is one that reached the stand-in.
type request struct{ line, bearer, body string }

// airflow is a server that speaks like Airflow on the routes it is given. Any other request fails the test.
type airflow struct {
	*httptest.Server
	mu   sync.Mutex
	seen []request
}

type routes map[string]http.HandlerFunc

// newAirflow starts a server. Unless routes has a login, it grants token-1, token-2 and so on.
func newAirflow(t *testing.T, r routes) *airflow {
	t.Helper()
	a := &airflow{}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		line := req.Method + " " + req.URL.RequestURI()
		a.mu.Lock()
		bearer := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		a.seen = append(a.seen, request{line, bearer, string(body)})
		a.mu.Unlock()
		switch handle := r[line]; {
		case handle != nil:
			handle(w, req)
		case line == login:
			answers(201, fmt.Sprintf(`{"access_token":"token-%d%s"}`, len(a.received(login)), jwtEnd))(w, req)
		default:
			t.Errorf("unexpected request %s", line)
		}
	}))
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.Start()
	t.Cleanup(a.Close)
	return a
}

// received returns the requests so far, of one line if that is given.
func (a *airflow) received(line ...string) []request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.seen), func(r request) bool { return len(line) > 0 && r.line != line[0] })
}

// answers returns a handler that always answers the same: JSON, a web page, or nothing.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		switch {
		case strings.HasPrefix(body, "<"):
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		case body != "":
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn returns a handler that answers by the handlers in turn, and from then on by the last.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, req *http.Request) {
		handlers[min(int(calls.Add(1)), len(handlers))-1](w, req)
	}
}

func newClient(t *testing.T, base string, edit ...func(*Config)) *Client {
	t.Helper()
	untrusted.Conceal(newPassword) // as who makes a token does
	cfg := Config{BaseURL: base, Login: "refresher", Password: secret.New(apiPassword), Account: "the account"}
	for _, e := range edit {
		e(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.shortest, c.longest = 0, 0
	return c
}

// clientOf returns a client of a new server.
func clientOf(t *testing.T, r routes) *Client {
	t.Helper()
	return newClient(t, newAirflow(t, r).URL)
}

const (
	one      = "GET /api/v2/connections/docker_default"
	bulk     = "PATCH /api/v2/connections"
	login    = "POST /auth/token"
	logout   = "GET /api/v2/auth/logout"
	dockerDB = `{"connection_id":"docker_default","conn_type":"docker","description":"d","host":"h","login":"AWS",
		"schema":null,"port":5000,"password":"***","extra":"{\"reauth\": true}","team_name":null}`
	updated = `{"update":{"success":["docker_default"],"errors":[]}}`
)

func readOne(t *testing.T, c *Client) error {
	_, err := c.Connection(t.Context(), "docker_default")
	return err
}

func updateOne(t *testing.T, c *Client) error {
	return c.UpdateConnections(t.Context(), someUpdates("docker_default"))["docker_default"]
}

func noError(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wantError checks kind and text of err, and that it has none of the secrets.
func wantError(t *testing.T, err error, kind failure.Kind, text string) *failure.Error {
	t.Helper()
	var e *failure.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want %q", err, text)
	}
	if e.Kind != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error %q (%s), want %q in it (%s)", err, e.Kind, text, kind)
	}
	noSecret(t, err.Error()+fmt.Sprintf("%+v %#v", err, err))
	return e
}

func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{apiPassword, newPassword, jwtEnd} {
		for _, form := range []string{secret, strings.Trim(quoted(secret), `"`), url.QueryEscape(secret)} {
			for i := 0; i+11 <= len(form); i++ {
				if strings.Contains(text, form[i:i+11]) {
					t.Fatalf("a piece of a secret stands in %q", text)
				}
			}
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	const form, scheme, path = "is not of the form", "has no scheme", "ends with the path of the API"
	for raw, wrong := range map[string]string{
		"airflow:8080": scheme, "af.example.com": scheme, "af:8080/api/v2": scheme, "user:s3cretword@af": scheme,
		"ftp://h": form, "http://h:port": form, "http://u:s3cretword@h:bad": form, "https://:8080": form,
		"http://u:s3cretword@h": form, "http://h?x=1": form, "http://h?": form, "http://h#x": form,
		"http://h:65536": form, "http://h:8080:9090": form, "https://s3cretword bad": form,
		"https://h/api/v2/": path, "http://h:8080/b/c/api/v1": path, "https://[::1]:80/api/v2": path,
	} {
		_, err := New(Config{BaseURL: raw})
		wantError(t, err, BadBaseURL, "airflow's base URL "+wrong)
		if strings.Contains(err.Error(), "s3cretword") {
			t.Errorf("%q stands in %q", "s3cretword", err)
		}
	}
	a := newAirflow(t, routes{
		"POST /deploy/x/auth/token":                       answers(201, `{"access_token":"t"}`),
		"GET /deploy/x/api/v2/connections/docker_default": answers(200, dockerDB),
	})
	for _, slash := range []string{"", "/", "//"} {
		c := newClient(t, a.URL+"/deploy/x"+slash)
		if err := readOne(t, c); err != nil || c.BaseURL() != a.URL+"/deploy/x" {
			t.Errorf("base URL %q, %v", c.BaseURL(), err)
		}
	}
}

// Version needs no login.
func TestVersion(t *testing.T) {
	t.Parallel()
	c := clientOf(t, routes{login: nil, "GET /api/v2/version": inTurn(
		answers(200, `{"version":"3.3.2\n::group::","git_version":null}`), answers(403, `{"detail":"Forbidden"}`))})
	got, err := c.Version(t.Context())
	if want := (VersionInfo{"3.3.2 group"}); err != nil || got != want || !c.jwt.Empty() {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	_, err = c.Version(t.Context())
	wantError(t, err, NotAirflow, "airflow answered 403")
}

// A client keeps JWTs, and Variable values, where no verb of fmt reaches them.
func TestHiddenIsNotPrinted(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://airflow", func(cfg *Config) { cfg.Token = secret.New(newPassword) })
	for _, held := range []any{c, c.config, secret.New(newPassword)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			noSecret(t, fmt.Sprintf(verb, held))
		}
	}
}

package airflowclient

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	apiPassword = `r3fresher "pass" <&> 4711`
	newPassword = "eyJwYXlsb2FkIjoiQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoi/+=="
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
	a.Server = httptest.NewUnstartedServer(a.handler(t, r))
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.Start()
	t.Cleanup(a.Close)
	return a
}

func (a *airflow) handler(t *testing.T, r routes) http.Handler {
	logins := 0
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		line := req.Method + " " + req.URL.RequestURI()
		a.mu.Lock()
		bearer := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
		a.seen = append(a.seen, request{line, bearer, string(body)})
		if line == login {
			logins++
		}
		n := logins
		a.mu.Unlock()
		switch handle := r[line]; {
		case handle != nil:
			handle(w, req)
		case line == login:
			writeJSON(w, 201, fmt.Sprintf(`{"access_token":"token-%d-0123456789"}`, n))
		default:
			t.Errorf("unexpected request %s", line)
			w.WriteHeader(500)
		}
	})
}

// received returns the requests so far, of one line if that is given.
func (a *airflow) received(line ...string) []request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(a.seen), func(r request) bool { return len(line) > 0 && r.line != line[0] })
}

func writeJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// answers returns a handler that always answers the same.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, status, body) }
}

// inTurn returns a handler that answers by the handlers in turn, and from then on by the last.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := -1
	return func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		n = min(n+1, len(handlers)-1)
		handle := handlers[n]
		mu.Unlock()
		handle(w, req)
	}
}

func newClient(t *testing.T, base string, edit ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: base, Login: "refresher", Password: hide(apiPassword), Account: "the account"}
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
	t.Helper()
	_, err := c.Connection(t.Context(), "docker_default")
	return err
}

func updateOne(t *testing.T, c *Client) error {
	t.Helper()
	return c.UpdateConnections(t.Context(), someUpdates("docker_default"))["docker_default"]
}

// wantError checks kind and text of err, and that it has none of the secrets.
func wantError(t *testing.T, err error, kind Kind, text string) *Error {
	t.Helper()
	var e *Error
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
	for _, secret := range []string{apiPassword, newPassword, "-0123456789"} {
		for _, form := range forms(secret) {
			for i := 0; i+12 <= len(form); i++ {
				if strings.Contains(text, form[i:i+12]) {
					t.Fatalf("a piece of a secret stands in %q", text)
				}
			}
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for raw, text := range map[string]string{
		"":                          `has scheme ""`,
		"airflow:8080":              `has scheme "airflow"`,
		"ftp://airflow":             `has scheme "ftp"`,
		"http://":                   "has no host",
		"https://:8080":             "has no host",
		"http://h:port":             "cannot be read as a URL",
		"http://u:s3cretword@h":     "user name or a password",
		"http://u:s3cretword@h:bad": "cannot be read as a URL",
		"http://h?x=1":              "query or a fragment",
		"http://h?":                 "query or a fragment",
		"http://h#x":                "query or a fragment",
	} {
		_, err := New(Config{BaseURL: raw})
		wantError(t, err, BadBaseURL, text)
		if strings.Contains(err.Error(), "s3cretword") {
			t.Errorf("%q stands in %q", "s3cretword", err)
		}
	}
	for _, slash := range []string{"", "/", "//"} {
		a := newAirflow(t, routes{
			"POST /deploy/x/auth/token":                       answers(201, `{"access_token":"t"}`),
			"GET /deploy/x/api/v2/connections/docker_default": answers(200, dockerDB),
		})
		c := newClient(t, a.URL+"/deploy/x"+slash)
		if err := readOne(t, c); err != nil || c.BaseURL() != a.URL+"/deploy/x" {
			t.Errorf("base URL %q, %v", c.BaseURL(), err)
		}
	}
}

func TestNotAirflow(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		text   string
	}{
		"the web page":      {answer(200, "text/html; charset=utf-8", "<html>"), "200 with text/html instead of JSON"},
		"no content type":   {answer(200, "", dockerDB), "200 with no content type instead of JSON"},
		"another shape":     {answers(200, `["`+newPassword+`"]`), "200 with JSON of another shape than Airflow 3's"},
		"half of it":        {answers(200, dockerDB[:40]), "200 with JSON of another shape"},
		"nothing":           {answer(204, "", ""), "204 No Content"},
		"403 of a gateway":  {answer(403, "text/html", "<html>"), "403 Forbidden"},
		"an unknown status": {answers(418, `{}`), "418 I'm a teapot"},
		"a page of a fault": {answer(400, "text/plain", newPassword), "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clientOf(t, routes{one: test.handle, bulk: test.handle})
			wantError(t, readOne(t, c), NotAirflow, "airflow answered "+test.text)
			wantError(t, updateOne(t, c), NotAirflow, "airflow answered "+test.text)
			c = clientOf(t, routes{login: test.handle})
			wantError(t, readOne(t, c), NotAirflow, `log in as "refresher": airflow answered `+test.text)
		})
	}
}

package airflowclient

import (
	"encoding/json"
	"fmt"
	"io"
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

// asked is one request that reached the stand-in.
type asked struct{ line, bearer, body string }

// airflow is a server that speaks like Airflow on the routes it is given. Any other request fails the test.
type airflow struct {
	*httptest.Server
	mu   sync.Mutex
	seen []asked
}

type routes map[string]http.HandlerFunc

// newAirflow starts a server. Unless routes has a login, it grants token-1, token-2 and so on.
func newAirflow(t *testing.T, r routes) *airflow {
	t.Helper()
	a := &airflow{}
	a.Server = httptest.NewServer(a.handler(t, r))
	t.Cleanup(a.Close)
	return a
}

func (a *airflow) handler(t *testing.T, r routes) http.Handler {
	logins := 0
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		line := req.Method + " " + req.URL.RequestURI()
		a.mu.Lock()
		a.seen = append(a.seen, asked{line, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "), string(body)})
		if line == "POST /auth/token" {
			logins++
		}
		n := logins
		a.mu.Unlock()
		switch handle := r[line]; {
		case handle != nil:
			handle(w, req)
		case line == "POST /auth/token":
			answerJSON(w, 201, fmt.Sprintf(`{"access_token":"token-%d-0123456789"}`, n))
		default:
			t.Errorf("unexpected request %s", line)
			w.WriteHeader(500)
		}
	})
}

// asked gives the requests so far that are line.
func (a *airflow) asked(line string) []asked {
	return slices.DeleteFunc(a.all(), func(s asked) bool { return s.line != line })
}

// all gives all requests so far.
func (a *airflow) all() []asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen)
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// says gives a handler that always answers the same.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, status, body) }
}

// first gives a handler that answers by the first handlers in turn, and from then on by the last.
func first(handlers ...http.HandlerFunc) http.HandlerFunc {
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
	cfg := Config{BaseURL: base, Login: "refresher", Password: hide(apiPassword)}
	for _, e := range edit {
		e(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := c.api.Client.(*doer)
	d.shortest, d.longest = 0, 0
	return c
}

const (
	one      = "GET /api/v2/connections/docker_default"
	bulk     = "PATCH /api/v2/connections"
	login    = "POST /auth/token"
	logout   = "GET /api/v2/auth/logout"
	dockerDB = `{"connection_id":"docker_default","conn_type":"docker","description":"d","host":"h","login":"AWS",
		"schema":null,"port":5000,"password":"***","extra":"{\"reauth\": true}","team_name":null}`
)

// wantError checks text, kind and hint of err, and that it has none of the secrets.
func wantError(t *testing.T, err error, permanent bool, text, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want one with %q", err, text)
	}
	if failure.IsPermanent(err) != permanent {
		t.Errorf("error %q: permanent is %v", err, !permanent)
	}
	if got := failure.Hint(err); !strings.Contains(got, hint) || hint == "" && got != "" {
		t.Errorf("error %q: hint %q, want one with %q", err, got, hint)
	}
	noSecret(t, err.Error()+failure.Hint(err)+fmt.Sprintf("%+v %#v", err, err))
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

func TestNewRefusesURL(t *testing.T) {
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
		"http://h#x":                "query or a fragment",
	} {
		_, err := New(Config{BaseURL: raw})
		wantError(t, err, true, text, "connection airflow-api")
		if strings.Contains(err.Error(), "s3cretword") {
			t.Errorf("%q stands in %q", "s3cretword", err)
		}
	}
}

func TestBasePathIsKept(t *testing.T) {
	t.Parallel()
	for _, slash := range []string{"", "/", "//"} {
		a := newAirflow(t, routes{
			"POST /deploy/x/auth/token":                       says(201, `{"access_token":"t"}`),
			"GET /deploy/x/api/v2/connections/docker_default": says(200, dockerDB),
		})
		c := newClient(t, a.URL+"/deploy/x"+slash)
		if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
			t.Fatal(err)
		}
		if want := a.URL + "/deploy/x"; c.BaseURL() != want {
			t.Errorf("base URL %q, want %q", c.BaseURL(), want)
		}
	}
}

func TestNotJSON(t *testing.T) {
	t.Parallel()
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<html>")
	}
	bare := func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, dockerDB)
	}
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		text   string
	}{
		"the web page":    {html, "airflow answered 200 with text/html instead of JSON"},
		"no content type": {bare, "airflow answered 200 with no content type instead of JSON"},
		"another shape":   {says(200, `["`+newPassword+`"]`), "airflow answered 200 with JSON of another shape than Airflow 3's"},
		"half of it":      {says(200, dockerDB[:40]), "airflow answered 200 with JSON of another shape"},
		"nothing":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "airflow answered 204 No Content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAirflow(t, routes{one: test.handle, bulk: test.handle})
			_, err := newClient(t, a.URL).Connection(t.Context(), "docker_default")
			wantError(t, err, true, test.text, hintBaseURL)
			err = newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("docker_default"))["docker_default"]
			wantError(t, err, true, test.text, hintBaseURL)

			a = newAirflow(t, routes{login: test.handle})
			_, err = newClient(t, a.URL).Connection(t.Context(), "docker_default")
			wantError(t, err, true, `log in as "refresher": `+test.text, hintBaseURL)
		})
	}
}

// keys gives the names in a JSON object, sorted.
func keys(t *testing.T, body string) []string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(body), &object); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

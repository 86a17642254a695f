package airflowclient

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201} {
		granted := answers(status, `{"access_token":"jwt-0123456789"}`)
		a := newAirflow(t, routes{login: granted, one: answers(200, dockerDB)})
		c := newClient(t, a.URL)
		for range 2 {
			if err := readOne(t, c); err != nil {
				t.Fatal(err)
			}
		}
		if got := a.received(login); len(got) != 1 ||
			got[0].body != `{"password":`+quoted(apiPassword)+`,"username":"refresher"}` {
			t.Errorf("logins %v, want one with a password and a user name", got)
		}
		for _, r := range a.received(one) {
			if r.bearer != "jwt-0123456789" {
				t.Errorf("sent the JWT %q", r.bearer)
			}
		}
	}
}

func TestLoginFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status     int
		body, text string
		kind       Kind
	}{
		{401, `{"detail":"Invalid credentials"}`, "401: Invalid credentials", LoginRejected},
		{403, `{"detail":"Invalid credentials"}`, "403: Invalid credentials", LoginRejected},
		{400, `{"detail":"Username and password must be provided"}`, "400: Username and", LoginRejected},
		{404, `{"detail":"Not Found"}`, "404: Not Found", NoLoginEndpoint},
		{405, `{"detail":"Method Not Allowed"}`, "405: Method", NoLoginEndpoint},
		{422, `{"detail":` + quoted("1 validation error\n  input_value={'password': '"+apiPassword+"'}") + `}`,
			"422: the request did not pass validation", Invalid},
		{500, `{"detail":"x"}`, "500: x", Unavailable},
		{201, `{}`, "201 without a token", NotAirflow},
	} {
		a := newAirflow(t, routes{login: answers(test.status, test.body)})
		err := readOne(t, newClient(t, a.URL))
		e := wantError(t, err, test.kind, `log in as "refresher": airflow answered `+test.text)
		if e.Status != test.status || test.kind == LoginRejected && e.Object != "the account" {
			t.Errorf("facts are %+v", e)
		}
		want := 1
		if test.status == 500 {
			want = loginAttempts
		}
		if n := len(a.received(login)); n != want {
			t.Errorf("%d: %d logins, want %d", test.status, n, want)
		}
	}
}

func TestLoginOnceMore(t *testing.T) {
	t.Parallel()
	for name, rejection := range map[string]http.HandlerFunc{
		"expired": answers(401, `{"detail":"Token Expired"}`),
		"invalid": answers(403, `{"detail":"Invalid JWT token"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAirflow(t, routes{bulk: inTurn(rejection, answers(200, updated))})
			if err := updateOne(t, newClient(t, a.URL)); err != nil {
				t.Fatal(err)
			}
			got := a.received(bulk)
			if len(got) != 2 || got[0].bearer != "token-1-0123456789" || got[1].bearer != "token-2-0123456789" ||
				got[0].body != got[1].body || got[0].body == "" {
				t.Errorf("received %v, want the same twice with two JWTs", got)
			}

			a = newAirflow(t, routes{one: rejection})
			err := readOne(t, newClient(t, a.URL))
			wantError(t, err, JWTRejected, "the JWT of a new login is rejected: airflow answered 40")
			if calls, logins := len(a.received(one)), len(a.received(login)); calls != 2 || logins != 2 {
				t.Errorf("%d calls and %d logins, want 2 and 2", calls, logins)
			}
		})
	}
}

// givenToken ends in what wantError takes for a secret.
const givenToken = "given~-0123456789"

func withToken(cfg *Config) { cfg.Token, cfg.Login, cfg.Password = hide(givenToken), "", nil }

func TestBearerToken(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: answers(200, dockerDB), bulk: answers(200, updated)})
	c := newClient(t, a.URL, withToken)
	for _, err := range []error{readOne(t, c), updateOne(t, c), c.Logout(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := a.received(); len(got) != 2 || got[0].bearer != givenToken || got[1].bearer != givenToken {
		t.Errorf("received %v, want two calls with the token, no login and no logout", got)
	}

	for body, kind := range map[string]Kind{
		`{"detail":"Token Expired ` + givenToken + `"}`: TokenRejected, `{"detail":"Invalid JWT token"}`: TokenRejected,
		`{"detail":"Forbidden"}`: Forbidden,
	} {
		text, status := "the bearer token is rejected: airflow answered 40", 403
		if strings.Contains(body, "Expired") {
			status = 401
		}
		if kind == Forbidden {
			text = "airflow answered 403: Forbidden"
		}
		a := newAirflow(t, routes{one: answers(status, body)})
		e := wantError(t, readOne(t, newClient(t, a.URL, withToken)), kind, text)
		if len(a.received()) != 1 || kind == TokenRejected && (e.Object != "the account" || e.Status != status) {
			t.Errorf("received %v, facts are %+v", a.received(), e)
		}
	}
	for _, odd := range []string{"\n", " ", "\u00e9", "\x7f"} {
		_, err := New(Config{BaseURL: "http://airflow", Token: hide(givenToken + odd), Account: "x"})
		if e := wantError(t, err, TokenRejected, "the bearer token holds a space"); e.Object != "x" {
			t.Errorf("it is about %q", e.Object)
		}
	}
}

func TestOneLoginForAll(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") == "Bearer token-1-0123456789" {
			writeJSON(w, 401, `{"detail":"Token Expired"}`)
			return
		}
		writeJSON(w, 200, dockerDB)
	}})
	c := newClient(t, a.URL)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := readOne(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(a.received(login)); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	elsewhere := newAirflow(t, routes{})
	a := newAirflow(t, routes{one: answers(200, dockerDB), logout: func(w http.ResponseWriter, req *http.Request) {
		cookie, err := req.Cookie("_token")
		if err != nil || "Bearer "+cookie.Value != req.Header.Get("Authorization") {
			t.Errorf("Airflow 3.2 does not see the JWT: %v", err)
		}
		http.Redirect(w, req, elsewhere.URL+"/auth/login", http.StatusTemporaryRedirect)
	}})
	c := newClient(t, a.URL)
	if err := c.Logout(t.Context()); err != nil || len(a.received()) != 0 {
		t.Fatalf("logout of nobody: %v, received %v", err, a.received())
	}
	for _, err := range []error{readOne(t, c), c.Logout(t.Context()), c.Logout(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := a.received(logout)
	if len(got) != 1 || got[0].bearer != "token-1-0123456789" || len(elsewhere.received()) != 0 {
		t.Errorf("logouts %v, want one with the JWT; and the other host received %v", got, elsewhere.received())
	}

	for body, failed := range map[string]bool{`{"detail":"Invalid JWT token"}`: false, `{"detail":"Forbidden"}`: true} {
		c := clientOf(t, routes{one: answers(200, dockerDB), logout: answers(403, body)})
		if err := readOne(t, c); err != nil {
			t.Fatal(err)
		}
		if err := c.Logout(t.Context()); failed {
			wantError(t, err, NotAirflow, "log out: airflow answered 403: Forbidden")
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestLogHasNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := newAirflow(t, routes{one: answers(200, dockerDB), bulk: answers(200, updated)})
	c := newClient(t, a.URL, func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	if err := readOne(t, c); err != nil {
		t.Fatal(err)
	}
	if err := updateOne(t, c); err != nil {
		t.Fatal(err)
	}
	noSecret(t, log.String())
	if !strings.Contains(log.String(), "method=PATCH path=/api/v2/connections attempt=1") {
		t.Errorf("the call is not in the log %q", log.String())
	}
}

// The JWT of the SimpleAuthManager names a role; another, or what is no JWT, names none.
func TestSimpleRole(t *testing.T) {
	t.Parallel()
	encoded := func(claims string) string { return "h." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".s" }
	for jwt, want := range map[string]string{
		encoded(`{"sub":"a","role":"op"}`): "op", encoded(`{"sub":"1"}`): "", encoded(`nonsense`): "", "x": "",
	} {
		c := clientOf(t, routes{login: answers(201, `{"access_token":"`+jwt+`"}`)})
		if got, err := c.SimpleRole(t.Context()); err != nil || got != want {
			t.Errorf("%s: role %q, %v, want %q", jwt, got, err, want)
		}
		c = newClient(t, newAirflow(t, routes{}).URL, func(cfg *Config) { cfg.Token = hide(jwt) })
		if got, err := c.SimpleRole(t.Context()); err != nil || got != want {
			t.Errorf("%s, given: role %q, %v, want %q", jwt, got, err, want)
		}
	}
	_, err := clientOf(t, routes{login: answers(401, `{"detail":"Invalid credentials"}`)}).SimpleRole(t.Context())
	wantError(t, err, LoginRejected, "Invalid credentials")
}

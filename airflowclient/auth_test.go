package airflowclient

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"

)

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201} {
		a := newAirflow(t, routes{login: says(status, `{"access_token":"jwt-0123456789"}`), one: says(200, dockerDB)})
		c := newClient(t, a.URL)
		for range 2 {
			if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
				t.Fatal(err)
			}
		}
		if got := a.asked(login); len(got) != 1 || !slices.Equal(keys(t, got[0].body), []string{"password", "username"}) {
			t.Errorf("logins %v, want one with a password and a user name", got)
		}
		for _, r := range a.asked(one) {
			if r.bearer != "jwt-0123456789" {
				t.Errorf("sent the JWT %q", r.bearer)
			}
		}
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status    int
		body      string
		permanent bool
		text      string
		hint      string
	}{
		{401, `{"detail":"Invalid credentials"}`, true, "airflow answered 401: Invalid credentials", hintLogin},
		{403, `{"detail":"Invalid credentials"}`, true, "airflow answered 403: Invalid credentials", hintLogin},
		{400, `{"detail":"Username and password must be provided"}`, true, "airflow answered 400: Username and", hintLogin},
		{404, `{"detail":"Not Found"}`, true, "airflow answered 404: Not Found", hintNoLogin},
		{405, `{"detail":"Method Not Allowed"}`, true, "airflow answered 405: Method", hintNoLogin},
		{422, `{"detail":` + quoted("1 validation error\n  input_value={'password': '"+apiPassword+"'}") + `}`, true,
			"airflow answered 422: the request did not pass validation", "older or newer"},
		{500, `{"detail":"x"}`, false, "airflow answered 500: x", hintServer},
		{201, `{}`, true, "airflow answered 201 without a token", hintBaseURL},
	} {
		a := newAirflow(t, routes{login: says(test.status, test.body)})
		_, err := newClient(t, a.URL).Connections(t.Context())
		wantError(t, err, test.permanent, `log in as "refresher": `+test.text, test.hint)
		want := 1
		if test.status == 500 {
			want = loginAttempts
		}
		if n := len(a.asked(login)); n != want {
			t.Errorf("%d: %d logins, want %d", test.status, n, want)
		}
	}
}

func TestLoginOnceMore(t *testing.T) {
	t.Parallel()
	for name, rejection := range map[string]http.HandlerFunc{
		"expired": says(401, `{"detail":"Token Expired"}`),
		"invalid": says(403, `{"detail":"Invalid JWT token"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAirflow(t, routes{one: first(rejection, says(200, dockerDB))})
			if _, err := newClient(t, a.URL).Connection(t.Context(), "docker_default"); err != nil {
				t.Fatal(err)
			}
			got := a.asked(one)
			if len(got) != 2 || got[0].bearer != "token-1-0123456789" || got[1].bearer != "token-2-0123456789" {
				t.Errorf("asked %v, want two with two JWTs", got)
			}

			a = newAirflow(t, routes{one: rejection})
			_, err := newClient(t, a.URL).Connection(t.Context(), "docker_default")
			wantError(t, err, true, "a new login changes nothing: airflow answered 40", "[api_auth] jwt_secret")
			if calls, logins := len(a.asked(one)), len(a.asked(login)); calls != 2 || logins != 2 {
				t.Errorf("%d calls and %d logins, want 2 and 2", calls, logins)
			}
		})
	}
}

func TestForbiddenIsNotALogin(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: says(403, `{"detail":"Forbidden"}`)})
	_, err := newClient(t, a.URL).Connection(t.Context(), "docker_default")
	wantError(t, err, true, "airflow answered 403: Forbidden", "reading a connection needs can_read on Connections: airflow roles add-perms ROLE -r Connections -a can_read (FAB;")
	if n := len(a.asked(login)); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestForbiddenToEdit(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{bulk: says(403, `{"detail":"Forbidden"}`)})
	err := newClient(t, a.URL).UpdateConnections(t.Context(), someUpdates("docker_default"))["docker_default"]
	wantError(t, err, true, "airflow answered 403: Forbidden", "updating a connection needs can_edit on Connections: airflow roles add-perms ROLE -r Connections -a can_edit (FAB;")
}

// givenToken is a ready-made token: wantError takes its end for a secret.
const givenToken = "given-0123456789"

func withToken(cfg *Config) {
	cfg.Token, cfg.Login, cfg.Password = hide(givenToken), "", nil
}

func TestGivenToken(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: says(200, dockerDB), bulk: says(200, `{"update":{"success":["docker_default"]}}`)})
	c := newClient(t, a.URL, withToken)
	if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
		t.Fatal(err)
	}
	if failed := c.UpdateConnections(t.Context(), someUpdates("docker_default")); len(failed) > 0 {
		t.Fatal(failed)
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.all(); len(got) != 2 || got[0].bearer != givenToken || got[1].bearer != givenToken {
		t.Errorf("asked %v, want two calls with the token, no login and no logout", got)
	}
}

func TestGivenTokenIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status     int
		body, text string
		hint       string
	}{
		{401, `{"detail":"Token Expired ` + givenToken + `"}`, "the token in ECR_REFRESH_AIRFLOW_TOKEN is not taken: airflow answered 401: Token Expired", hintToken},
		{403, `{"detail":"Invalid JWT token"}`, "the token in ECR_REFRESH_AIRFLOW_TOKEN is not taken: airflow answered 403: Invalid JWT", hintToken},
		{403, `{"detail":"Forbidden"}`, "airflow answered 403: Forbidden", "reading a connection needs can_read"},
	} {
		a := newAirflow(t, routes{one: says(test.status, test.body)})
		_, err := newClient(t, a.URL, withToken).Connection(t.Context(), "docker_default")
		wantError(t, err, true, test.text, test.hint)
		if n := len(a.all()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	}
}

func TestNewRefusesToken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{givenToken + "\n", "Bearer " + givenToken, givenToken + "\u00e9"} {
		_, err := New(Config{BaseURL: "http://airflow", Token: hide(text)})
		wantError(t, err, true, "the token in ECR_REFRESH_AIRFLOW_TOKEN holds a space", hintToken)
	}
}

func TestOneLoginForAll(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") == "Bearer token-1-0123456789" {
			answerJSON(w, 401, `{"detail":"Token Expired"}`)
			return
		}
		answerJSON(w, 200, dockerDB)
	}})
	c := newClient(t, a.URL)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(a.asked(login)); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	elsewhere := newAirflow(t, routes{})
	a := newAirflow(t, routes{one: says(200, dockerDB), logout: func(w http.ResponseWriter, req *http.Request) {
		if cookie, err := req.Cookie("_token"); err != nil || "Bearer "+cookie.Value != req.Header.Get("Authorization") {
			t.Errorf("Airflow 3.2 does not see the JWT: %v", err)
		}
		http.Redirect(w, req, elsewhere.URL+"/auth/login", http.StatusTemporaryRedirect)
	}})
	c := newClient(t, a.URL)
	if err := c.Logout(t.Context()); err != nil || len(a.all()) != 0 {
		t.Fatalf("logout of nobody: %v, asked %v", err, a.all())
	}
	if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.asked(logout); len(got) != 1 || got[0].bearer != "token-1-0123456789" {
		t.Errorf("logouts %v, want one with the JWT", got)
	}
	if len(elsewhere.all()) != 0 {
		t.Errorf("the redirect was followed: %v", elsewhere.all())
	}
}

func TestLogoutFails(t *testing.T) {
	t.Parallel()
	for body, text := range map[string]string{`{"detail":"Invalid JWT token"}`: "", `{"detail":"Forbidden"}`: "log out: airflow answered 403: Forbidden"} {
		a := newAirflow(t, routes{one: says(200, dockerDB), logout: says(403, body)})
		c := newClient(t, a.URL)
		if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
			t.Fatal(err)
		}
		if err := c.Logout(t.Context()); text != "" {
			wantError(t, err, true, text, hintBaseURL)
		} else if err != nil {
			t.Error(err)
		}
	}
}

func TestLogHasNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := newAirflow(t, routes{one: says(200, dockerDB), bulk: says(200, `{"update":{"success":["docker_default"]}}`)})
	c := newClient(t, a.URL, func(cfg *Config) {
		cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	if _, err := c.Connection(t.Context(), "docker_default"); err != nil {
		t.Fatal(err)
	}
	if err := c.UpdateConnections(t.Context(), someUpdates("docker_default"))["docker_default"]; err != nil {
		t.Fatal(err)
	}
	noSecret(t, log.String())
	if !bytes.Contains(log.Bytes(), []byte("status=200")) {
		t.Errorf("no status in the log %q", log.String())
	}
}

// The JWT of the SimpleAuthManager names a role; another, or what is no JWT, names none.
func TestSimpleRole(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]string{`{"sub":"a","role":"op"}`: "op", `{"sub":"1"}`: "", `nonsense`: ""} {
		jwt := "h." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".s"
		a := newAirflow(t, routes{login: says(201, `{"access_token":"`+jwt+`"}`)})
		if got, err := newClient(t, a.URL).SimpleRole(t.Context()); err != nil || got != want {
			t.Errorf("%s: role %q, %v, want %q", claims, got, err, want)
		}
		given := newClient(t, newAirflow(t, routes{}).URL, func(cfg *Config) { cfg.Token = hide(jwt) })
		if got, err := given.SimpleRole(t.Context()); err != nil || got != want {
			t.Errorf("%s, given: role %q, %v, want %q", claims, got, err, want)
		}
	}
	if got, err := newClient(t, newAirflow(t, routes{}).URL).SimpleRole(t.Context()); err != nil || got != "" {
		t.Errorf("role %q, %v of no JWT", got, err)
	}
}

// Errors name the variables that login, password and token came from.
func TestEnvPrefix(t *testing.T) {
	t.Parallel()
	admin := func(cfg *Config) { cfg.EnvPrefix = "ECR_REFRESH_ADMIN_" }
	a := newAirflow(t, routes{login: says(401, `{"detail":"Invalid credentials"}`)})
	_, err := newClient(t, a.URL, admin).Connection(t.Context(), "docker_default")
	wantError(t, err, true, "airflow answered 401", "check ECR_REFRESH_ADMIN_LOGIN and ECR_REFRESH_ADMIN_PASSWORD")
	a = newAirflow(t, routes{one: says(403, `{"detail":"Invalid JWT token"}`)})
	_, err = newClient(t, a.URL, admin, func(cfg *Config) { cfg.Token = hide("given") }).Connection(t.Context(), "docker_default")
	wantError(t, err, true, "the token in ECR_REFRESH_ADMIN_TOKEN is not taken", hintToken)
}

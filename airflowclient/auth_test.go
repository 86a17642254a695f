package airflowclient

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

// One login serves all calls, and no secret gets into the log.
func TestLogin(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 201} {
		var log bytes.Buffer
		a := newAirflow(t, routes{login: answers(status, `{"access_token":"jwt`+jwtEnd+`"}`),
			one: answers(200, dockerDB), bulk: answers(200, updated)})
		c := newClient(t, a.URL, func(cfg *Config) {
			cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		noError(t, readOne(t, c), updateOne(t, c))
		got := a.received()
		if len(got) != 3 || got[0].body != `{"password":`+quoted(apiPassword)+`,"username":"refresher"}` ||
			got[1].bearer != "jwt"+jwtEnd || got[2].bearer != "jwt"+jwtEnd {
			t.Errorf("received %v, want one login and two calls with its JWT", got)
		}
		noSecret(t, log.String())
		if !strings.Contains(log.String(), "method=PATCH path=/api/v2/connections attempt=1") {
			t.Errorf("the call is not in the log %q", log.String())
		}
	}
}

func TestLoginFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status, calls int
		body, text    string
		kind          failure.Kind
	}{
		{401, 1, `{"detail":"Invalid credentials"}`, "answered 401: Invalid credentials", LoginRejected},
		{403, 1, `{"detail":"Invalid credentials"}`, "answered 403: Invalid credentials", LoginRejected},
		{400, 1, `{"detail":"must be provided"}`, "answered 400: must be provided", LoginRejected},
		{401, 1, `<html>`, "answered 401 Unauthorized", NotAirflow},
		{404, 1, `{"detail":"no docker_default"}`, "answered 404: no docker_default", NoLoginEndpoint},
		{405, 1, `{"detail":"Method Not Allowed"}`, "answered 405: Method", NoLoginEndpoint},
		{422, 1, `{"detail":` + quoted("1 validation error\n  input_value={'password': '"+apiPassword+"'}") + `}`,
			"answered 422: the request did not pass validation", Invalid},
		{500, loginAttempts, `{"detail":"x"}`, "answered 500: x", LoginFailed},
		{503, attempts, `{"detail":"x"}`, "answered 503: x", Unavailable},
		{201, 1, `{}`, "answered without a token", NotAirflow},
		{200, 1, `<html>`, "answered 200 with text/html", NotAirflow},
	} {
		a := newAirflow(t, routes{login: answers(test.status, test.body)})
		e := wantError(t, readOne(t, newClient(t, a.URL)), test.kind, `log in as "refresher": airflow `+test.text)
		if (test.kind == LoginRejected || test.kind == LoginFailed) && e.Facts.Object != "the account" {
			t.Errorf("facts are %+v", e)
		}
		if n := len(a.received()); n != test.calls {
			t.Errorf("%d: %d logins, want %d", test.status, n, test.calls)
		}
	}
}

// Client credentials go to Keycloak alone, which names its fields otherwise: an auth manager that does not know them
// rejects the login. No other grant type is sent.
func TestGrantType(t *testing.T) {
	t.Parallel()
	for grantType, body := range map[string]string{
		"":         `{"password":` + quoted(apiPassword) + `,"username":"refresher"}`,
		"password": `{"password":` + quoted(apiPassword) + `,"username":"refresher"}`,
		"client_credentials": `{"client_id":"refresher","client_secret":` + quoted(apiPassword) +
			`,"grant_type":"client_credentials"}`,
	} {
		a := newAirflow(t, routes{login: inTurn(answers(201, `{"access_token":"jwt`+jwtEnd+`"}`),
			answers(422, `{"detail":"x"}`)), one: answers(401, `{"detail":"Token Expired"}`)})
		err := readOne(t, newClient(t, a.URL, func(cfg *Config) { cfg.GrantType = grantType }))
		want := Invalid
		if grantType == "client_credentials" {
			want = LoginRejected
		}
		wantError(t, err, want, "airflow answered 422")
		if got := a.received(login); len(got) != 2 || got[0].body != body {
			t.Errorf("%q: received %v, want %s", grantType, got, body)
		}
	}
	_, err := New(Config{BaseURL: "http://airflow", GrantType: "Password"})
	wantError(t, err, BadGrantType, `grant_type "Password" is neither password nor client_credentials`)
}

const givenToken = "given~" + jwtEnd

func withToken(cfg *Config) {
	cfg.Token, cfg.Login, cfg.Password = secret.New(givenToken), "", secret.Secret{}
}

func TestBearerToken(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: answers(200, dockerDB), bulk: answers(200, updated)})
	c := newClient(t, a.URL, withToken)
	noError(t, readOne(t, c), updateOne(t, c), c.Logout(t.Context()))
	if got := a.received(); len(got) != 2 || got[0].bearer != givenToken || got[1].bearer != givenToken {
		t.Errorf("received %v, want two calls with the token, no login and no logout", got)
	}
	const rejected = "the bearer token is rejected: airflow answered "
	for _, test := range []struct {
		status       int
		detail, text string
		kind         failure.Kind
		object       string
	}{
		{401, "Token Expired " + givenToken, rejected + "401: Token Expired [redacted]", TokenRejected, "the account"},
		{403, "Invalid JWT token", rejected + "403: Invalid JWT token", TokenRejected, "the account"},
		{403, "Forbidden", "airflow answered 403: Forbidden", Forbidden, "Connections"},
	} {
		a := newAirflow(t, routes{one: answers(test.status, `{"detail":`+quoted(test.detail)+`}`)})
		e := wantError(t, readOne(t, newClient(t, a.URL, withToken)), test.kind, test.text)
		if len(a.received()) != 1 || e.Facts.Object != test.object {
			t.Errorf("received %v, facts are %+v", a.received(), e)
		}
	}
	for _, odd := range []string{"\n", " ", "\u00e9", "\x7f"} {
		_, err := New(Config{BaseURL: "http://airflow", Token: secret.New(givenToken + odd), Account: "x"})
		if e := wantError(t, err, TokenRejected, "the bearer token has blanks"); e.Facts.Object != "x" {
			t.Errorf("it is about %q", e.Facts.Object)
		}
	}
}

func TestOneLoginForAll(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{one: func(w http.ResponseWriter, req *http.Request) {
		status := 200
		if req.Header.Get("Authorization") == "Bearer token-1"+jwtEnd {
			status = 401
		}
		answers(status, dockerDB)(w, req)
	}})
	c := newClient(t, a.URL)
	var all errgroup.Group
	for range 8 {
		all.Go(func() error { return readOne(t, c) })
	}
	noError(t, all.Wait())
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
	noError(t, c.Logout(t.Context()), readOne(t, c), c.Logout(t.Context()), c.Logout(t.Context()))
	got := a.received(logout)
	if len(got) != 1 || got[0].bearer != "token-1"+jwtEnd || len(elsewhere.received()) != 0 {
		t.Errorf("logouts %v, want one with the JWT; and the other host received %v", got, elsewhere.received())
	}
	c = clientOf(t, routes{one: answers(200, dockerDB),
		logout: inTurn(answers(403, `{"detail":"Invalid JWT token"}`), answers(403, `{"detail":"Forbidden"}`))})
	noError(t, readOne(t, c), c.Logout(t.Context()), readOne(t, c))
	wantError(t, c.Logout(t.Context()), Forbidden, "airflow answered 403: Forbidden")

	c = clientOf(t, routes{one: answers(200, dockerDB), logout: func(_ http.ResponseWriter, req *http.Request) {
		<-req.Context().Done()
	}})
	ended, cancel := context.WithCancel(t.Context())
	noError(t, readOne(t, c))
	cancel()
	wantError(t, c.Logout(ended), failure.Unreachable, "no answer in time") // soon, and not before it was sent
}

func encoded(claims string) string {
	return "h." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".s"
}

// The claims of a JWT that serialize_user of an auth manager adds identify that auth manager.
func TestForbiddenNamesTheAuthManager(t *testing.T) {
	t.Parallel()
	const common = `"aud":"apache-airflow","exp":2,"iat":1,"nbf":1,"jti":"x"`
	for jwt, want := range map[string]failure.Kind{
		encoded(`{"sub":"a","role":"viewer","teams":[],` + common + `}`):                  ForbiddenBySimple,
		encoded(`{"sub":"1",` + common + `}`):                                             ForbiddenByFAB,
		encoded(`{"user_id":"1","access_token":"b","refresh_token":null,` + common + `}`): ForbiddenByKeycloak,
		encoded(`{"sub":"1","groups":[],` + common + `}`):                                 Forbidden,
		"opaque": Forbidden,
	} {
		forbids := answers(403, `{"detail":"Forbidden"}`)
		c := clientOf(t, routes{login: answers(201, `{"access_token":"`+jwt+`"}`), one: forbids})
		_, err := c.Connection(t.Context(), "docker_default")
		right := "can_read on Connections"
		if want == ForbiddenByKeycloak {
			right = "GET and LIST on Connection"
		}
		if !failure.Is(err, want) || MissingRight(err) != right {
			t.Errorf("%s: %+v, want %q", jwt, err, want)
		}
	}
}

// The JWT of the SimpleAuthManager names a role; another, or what is no JWT, names none.
func TestSimpleRole(t *testing.T) {
	t.Parallel()
	for jwt, want := range map[string]string{
		encoded(`{"sub":"a","role":"op"}`): "op", encoded(`{"sub":"1"}`): "", encoded(`nonsense`): "", "x": "",
	} {
		c := clientOf(t, routes{login: answers(201, `{"access_token":"`+jwt+`"}`)})
		got, err := c.SimpleRole(t.Context())
		c = newClient(t, "http://airflow", func(cfg *Config) { cfg.Token = secret.New(jwt) })
		given, err2 := c.SimpleRole(t.Context())
		if noError(t, err, err2); got != want || given != want {
			t.Errorf("%s: roles %q and %q, want %q", jwt, got, given, want)
		}
	}
	_, err := clientOf(t, routes{login: answers(401, `{"detail":"Invalid credentials"}`)}).SimpleRole(t.Context())
	wantError(t, err, LoginRejected, "Invalid credentials")
}

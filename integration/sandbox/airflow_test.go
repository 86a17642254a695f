package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// ask sends one call of Airflow's API, with JSON, as a user who has logged in, or as nobody.
func (f *fixture) ask(authorization, call, body string) string {
	f.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	return do(f.t, noRedirect, f.request(method, f.Airflow.URL()+path, body, "Authorization", authorization,
		"Content-Type", "application/json"))
}

var noRedirect = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// login returns the Authorization header of a user.
func (f *fixture) login(name string) string {
	f.t.Helper()
	user, _ := f.Airflow.User(name)
	got := f.ask("", "POST /auth/token", fmt.Sprintf(`{"username":%q,"password":%q}`, name, user.Password))
	token := regexp.MustCompile(`^201 {"access_token":"(.+?)"`).FindStringSubmatch(got)
	if token == nil {
		f.t.Fatal(got)
	}
	return "Bearer " + token[1]
}

// exchange is a call, and the status and a text that are in its answer. The answers are those of a real Airflow 3.3.2.
type exchange struct{ user, call, body, want string }

func (f *fixture) exchange(all ...exchange) {
	f.t.Helper()
	logins := map[string]string{"": "", "nonsense": "Bearer x"}
	for _, x := range all {
		if _, known := logins[x.user]; !known {
			logins[x.user] = f.login(x.user)
		}
		got := f.ask(logins[x.user], x.call, x.body)
		status, text, _ := strings.Cut(x.want, " ")
		if !strings.HasPrefix(got, status+" ") || !strings.Contains(got, text) {
			f.t.Errorf("%s: %s %s\ngot  %s\nwant %s", x.user, x.call, x.body, got, x.want)
		}
	}
}

// What Airflow rejects, and what it repeats of its input when it does.
func TestAirflowRejects(t *testing.T) {
	t.Parallel()
	s := start(t)
	const login, get = "POST /auth/token", "GET /api/v2/connections/docker_default"
	const patch, good = "PATCH /api/v2/connections", `"connection_id":"docker_default","conn_type":"docker"`
	const at = `"loc":["body","actions",0,"update","entities",0`
	s.exchange([]exchange{
		{"", login, `{"username":"refresher","password":"wrong"}`, `401 {"detail":"Invalid credentials"}`},
		{"", login, `{"password":"hunter22"}`, "422 validation error for LoginBody\\nusername\\n  Field required " +
			"[type=missing, input_value=map[password:hunter22]"},
		{"", login, `{`, "500 Internal Server Error"},
		{"", "GET /api/v2/zap", "", `404 {"error":"API route not found"}`},
		{"", "GET /airflow/api/v2/version", "", "200 <!doctype html>"},
		{"", "PUT /api/v2/connections", "", "405 Method Not Allowed"},
		{"", get, "", `401 {"detail":"Not authenticated"}`},
		{"nonsense", get, "", `403 {"detail":"Invalid JWT token"}`},
		{"viewer", get, "", `403 {"detail":"Forbidden"}`},
		{"viewer", patch, update(`{` + good + `}`), `403 {"detail":"Forbidden"}`},
		{"viewer", patch, update(`{}`), "422 Field required"},
		{"", patch, update(`{}`), "401 Not authenticated"},
		{"", patch, `{`, "422 json_invalid"},
		{"refresher", "GET /api/v2/connections/nope", "", "404 {\"detail\":\"The Connection with connection_id: " +
			"`nope` was not found\"}"},
		{"refresher", patch, update(`{"connection_id":"a","password":"hunter22"}`), `422 {"type":"missing",` + at +
			`,"conn_type"],"msg":"Field required","input":{"connection_id":"a","password":"hunter22"}}`},
		{"refresher", patch, update(`{` + good + `,"foo":"bar"}`), `422 {"type":"extra_forbidden",` + at + `,"foo"]`},
		{"refresher", patch, update(`{` + good + `,"password":5}`), `422 {"type":"string_type",` + at + `,"password"]`},
		{"refresher", patch, update(`{"connection_id":"a b","conn_type":"docker"}`),
			`422 {"type":"string_pattern_mismatch",` + at + `,"connection_id"]`},
		{"refresher", patch, update(`{`+good+`}`, `,"action_on_non_existence":"zap"`), "422 'fail' or 'skip'"},
		{"refresher", patch, `{"actions":[{"action":"update"}]}`, `422 "input":{"action":"update"}`},
		{"", "GET /execution/connections/docker_default", "", "401 Missing auth token"},
		{"refresher", "GET /execution/connections/docker_default", "", "403 Invalid auth token"},
		{"refresher", patch, `{"actions":[{"action":"zap","entities":[]}]}`, "500 Internal Server Error"},
	}...)
	form := s.request("POST", s.Airflow.URL()+"/auth/token", "password=hunter22")
	if got := do(t, noRedirect, form); !strings.HasPrefix(got, "422") || !strings.Contains(got, "hunter22") {
		t.Errorf("form: %s", got)
	}
}

// Keycloak's auth manager with Keycloak 26.7, as package real sees it: its tokens have about 3 kB.
func TestAirflowOfKeycloak(t *testing.T) {
	t.Parallel()
	s := start(t)
	rights := []string{"GET on Connection"}
	s.Airflow.SetUser("user", sandbox.User{Password: "p", Permissions: rights, Keycloak: "user"})
	s.Airflow.SetUser("client", sandbox.User{Password: "s", Permissions: rights, Keycloak: "client"})
	const login, connection = "POST /auth/token", "/api/v2/connections"
	const rejected = `403 {"detail":"Client credentials authentication failed"}`
	s.exchange([]exchange{
		{"", login, `{"grant_type":"password","username":"user","password":"p"}`, `201 {"access_token":"`},
		{"", login, `{"username":"user","password":"wrong"}`, "500 Internal Server Error"},
		{"", login, `{"grant_type":"client_credentials","client_id":"client","client_secret":"s"}`, "201"},
		{"", login, `{"grant_type":"client_credentials","client_id":"client","client_secret":"wrong"}`, rejected},
		{"", login, `{"grant_type":"client_credentials","client_id":"user","client_secret":"p"}`, rejected},
		{"", login, `{"grant_type":"none","username":"user","password":"p"}`, "422 Input tag 'none' found"},
		{"user", "GET " + connection, "", "200"},
		{"user", "PATCH " + connection, update(`{"connection_id":"a","conn_type":"docker"}`), "403 Forbidden"},
		{"user", "GET /api/v2/pools/p", "", "403 Forbidden"},
	}...)
	for _, jwt := range s.Airflow.JWTs() {
		if len(jwt) < 2_500 || len(jwt) > 4_000 {
			t.Errorf("a token has %d characters", len(jwt))
		}
	}
}

// update is the body of a bulk update.
func update(entities string, more ...string) string {
	return `{"actions":[{"action":"update","entities":[` + entities + `]` + strings.Join(more, "") + `}]}`
}

func TestAirflowTokensEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	const get = "GET /api/v2/connections/docker_default"
	first, second := s.login("refresher"), s.login("refresher")
	got := []string{s.ask(first, "GET /api/v2/auth/logout", ""), s.ask(first, get, ""), s.ask(second, get, "")}
	s.ahead = 25 * time.Hour
	got = append(got, s.ask(second, get, ""))
	want := regexp.MustCompile(`(?s)^307 .*\n403 {"detail":"Invalid JWT.*\n200 .*\n401 {"detail":"Token Expired`)
	if all := strings.Join(got, "\n"); !want.MatchString(all) {
		t.Errorf("got %s\nwant %s", all, want)
	}
}

func TestAirflowUpdates(t *testing.T) {
	t.Parallel()
	s := start(t)
	const a, missing = `"connection_id":"a","conn_type":"docker"`, `{"connection_id":"b","conn_type":"docker"}`
	const success, same = `"success":["a"]`, "{a docker d h l old s 1 {}}"
	for body, want := range map[string]struct{ answer, stored string }{
		update(`{` + a + `,"password":"new"}`):        {success, "{a docker d h l new s 1 {}}"},
		update(`{` + a + `,"host":null,"port":null}`): {success, "{a docker d  l old s 0 {}}"},
		update(`{` + a + `,"password":null}`):         {success, same},
		update(`{` + a + `,"password":""}`):           {success, same},
		update(`{` + a + `,"password":"***"}`):        {success, same},
		update(`{` + a + `,"password":"new"},` + missing): {`{"errors":[{"error":"The connections with these ` +
			`connection_ids: {'b'} were not found.","status_code":404}],"success":[]}`, "{a http d h l old s 1 {}}"},
	} {
		s.Airflow.SetConnection(sandbox.Connection{ID: "a", Type: "http", Description: "d", Schema: "s", Host: "h",
			Port: 1, Login: "l", Password: "old", Extra: `{}`})
		s.exchange(exchange{"refresher", "PATCH /api/v2/connections", body, "200 " + want.answer})
		if got, _ := s.Airflow.Connection("a"); fmt.Sprint(got) != want.stored {
			t.Errorf("%s\nstored %v\nwant   %s", body, got, want.stored)
		}
	}
}

func TestAirflowObjects(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Airflow.SetDAG(sandbox.DAG{ID: "d", Paused: true, Source: "import airflow", Runs: []sandbox.DAGRun{
		{ID: "first", Tasks: map[string]string{"a[2]": "failed"}, Logs: map[string]any{"a": []string{"line"}}},
		{ID: "second+00:00", XComs: map[string]any{"a": map[string]int{"n": 1}, "a[2]": "text"}},
	}})
	s.Airflow.SetConnection(sandbox.Connection{ID: "secretive", Type: "docker", Password: "oldpassword123", Extra: `{
		"reauth": true, "registry_token": "abcdefgh", "n": [1, {"password": "zzzzzz"}], "plain": "x oldpassword123"}`})
	redacted, _ := json.Marshal(`{"n":[1,{"password":"***"}],"plain":"x ***","reauth":true,"registry_token":"***"}`)
	s.Airflow.SetUser("custom", sandbox.User{Password: "p", Permissions: []string{"can_read on Connections"}})
	const pool, variable, connection = "/api/v2/pools", "/api/v2/variables", "/api/v2/connections"
	const runs, events = "GET /api/v2/dags/d/dagRuns", "GET /api/v2/eventLogs?included_events=post_connection"
	const xcom = runs + "/second+00:00/taskInstances/a/xcomEntries/return_value"
	s.exchange([]exchange{
		{"admin", "GET " + pool + "/p", "", "404 The Pool with name: `p` was not found"},
		{"admin", "POST " + pool, `{"name":"p","slots":5}`, `201 "slots":5`},
		{"admin", "POST " + pool, `{"name":"p","slots":5}`, "409 Unique constraint violation"},
		{"admin", "POST " + pool, `{"name":"p"}`, `422 "loc":["body","slots"]`},
		{"admin", "POST " + variable, `{"key":"my_secret","value":"v"}`, `201 "value":"***"`},
		{"admin", "POST " + variable, `{"key":"my_other","value":"v"}`, `201 "value":"v"`},
		{"admin", "POST " + variable, `{"key":"my_secret","value":"v"}`, "409 `my_secret` already exists"},
		{"admin", "PATCH " + variable + "/my_secret", `{"key":"k","value":"v"}`, "400 doesn't match uri parameter"},
		{"admin", "POST " + connection, `{"connection_id":"c","conn_type":"http","password":"x"}`, `201 "***"`},
		{"admin", "POST " + connection, `{"connection_id":"c","conn_type":"http"}`, "409 Unique constraint violation"},
		{"admin", "POST " + connection, `{"connection_id":"c"}`, `422 "loc":["body","conn_type"]`},
		{"admin", "PATCH " + connection + "/c", `{"connection_id":"d","conn_type":"docker"}`, "400 does not match"},
		{"viewer", "DELETE " + pool + "/p", "", "403 Forbidden"},
		{"admin", "DELETE " + variable + "/k", "", "404 The Variable with key: `k` was not found"},
		{"admin", "DELETE " + variable + "/my_other", "", "204"},
		{"custom", "GET " + connection, "", "200"}, // a role of FAB's has what it was given
		{"custom", "GET " + pool + "/p", "", "403 Forbidden"},
		{"custom", "PATCH " + connection + "/c", `{"connection_id":"c","conn_type":"docker"}`, "403 Forbidden"},
		{"viewer", "GET " + pool + "/p", "", "200"}, // Simple's viewer reads all but connections and Variables
		{"viewer", "GET " + variable + "/my_secret", "", "403 Forbidden"},
		{"viewer", "POST " + pool, `{"name":"q","slots":1}`, "403 Forbidden"},
		{"viewer", "GET /api/v2/dags/d/details", "", `200 "is_paused":true`},
		{"viewer", "GET /api/v2/dags/x/details", "", `404 {"detail":"Dag with id: x was not found"}`},
		{"viewer", runs + "?limit=1&order_by=-id", "", `200 "dag_run_id":"second+00:00"`},
		{"viewer", runs + "?order_by=zap", "", "400 Ordering with 'zap'"},
		{"viewer", runs + "/first/taskInstances", "", `200 "map_index":2,"pool":"systemqueue","queue":"systemqueue",` +
			`"start_date":null,"state":"failed","task_id":"a","try_number":1`},
		{"viewer", runs + "/first/taskInstances/a/logs/1", "", `200 {"content":["line"],"continuation_token":null}`},
		{"viewer", runs + "/first/taskInstances/b/logs/1", "", `404 {"detail":"TaskInstance not found"}`},
		{"viewer", "GET /api/v2/dagSources/d", "", `200 {"content":"import airflow"`},
		{"viewer", "POST /api/v2/dags/d/dagRuns", `{"logical_date":null}`, "403 Forbidden"},
		{"admin", "POST /api/v2/dags/d/dagRuns", `{}`, `422 "loc":["body","logical_date"]`},
		{"admin", "POST /api/v2/dags/x/dagRuns", `{"logical_date":null}`, `404 "Dag with dag_id: 'x' not found"`},
		{"admin", "POST /api/v2/dags/d/dagRuns", `{"logical_date":null,"conf":{"dry_run":true}}`,
			`200 "conf":{"dry_run":true},"dag_id":"d","dag_run_id":"manual__`},
		{"viewer", xcom + "?map_index=-1", "", `200 "value":{"n":1}`},
		{"viewer", xcom + "?map_index=2", "", `200 "value":"text"`},
		{"viewer", xcom + "?map_index=3", "", "404 XCom entry with key: `return_value` not found"},
		{"custom", events, "", "403 Forbidden"},
		{"viewer", events + "&limit=1&order_by=-event_log_id", "", `200 "event":"post_connection","event_log_id":3,` +
			`"extra":"{\"connection_id\": \"c\", \"method\": \"POST\"}"`}, // one that was rejected with 422
		{"viewer", events + "&after=2100-01-01T00:00:00Z", "", `200 {"event_logs":[],"total_entries":0}`},
		{"refresher", "GET " + connection + "/secretive", "", `200 "extra":` + string(redacted) +
			`,"host":null,"login":null,"password":"***"`},
	}...)
	for i := range 150 {
		s.Airflow.SetConnection(sandbox.Connection{ID: fmt.Sprintf("many-%03d", i), Type: "http"})
	}
	page := s.ask(s.login("refresher"), "GET "+connection+"?limit=1000", "")
	if n := strings.Count(page, `"connection_id"`); n != 100 || !strings.Contains(page, `"total_entries":153`) {
		t.Errorf("a page has %d rows, want 100 of 153", n)
	}
}

package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

func TestAirflowObjects(t *testing.T) {
	s := start(t, sandbox.Options{})
	admin := login(t, s, "admin")
	const pool, variable = "/api/v2/pools/p", "/api/v2/variables/my_secret"
	for _, x := range []exchange{
		{"no pool", "GET " + pool, admin, "", 404, "{\"detail\":\"The Pool with name: `p` was not found\"}"},
		{"new pool", "POST /api/v2/pools", admin, `{"name":"p","slots":5}`, 201, `"slots":5`},
		{"old pool", "POST /api/v2/pools", admin, `{"name":"p","slots":5}`, 409, `Unique constraint violation`},
		{"half a pool", "POST /api/v2/pools", admin, `{"name":"p"}`, 422, `"loc":["body","slots"]`},
		{"pool by its other name", "PATCH " + pool, admin, `{"name":"p","slots":5}`, 422, `"loc":["body","name"]`},
		{"change pool", "PATCH " + pool, admin, `{"pool":"p","slots":7,"include_deferred":false,"description":""}`, 200,
			`"slots":7`},
		{"pool", "GET " + pool, admin, "", 200, `"name":"p"`},
		{"no Variable", "GET " + variable, admin, "", 404,
			"{\"detail\":\"The Variable with key: `my_secret` was not found\"}"},
		{"new Variable", "POST /api/v2/variables", admin, `{"key":"my_secret","value":"v"}`, 201, `"value":"***"`},
		{"old Variable", "POST /api/v2/variables", admin, `{"key":"my_secret","value":"v"}`, 409,
			"{\"detail\":\"The Variable with key: `my_secret` already exists\"}"},
		{"change Variable", "PATCH " + variable, admin, `{"key":"my_secret","value":{"a":1}}`, 200, `"value":"***"`},
		{"other Variable", "PATCH " + variable, admin, `{"key":"k","value":"v"}`, 400, `doesn't match uri parameter`},
		{"new connection", "POST /api/v2/connections", admin,
			`{"connection_id":"c","conn_type":"http","port":80,"password":"x"}`, 201, `"password":"***"`},
		{"old connection", "POST /api/v2/connections", admin, `{"connection_id":"c","conn_type":"http"}`, 409,
			`Unique constraint violation`},
		{"bad connection", "POST /api/v2/connections", admin, `{"connection_id":"c"}`, 422,
			`"loc":["body","conn_type"]`},
		{"change connection", "PATCH /api/v2/connections/c", admin,
			`{"connection_id":"c","conn_type":"docker","port":null}`, 200, `"port":null`},
		{"other connection", "PATCH /api/v2/connections/c", admin, `{"connection_id":"d","conn_type":"docker"}`, 400,
			`does not match the URL parameter`},
		{"no connection", "PATCH /api/v2/connections/d", admin, `{"connection_id":"d","conn_type":"docker"}`, 404,
			"`d` was not found"},
	} {
		x.run(t, s, jsonType)
	}
	if v, _ := s.Airflow.Variable("my_secret"); v.Value != `{"a":1}` {
		t.Errorf("stored %+v", v)
	}
	if c, _ := s.Airflow.Connection("c"); c.Type != "docker" || c.Port != 0 || c.Password != "x" {
		t.Errorf("stored %+v", c)
	}
}

// Simple's viewer reads all but connections and Variables; a FAB role has what it was given.
func TestAirflowRights(t *testing.T) {
	s := start(t, sandbox.Options{})
	s.Airflow.SetUser("custom", sandbox.User{Password: "p",
		Permissions: []string{"can_read on Connections", "can_edit on Connections"}})
	s.Airflow.SetPool(sandbox.Pool{Name: "p", Slots: 1})
	s.Airflow.SetDAG(sandbox.DAG{ID: "d"})
	patch := update(`{"connection_id":"docker_default","conn_type":"docker"}`)
	for user, want := range map[string][]int{"viewer": {200, 403, 200, 403, 403, 403, 403, 403},
		"custom":    {403, 403, 403, 403, 200, 200, 403, 403},
		"refresher": {200, 404, 200, 409, 200, 200, 409, 409}, "admin": {200, 404, 200, 409, 200, 200, 409, 409}} {
		authorization := login(t, s, user)
		s.Airflow.SetVariable(sandbox.Variable{Key: "there"})
		for i, call := range []string{"GET /api/v2/pools/p", "GET /api/v2/variables/v", "GET /api/v2/dags/d/details",
			`POST /api/v2/pools {"name":"p","slots":1}`,
			"GET /api/v2/connections", "PATCH /api/v2/connections " + patch,
			`POST /api/v2/variables {"key":"there","value":""}`,
			`POST /api/v2/connections {"connection_id":"docker_default","conn_type":"docker"}`} {
			line, body, _ := strings.Cut(call, " {")
			if body != "" {
				body = "{" + body
			}
			exchange{user + " " + line, line, authorization, body, want[i], ""}.run(t, s, jsonType)
		}
	}
}

func TestAirflowDAGs(t *testing.T) {
	s := start(t, sandbox.Options{})
	viewer := login(t, s, "viewer")
	day := time.Date(2026, 11, 24, 6, 41, 40, 0, time.UTC)
	s.Airflow.SetImportErrors(sandbox.ImportError{File: "a.py", StackTrace: "SyntaxError"})
	s.Airflow.SetDAG(sandbox.DAG{ID: "d", Paused: true, File: "/d.py", LastParsed: day, Runs: []sandbox.DAGRun{
		{ID: "first", State: "failed", Start: day, Tasks: map[string]string{"a[2]": "failed"}},
		{ID: "second+00:00", State: "running", XComs: map[string]any{"a": map[string]int{"n": 1}, "a[2]": "text"}},
	}})
	const tasks = "GET /api/v2/dags/d/dagRuns/second+00:00/taskInstances"
	for _, x := range []exchange{
		{"DAG", "GET /api/v2/dags/d/details", viewer, "", 200, `"is_paused":true`},
		{"no DAG", "GET /api/v2/dags/x/details", viewer, "", 404, `{"detail":"Dag with id: x was not found"}`},
		{"nobody", "GET /api/v2/dags/x/details", "", "", 401, `Not authenticated`},
		{"runs", "GET /api/v2/dags/d/dagRuns?limit=1", viewer, "", 200,
			`"dag_run_id":"first","end_date":null,"start_date":"2026-11-24T06:41:40.000000Z"`},
		{"newest run", "GET /api/v2/dags/d/dagRuns?limit=1&order_by=-id", viewer, "", 200,
			`"dag_run_id":"second+00:00"`},
		{"other order", "GET /api/v2/dags/d/dagRuns?order_by=zap", viewer, "", 400, `Ordering with 'zap'`},
		{"tasks", "GET /api/v2/dags/d/dagRuns/first/taskInstances", viewer, "", 200,
			`"map_index":2,"state":"failed","task_id":"a"`},
		{"no run", "GET /api/v2/dags/d/dagRuns/zap/taskInstances", viewer, "", 404, "`zap` was not found"},
		{"XCom", tasks + "/a/xcomEntries/return_value?map_index=-1", viewer, "", 200, `"value":{"n":1}`},
		{"mapped XCom", tasks + "/a/xcomEntries/return_value?map_index=2", viewer, "", 200, `"value":"text"`},
		{"no XCom", tasks + "/b/xcomEntries/return_value", viewer, "", 404,
			"XCom entry with key: `return_value` not found"},
		{"no such instance", tasks + "/a/xcomEntries/return_value?map_index=x", viewer, "", 422, "int_parsing"},
		{"import errors", "GET /api/v2/importErrors", viewer, "", 200, `"stack_trace":"SyntaxError"`},
	} {
		x.run(t, s, "")
	}
	if response, _ := do(t, http.DefaultClient,
		newRequest(t, "POST", s.Airflow.URL()+"/api/v2/dags/d/details", "{}", "Authorization",
			viewer)); response.StatusCode != 405 {
		t.Error(response.Status)
	}
}

package airflowclient

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"net/http"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{"GET /api/v2/version": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Tue, 24 Nov 2026 06:41:40 GMT")
		writeJSON(w, 200, `{"version":"3.3.2","git_version":null}`)
	}})
	got, err := newClient(t, a.URL).Version(t.Context())
	if want := (Version{"3.3.2", time.Date(2026, 11, 24, 6, 41, 40, 0, time.UTC)}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if len(a.received(login)) != 0 {
		t.Error("it logged in")
	}
	_, err = clientOf(t, routes{"GET /api/v2/version": answers(404, `{}`)}).Version(t.Context())
	wantError(t, err, NotAirflow, "airflow answered 404")
}

// Each object is read, or missing; an unknown route is another error.
func TestObjects(t *testing.T) {
	t.Parallel()
	const run = "manual__2026-11-24T06:41:40+00:00"
	const runPath = "GET /api/v2/dags/d/dagRuns/" + run + "/taskInstances"
	for kind, test := range map[Kind]struct {
		line, body string
		message    string // Airflow's, of a 404
		name       string
		read       func(*Client) (any, error)
		want       any
	}{
		NoConnection: {one, dockerDB, "The Connection with connection_id: `docker_default` was not found",
			"docker_default", func(c *Client) (any, error) { return c.Connection(t.Context(), "docker_default") },
			Connection{ID: "docker_default", Type: "docker", Host: "h", Port: 5000, Login: "AWS",
				HasPassword: true, Extra: `{"reauth": true}`}},
		NoPool: {"GET /api/v2/pools/p", `{"name":"p","slots":5,"description":null,"include_deferred":true}`,
			"The Pool with name: `p` was not found", "p",
			func(c *Client) (any, error) { return c.Pool(t.Context(), "p") }, Pool{"p", 5, "", true}},
		NoVariable: {"GET /api/v2/variables/k", `{"key":"k","value":"123","description":"d"}`,
			"The Variable with key: `k` was not found", "k", func(c *Client) (any, error) {
				v, err := c.Variable(t.Context(), "k")
				return v.Key + v.Value.Reveal(), err
			}, "k123"},
		NoDAG: {"GET /api/v2/dags/d/details", `{"dag_id":"d","is_paused":true,"has_import_errors":true}`,
			"Dag with id: d was not found", "d", func(c *Client) (any, error) { return c.DAG(t.Context(), "d") },
			DAG{ID: "d", Paused: true, HasImportErrors: true}},
		NoDAGRun: {runPath + "?limit=100", `{"task_instances":[{"task_id":"a","map_index":2,"state":"failed"}]}`,
			"DagRun with run_id: `" + run + "` was not found", run,
			func(c *Client) (any, error) { return c.TaskInstances(t.Context(), "d", run) },
			[]TaskInstanceResponse{{TaskId: "a", MapIndex: 2, State: new(TaskInstanceStateFailed)}}},
		NoXCom: {runPath + "/a/xcomEntries/return_value?map_index=-1", `{"value":{"n":12345678901234567}}`,
			"XCom entry with key: `return_value` not found", "return_value",
			func(c *Client) (any, error) { return c.XCom(t.Context(), "d", run, "a", -1) }, `{"n":12345678901234567}`},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			got, err := test.read(clientOf(t, routes{test.line: answers(200, test.body)}))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
			_, err = test.read(clientOf(t, routes{test.line: answers(404, `{"detail":`+quoted(test.message)+`}`)}))
			e := wantError(t, err, kind, "airflow has "+string(kind))
			if !errors.Is(err, ErrNotFound) || e.Object != test.name || e.Status != 404 {
				t.Errorf("facts are %+v", e)
			}
			_, err = test.read(clientOf(t, routes{test.line: answers(404, `{"detail":"Not Found"}`)}))
			wantError(t, err, NotAirflow, "airflow answered 404")
		})
	}
}

func TestDAGRuns(t *testing.T) {
	t.Parallel()
	const line, day = "GET /api/v2/dags/d/dagRuns?limit=3&order_by=-id", "2026-11-24T06:41:40.500000Z"
	const rows = `{"dag_run_id":"r","state":"success","start_date":"` + day + `","end_date":"` + day +
		`","conf":{"dry_run":true}},{"dag_run_id":"q","state":"failed","start_date":null,"end_date":null,"conf":null}`
	c := clientOf(t, routes{line: answers(200, `{"dag_runs":[`+rows+`],"total_entries":9}`)})
	got, err := c.DAGRuns(t.Context(), "d", 3)
	at := time.Date(2026, 11, 24, 6, 41, 40, 5e8, time.UTC)
	want := []DAGRun{{ID: "r", State: "success", Start: at, End: at, DryRun: true}, {ID: "q", State: "failed"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	c = clientOf(t, routes{line: answers(404, `{"detail":"Dag with dag_id: 'd' not found"}`)})
	_, err = c.DAGRuns(t.Context(), "d", 3)
	wantError(t, err, NoDAG, "airflow has no such DAG")
}

func TestXComForms(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{
		`{"a":1}`: `{"a":1}`, quoted(`{"a":1}`): `{"a":1}`, quoted(quoted(`{"a":1}`)): `{"a":1}`,
		`null`: `null`, quoted("null"): `null`, quoted("plain"): `plain`, quoted(""): ``, `[]`: `[]`,
		quoted("a line of a log\n{\"a\":1}\n"): "a line of a log\n{\"a\":1}",
	} {
		const line = "GET /api/v2/dags/d/dagRuns/r/taskInstances/t/xcomEntries/return_value?map_index=2"
		c := clientOf(t, routes{line: answers(200, `{"value":`+stored+`}`)})
		if got, err := c.XCom(t.Context(), "d", "r", "t", 2); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", stored, got, err, want)
		}
	}
}

func TestImportErrors(t *testing.T) {
	t.Parallel()
	const line = "GET /api/v2/importErrors?limit=100"
	trace := "Traceback:\n  File \"x.py\"\n\x1b[31mImportError: no " + apiPassword + strings.Repeat("é", 300) + "\n"
	c := clientOf(t, routes{line: answers(200,
		`{"import_errors":[{"filename":"a\u001b[1m.py","stack_trace":`+quoted(trace)+`}],"total_entries":1}`)})
	got, err := c.ImportErrors(t.Context())
	if err != nil || len(got) != 1 || got[0].File != "a.py" ||
		!strings.HasPrefix(got[0].Text, "ImportError: no [redacted]éé") || len([]rune(got[0].Text)) > 201 {
		t.Fatalf("got %q, %v", got, err)
	}
	noSecret(t, got[0].Text)
}

func TestVariableMasked(t *testing.T) {
	t.Parallel()
	for shown, want := range map[string]bool{`"***"`: true, `"x"`: false, `null`: false} {
		c := clientOf(t, routes{"GET /api/v2/variables/k": answers(200, `{"key":"k","value":`+shown+`}`)})
		if v, err := c.Variable(t.Context(), "k"); err != nil || v.Masked() != want {
			t.Errorf("%s: masked is %v, %v", shown, v.Masked(), err)
		}
	}
}

// What is sent holds the fields that were given and no other; a secret in it is known to the scrubber.
func TestWrites(t *testing.T) {
	t.Parallel()
	whole := Update{ID: "c", Type: "http", Host: "h", Port: 8080, Login: "l", Schema: "s", Description: "d",
		Password: hide(newPassword)}
	variable := Variable{Key: "k", Value: hide(newPassword)}
	for line, test := range map[string]struct {
		want  string
		write func(*Client) error
	}{
		"POST /api/v2/pools": {`{"include_deferred":false,"name":"p","slots":5}`,
			func(c *Client) error { return c.CreatePool(t.Context(), Pool{Name: "p", Slots: 5}) }},
		"PATCH /api/v2/pools/p": {`{"description":"","include_deferred":true,"pool":"p","slots":5}`,
			func(c *Client) error { return c.UpdatePool(t.Context(), Pool{"p", 5, "", true}) }},
		"POST /api/v2/variables": {`{"key":"k","value":"` + newPassword + `"}`,
			func(c *Client) error { return c.CreateVariable(t.Context(), variable) }},
		"PATCH /api/v2/variables/k": {`{"key":"k","value":"` + newPassword + `"}`,
			func(c *Client) error { return c.UpdateVariable(t.Context(), variable) }},
		"POST /api/v2/connections": {`{"conn_type":"http","connection_id":"c","description":"d","host":"h",` +
			`"login":"l","password":"` + newPassword + `","port":8080,"schema":"s"}`,
			func(c *Client) error { return c.CreateConnection(t.Context(), whole) }},
		"PATCH /api/v2/connections/c": {`{"conn_type":"docker","connection_id":"c","port":null,"schema":null}`,
			func(c *Client) error { return c.PatchConnection(t.Context(), Update{ID: "c", Type: "docker"}) }},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			status := 200
			if strings.HasPrefix(line, "POST") {
				status = 201
			}
			a := newAirflow(t, routes{line: answers(status, `{}`)})
			if err := test.write(newClient(t, a.URL)); err != nil {
				t.Fatal(err)
			}
			if got := a.received(line); len(got) != 1 || got[0].body != test.want {
				t.Errorf("sent %v, want %s", got, test.want)
			}
			err := test.write(clientOf(t, routes{line: answers(409, `{"detail":`+quoted("no "+newPassword)+`}`)}))
			if strings.Contains(test.want, newPassword) {
				wantError(t, err, Conflict, "airflow answered 409: no [redacted]")
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	c := clientOf(t, routes{})
	for _, name := range []string{"", ".", "..", "a/b", "a\nb"} {
		_, conn := c.Connection(t.Context(), name)
		_, pool := c.Pool(t.Context(), name)
		_, variable := c.Variable(t.Context(), name)
		_, dag := c.DAG(t.Context(), name)
		_, runs := c.DAGRuns(t.Context(), name, 1)
		_, tasks := c.TaskInstances(t.Context(), name, "r")
		_, xcom := c.XCom(t.Context(), "d", "r", name, -1)
		for _, err := range []error{
			conn, pool, variable, dag, runs, tasks, xcom, c.UpdatePool(t.Context(), Pool{Name: name}),
			c.PatchConnection(t.Context(), Update{ID: name, Type: "docker"}),
			c.UpdateVariable(t.Context(), Variable{Key: name, Value: hide("")}),
		} {
			wantError(t, err, BadName, "cannot stand in a path")
		}
	}
}

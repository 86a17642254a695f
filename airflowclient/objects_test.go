package airflowclient

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

)

func TestVersion(t *testing.T) {
	t.Parallel()
	a := newAirflow(t, routes{"GET /api/v2/version": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Tue, 24 Nov 2026 06:41:40 GMT")
		answerJSON(w, 200, `{"version":"3.3.2","git_version":null}`)
	}})
	got, err := newClient(t, a.URL).Version(t.Context())
	if want := (Version{"3.3.2", time.Date(2026, 11, 24, 6, 41, 40, 0, time.UTC)}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if len(a.asked(login)) != 0 {
		t.Error("it logged in")
	}
	a = newAirflow(t, routes{"GET /api/v2/version": says(404, `{"error":"API route not found"}`)})
	_, err = newClient(t, a.URL).Version(t.Context())
	wantError(t, err, true, "airflow answered 404", hintBaseURL)
}

// Each object is read, or missing; an unknown route is another error.
func TestObjects(t *testing.T) {
	t.Parallel()
	const run, day = "manual__2026-11-24T06:41:40+00:00", "2026-11-24T06:41:40.500000Z"
	const runPath = "GET /api/v2/dags/d/dagRuns/manual__2026-11-24T06:41:40+00:00/taskInstances"
	moment := time.Date(2026, 11, 24, 6, 41, 40, 5e8, time.UTC)
	for name, test := range map[string]struct {
		line, body string
		notFound   string // Airflow's words
		read       func(*Client) (any, error)
		want       any
	}{
		"pool": {"GET /api/v2/pools/systemqueue", `{"name":"systemqueue","slots":5,"description":null,"include_deferred":true,"open_slots":5}`,
			"The Pool with name: `systemqueue` was not found",
			func(c *Client) (any, error) { return c.Pool(t.Context(), "systemqueue") }, Pool{Name: "systemqueue", Slots: 5, IncludeDeferred: true}},
		"Variable": {"GET /api/v2/variables/ecr_aws_account", `{"key":"ecr_aws_account","value":"123","description":"d","is_encrypted":true}`,
			"The Variable with key: `ecr_aws_account` was not found",
			func(c *Client) (any, error) {
				v, err := c.Variable(t.Context(), "ecr_aws_account")
				return v.Key + "=" + v.Value.Reveal() + v.Description, err
			}, "ecr_aws_account=123d"},
		"DAG": {"GET /api/v2/dags/d/details", `{"dag_id":"d","is_paused":true,"is_stale":false,"has_import_errors":true,"fileloc":"/d.py","last_parsed_time":"` + day + `"}`,
			"Dag with id: d was not found",
			func(c *Client) (any, error) { return c.DAG(t.Context(), "d") },
			DAG{ID: "d", Paused: true, HasImportErrors: true, File: "/d.py", LastParsed: moment}},
		"DAG without runs": {"GET /api/v2/dags/d/dagRuns?limit=3&order_by=-id", `{"dag_runs":[{"dag_run_id":"r","state":"success","start_date":"` + day + `","end_date":null,"conf":{"dry_run":true}},{"dag_run_id":"q","state":"failed","start_date":null,"end_date":null,"conf":null}],"total_entries":9}`,
			"Dag with dag_id: 'd' not found",
			func(c *Client) (any, error) { return c.DAGRuns(t.Context(), "d", 3) },
			[]DAGRun{{ID: "r", State: "success", Start: moment, DryRun: true}, {ID: "q", State: "failed"}}},
		"tasks": {runPath + "?limit=100", `{"task_instances":[{"task_id":"a","map_index":-1,"state":null},{"task_id":"b","map_index":2,"state":"failed"}]}`,
			"DagRun with run_id: `" + run + "` was not found",
			func(c *Client) (any, error) { return c.TaskInstances(t.Context(), "d", run) },
			[]TaskInstance{{"a", -1, ""}, {"b", 2, "failed"}}},
		"XCom": {runPath + "/a/xcomEntries/return_value?map_index=-1", `{"key":"return_value","value":{"n":12345678901234567890}}`,
			"XCom entry with key: `return_value` not found",
			func(c *Client) (any, error) { return c.XCom(t.Context(), "d", run, "a", -1) }, `{"n":12345678901234567890}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.read(newClient(t, newAirflow(t, routes{test.line: says(200, test.body)}).URL))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
			_, err = test.read(newClient(t, newAirflow(t, routes{test.line: says(404, `{"detail":`+quoted(test.notFound)+`}`)}).URL))
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
			wantError(t, err, true, "airflow has no such ", "")
			_, err = test.read(newClient(t, newAirflow(t, routes{test.line: says(404, `{"error":"API route not found"}`)}).URL))
			if errors.Is(err, ErrNotFound) {
				t.Errorf("got %v, want another error", err)
			}
			wantError(t, err, true, "airflow answered 404", hintBaseURL)
		})
	}
}

func TestXComForms(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{
		`{"a":1}`: `{"a":1}`, quoted(`{"a":1}`): `{"a":1}`, quoted(quoted(`{"a":1}`)): `{"a":1}`,
		`null`: `null`, quoted("null"): `null`, quoted("plain"): `plain`, quoted(""): ``, `[]`: `[]`,
		quoted("a line of a log\n{\"a\":1}\n"): "a line of a log\n{\"a\":1}",
	} {
		a := newAirflow(t, routes{"GET /api/v2/dags/d/dagRuns/r/taskInstances/t/xcomEntries/return_value?map_index=2": says(200, `{"value":`+stored+`}`)})
		if got, err := newClient(t, a.URL).XCom(t.Context(), "d", "r", "t", 2); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", stored, got, err, want)
		}
	}
}

func TestImportErrors(t *testing.T) {
	t.Parallel()
	trace := "Traceback:\n  File \"x.py\"\n\x1b[31mImportError: no " + apiPassword + strings.Repeat("é", 300) + "\n"
	a := newAirflow(t, routes{"GET /api/v2/importErrors?limit=100": says(200, `{"import_errors":[{"filename":"a\u001b[1m.py","stack_trace":`+quoted(trace)+`}],"total_entries":1}`)})
	got, err := newClient(t, a.URL).ImportErrors(t.Context())
	if err != nil || len(got) != 1 || got[0].File != "a.py" || !strings.HasPrefix(got[0].Text, "ImportError: no [redacted]éé") || len([]rune(got[0].Text)) > 201 {
		t.Fatalf("got %q, %v", got, err)
	}
	noSecret(t, got[0].Text)
}

func TestVariableMasked(t *testing.T) {
	t.Parallel()
	for shown, want := range map[string]bool{`"***"`: true, `"x"`: false, `null`: false} {
		a := newAirflow(t, routes{"GET /api/v2/variables/k": says(200, `{"key":"k","value":`+shown+`}`)})
		v, err := newClient(t, a.URL).Variable(t.Context(), "k")
		if err != nil || v.Masked() != want {
			t.Errorf("%s: masked is %v, %v", shown, v.Masked(), err)
		}
	}
}

// What is sent holds the fields that were given and no other.
func TestWrites(t *testing.T) {
	t.Parallel()
	secret := hide(newPassword)
	whole := Update{ID: "c", Type: "http", Host: "h", Port: 8080, Login: "l", Schema: "s", Description: "d", Password: secret}
	variable := Variable{Key: "k", Value: secret}
	for name, test := range map[string]struct {
		line  string
		write func(*Client) error
		want  string
		right string
	}{
		"create pool": {"POST /api/v2/pools", func(c *Client) error { return c.CreatePool(t.Context(), Pool{Name: "p", Slots: 5}) },
			`{"include_deferred":false,"name":"p","slots":5}`, "creating a pool needs can_create on Pools: airflow roles add-perms ROLE -r Pools -a can_create (FAB), or the role Op"},
		"update pool": {"PATCH /api/v2/pools/p", func(c *Client) error {
			return c.UpdatePool(t.Context(), Pool{Name: "p", Slots: 5, IncludeDeferred: true})
		},
			`{"description":"","include_deferred":true,"pool":"p","slots":5}`, "updating a pool needs can_edit on Pools"},
		"create Variable": {"POST /api/v2/variables", func(c *Client) error { return c.CreateVariable(t.Context(), variable) },
			`{"key":"k","value":"` + newPassword + `"}`, "creating a Variable needs can_create on Variables"},
		"update Variable": {"PATCH /api/v2/variables/k", func(c *Client) error { return c.UpdateVariable(t.Context(), variable) },
			`{"key":"k","value":"` + newPassword + `"}`, "updating a Variable needs can_edit on Variables"},
		"create connection": {"POST /api/v2/connections", func(c *Client) error { return c.CreateConnection(t.Context(), whole) },
			`{"conn_type":"http","connection_id":"c","description":"d","host":"h","login":"l","password":"` + newPassword + `","port":8080,"schema":"s"}`,
			"creating a connection needs can_create on Connections: airflow roles add-perms ROLE -r Connections -a can_create (FAB), or"},
		"patch connection": {"PATCH /api/v2/connections/c", func(c *Client) error {
			return c.PatchConnection(t.Context(), Update{ID: "c", Type: "docker", Clear: []string{"port"}})
		}, `{"conn_type":"docker","connection_id":"c","port":null}`, "updating a connection needs can_edit on Connections"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, _, _ := strings.Cut(test.line, " ")
			status := map[string]int{"POST": 201, "PATCH": 200}[method]
			a := newAirflow(t, routes{test.line: says(status, `{}`)})
			if err := test.write(newClient(t, a.URL)); err != nil {
				t.Fatal(err)
			}
			if got := a.asked(test.line); len(got) != 1 || got[0].body != test.want {
				t.Errorf("sent %v, want %s", got, test.want)
			}
			err := test.write(newClient(t, newAirflow(t, routes{test.line: says(403, `{"detail":"Forbidden"}`)}).URL))
			wantError(t, err, true, "airflow answered 403: Forbidden", test.right)
			err = test.write(newClient(t, newAirflow(t, routes{test.line: says(409, `{"detail":`+quoted("no "+newPassword)+`}`)}).URL))
			if strings.Contains(test.want, newPassword) {
				wantError(t, err, false, "airflow answered 409: no [redacted]", hintTwice)
			}
		})
	}
}

func TestWritesRefuse(t *testing.T) {
	t.Parallel()
	c := newClient(t, newAirflow(t, routes{}).URL)
	for _, n := range []Update{{ID: "a/b", Type: "http"}, {ID: "a"}, {ID: "a", Type: "http", Password: hide("***")}} {
		if c.CreateConnection(t.Context(), n) == nil || c.PatchConnection(t.Context(), n) == nil {
			t.Errorf("%+v was sent", n)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "a\nb"} {
		_, pool := c.Pool(t.Context(), name)
		_, variable := c.Variable(t.Context(), name)
		_, dag := c.DAG(t.Context(), name)
		_, runs := c.DAGRuns(t.Context(), name, 1)
		_, tasks := c.TaskInstances(t.Context(), "d", name)
		_, xcom := c.XCom(t.Context(), "d", "r", name, -1)
		errs := []error{pool, variable, dag, runs, tasks, xcom, c.UpdatePool(t.Context(), Pool{Name: name}), c.UpdateVariable(t.Context(), Variable{Key: name})}
		if slices.Contains(errs, nil) {
			t.Errorf("%q was sent: %v", name, errs)
		}
	}
}

func TestRightsOfReading(t *testing.T) {
	t.Parallel()
	denied := says(403, `{"detail":"Forbidden"}`)
	c := newClient(t, newAirflow(t, routes{
		"GET /api/v2/dags/d/details": denied, "GET /api/v2/dags/d/dagRuns?limit=1&order_by=-id": denied, "GET /api/v2/importErrors?limit=100": denied,
		"GET /api/v2/dags/d/dagRuns/r/taskInstances?limit=100":                               denied,
		"GET /api/v2/dags/d/dagRuns/r/taskInstances/t/xcomEntries/return_value?map_index=-1": denied,
	}).URL)
	_, dag := c.DAG(t.Context(), "d")
	_, runs := c.DAGRuns(t.Context(), "d", 1)
	_, tasks := c.TaskInstances(t.Context(), "d", "r")
	_, xcom := c.XCom(t.Context(), "d", "r", "t", -1)
	_, broken := c.ImportErrors(t.Context())
	for right, err := range map[string]error{
		"reading a DAG needs can_read on DAGs: airflow roles add-perms ROLE -r DAGs -a can_read (FAB), or the role Viewer": dag,
		"reading a DAG run needs can_read on DAG Runs: airflow roles add-perms ROLE -r 'DAG Runs' -a":                      runs,
		"reading a task needs can_read on Task Instances":                                                                  tasks,
		"reading an XCom needs can_read on XComs":                                                                          xcom,
		"reading import errors needs can_read on ImportError":                                                              broken,
	} {
		wantError(t, err, true, "airflow answered 403: Forbidden", right)
	}
}

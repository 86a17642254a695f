package airflowclient

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/untrusted"
)

const (
	run  = "manual__2026-11-24T06:41:40+00:00"
	xcom = "GET /api/v2/dags/d/dagRuns/" + run + "/taskInstances/a/xcomEntries/return_value"
	day  = "2026-11-24T06:41:40.500000Z"
)

// What each call sends, and what it makes of an answer. The fields that were given are sent and no other.
func TestCalls(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	write := func(f func(*Client) error) func(*Client) (any, error) {
		return func(c *Client) (any, error) { return nil, f(c) }
	}
	variable := func(c *Client) (any, error) { return c.Variable(ctx, "k") }
	update := func(c *Client) (any, error) {
		updates := someUpdates("a", "b")
		updates[1].Login = "AWS"
		return c.UpdateConnections(ctx, updates), nil
	}
	stars, text := json.RawMessage(`"***"`), untrusted.New
	type conf = struct {
		DryRun any `json:"dry_run"`
	}
	at := time.Date(2026, 11, 24, 6, 41, 40, 5e8, time.UTC)
	trace := "Traceback:\n  File \"x.py\"\n\x1b[31mImportError: no " + apiPassword + strings.Repeat("é", 300) + "\n"
	for _, test := range []struct {
		line, sent, answer string
		call               func(*Client) (any, error)
		want               any
	}{
		{one, "", dockerDB, func(c *Client) (any, error) { return c.Connection(ctx, "docker_default") },
			Connection{"docker_default", text("docker"), text("h"), text("AWS"), text(""), 5000, &stars,
				text(`{"reauth": true}`)}},
		{"GET /api/v2/pools/p", "", `{"name":"p","slots":5,"description":null,"include_deferred":true}`,
			func(c *Client) (any, error) { return c.Pool(ctx, "p") }, Pool{"p", 5, ""}},
		{"GET /api/v2/dags/d/details", "", `{"dag_id":"d","is_paused":true,"has_import_errors":true}`,
			func(c *Client) (any, error) { return c.DAG(ctx, "d") }, DAG{"d", true, true, false}},
		{"GET /api/v2/dags/d/dagRuns?limit=3&order_by=-id", "", `{"dag_runs":[{"dag_run_id":"r","state":"success",` +
			`"start_date":"` + day + `","end_date":"` + day + `","conf":{"dry_run":true}},{"dag_run_id":"q",` +
			`"state":"failed","start_date":null,"end_date":null,"conf":null}],"total_entries":9}`,
			func(c *Client) (any, error) { return c.DAGRuns(ctx, "d", 3) },
			[]DAGRun{{"r", "success", at, at, conf{DryRun: true}}, {ID: "q", State: "failed"}}},
		{xcom, "", `{"value":{"n":12345678901234567}}`,
			func(c *Client) (any, error) {
				text, _, err := c.XCom(ctx, "d", run, "a")
				return text, err
			}, `{"n":12345678901234567}`},
		{"GET /api/v2/importErrors?limit=100", "",
			`{"import_errors":[{"filename":"a\u001b[1m.py","stack_trace":` + quoted(trace) + `}],"total_entries":1}`,
			func(c *Client) (any, error) { return c.ImportErrors(ctx) },
			[]ImportError{{"a.py", "ImportError: no [redacted]" + strings.Repeat("é", 174) + "…"}}},
		{"POST /api/v2/pools", `{"description":"","name":"p","slots":5}`, `{}`,
			write(func(c *Client) error { return c.CreatePool(ctx, Pool{Name: "p", Slots: 5}) }), nil},
		{"PATCH /api/v2/variables/k", `{"key":"k","value":"` + newPassword + `"}`, `{}`,
			write(func(c *Client) error { return c.PutVariable(ctx, "k", newPassword) }), nil},
		{"PATCH /api/v2/connections/c", `{"conn_type":"docker","connection_id":"c","port":null,"schema":null}`, `{}`,
			write(func(c *Client) error { return c.PutConnection(ctx, Update{ID: "c", Type: "docker"}) }), nil},
		{"GET /api/v2/variables/k", "", `{"key":"k","value":"123"}`, variable, "123"},
		{"GET /api/v2/variables/k", "", `{"key":"k","value":null}`, variable, ""},
		{bulk, `{"actions":[{"action":"update","action_on_non_existence":"skip","entities":[` +
			`{"conn_type":"docker","connection_id":"a","password":"` + newPassword + `"},` +
			`{"conn_type":"docker","connection_id":"b","login":"AWS","password":"` + newPassword + `"}]}]}`,
			`{"create":null,"update":{"success":["a","b"],"errors":[]},"delete":null}`, update, map[string]error{}},
	} {
		status := 200
		if strings.HasPrefix(test.line, "POST") {
			status = 201
		}
		a := newAirflow(t, routes{test.line: inTurn(answers(status, test.answer),
			answers(409, `{"detail":`+quoted("no "+newPassword)+`}`))})
		c := newClient(t, a.URL)
		got, err := test.call(c)
		sent := a.received(test.line)[0].body
		if err != nil || sent != test.sent || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v; sent %s", test.line, got, err, test.want, sent)
		}
		_, err = test.call(c)
		if err != nil && strings.Contains(test.sent, newPassword) {
			wantError(t, err, Conflict, "airflow answered 409: no [redacted]")
		}
	}
}

// A deletion is answered 204, without a body.
func TestDelete(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{"Pools", "Variables", "Connections"} {
		a := newAirflow(t, routes{"DELETE /api/v2/" + strings.ToLower(resource) + "/x": inTurn(answers(204, ""),
			answers(404, `{"detail":"no `+"`x`"+`"}`), answers(403, `{"detail":"Forbidden"}`))})
		c := newClient(t, a.URL, withToken)
		noError(t, c.Delete(t.Context(), resource, "x"))
		if err := c.Delete(t.Context(), resource, "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v of what is gone", resource, err)
		}
		if right := MissingRight(c.Delete(t.Context(), resource, "x")); right != "can_delete on "+resource {
			t.Errorf("the right that is missing is %q, not can_delete on %s", right, resource)
		}
	}
}

// What is not there is created.
func TestPut(t *testing.T) {
	t.Parallel()
	there := answers(409, `{"detail":"there"}`)
	a := newAirflow(t, routes{
		"PATCH /api/v2/variables/k":   answers(404, "{\"detail\":\"The Variable with key: `k` was not found\"}"),
		"POST /api/v2/variables":      inTurn(answers(201, `{}`), there),
		"PATCH /api/v2/connections/c": answers(404, "{\"detail\":\"no `c`\"}"),
		"POST /api/v2/connections":    inTurn(answers(201, `{}`), there),
	})
	c := newClient(t, a.URL, withToken)
	whole := Update{"c", "http", "h", 8080, "l", "s", secret.New(newPassword), `{"a":1}`}
	noError(t, c.PutVariable(t.Context(), "k", "v"), c.PutConnection(t.Context(), whole))
	const connection = `{"conn_type":"http","connection_id":"c","extra":"{\"a\":1}","host":"h","login":"l",` +
		`"password":"` + newPassword + `","port":8080,"schema":"s"}`
	if got := a.received(); len(got) != 4 || got[1].body != `{"key":"k","value":"v"}` || got[3].body != connection {
		t.Errorf("received %v", got)
	}
	wantError(t, c.PutVariable(t.Context(), "k", "v"), Conflict, "answered 409: there")
	wantError(t, c.PutConnection(t.Context(), whole), Conflict, "answered 409: there")
}

// A missing right is named as the FAB auth manager does. An object is missing when a 404 names it; an unknown route is
// another error. What is no name is not sent.
func TestRightsAndNames(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, test := range []struct {
		right, message, object string
		kind                   failure.Kind // "": it has no name
		call                   func(c *Client, name string) error
	}{
		{"Connections can_read", "The Connection with connection_id: `c` was not found", "c", NoConnection,
			func(c *Client, name string) error { _, err := c.Connection(ctx, name); return err }},
		{"Pools can_read", "The Pool with name: `p` was not found", "p", NoPool,
			func(c *Client, name string) error { _, err := c.Pool(ctx, name); return err }},
		{"Variables can_read", "The Variable with key: `k` was not found", "k", NoVariable,
			func(c *Client, name string) error { _, err := c.Variable(ctx, name); return err }},
		{"DAGs can_read", "Dag with id: the_dag was not found", "the_dag", NoDAG,
			func(c *Client, name string) error { _, err := c.DAG(ctx, name); return err }},
		{"DAG Runs can_read", "Dag with dag_id: 'the_dag' not found", "the_dag", NoDAG,
			func(c *Client, name string) error { _, err := c.DAGRuns(ctx, name, 3); return err }},
		{"XComs can_read", "XCom entry with key: `return_value` not found", "return_value", NoXCom,
			func(c *Client, name string) error { _, _, err := c.XCom(ctx, "d", name, "t"); return err }},
		{"ImportError can_read", "", "", "",
			func(c *Client, _ string) error { _, err := c.ImportErrors(ctx); return err }},
		{"Pools can_create", "", "", "", func(c *Client, _ string) error { return c.CreatePool(ctx, Pool{}) }},
		{"Variables can_edit", "", "", "",
			func(c *Client, _ string) error { return c.PutVariable(ctx, "k", "v") }},
		{"Connections can_edit", "", "", "", func(c *Client, _ string) error { return updateOne(t, c) }},
	} {
		c := newClient(t, "http://airflow", withToken)
		c.http.Transport = handled(answers(403, `{"detail":"Forbidden"}`))
		e := wantError(t, test.call(c, "x"), Forbidden, "airflow answered 403: Forbidden")
		if got := e.Facts.Object + " " + e.Facts.Want; got != test.right {
			t.Errorf("it needs %s, want %s", got, test.right)
		}
		if test.kind == "" {
			continue
		}
		c.http.Transport = handled(answers(404, `{"detail":`+quoted(test.message)+`}`))
		err := test.call(c, test.object)
		e = wantError(t, err, test.kind, "airflow has "+string(test.kind))
		if !errors.Is(err, ErrNotFound) || e.Facts.Object != test.object {
			t.Errorf("facts are %+v", e)
		}
		for _, name := range []string{"", ".", "..", "a/b", "a\nb"} {
			wantError(t, test.call(c, name), BadName, "cannot stand in a path")
		}
		c.http.Transport = handled(answers(404, `{"detail":"Not Found"}`))
		wantError(t, test.call(c, test.object), NotAirflow, "airflow answered 404: Not Found")
	}
}

func TestXComForms(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{
		`{"a":1}`: `{"a":1}`, quoted(`{"a":1}`): `{"a":1}`, quoted(quoted(`{"a":1}`)): `{"a":1}`,
		`null`: `null`, quoted("null"): `null`, quoted("plain"): `plain`, quoted(""): ``, `[]`: `[]`,
		quoted("a line of a log\n{\"a\":1}\n"): "a line of a log\n{\"a\":1}",
	} {
		if got := unquoted(stored); got != want {
			t.Errorf("%s: got %s, want %s", stored, got, want)
		}
	}
}

package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// restClient speaks Airflow's REST API as one user. It is the tests' own: what they prove must not rest on the client
// that the product uses.
type restClient struct {
	url   string
	login Login
	http  *http.Client
	token func() (string, error)
}

// StatusError is an answer of Airflow's API other than 2xx.
type StatusError struct {
	Status int
	Body   string
}

// Error returns the status and the answer's own words.
func (e *StatusError) Error() string { return fmt.Sprintf("airflow answers %d: %s", e.Status, e.Body) }

func newRestClient(base string, login Login) restClient {
	c := restClient{url: base, login: login, http: &http.Client{Timeout: 3 * time.Minute}}
	c.token = sync.OnceValues(func() (string, error) {
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		body := map[string]string{"username": login.User, "password": login.Password}
		err := patient(context.Background(), func() error {
			return c.once(context.Background(), "POST", "/auth/token", "", body, &answer)
		})
		return answer.AccessToken, err
	})
	return c
}

// patient repeats what is answered 500, for a while: FAB 3.5 answers so to everybody while somebody logs in.
func patient(ctx context.Context, send func() error) (err error) {
	within, cancel := withDeadline(ctx, 20*time.Second, "airflow's answer")
	defer cancel()
	_ = poll(within, "an answer other than 500", func(context.Context) error {
		err = send()
		if status := (*StatusError)(nil); errors.As(err, &status) && status.Status == http.StatusInternalServerError {
			return err
		}
		return nil
	})
	return err
}

// As returns what calls the REST API as one of Users, who logs in at the first call: it sends in and decodes the answer
// into out; either may be nil.
func (a *Airflow) As(user string) func(ctx context.Context, method, path string, in, out any) error {
	return newRestClient(a.URL, a.Users[user]).call
}

// call sends in and decodes the answer into out; either may be nil.
func (c restClient) call(ctx context.Context, method, path string, in, out any) error {
	token, err := c.token()
	if err != nil {
		return err
	}
	return patient(ctx, func() error { return c.once(ctx, method, path, token, in, out) })
}

func (c restClient) once(ctx context.Context, method, path, token string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return decode(answer, out)
}

func decode(answer *http.Response, out any) error {
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return &StatusError{answer.StatusCode, string(text)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// TaskInstance is what Airflow reports about one task of a run.
type TaskInstance struct {
	TaskID    string          `json:"task_id"`
	State     string          `json:"state"`
	TryNumber int             `json:"try_number"`
	Start     time.Time       `json:"start_date"`
	End       time.Time       `json:"end_date"`
	User      string          `json:"unixname"` // the OS user that ran it
	PID       int             `json:"pid"`      // of the process that runs the operator
	Rendered  json.RawMessage `json:"rendered_fields"`
}

// Connection is one of Airflow's connections, as its API takes and shows it.
type Connection struct {
	ID          string  `json:"connection_id"`
	Type        string  `json:"conn_type"`
	Description *string `json:"description"`
	Host        *string `json:"host"`
	Login       *string `json:"login"`
	Schema      *string `json:"schema"`
	Port        *int    `json:"port"`
	Password    *string `json:"password"`
	Extra       *string `json:"extra"`
}

// Trigger unpauses a DAG (once it has been parsed) and starts a run; it returns the run's id. Airflow may add the run
// of the schedule's last past hour when a DAG is unpaused for the first time.
func (a *Airflow) Trigger(ctx context.Context, dag string) (string, error) {
	if err := errors.Join(a.WaitDAG(ctx, dag), a.Unpause(ctx, dag)); err != nil {
		return "", err
	}
	var run struct {
		ID string `json:"dag_run_id"`
	}
	path := "/api/v2/dags/" + dag + "/dagRuns"
	err := a.rest.call(ctx, "POST", path, map[string]any{"logical_date": nil}, &run)
	return run.ID, err
}

// WaitDAG waits until Airflow has parsed a DAG.
func (a *Airflow) WaitDAG(ctx context.Context, dag string) error {
	ctx, cancel := withDeadline(ctx, time.Minute, "finding the DAG "+dag)
	defer cancel()
	parsed := func(ctx context.Context) error { return a.rest.call(ctx, "GET", "/api/v2/dags/"+dag, nil, nil) }
	return poll(ctx, "the DAG "+dag, parsed)
}

// Unpause unpauses a DAG.
func (a *Airflow) Unpause(ctx context.Context, dag string) error {
	path := "/api/v2/dags/" + dag + "?update_mask=is_paused"
	return a.rest.call(ctx, "PATCH", path, map[string]bool{"is_paused": false}, nil)
}

// WaitRun waits until a run has ended and returns its state, success or failed.
func (a *Airflow) WaitRun(ctx context.Context, dag, run string, limit time.Duration) (string, error) {
	ctx, cancel := withDeadline(ctx, limit, dag+" "+run)
	defer cancel()
	var state string
	err := poll(ctx, "the end of "+dag+" "+run, func(ctx context.Context) (err error) {
		if state, err = a.RunState(ctx, dag, run); err == nil && state != "success" && state != "failed" {
			err = fmt.Errorf("it is %s", state)
		}
		return err
	})
	return state, err
}

// WaitIdle waits until no run of a DAG is queued or running.
func (a *Airflow) WaitIdle(ctx context.Context, dag string, limit time.Duration) error {
	ctx, cancel := withDeadline(ctx, limit, "all runs of "+dag)
	defer cancel()
	return poll(ctx, "the end of all runs of "+dag, func(ctx context.Context) error {
		var answer struct {
			Total int `json:"total_entries"`
		}
		err := a.rest.call(ctx, "GET", "/api/v2/dags/"+dag+"/dagRuns?state=queued&state=running", nil, &answer)
		if err == nil && answer.Total > 0 {
			err = fmt.Errorf("%d have not ended", answer.Total)
		}
		return err
	})
}

// RunState returns the state of a run: queued, running, success, failed.
func (a *Airflow) RunState(ctx context.Context, dag, run string) (string, error) {
	var answer struct{ State string }
	err := a.rest.call(ctx, "GET", runPath(dag, run), nil, &answer)
	return answer.State, err
}

// Took returns how long an ended run took, by Airflow's own record.
func (a *Airflow) Took(ctx context.Context, dag, run string) (time.Duration, error) {
	var answer struct {
		Start time.Time `json:"start_date"`
		End   time.Time `json:"end_date"`
	}
	err := a.rest.call(ctx, "GET", runPath(dag, run), nil, &answer)
	return answer.End.Sub(answer.Start), err
}

func runPath(dag, run string) string {
	return "/api/v2/dags/" + dag + "/dagRuns/" + url.PathEscape(run)
}

// Tasks returns the task instances of a run by task id.
func (a *Airflow) Tasks(ctx context.Context, dag, run string) (map[string]TaskInstance, error) {
	var answer struct {
		TaskInstances []TaskInstance `json:"task_instances"`
	}
	err := a.rest.call(ctx, "GET", runPath(dag, run)+"/taskInstances", nil, &answer)
	tasks := map[string]TaskInstance{}
	for _, ti := range answer.TaskInstances {
		tasks[ti.TaskID] = ti
	}
	return tasks, err
}

// Log returns the log of one try of a task as Airflow's UI shows it, one line an event.
func (a *Airflow) Log(ctx context.Context, dag, run, task string, try int) (string, error) {
	content, err := a.events(ctx, dag, run, task, try)
	var lines []string
	for _, event := range content {
		line := fmt.Sprint(event["event"])
		if detail := event["error_detail"]; detail != nil {
			line += " " + fmt.Sprint(detail)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), err
}

func (a *Airflow) events(ctx context.Context, dag, run, task string, try int) ([]map[string]any, error) {
	if a.celery != nil {
		return a.celery.log(dag, run, task, try)
	}
	var answer struct{ Content []map[string]any }
	path := fmt.Sprintf("%s/taskInstances/%s/logs/%d?full_content=true", runPath(dag, run), task, try)
	err := a.rest.call(ctx, "GET", path, nil, &answer)
	return answer.Content, err
}

// Record is an entry of a task's log.
type Record struct {
	Level, Event string
	Exceptions   []Exception `json:"error_detail"`
}

// Exception is what ended a task: an exception's class, and its text.
type Exception struct {
	Class string `json:"exc_type"`
	Text  string `json:"exc_value"`
}

// Records returns the entries of the log of one try of a task.
func (a *Airflow) Records(ctx context.Context, dag, run, task string, try int) (all []Record, err error) {
	content, err := a.events(ctx, dag, run, task, try)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal(text, &all)
}

// XCom returns what a task pushed as its result, or nil when it pushed nothing.
func (a *Airflow) XCom(ctx context.Context, dag, run, task string) (json.RawMessage, error) {
	var answer struct{ Value json.RawMessage }
	path := fmt.Sprintf("%s/taskInstances/%s/xcomEntries/return_value", runPath(dag, run), task)
	err := a.rest.call(ctx, "GET", path, nil, &answer)
	if status := new(StatusError); errors.As(err, &status) && status.Status == http.StatusNotFound {
		return nil, nil
	}
	return answer.Value, err
}

// Clear makes Airflow run the named tasks of a run again, and no others.
func (a *Airflow) Clear(ctx context.Context, dag, run string, tasks ...string) error {
	body := map[string]any{
		"dry_run": false, "dag_run_id": run, "task_ids": tasks, "only_failed": false, "reset_dag_runs": true,
		"include_upstream": false, "include_downstream": false,
	}
	return a.rest.call(ctx, "POST", "/api/v2/dags/"+dag+"/clearTaskInstances", body, nil)
}

// Connection returns a connection as the API shows it.
func (a *Airflow) Connection(ctx context.Context, id string) (Connection, error) {
	var c Connection
	err := a.rest.call(ctx, "GET", "/api/v2/connections/"+id, nil, &c)
	return c, err
}

// SetConnection creates a connection or changes it.
func (a *Airflow) SetConnection(ctx context.Context, c Connection) error {
	return a.bulk(ctx, "connections", []Connection{c})
}

// SetConnections creates many connections or changes them, in one call.
func (a *Airflow) SetConnections(ctx context.Context, all []Connection) error {
	return a.bulk(ctx, "connections", all)
}

// SetVariable creates a Variable or changes it. It makes no bulk call: what those set stands in clear in
// the audit log of Airflow before 3.3, whatever the Variable's name.
func (a *Airflow) SetVariable(ctx context.Context, key, value string) error {
	body := map[string]string{"key": key, "value": value}
	err := a.rest.call(ctx, "PATCH", "/api/v2/variables/"+url.PathEscape(key), body, nil)
	if status := new(StatusError); errors.As(err, &status) && status.Status == http.StatusNotFound {
		err = a.rest.call(ctx, "POST", "/api/v2/variables", body, nil)
	}
	return err
}

// SetPool creates a pool or changes it.
func (a *Airflow) SetPool(ctx context.Context, name string, slots int) error {
	return a.bulk(ctx, "pools", []map[string]any{{"name": name, "slots": slots, "include_deferred": false}})
}

// bulk creates entities of a kind, a slice, or overwrites them.
func (a *Airflow) bulk(ctx context.Context, kind string, entities any) error {
	var answer struct {
		Create struct {
			Success []string
			Errors  []any
		}
	}
	action := map[string]any{"action": "create", "action_on_existence": "overwrite", "entities": entities}
	body := map[string]any{"actions": []any{action}}
	if err := a.rest.call(ctx, "PATCH", "/api/v2/"+kind, body, &answer); err != nil {
		return err
	}
	if len(answer.Create.Success) == 0 || len(answer.Create.Errors) > 0 {
		return fmt.Errorf("airflow creates no %s: %v", kind, answer.Create.Errors)
	}
	return nil
}

// ImportErrors returns the DAG files that Airflow cannot load, with the reason.
func (a *Airflow) ImportErrors(ctx context.Context) ([]string, error) {
	var answer struct {
		ImportErrors []struct{ Filename, StackTrace string } `json:"import_errors"`
	}
	err := a.rest.call(ctx, "GET", "/api/v2/importErrors", nil, &answer)
	var texts []string
	for _, e := range answer.ImportErrors {
		texts = append(texts, e.Filename+": "+e.StackTrace)
	}
	return texts, err
}

// DAGWarnings returns what Airflow warns of in a DAG.
func (a *Airflow) DAGWarnings(ctx context.Context, dag string) ([]string, error) {
	var answer struct {
		DAGWarnings []struct{ Message string } `json:"dag_warnings"`
	}
	err := a.rest.call(ctx, "GET", "/api/v2/dagWarnings?dag_id="+dag, nil, &answer)
	var texts []string
	for _, w := range answer.DAGWarnings {
		texts = append(texts, w.Message)
	}
	return texts, err
}

// DAGVersions returns how many versions of a DAG Airflow has recorded.
func (a *Airflow) DAGVersions(ctx context.Context, dag string) (int, error) {
	var answer struct {
		Total int `json:"total_entries"`
	}
	err := a.rest.call(ctx, "GET", "/api/v2/dags/"+dag+"/dagVersions", nil, &answer)
	return answer.Total, err
}

// LastParsed returns when Airflow last parsed a DAG's file.
func (a *Airflow) LastParsed(ctx context.Context, dag string) (time.Time, error) {
	var answer struct {
		LastParsed time.Time `json:"last_parsed_time"`
	}
	err := a.rest.call(ctx, "GET", "/api/v2/dags/"+dag, nil, &answer)
	return answer.LastParsed, err
}

// WaitParsed waits until Airflow has parsed a DAG's file once more after last, and returns when that was.
func (a *Airflow) WaitParsed(ctx context.Context, dag string, last time.Time) (time.Time, error) {
	ctx, cancel := withDeadline(ctx, 2*time.Minute, "parsing "+dag)
	defer cancel()
	parsed := last
	err := poll(ctx, "the next parse of "+dag, func(ctx context.Context) (err error) {
		if parsed, err = a.LastParsed(ctx, dag); err == nil && !parsed.After(last) {
			err = fmt.Errorf("the last one was at %s", last)
		}
		return err
	})
	return parsed, err
}

package airflowclient

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"ecr-refresh/steps/untrusted"
)

// Pool is a pool of slots, in which tasks wait for their turn. A task whose pool is missing waits for ever.
type Pool struct {
	Name        string
	Slots       int
	Description string
}

// Pool returns one pool, or ErrNotFound.
func (c *Client) Pool(ctx context.Context, name string) (p Pool, err error) {
	err = c.call(ctx, &p, "Pools", name)(NewGetPoolRequest(c.server, name))
	return p, err
}

// CreatePool creates a pool that does not exist yet.
func (c *Client) CreatePool(ctx context.Context, p Pool) error {
	body := PoolBody{Name: p.Name, Slots: p.Slots, Description: &p.Description}
	return c.call(ctx, new(struct{}), "Pools")(NewPostPoolRequest(c.server, body))
}

// Variable returns the value of a Variable of the metadata database, or ErrNotFound. One from elsewhere is not there.
func (c *Client) Variable(ctx context.Context, key string) (string, error) {
	var row struct{ Value string }
	err := c.call(ctx, &row, "Variables", key)(NewGetVariableRequest(c.server, key))
	return row.Value, err
}

// PutVariable changes the value of a Variable, or creates it.
func (c *Client) PutVariable(ctx context.Context, key, value string) error {
	body := VariableBody{Key: key, Value: value}
	err := c.call(ctx, new(struct{}), "Variables", key)(NewPatchVariableRequest(c.server, key, body))
	if errors.Is(err, ErrNotFound) {
		err = c.call(ctx, new(struct{}), "Variables")(NewPostVariableRequest(c.server, body))
	}
	return err
}

// DAG is what Airflow knows of a DAG without running it.
type DAG struct {
	ID              string `json:"dag_id"`
	Paused          bool   `json:"is_paused"`
	HasImportErrors bool   `json:"has_import_errors"` // the newest version of its file cannot be read
	Stale           bool   `json:"is_stale"`          // its file is gone
}

// DAG returns one DAG, or ErrNotFound.
func (c *Client) DAG(ctx context.Context, id string) (dag DAG, err error) {
	err = c.call(ctx, &dag, "DAGs", id)(NewGetDagDetailsRequest(c.server, id))
	return dag, err
}

// DAGRun is one run of a DAG.
type DAGRun struct {
	ID    string    `json:"dag_run_id"`
	State string    // queued, running, success or failed
	Start time.Time `json:"start_date"`
	End   time.Time `json:"end_date"`
	Conf  struct {
		DryRun any `json:"dry_run"` // true: it has updated nothing
	}
}

// DAGRuns returns the newest runs of a DAG, at most 100, the newest first.
func (c *Client) DAGRuns(ctx context.Context, dagID string, limit int) ([]DAGRun, error) {
	req, err := NewGetDagRunsRequest(c.server, dagID, &GetDagRunsParams{Limit: &limit})
	if err == nil { // order_by is a string in the documents of Airflow up to 3.0, and a list in later ones
		req.URL.RawQuery += "&order_by=-id"
	}
	var page struct {
		Runs list[DAGRun] `json:"dag_runs"`
	}
	err = c.call(ctx, &page, "DAG Runs", dagID)(req, err)
	return page.Runs, err
}

// ImportError says why a DAG file cannot be read.
type ImportError struct {
	File string `json:"filename"`
	Text string `json:"stack_trace"` // the end of it, where Python says what is wrong
}

// ImportErrors returns the errors of all DAG files that the user may see, at most 100.
func (c *Client) ImportErrors(ctx context.Context) ([]ImportError, error) {
	params := GetImportErrorsParams{Limit: new(pageSize)}
	var page struct {
		Errors list[ImportError] `json:"import_errors"`
	}
	err := c.call(ctx, &page, "ImportError")(NewGetImportErrorsRequest(c.server, &params))
	for i, e := range page.Errors {
		trace := strings.TrimSpace(e.Text)
		last := trace[strings.LastIndexByte(trace, '\n')+1:]
		page.Errors[i] = ImportError{untrusted.New(e.File).String(), untrusted.New(last).String()}
	}
	return page.Errors, err
}

// XCom returns what a task returned, as JSON text, and when, by the clock of the API server. A result that is text is
// returned as it is: Airflow stores JSON in one way or the other, by release and operator, and an old DockerOperator
// leaves lines of its log before it. ErrNotFound says that the task returned nothing, or that there is no such task.
func (c *Client) XCom(ctx context.Context, dagID, runID, taskID string) (text string, at time.Time, err error) {
	const key = "return_value"
	var row struct {
		Value     json.RawMessage
		Timestamp time.Time
	}
	err = c.call(ctx, &row, "XComs", dagID, runID, taskID, key)(
		NewGetXcomEntryRequest(c.server, dagID, runID, taskID, key))
	return unquoted(string(row.Value)), row.Timestamp, err
}

// unquoted takes text out of the JSON strings that it was put into.
func unquoted(text string) string {
	for strings.HasPrefix(text, `"`) {
		var inner string
		if json.Unmarshal([]byte(text), &inner) != nil {
			break
		}
		text = strings.TrimSpace(inner)
	}
	return text
}

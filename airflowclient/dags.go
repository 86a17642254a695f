package airflowclient

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// DAG is what Airflow knows of a DAG without running it.
type DAG struct {
	ID              string
	Paused          bool
	HasImportErrors bool // the newest version of its file cannot be read
	Stale           bool // its file is gone
	File            string
	LastParsed      time.Time // zero: never
}

// DAG reads one DAG, or gives ErrNotFound.
func (c *Client) DAG(ctx context.Context, id string) (DAG, error) {
	if err := checkName(id); err != nil {
		return DAG{}, err
	}
	var row DAGDetailsResponse
	err := c.find(ctx, missing("DAG"), id, &row, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetDagDetails(ctx, id, edit...)
	})
	return DAG{
		ID: row.DagId, Paused: row.IsPaused, HasImportErrors: row.HasImportErrors, Stale: row.IsStale, File: row.Fileloc,
		LastParsed: value(row.LastParsedTime),
	}, err
}

// DAGRun is one run of a DAG.
type DAGRun struct {
	ID         string
	State      string // queued, running, success or failed
	Start, End time.Time
	DryRun     bool // its param dry_run, by which it published nothing
}

// DAGRuns reads the newest runs of a DAG, at most 100, the newest first.
func (c *Client) DAGRuns(ctx context.Context, dagID string, limit int) ([]DAGRun, error) {
	if err := checkName(dagID); err != nil {
		return nil, err
	}
	var page DAGRunCollectionResponse
	err := c.find(ctx, missing("DAG"), dagID, &page, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetDagRuns(ctx, dagID, &GetDagRunsParams{Limit: &limit}, append(edit, newestFirst)...)
	})
	var runs []DAGRun
	for _, r := range page.DagRuns {
		runs = append(runs, DAGRun{
			ID: r.DagRunId, State: string(r.State), Start: value(r.StartDate), End: value(r.EndDate), DryRun: value(r.Conf)["dry_run"] == true,
		})
	}
	return runs, err
}

// newestFirst asks for the last created first. The parameter is a string in the documents of Airflow up to 3.0 and a list
// in later ones, one and the same in a URL, so that openapi.yaml leaves it out.
func newestFirst(_ context.Context, req *http.Request) error {
	query := req.URL.Query()
	query.Set("order_by", "-id")
	req.URL.RawQuery = query.Encode()
	return nil
}

// TaskInstance is one task of a run: MapIndex is -1, or counts the instances of a mapped task.
type TaskInstance struct {
	TaskID   string
	MapIndex int
	State    string // "" before the scheduler has looked at it
}

// TaskInstances reads the tasks of a run, at most 100.
func (c *Client) TaskInstances(ctx context.Context, dagID, runID string) ([]TaskInstance, error) {
	if err := checkName(dagID, runID); err != nil {
		return nil, err
	}
	var page TaskInstanceCollectionResponse
	limit := pageSize
	err := c.find(ctx, missing("DAG run"), runID, &page, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetTaskInstances(ctx, dagID, runID, &GetTaskInstancesParams{Limit: &limit}, edit...)
	})
	var tasks []TaskInstance
	for _, t := range page.TaskInstances {
		tasks = append(tasks, TaskInstance{TaskID: t.TaskId, MapIndex: t.MapIndex, State: string(value(t.State))})
	}
	return tasks, err
}

// ImportError says why a DAG file cannot be read.
type ImportError struct{ File, Text string }

// ImportErrors reads the errors of all DAG files that the user may see, at most 100. Text is the end of the trace, where
// Python says what is wrong.
func (c *Client) ImportErrors(ctx context.Context) ([]ImportError, error) {
	var page ImportErrorCollectionResponse
	limit := pageSize
	err := c.call(ctx, &page, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetImportErrors(ctx, &GetImportErrorsParams{Limit: &limit}, edit...)
	})
	var all []ImportError
	for _, e := range page.ImportErrors {
		lines := strings.Split(strings.TrimSpace(e.StackTrace), "\n")
		all = append(all, ImportError{File: c.scrub(e.Filename), Text: c.scrub(lines[len(lines)-1])})
	}
	return all, err
}

// XCom reads what a task returned, as JSON text; mapIndex is -1 for a task that is not mapped. A result that is text is
// given as it is: Airflow stores JSON in one way or the other, by release and operator, and an old DockerOperator leaves
// lines of its log before it. ErrNotFound says that the task returned nothing, or that there is no such task.
func (c *Client) XCom(ctx context.Context, dagID, runID, taskID string, mapIndex int) (string, error) {
	const key = "return_value"
	if err := checkName(dagID, runID, taskID); err != nil {
		return "", err
	}
	var row struct{ Value json.RawMessage }
	err := c.find(ctx, missing("XCom"), key, &row, func(edit ...RequestEditorFn) (*http.Response, error) {
		return c.api.GetXcomEntry(ctx, dagID, runID, taskID, key, &GetXcomEntryParams{MapIndex: &mapIndex}, edit...)
	})
	return unquoted(string(row.Value)), err
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

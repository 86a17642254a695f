package airflowclient

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// DAG is what Airflow knows of a DAG without running it.
type DAG struct {
	ID              string
	Paused          bool
	HasImportErrors bool // the newest version of its file cannot be read
	Stale           bool // its file is gone
}

// DAG returns one DAG, or ErrNotFound.
func (c *Client) DAG(ctx context.Context, id string) (DAG, error) {
	var row DAGDetailsResponse
	err := c.find(ctx, &row, NoDAG, id)(NewGetDagDetailsRequest(c.server, id))
	return DAG{ID: row.DagId, Paused: row.IsPaused, HasImportErrors: row.HasImportErrors, Stale: row.IsStale}, err
}

// DAGRun is one run of a DAG.
type DAGRun struct {
	ID         string
	State      string // queued, running, success or failed
	Start, End time.Time
	DryRun     bool // its param dry_run: it has updated nothing
}

// DAGRuns returns the newest runs of a DAG, at most 100, the newest first.
func (c *Client) DAGRuns(ctx context.Context, dagID string, limit int) ([]DAGRun, error) {
	req, err := NewGetDagRunsRequest(c.server, dagID, &GetDagRunsParams{Limit: &limit})
	if err == nil { // order_by is a string in the documents of Airflow up to 3.0, and a list in later ones
		req.URL.RawQuery += "&order_by=-id"
	}
	var page DAGRunCollectionResponse
	err = c.find(ctx, &page, NoDAG, dagID)(req, err)
	var runs []DAGRun
	for _, r := range page.DagRuns {
		runs = append(runs, DAGRun{
			ID: r.DagRunId, State: string(r.State), Start: value(r.StartDate), End: value(r.EndDate),
			DryRun: value(r.Conf)["dry_run"] == true,
		})
	}
	return runs, err
}

// TaskInstances returns the tasks of a run, at most 100. A State of nil: the scheduler has not looked at it yet.
func (c *Client) TaskInstances(ctx context.Context, dagID, runID string) ([]TaskInstanceResponse, error) {
	params := GetTaskInstancesParams{Limit: new(pageSize)}
	var page TaskInstanceCollectionResponse
	err := c.find(ctx, &page, NoDAGRun, dagID, runID)(NewGetTaskInstancesRequest(c.server, dagID, runID, &params))
	return page.TaskInstances, err
}

// ImportError says why a DAG file cannot be read.
type ImportError struct{ File, Text string }

// ImportErrors returns the errors of all DAG files that the user may see, at most 100. Text is the end of the trace,
// where Python says what is wrong.
func (c *Client) ImportErrors(ctx context.Context) ([]ImportError, error) {
	params := GetImportErrorsParams{Limit: new(pageSize)}
	var page ImportErrorCollectionResponse
	err := c.call(ctx, &page)(NewGetImportErrorsRequest(c.server, &params))
	var all []ImportError
	for _, e := range page.ImportErrors {
		lines := strings.Split(strings.TrimSpace(e.StackTrace), "\n")
		all = append(all, ImportError{File: c.scrubber.scrub(e.Filename), Text: c.scrubber.scrub(lines[len(lines)-1])})
	}
	return all, err
}

// XCom returns what a task returned, as JSON text; mapIndex is -1 for a task that is not mapped. A result that is text
// is returned as it is: Airflow stores JSON in one way or the other, by release and operator, and an old DockerOperator
// leaves lines of its log before it. ErrNotFound says that the task returned nothing, or that there is no such task.
func (c *Client) XCom(ctx context.Context, dagID, runID, taskID string, mapIndex int) (string, error) {
	const key = "return_value"
	var row struct{ Value json.RawMessage }
	params := GetXcomEntryParams{MapIndex: &mapIndex}
	err := c.find(ctx, &row, NoXCom, dagID, runID, taskID, key)(
		NewGetXcomEntryRequest(c.server, dagID, runID, taskID, key, &params))
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

package airflowclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// TaskInstance is one task of a run.
type TaskInstance struct {
	ID          string `json:"task_id"`
	State       string // "": its turn has not come
	Try         int    `json:"try_number"`
	Pool, Queue string
	Start       time.Time `json:"start_date"`
	End         time.Time `json:"end_date"`
}

// TaskInstances returns the tasks of a run, in any order, at most 100.
func (c *Client) TaskInstances(ctx context.Context, dagID, runID string) ([]TaskInstance, error) {
	params := GetTaskInstancesParams{Limit: new(pageSize)}
	var page struct {
		Tasks list[TaskInstance] `json:"task_instances"`
	}
	err := c.call(ctx, &page, "Task Instances", runID, dagID)(
		NewGetTaskInstancesRequest(c.server, dagID, runID, &params))
	return page.Tasks, err
}

// LogEvent is an event in the log of a task. Nothing is cut or scrubbed of it.
type LogEvent struct {
	Level string // "" where the log has none
	Text  string // may have several lines; of an exception, what it says
}

// UnmarshalJSON reads an event as Airflow writes it: a text, or an object with the exception that was caught.
func (e *LogEvent) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &e.Text) == nil {
		return nil
	}
	var event struct {
		Event, Level string
		Exceptions   []struct {
			Type  string `json:"exc_type"`
			Value string `json:"exc_value"`
		} `json:"error_detail"`
	}
	err := json.Unmarshal(text, &event)
	*e = LogEvent{event.Level, event.Event}
	if n := len(event.Exceptions); n > 0 { // the last one was raised last
		e.Text = event.Exceptions[n-1].Type + ": " + event.Exceptions[n-1].Value
	}
	return err
}

// Log returns the log of a task's try: all of it, where a remote log would come in pages.
func (c *Client) Log(ctx context.Context, dagID, runID, taskID string, try int) ([]LogEvent, error) {
	var log struct{ Content []LogEvent }
	err := c.call(ctx, &log, "Task Logs", runID, taskID, dagID)(
		NewGetLogRequest(c.server, dagID, runID, taskID, try, &GetLogParams{FullContent: new(true)}))
	return log.Content, err
}

// TaskURL returns the page of Airflow's UI (router.tsx, from 3.0 to 3.3) that shows the log of a task's try.
func (c *Client) TaskURL(dagID, runID, taskID string, try int) string {
	return fmt.Sprintf("%s/dags/%s/runs/%s/tasks/%s?try_number=%d", c.config.BaseURL,
		url.PathEscape(dagID), url.PathEscape(runID), url.PathEscape(taskID), try)
}

// DAGSource returns the text of a DAG's file, as Airflow parsed it last.
func (c *Client) DAGSource(ctx context.Context, dagID string) (string, error) {
	var source struct{ Content string }
	err := c.call(ctx, &source, "DAG Code", dagID)(NewGetDagSourceRequest(c.server, dagID))
	return source.Content, err
}

// Trigger starts a run of a DAG with params. Where an answer gets lost, the call is repeated and starts another run.
func (c *Client) Trigger(ctx context.Context, dagID string, params map[string]any) (run DAGRun, err error) {
	body := TriggerDAGRunPostBody{Conf: &params}
	err = c.call(ctx, &run, "DAG Runs", dagID)(NewTriggerDagRunRequest(c.server, dagID, body))
	return run, err
}

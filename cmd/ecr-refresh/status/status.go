// Package status finds out which token each connection has, and until when, from what the runs of the DAG returned.
package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/xcom"
)

// Kinds of failure.
const (
	NoToken  failure.Kind = "no run updated a connection"
	TooShort failure.Kind = "token expires too soon"
)

// How far back Read looks, since a token is valid for 12 hours.
const (
	maxRuns = 25
	maxAge  = 24 * time.Hour
)

// Airflow reads the runs of a DAG, the newest first, and what their tasks returned.
type Airflow interface {
	DAGRuns(ctx context.Context, dagID string, limit int) ([]airflowclient.DAGRun, error)
	XCom(ctx context.Context, dagID, runID, taskID string, mapIndex int) (string, error)
}

// Connection is a connection after the newest run that updated it. Where runs only failed to, all but its id is null.
type Connection struct {
	ID          string     `json:"connection_id"`
	RegistryURL *string    `json:"registry_url"`
	IssuedAt    *time.Time `json:"issued_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	LeftSeconds *int64     `json:"left_seconds"`
	RunID       *string    `json:"run_id"`
}

// Status is what is known of all connections, sorted by id.
type Status struct {
	Connections []Connection `json:"connections"`
}

// Read reads the latest runs of a DAG.
func Read(ctx context.Context, airflow Airflow, dag string, now time.Time) (Status, error) {
	known := map[string]Connection{}
	runs, err := airflow.DAGRuns(ctx, dag, maxRuns)
	if err != nil {
		return Status{}, fmt.Errorf("read runs of DAG %q: %w", dag, err)
	}
	updated := false // any connection
	for _, run := range runs {
		if updated && !run.Start.IsZero() && now.Sub(run.Start) > maxAge {
			break
		}
		text, err := airflow.XCom(ctx, dag, run.ID, xcom.StepUpdateDockerConnection, -1)
		if err != nil && !errors.Is(err, airflowclient.ErrNotFound) { // not: the task has failed, or has not run yet
			return Status{}, fmt.Errorf("read XCom of run %q: %w", run.ID, err)
		}
		updated = addResult(known, run.ID, text, now) || updated
	}
	s := Status{Connections: []Connection{}}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		s.Connections = append(s.Connections, known[id])
	}
	return s, nil
}

// addResult adds to known what a run returned, unless it is of another program or version. It reports whether the run
// updated a connection.
func addResult(known map[string]Connection, run, text string, now time.Time) (updated bool) {
	result, err := xcom.Parse[xcom.UpdateDockerConnection](text)
	if err != nil {
		return false
	}
	for _, p := range result.Connections {
		left := int64(p.ExpiresAt.Sub(now).Seconds())
		c := Connection{p.ConnectionID, &p.RegistryURL, &p.IssuedAt, &p.ExpiresAt, &left, &run}
		if updated = updated || p.Published; known[c.ID].RunID == nil && p.Published {
			known[c.ID] = c
		}
	}
	for _, f := range result.Failures {
		if _, found := known[f.ConnectionID]; !found && xcom.IsConnectionID(f.ConnectionID) {
			known[f.ConnectionID] = Connection{ID: f.ConnectionID}
		}
	}
	return updated
}

// Check returns an error if no token is known, or if minLeft is not 0 and a token expires sooner or is unknown.
func (s Status) Check(dag string, minLeft time.Duration) error {
	var short []string
	for _, c := range s.Connections {
		if left, text := c.left(); left < minLeft {
			short = append(short, fmt.Sprintf("%s (%s)", c.ID, text))
		}
	}
	switch {
	case !slices.ContainsFunc(s.Connections, func(c Connection) bool { return c.RunID != nil }):
		return failure.Transient(NoToken, "check tokens: no run of DAG %q has updated a connection", dag)
	case minLeft > 0 && len(short) > 0:
		return failure.Transient(TooShort, "check tokens: less than %s left for %s", minLeft, strings.Join(short, ", "))
	}
	return nil
}

// left returns for how long the token is valid, which is less than 0 where it is not known.
func (c Connection) left() (left time.Duration, text string) {
	if c.LeftSeconds == nil {
		return -1, "unknown"
	}
	if left = time.Duration(*c.LeftSeconds) * time.Second; left <= 0 {
		return left, "expired"
	}
	return left, left.Round(time.Minute).String()
}

// Table returns the status for a person, to be written to w. Colours mark what has expired, or does so before minLeft.
func (s Status) Table(minLeft time.Duration, w io.Writer) []byte {
	rows := [][]string{{"CONNECTION", "REGISTRY", "ISSUED", "EXPIRES", "LEFT"}}
	for _, c := range s.Connections {
		host, colour := "-", console.Good
		if c.RegistryURL != nil {
			host = registry.Host(*c.RegistryURL)
		}
		left, shown := c.left()
		if left <= 0 {
			colour = console.Bad
		} else if left < minLeft {
			colour = console.Warn
		}
		rows = append(rows, []string{
			c.ID, host, moment(c.IssuedAt), moment(c.ExpiresAt), console.Paint(w, colour, shown),
		})
	}
	return console.Table(rows)
}

func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

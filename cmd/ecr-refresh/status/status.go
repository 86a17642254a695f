// Package status finds out which token each connection has, until when, and whether that is still so, from what Airflow
// can tell: what the runs of the DAG returned, its event log, and the connections without their passwords.
//
// The update that counts is the one with the latest published_at, in whichever run: clearing step 2 of an older run puts
// an older token over a newer one. A connection has been changed since if its newest entry in the event log is later
// than the result of that update. Airflow stores the result after the update's own entry, and has one clock for both; so
// nothing depends on who updated it, under which name, or on the worker's clock. What is changed between the two is
// seen by step 3, which compares. Where not even the update's own entry is there (the log was purged, or the account may
// not see it), it is not known whether there was a change. Nor is what Airflow does not log: SQL, and the lookup of a
// connection in a worker's environment or a secrets backend.
//
// A test counts if it is later than update and change. Step 3 returns no result when it fails, so a run that failed
// after step 2 is a failed test of all its connections.
package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/xcom"
)

// How far back Read looks, since a token is valid for 12 hours.
const (
	maxRuns = 25
	maxAge  = 24 * time.Hour
)

// Airflow is the part of Airflow's REST API that is read; *airflowclient.Client implements it.
type Airflow interface {
	DAGRuns(ctx context.Context, dagID string, limit int) ([]airflowclient.DAGRun, error)
	XComAt(ctx context.Context, dagID, runID, taskID string, mapIndex int) (string, time.Time, error)
	ConnectionEvents(ctx context.Context, after time.Time) ([]airflowclient.ConnectionEvent, error)
	ConnectionsByID(ctx context.Context, ids []string) (map[string]airflowclient.Connection, map[string]error)
}

// Connection is a connection after the last update. Where runs only failed to update it, these fields are null.
type Connection struct {
	ID          string     `json:"connection_id"`
	RegistryURL *string    `json:"registry_url"`
	IssuedAt    *time.Time `json:"issued_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	LeftSeconds *int64     `json:"left_seconds"`
	RunID       *string    `json:"run_id"`
	PublishedAt *time.Time `json:"published_at"`
	Stored      State      `json:"stored"`
	Changed     *Change    `json:"changed"` // the newest change after the update; null: none, or see Status.Unknown
	Tested      *Test      `json:"tested"`  // the newest test, whenever it was

	login    string
	updated  time.Time // when Airflow stored the result of the update
	unlogged bool      // the event log is not known
}

// State is how Airflow's connection differs from what the update left.
type State string

// The states.
const (
	AsUpdated  State = "as updated" // but for the password, which Airflow shows to nobody
	Deleted    State = "deleted"
	NoPassword State = "no password"
	OtherHost  State = "other host"
	OtherLogin State = "other login"
	NotKnown   State = "unknown"
)

// Change is an entry of Airflow's event log.
type Change struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Event string    `json:"event"`
}

// Test is how a test ended.
type Test struct {
	At     time.Time `json:"at"`
	RunID  string    `json:"run_id"`
	Result string    `json:"result"`
}

// Results of a test. The registry accepted the password in the first two.
const (
	testOK       = "ok"
	testOther    = "ok, another password"
	testRejected = "rejected"
	testFailed   = "failed"
)

// Status is what is known of all connections, sorted by id.
type Status struct {
	Connections []Connection `json:"connections"`
	Unknown     []string     `json:"unknown"` // what is not known, and why

	now time.Time
}

// Read reads the latest runs of a DAG, and what became of the connections that they updated.
func Read(ctx context.Context, airflow Airflow, dag string, now time.Time) (Status, error) {
	r := runs{airflow, dag, map[string]Connection{}, map[string]Test{}, false}
	if err := r.read(ctx, now); err != nil {
		return Status{}, err
	}
	s := Status{Connections: []Connection{}, Unknown: []string{}, now: now}
	for _, id := range slices.Sorted(maps.Keys(r.known)) {
		c := r.known[id]
		if c.ExpiresAt != nil {
			left := int64(c.ExpiresAt.Sub(now).Seconds())
			c.LeftSeconds = &left
		}
		if t, tested := r.tests[id]; tested {
			c.Tested = &t
		}
		s.Connections = append(s.Connections, c)
	}
	if !r.updated {
		return s, nil
	}
	if err := s.readEvents(ctx, airflow); err != nil {
		return s, fmt.Errorf("read event log: %w", err)
	}
	return s, s.readConnections(ctx, airflow)
}

// runs are what the runs of a DAG returned.
type runs struct {
	airflow Airflow
	dag     string
	known   map[string]Connection
	tests   map[string]Test
	updated bool // any connection
}

func (r *runs) read(ctx context.Context, now time.Time) error {
	all, err := r.airflow.DAGRuns(ctx, r.dag, maxRuns)
	if err != nil {
		return fmt.Errorf("read runs of DAG %q: %w", r.dag, err)
	}
	for _, run := range all { // a run that was cleared starts anew
		if r.updated && !run.Start.IsZero() && now.Sub(run.Start) > maxAge {
			continue
		}
		if err := r.readRun(ctx, run); err != nil {
			return fmt.Errorf("read XCom of run %q: %w", run.ID, err)
		}
	}
	return nil
}

// readRun adds what a run returned, unless it is of another program or version.
func (r *runs) readRun(ctx context.Context, run airflowclient.DAGRun) error {
	text, at, err := r.result(ctx, run.ID, xcom.StepUpdateDockerConnection)
	result, invalid := xcom.Parse[xcom.UpdateDockerConnection](text)
	if err != nil || invalid != nil {
		return err
	}
	for _, u := range result.Connections {
		if last := r.known[u.ConnectionID].PublishedAt; u.Published && (last == nil || u.PublishedAt.After(*last)) {
			r.updated = true
			r.known[u.ConnectionID] = Connection{ID: u.ConnectionID, RegistryURL: &u.RegistryURL, IssuedAt: &u.IssuedAt,
				ExpiresAt: &u.ExpiresAt, RunID: &run.ID, PublishedAt: u.PublishedAt, Stored: NotKnown,
				login: u.Username, updated: at}
		}
	}
	for _, f := range result.Failures {
		if _, found := r.known[f.ConnectionID]; !found && xcom.IsConnectionID(f.ConnectionID) {
			r.known[f.ConnectionID] = Connection{ID: f.ConnectionID, Stored: NotKnown}
		}
	}
	return r.readTest(ctx, run, result.Connections)
}

// readTest adds what step 3 of a run returned about the connections of step 2.
func (r *runs) readTest(ctx context.Context, run airflowclient.DAGRun, updated []xcom.Updated) error {
	text, at, err := r.result(ctx, run.ID, xcom.StepTestDockerConnection)
	result, invalid := xcom.Parse[xcom.TestDockerConnection](text)
	switch {
	case err != nil:
		return err
	case invalid == nil:
		for _, t := range result.Connections {
			r.addTest(t.ConnectionID, Test{at, run.ID, outcome(t)})
		}
	case run.State == "failed":
		for _, u := range updated {
			r.addTest(u.ConnectionID, Test{run.End, run.ID, testFailed})
		}
	}
	return nil
}

func outcome(t xcom.Tested) string {
	switch {
	case t.Login == "refused": // after a dry run alone
		return testRejected
	case t.Matches != nil && !*t.Matches:
		return testOther
	}
	return testOK
}

func (r *runs) addTest(id string, t Test) {
	if t.At.After(r.tests[id].At) {
		r.tests[id] = t
	}
}

// result returns "" for a task that has failed, or has not run yet.
func (r *runs) result(ctx context.Context, run, task string) (string, time.Time, error) {
	text, at, err := r.airflow.XComAt(ctx, r.dag, run, task, -1)
	if errors.Is(err, airflowclient.ErrNotFound) {
		return "", at, nil
	}
	return text, at, err
}

// Package status finds out which token each connection has, until when, and whether that is still so, from what
// Airflow can tell: what the DAG's runs returned, its event log, and its connections, whose passwords it shows to
// nobody.
//
// The update with the latest published_at counts, in whichever run it is: who clears step 2 of an older run puts an
// older token over a newer one. A connection was changed since if its newest entry in the event log is later than the
// stored result of that update. The update's own entry is earlier, by the same clock, the API server's. So the rule
// needs neither the worker's clock nor the name of airflow-api's user; and what is changed between the two, step 3
// finds when it compares. (Between the two, an update under way looks like a change.) Where even the update's own
// entry is missing, the log was purged, or the account may not see it: whether there was a change is not known.
// Changes by SQL, and overrides on the workers, are not logged at all.
//
// A test counts if it is later than update and change. A step 3 that fails returns nothing; so a run that failed after
// its step 2 is a failed test of all its connections, unless step 2 passed on a failure, which fails step 3 by itself.
package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/xcom"
)

// How far back Read looks, since a token is valid for 12 hours; and for the entry of an update, before its result.
const (
	maxRuns   = 25
	maxAge    = 24 * time.Hour
	maxUpdate = time.Hour
)

// Airflow is the part of Airflow's REST API that is read; *airflowclient.Client implements it.
type Airflow interface {
	DAGRuns(ctx context.Context, dagID string, limit int) ([]airflowclient.DAGRun, error)
	XCom(ctx context.Context, dagID, runID, taskID string) (string, time.Time, error)
	ConnectionEvents(ctx context.Context, after time.Time) ([]airflowclient.ConnectionEvent, error)
	ConnectionsByID(ctx context.Context, ids []string) (map[string]airflowclient.Connection, map[string]error)
}

// Connection is a connection after its last update. Where runs only failed to update it, what that left is null.
type Connection struct {
	ID          string     `json:"connection_id"`
	RegistryURL *string    `json:"registry_url"`
	IssuedAt    *time.Time `json:"issued_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	LeftSeconds *int64     `json:"left_seconds"`
	RunID       *string    `json:"run_id"`
	PublishedAt *time.Time `json:"published_at"`
	Stored      string     `json:"stored"`  // asUpdated, unknown, or what differs in Airflow
	Changed     *Change    `json:"changed"` // the newest change after the update; null: none, or see Status.Unknown
	Tested      *Test      `json:"tested"`  // the newest test, whenever it was

	login    string
	returned time.Time // when Airflow stored the result of the update
	unlogged bool      // whether there was a change is not known
}

const (
	asUpdated = "as updated"
	unknown   = "unknown"
)

// Change is an entry of Airflow's event log.
type Change struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Event string    `json:"event"`
}

// Test is a test by a run, and how it ended.
type Test struct {
	At     time.Time `json:"at"`
	RunID  string    `json:"run_id"`
	Passed bool      `json:"passed"` // the password was accepted
	Result string    `json:"result"`
}

// Status is what is known of all connections, sorted by id.
type Status struct {
	Connections []Connection `json:"connections"`
	Unknown     []string     `json:"unknown"` // what is not known, and why

	now time.Time
}

// Read reads the latest runs of a DAG, and what became of the connections that they updated.
func Read(ctx context.Context, airflow Airflow, dag string, now time.Time) (Status, error) {
	runs, err := airflow.DAGRuns(ctx, dag, maxRuns)
	if err != nil {
		return Status{}, fmt.Errorf("read runs of DAG %q: %w", dag, err)
	}
	r := reader{airflow, dag, map[string]Connection{}, map[string]*Test{}, false}
	for _, run := range runs { // one that is cleared starts anew
		if r.updated && !run.Start.IsZero() && now.Sub(run.Start) > maxAge {
			continue
		}
		if err := r.read(ctx, run); err != nil {
			return Status{}, fmt.Errorf("read XCom of run %q: %w", run.ID, err)
		}
	}
	s := Status{Connections: []Connection{}, Unknown: []string{}, now: now}
	for _, id := range slices.Sorted(maps.Keys(r.known)) {
		c := r.known[id]
		if c.Tested = r.tests[id]; c.ExpiresAt != nil {
			c.LeftSeconds = new(int64(c.ExpiresAt.Sub(now).Seconds()))
		}
		s.Connections = append(s.Connections, c)
	}
	if r.updated {
		err = errors.Join(s.readEvents(ctx, airflow), s.readConnections(ctx, airflow))
	}
	return s, err
}

// reader reads what the runs of a DAG returned.
type reader struct {
	Airflow
	dag     string
	known   map[string]Connection
	tests   map[string]*Test // the newest of each connection
	updated bool             // any connection
}

// read adds what a run returned, unless it is of another program or version.
func (r *reader) read(ctx context.Context, run airflowclient.DAGRun) error {
	text, returned, err := r.result(ctx, run.ID, xcom.StepUpdateDockerConnection)
	result, invalid := xcom.Parse[xcom.UpdateDockerConnection](text)
	if err != nil || invalid != nil {
		return err
	}
	for _, u := range result.Connections {
		if last := r.known[u.ConnectionID].PublishedAt; u.Published && (last == nil || u.PublishedAt.After(*last)) {
			r.updated = true
			r.known[u.ConnectionID] = Connection{ID: u.ConnectionID, RegistryURL: &u.RegistryURL, IssuedAt: &u.IssuedAt,
				ExpiresAt: &u.ExpiresAt, RunID: &run.ID, PublishedAt: u.PublishedAt, Stored: unknown,
				login: u.Username, returned: returned}
		}
	}
	for _, f := range result.Failures {
		if _, found := r.known[f.ConnectionID]; !found && xcom.IsConnectionID(f.ConnectionID) {
			r.known[f.ConnectionID] = Connection{ID: f.ConnectionID, Stored: unknown}
		}
	}
	return r.readTest(ctx, run, result)
}

// readTest adds how step 3 of a run ended, which had the result of step 2.
func (r *reader) readTest(ctx context.Context, run airflowclient.DAGRun, input xcom.UpdateDockerConnection) error {
	text, at, err := r.result(ctx, run.ID, xcom.StepTestDockerConnection)
	tested, invalid := xcom.Parse[xcom.TestDockerConnection](text)
	switch {
	case invalid == nil:
		for _, t := range tested.Connections {
			test := Test{at, run.ID, t.Login != xcom.LoginRefused && t.Login != xcom.NoPassword, "ok"}
			if !test.Passed {
				test.Result = t.Login
			} else if t.Matches != nil && !*t.Matches {
				test.Result = "ok, another password"
			}
			r.add(t.ConnectionID, test)
		}
	case err == nil && run.State == "failed" && len(input.Failures) == 0:
		for _, u := range input.Connections {
			r.add(u.ConnectionID, Test{run.End, run.ID, false, "failed"})
		}
	}
	return err
}

// result returns what a task returned and when, or "" for one that has failed, or has not run yet.
func (r *reader) result(ctx context.Context, run, task string) (string, time.Time, error) {
	text, at, err := r.XCom(ctx, r.dag, run, task)
	if errors.Is(err, airflowclient.ErrNotFound) {
		return "", at, nil
	}
	return text, at, err
}

func (r *reader) add(id string, t Test) {
	if r.tests[id] == nil || t.At.After(r.tests[id].At) {
		r.tests[id] = &t
	}
}

// readEvents adds the newest change of each connection.
func (s *Status) readEvents(ctx context.Context, airflow Airflow) error {
	first := s.now
	for _, c := range s.Connections {
		if c.RunID != nil && c.returned.Before(first) {
			first = c.returned
		}
	}
	events, err := airflow.ConnectionEvents(ctx, first.Add(-maxUpdate))
	lacks := s.lacks(err, "whether a connection was changed after its update", " (of FAB's roles, only Admin has it)")
	if err != nil && !lacks {
		return fmt.Errorf("read event log: %w", err)
	}
	var unlogged []string
	for i := range s.Connections {
		c := &s.Connections[i]
		at := slices.IndexFunc(events, func(e airflowclient.ConnectionEvent) bool { return e.Concerns(c.ID) })
		switch {
		case c.RunID == nil:
		case at < 0:
			c.unlogged, unlogged = true, append(unlogged, c.ID)
		case events[at].When.After(c.returned):
			c.Changed = &Change{events[at].When, events[at].Owner, events[at].Event}
		}
	}
	if unlogged != nil && !lacks {
		s.Unknown = append(s.Unknown, "whether "+strings.Join(unlogged, ", ")+" was changed after its update, is not "+
			"known: Airflow's event log has no entry of the update itself")
	}
	return nil
}

// readConnections compares the connections with what their updates left.
func (s *Status) readConnections(ctx context.Context, airflow Airflow) error {
	var ids []string
	for _, c := range s.Connections {
		ids = append(ids, c.ID)
	}
	found, failed := airflow.ConnectionsByID(ctx, ids)
	for i := range s.Connections {
		c := &s.Connections[i]
		stored, err := found[c.ID], failed[c.ID]
		switch {
		case errors.Is(err, airflowclient.ErrNotFound):
			c.Stored = "deleted"
		case s.lacks(err, "whether a connection was deleted, or has no password, another host or another login",
			" (FAB), or the role Op (SimpleAuthManager)"):
			return nil
		case err != nil:
			return fmt.Errorf("read connection %q: %w", c.ID, err)
		case c.RunID == nil:
		case stored.Password == nil:
			c.Stored = "no password"
		case registry.Host(stored.Host) != registry.Host(*c.RegistryURL):
			c.Stored = "other host"
		case stored.Login != c.login:
			c.Stored = "other login"
		default:
			c.Stored = asUpdated
		}
	}
	return nil
}

// lacks reports whether the account lacks the right for a call, and adds what is not known then.
func (s *Status) lacks(err error, what, who string) bool {
	var e *airflowclient.Error
	if !errors.As(err, &e) || e.Kind != airflowclient.Forbidden {
		return false
	}
	const form = "%s, is not known: the account lacks %s on %s%s"
	s.Unknown = append(s.Unknown, fmt.Sprintf(form, what, e.Right, e.Object, who))
	return true
}

// Package status finds out which token each connection has, until when, and whether that is still so, from what
// Airflow can tell: what the DAG's runs returned, its event log, and its connections, whose passwords it does not show.
//
// The update with the latest published_at counts, in whichever run it is: who clears step 2 of an older run puts an
// older token over a newer one. A connection was changed since if its newest entry in the event log is later than the
// stored result of that update. The update's own entry is earlier, by the same clock, the API server's; what is changed
// between the two, step 3 finds when it compares. Where even the update's own entry is missing, the log was purged, or
// the account may not see it: then it is not known. Changes by SQL, and overrides on the workers, are not logged.
//
// A test counts if it is later than update and change. A step 3 that fails returns nothing; so a run that failed after
// its step 2 is a failed test of all its connections, unless step 2 passed on a failure, which fails step 3 by itself.
package status

import (
	"cmp"
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
	"ecr-refresh/steps/untrusted"
	"ecr-refresh/steps/xcom"
)

// Kinds of failure.
const (
	NoToken  failure.Kind = "no run updated a connection"
	Doubtful failure.Kind = "token expires too soon, or the connection may not have it"
)

// How far back Read looks, since a token is valid for 12 hours; and for the entry of an update, before its result.
const (
	maxRuns   = 25
	maxAge    = 24 * time.Hour
	maxUpdate = time.Hour
)

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
	At    time.Time      `json:"at"`
	By    untrusted.Text `json:"by"`
	Event untrusted.Text `json:"event"`
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
	Connections []*Connection `json:"connections"`
	Unknown     []string      `json:"unknown"` // what is not known, and why

	now time.Time
}

// Read reads the latest runs of a DAG, and what became of the connections that they updated.
func Read(ctx context.Context, airflow *airflowclient.Client, dag string, now time.Time) (Status, error) {
	runs, err := airflow.DAGRuns(ctx, dag, maxRuns)
	if err != nil {
		return Status{}, fmt.Errorf("read runs of DAG %q: %w", dag, err)
	}
	r := reader{Client: airflow, dag: dag, now: now, known: map[string]*Connection{}, tests: map[string]*Test{}}
	for _, run := range runs { // one that is cleared starts anew
		if !r.oldest.IsZero() && !run.Start.IsZero() && now.Sub(run.Start) > maxAge {
			continue
		}
		if err := r.read(ctx, run); err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
			return Status{}, fmt.Errorf("read XCom of run %q: %w", run.ID, err)
		}
	}
	ids := slices.Sorted(maps.Keys(r.known))
	s := Status{Connections: []*Connection{}, Unknown: []string{}, now: now}
	for _, id := range ids {
		r.known[id].Tested = r.tests[id]
		s.Connections = append(s.Connections, r.known[id])
	}
	if !r.oldest.IsZero() {
		err = errors.Join(s.readEvents(ctx, airflow, r.oldest), s.readConnections(ctx, airflow, ids))
	}
	return s, err
}

// reader reads what the runs of a DAG returned.
type reader struct {
	*airflowclient.Client
	dag    string
	now    time.Time
	known  map[string]*Connection
	tests  map[string]*Test // the newest of each connection
	oldest time.Time        // the first result that has updated a connection; zero: none has
}

// read adds what a run returned, unless it is of another program or version.
func (r *reader) read(ctx context.Context, run airflowclient.DAGRun) error {
	text, returned, err := r.XCom(ctx, r.dag, run.ID, xcom.StepUpdateDockerConnection)
	result, invalid := xcom.Parse[xcom.UpdateDockerConnection](text)
	if err != nil || invalid != nil {
		return err
	}
	for _, f := range result.Failures {
		if r.known[f.ConnectionID] == nil && xcom.CheckConnectionID(f.ConnectionID) == nil {
			r.known[f.ConnectionID] = &Connection{ID: f.ConnectionID, Stored: unknown}
		}
	}
	for _, u := range result.Connections {
		if !r.newer(u) {
			continue
		}
		r.known[u.ConnectionID] = &Connection{ID: u.ConnectionID, RegistryURL: &u.RegistryURL, IssuedAt: &u.IssuedAt,
			ExpiresAt: &u.ExpiresAt, LeftSeconds: new(int64(u.ExpiresAt.Sub(r.now).Seconds())), RunID: &run.ID,
			PublishedAt: u.PublishedAt, Stored: unknown, login: u.Username, returned: returned, unlogged: true}
		if r.oldest.IsZero() || returned.Before(r.oldest) {
			r.oldest = returned
		}
	}
	return r.readTest(ctx, run, result)
}

// newer reports whether an update is later than what is known, and its token one that ECR can have issued: an XCom can
// be edited.
func (r *reader) newer(u xcom.Updated) bool {
	if !u.Published || u.Check(r.now) != nil {
		return false
	}
	last := r.known[u.ConnectionID]
	return last == nil || last.RunID == nil || u.PublishedAt.After(*last.PublishedAt)
}

// readTest adds how step 3 of a run ended, which had the result of step 2.
func (r *reader) readTest(ctx context.Context, run airflowclient.DAGRun, input xcom.UpdateDockerConnection) error {
	text, at, err := r.XCom(ctx, r.dag, run.ID, xcom.StepTestDockerConnection)
	if err != nil && !errors.Is(err, airflowclient.ErrNotFound) { // it has failed, or has not run yet
		return err
	}
	results := map[string]string{} // by connection id
	if tested, err := xcom.Parse[xcom.TestDockerConnection](text); err == nil {
		for _, t := range tested.Connections {
			results[t.ConnectionID] = outcome(t)
		}
	} else if run.State == "failed" && len(input.Failures) == 0 {
		at = run.End
		for _, u := range input.Connections {
			results[u.ConnectionID] = "failed"
		}
	}
	for id, result := range results {
		if last := r.tests[id]; last == nil || at.After(last.At) {
			r.tests[id] = &Test{at, run.ID, strings.HasPrefix(result, "ok"), result}
		}
	}
	return nil
}

func outcome(t xcom.Tested) string {
	switch {
	case t.Login == xcom.LoginRefused || t.Login == xcom.NoPassword:
		return t.Login
	case t.Matches != nil && !*t.Matches:
		return "ok, another password"
	}
	return "ok"
}

// readEvents adds the newest change of each connection that was updated; the oldest update is known.
func (s *Status) readEvents(ctx context.Context, airflow *airflowclient.Client, oldest time.Time) error {
	events, err := airflow.ConnectionEvents(ctx, oldest.Add(-maxUpdate))
	if err != nil {
		return s.lacks(fmt.Errorf("read event log: %w", err), "whether a connection was changed after its update",
			" (of FAB's roles, only Admin has it)")
	}
	var unlogged []string
	for _, c := range s.Connections {
		at := slices.IndexFunc(events, func(e airflowclient.ConnectionEvent) bool { return e.Concerns(c.ID) })
		switch c.unlogged = c.unlogged && at < 0; {
		case c.unlogged:
			unlogged = append(unlogged, c.ID)
		case c.RunID != nil && events[at].When.After(c.returned):
			c.Changed = &Change{events[at].When, events[at].Owner, events[at].Event}
		}
	}
	if unlogged != nil {
		s.Unknown = append(s.Unknown, "whether "+strings.Join(unlogged, ", ")+" was changed after its update, is not "+
			"known: Airflow's event log has no entry of the update itself, or Airflow (3.4) shows it to Admin alone")
	}
	return nil
}

// readConnections compares the connections with what their updates left.
func (s *Status) readConnections(ctx context.Context, airflow *airflowclient.Client, ids []string) error {
	found, failed := airflow.ConnectionsByID(ctx, ids)
	for _, c := range s.Connections {
		stored, err := found[c.ID], failed[c.ID]
		switch {
		case errors.Is(err, airflowclient.ErrNotFound):
			c.Stored = "deleted"
		case err != nil:
			return s.lacks(fmt.Errorf("read connection %q: %w", c.ID, err), "whether a connection was deleted, or "+
				"has no password, another host or another login", " (FAB), or the role Op (SimpleAuthManager)")
		case c.RunID == nil:
		case stored.Password == nil:
			c.Stored = "no password"
		case registry.Host(stored.Host.Raw()) != registry.Host(*c.RegistryURL):
			c.Stored = "other host"
		case stored.Login.Raw() != c.login:
			c.Stored = "other login"
		default:
			c.Stored = asUpdated
		}
	}
	return nil
}

// lacks adds what is not known where err says that the account lacks a right, and returns any other error.
func (s *Status) lacks(err error, what, who string) error {
	right := airflowclient.MissingRight(err)
	if right == "" {
		return err
	}
	if failure.Is(err, airflowclient.ForbiddenByKeycloak) {
		who = " (Keycloak)"
	}
	s.Unknown = append(s.Unknown, fmt.Sprintf("%s, is not known: the account lacks %s%s", what, right, who))
	return nil
}

// Check returns an error if no token is known. If minLeft is not 0, it also returns one if a token expires sooner or is
// unknown, or if its connection may not have it. What is not known for lack of a right is none.
func (s Status) Check(dag string, minLeft time.Duration) error {
	if !slices.ContainsFunc(s.Connections, func(c *Connection) bool { return c.RunID != nil }) {
		return failure.Transient(NoToken, "check tokens: no run of DAG %q has updated a connection", dag)
	}
	var errs []error
	for _, c := range s.Connections {
		if why := c.problem(s.now, minLeft); why != "" && minLeft > 0 {
			errs = append(errs, failure.Transient(Doubtful, "check connection %q: %s", c.ID, why))
		}
	}
	return failure.Join(errs)
}

// problem returns why the token is not valid for minLeft, or the connection may not have it, or "".
func (c *Connection) problem(now time.Time, minLeft time.Duration) string {
	switch left, text := c.left(); {
	case left <= 0 || left < minLeft:
		return fmt.Sprintf("less than %s left (%s)", minLeft, text)
	case c.differs():
		return "it is not as its update left it: " + c.Stored
	case c.tested() && !c.Tested.Passed:
		return fmt.Sprintf("run %s tested it %s: %s", c.Tested.RunID, ago(now, c.Tested.At), c.Tested.Result)
	case c.Changed != nil && !c.tested():
		return fmt.Sprintf("changed %s (%s), and not tested since", c.change(now), c.Changed.Event)
	}
	return ""
}

// left returns for how long the token is valid, which is less than 0 where it is not known.
func (c *Connection) left() (left time.Duration, text string) {
	if c.LeftSeconds == nil {
		return -1, unknown
	}
	if left = time.Duration(*c.LeftSeconds) * time.Second; left <= 0 {
		return left, "expired"
	}
	return left, left.Round(time.Minute).String()
}

func (c *Connection) differs() bool { return c.Stored != asUpdated && c.Stored != unknown }

// tested reports whether there was a test after the update, and after the change.
func (c *Connection) tested() bool {
	return c.Tested != nil && !c.Tested.At.Before(c.returned) && (c.Changed == nil || c.Tested.At.After(c.Changed.At))
}

// change returns how the connection differs from what its update left, and who changed it when.
func (c *Connection) change(now time.Time) string {
	var known []string
	if c.differs() {
		known = append(known, c.Stored)
	}
	if c.Changed != nil {
		known = append(known, ago(now, c.Changed.At)+" by "+cmp.Or(c.Changed.By.String(), "somebody"))
	}
	if known == nil && c.unlogged {
		return unknown
	}
	return cmp.Or(strings.Join(known, ", "), "no")
}

// Table returns the status for a person, to be written to w. Colours mark what Check would reject.
func (s Status) Table(minLeft time.Duration, w io.Writer) []byte {
	rows := [][]string{{console.Paint(w, console.Dim, "CONNECTION"), "UPDATED", "EXPIRES", "LEFT", "CHANGED", "TESTED"}}
	for _, c := range s.Connections {
		colour, updated, expires, test := console.Good, "-", "-", "-"
		if c.RunID != nil {
			updated, expires, test = ago(s.now, *c.PublishedAt), c.ExpiresAt.UTC().Format(time.RFC3339), "not since"
		}
		if c.tested() {
			test = ago(s.now, c.Tested.At) + ": " + c.Tested.Result
		}
		if c.problem(s.now, minLeft) != "" {
			colour = console.Bad
		}
		_, left := c.left()
		rows = append(rows, []string{console.Paint(w, colour, c.ID), updated, expires, left, c.change(s.now), test})
	}
	return console.Table(rows)
}

// ago returns how long ago t was: seconds, or hours and minutes.
func ago(now, t time.Time) string {
	d := max(now.Sub(t), 0).Round(time.Second)
	if d >= time.Minute {
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") + " ago"
	}
	return d.String() + " ago"
}

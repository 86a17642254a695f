package status

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
)

// airflow has runs of ages, each with what its task returned; "" is nothing.
type airflow struct {
	ages    []time.Duration
	results []string
	err     error // of the runs, or of XCom where there are runs

	log, connection error // of the event log, and of each connection
}

func now() time.Time { return time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC) }

func (a airflow) DAGRuns(context.Context, string, int) (runs []airflowclient.DAGRun, err error) {
	for i, age := range a.ages {
		run := airflowclient.DAGRun{ID: fmt.Sprint(i)}
		if age >= 0 {
			run.Start = now().Add(-age)
		}
		runs = append(runs, run)
	}
	if runs == nil {
		err = a.err
	}
	return runs, err
}

func (a airflow) XCom(_ context.Context, _, run, task string) (string, time.Time, error) {
	if text := a.results[run[0]-'0']; text != "" && task == "update_docker_connection" {
		return text, now(), a.err
	}
	return "", time.Time{}, airflowclient.ErrNotFound
}

func (a airflow) ConnectionEvents(context.Context, time.Time) ([]airflowclient.ConnectionEvent, error) {
	return nil, a.log
}

func (a airflow) ConnectionsByID(context.Context, []string) (map[string]airflowclient.Connection, map[string]error) {
	return nil, map[string]error{"a": a.connection}
}

// result returns what a run returned that updated connections, each given as ID=HOURS that its token is still valid.
func result(connections ...string) string {
	var all []string
	for _, c := range connections {
		id, hours, _ := strings.Cut(c, "=")
		left, _ := time.ParseDuration(hours)
		all = append(all, fmt.Sprintf(`{"connection_id":%q,"username":"AWS","expires_at":%q,`+
			`"fingerprint":"3f1c0a9b27de","registry_url":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com",`+
			`"published":true,"published_at":"2026-11-23T17:00:00Z"}`,
			id, now().Add(left).Format(time.RFC3339)))
	}
	return `{"version":1,"step":"update_docker_connection","connections":[` + strings.Join(all, ",") +
		`],"failures":[{"connection_id":"failed","registry_url":"","step":"extract_ecr_token","error":"no"}]}`
}

func TestRead(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, row := range map[string]struct {
		ages    []time.Duration
		results []string
		want    string
	}{
		"no runs":       {nil, nil, ""},
		"newest 1st":    {[]time.Duration{1, 2}, []string{result("b=3h"), result("a=2h", "b=0s")}, "a:1 b:0 failed:-"},
		"a day back":    {[]time.Duration{1, day}, []string{result("b=3h"), result("a=2h")}, "a:1 b:0 failed:-"},
		"too old":       {[]time.Duration{1, day + 1}, []string{result("b=3h"), result("a=2h")}, "b:0 failed:-"},
		"old but first": {[]time.Duration{1, day + 1}, []string{"", result("a=2h")}, "a:1 failed:-"},
		"no start":      {[]time.Duration{1, -1}, []string{result("b=3h"), result("a=2h")}, "a:1 b:0 failed:-"},
		"not ours":      {[]time.Duration{1, 2}, []string{`{"version":2}`, result("failed=2h")}, "failed:1"},
	} {
		s, err := Read(t.Context(), airflow{ages: row.ages, results: row.results}, "d", now())
		var all []string
		for _, c := range s.Connections {
			run := "-"
			if c.RunID != nil {
				run = *c.RunID
			}
			all = append(all, c.ID+":"+run)
		}
		if got := strings.Join(all, " "); err != nil || got != row.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, row.want)
		}
	}
	for want, ages := range map[string][]time.Duration{
		`read runs of DAG "d": airflow is down`: nil,
		`read XCom of run "0": airflow is down`: {1},
	} {
		a := airflow{ages: ages, results: []string{"a result"}, err: errors.New("airflow is down")}
		if _, err := Read(t.Context(), a, "d", now()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A right that is missing leaves something unknown; Airflow that is down is an error.
func TestReadWithoutRights(t *testing.T) {
	t.Parallel()
	down, forbidden := errors.New("down"), &airflowclient.Error{Kind: airflowclient.Forbidden, Err: errors.New("403")}
	for _, row := range []struct {
		log, connection error
		unknown         int
		want            string
	}{
		{forbidden, forbidden, 2, "<nil>"},
		{nil, nil, 1, "<nil>"}, // the log is empty
		{down, nil, 0, "read event log: down"},
		{forbidden, down, 1, `read connection "a": down`},
	} {
		a := airflow{ages: []time.Duration{1}, results: []string{result("a=3h")}}
		a.log, a.connection = row.log, row.connection
		s, err := Read(t.Context(), a, "d", now())
		if fmt.Sprint(err) != row.want || len(s.Unknown) != row.unknown {
			t.Errorf("%v, %q, want %s, %d unknown", err, s.Unknown, row.want, row.unknown)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, row := range []struct {
		left, limit time.Duration // left of connections a and b
		want        string
	}{
		{-hour, 0, "<nil>"},
		{0, 1, "check tokens: less than 1ns left for a (expired), b (expired)"},
		{3 * hour, 3 * hour, "<nil>"},
		{3 * hour, 3*hour + 1, "check tokens: less than 3h0m0.000000001s left for a (3h0m0s), b (3h0m0s)"},
	} {
		seconds, run := int64(row.left.Seconds()), "r"
		a := Connection{ID: "a", LeftSeconds: &seconds, RunID: &run, Stored: asUpdated}
		b := a
		b.ID = "b"
		if got := fmt.Sprint(Status{Connections: []Connection{a, b}}.Check("d", row.limit)); got != row.want {
			t.Errorf("%s: %s, want %s", row.left, got, row.want)
		}
	}
}

package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
)

var (
	errDown = errors.New("airflow is down")
	errNone = airflowclient.ErrNotFound
)

// airflow has runs of ages, each with what its task returned; "" is nothing.
type airflow struct {
	ages    []time.Duration
	results []string
	err     error // of runs
	xcomErr error
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
	return runs, a.err
}

func (a airflow) XCom(_ context.Context, _, run, _ string, _ int) (string, error) {
	if a.xcomErr != nil {
		return "", a.xcomErr
	}
	if text := a.results[run[0]-'0']; text != "" {
		return text, nil
	}
	return "", errNone
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
	for want, a := range map[string]airflow{
		`read runs of DAG "d": airflow is down`: {err: errDown},
		`read XCom of run "0": airflow is down`: {ages: []time.Duration{1}, xcomErr: errDown},
	} {
		if _, err := Read(t.Context(), a, "d", now()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		left  string // of connections a and b
		limit time.Duration
		want  string
	}{
		"no limit":    {"-1h", 0, ""},
		"expires now": {"0s", 1, "check tokens: less than 1ns left for a (expired), b (expired)"},
		"enough":      {"3h", 3 * time.Hour, ""},
		"too short": {"3h", 3*time.Hour + 1,
			"check tokens: less than 3h0m0.000000001s left for a (3h0m0s), b (3h0m0s)"},
	} {
		a := airflow{ages: []time.Duration{1}, results: []string{result("a="+row.left, "b="+row.left)}}
		s, err := Read(t.Context(), a, "d", now())
		s.Connections = slices.DeleteFunc(s.Connections, func(c Connection) bool { return c.ID == "failed" })
		if err = cmp.Or(err, s.Check("d", row.limit)); fmt.Sprint(err) != cmp.Or(row.want, "<nil>") {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

package status

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/secret"
)

// airflow has runs of ages, each with what its step 2 returned; "" is nothing. A path may answer with a status.
type airflow struct {
	ages    []time.Duration
	results []string
	answers map[string]int // by what a path has
}

func now() time.Time { return time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC) }

func (a airflow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for part, status := range a.answers {
		if strings.Contains(r.URL.Path, part) {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"detail":"no"}`)
			return
		}
	}
	parts := strings.Split(r.URL.Path, "/")
	switch {
	case parts[3] == "eventLogs":
		fmt.Fprint(w, `{"event_logs":[],"total_entries":0}`)
	case parts[3] == "connections":
		fmt.Fprintf(w, `{"connection_id":%q}`, parts[4])
	case len(parts) == 6:
		fmt.Fprint(w, a.runs())
	case parts[8] == "update_docker_connection" && a.results[parts[6][0]-'0'] != "":
		fmt.Fprintf(w, `{"value":%q,"timestamp":%q}`, a.results[parts[6][0]-'0'], now().Format(time.RFC3339))
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail":"XCom entry with key: \"return_value\" not found"}`)
	}
}

func (a airflow) runs() string {
	var all []string
	for i, age := range a.ages {
		start := "null"
		if age >= 0 {
			start = now().Add(-age).Format(`"` + time.RFC3339Nano + `"`)
		}
		all = append(all, fmt.Sprintf(`{"dag_run_id":"%d","start_date":%s}`, i, start))
	}
	return `{"dag_runs":[` + strings.Join(all, ",") + `]}`
}

func (a airflow) read(t *testing.T) (Status, error) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client, err := airflowclient.New(airflowclient.Config{BaseURL: server.URL, Token: secret.New("jwt-of-a-test")})
	if err != nil {
		t.Fatal(err)
	}
	return Read(t.Context(), client, "d", now())
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
		s, err := airflow{ages: row.ages, results: row.results}.read(t)
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
	for part, want := range map[string]string{
		"dagRuns":     `read runs of DAG "d": airflow answered 400: no`,
		"xcomEntries": `read XCom of run "0": airflow answered 400: no`,
	} {
		a := airflow{ages: []time.Duration{1}, results: []string{""}, answers: map[string]int{part: 400}}
		if _, err := a.read(t); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// A right that is missing leaves something unknown; another failure is an error.
func TestReadWithoutRights(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		log, connection int // what Airflow answers
		unknown         int
		want            string
	}{
		{403, 403, 2, "<nil>"},
		{0, 0, 1, "<nil>"}, // the log is empty
		{400, 0, 0, "read event log: airflow answered 400: no"},
		{403, 400, 1, `read connection "a": airflow answered 400: no`},
	} {
		a := airflow{ages: []time.Duration{1}, results: []string{result("a=3h")}, answers: map[string]int{}}
		for part, status := range map[string]int{"eventLogs": row.log, "connections": row.connection} {
			if status != 0 {
				a.answers[part] = status
			}
		}
		s, err := a.read(t)
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
		{0, 1, `check connection "a": less than 1ns left (expired); ` +
			`check connection "b": less than 1ns left (expired)`},
		{3 * hour, 3 * hour, "<nil>"},
		{3 * hour, 3*hour + 1, `check connection "a": less than 3h0m0.000000001s left (3h0m0s); ` +
			`check connection "b": less than 3h0m0.000000001s left (3h0m0s)`},
	} {
		seconds, run := int64(row.left.Seconds()), "r"
		a := Connection{ID: "a", LeftSeconds: &seconds, RunID: &run, Stored: asUpdated}
		b := a
		b.ID = "b"
		if got := fmt.Sprint(Status{Connections: []*Connection{&a, &b}}.Check("d", row.limit)); got != row.want {
			t.Errorf("%s: %s, want %s", row.left, got, row.want)
		}
	}
}

package doctor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/secret"
)

// found returns the states and names of what checks find, where Airflow answers each path with the JSON of it.
func found(t *testing.T, answers map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := strings.Cut(r.URL.Path, "/api/v2/")
		w.Header().Set("Content-Type", "application/json")
		if answers[name] == "" {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"detail":"Forbidden"}`)
		}
		fmt.Fprint(w, answers[name])
	}))
	t.Cleanup(server.Close)
	client, err := airflowclient.New(airflowclient.Config{BaseURL: server.URL, Token: secret.New("a.b.c")})
	if err != nil {
		t.Fatal(err)
	}
	var f Findings
	d := &Doctor{Reader: client, Pool: "p", DAG: "d"}
	f.concurrently(t.Context(), d.checkPool, d.checkDAG)
	var all []string
	for _, one := range f.Checks {
		all = append(all, one.State+" "+one.Name)
	}
	return strings.Join(all, ", ")
}

func TestDAG(t *testing.T) {
	t.Parallel()
	runs := func(state string, age time.Duration) string {
		return fmt.Sprintf(`{"dag_runs":[{"dag_run_id":"r2","state":"running"},`+
			`{"dag_run_id":"r1","state":%q,"end_date":%q}]}`, state, time.Now().Add(-age).Format(time.RFC3339))
	}
	const dag, running = `{"dag_id":"d"}`, `{"dag_runs":[{"dag_run_id":"r2","state":"running"}]}`
	const file, going = ", skip DAG file", ", ok run in progress, skip tasks"
	for name, row := range map[string]struct{ dag, runs, want string }{
		"good":        {dag, runs("success", 7*time.Hour), "ok DAG d" + file + going + ", ok last run"},
		"still valid": {dag, runs("success", 12*time.Hour), "ok DAG d" + file + going + ", ok last run"},
		"expired":     {dag, runs("success", 12*time.Hour+time.Minute), "ok DAG d" + file + going + ", fail last run"},
		"failed":      {dag, runs("failed", time.Minute), "ok DAG d" + file + going + ", fail last run, skip tasks"},
		"never":       {dag, running, "ok DAG d" + file + going + ", warn last run"},
		"no right":    {dag, "", "ok DAG d" + file + ", skip last run"},
		"paused":      {`{"dag_id":"d","is_paused":true}`, running, "fail DAG d" + file + going + ", warn last run"},
		"gone":        {`{"dag_id":"d","is_stale":true}`, running, "fail DAG d" + file + going + ", warn last run"},
		"broken": {`{"dag_id":"d","has_import_errors":true}`, running,
			"fail DAG d, fail DAG import error" + file + going + ", warn last run"},
		"may not read": {"", "", "skip DAG d, fail DAG import error"},
	} {
		got := found(t, map[string]string{
			"pools/p": `{"name":"p","slots":5}`, "dags/d/details": row.dag, "dags/d/dagRuns": row.runs,
			"importErrors": `{"import_errors":[{"filename":"f.py","stack_trace":"E"}]}`,
		})
		if got != "ok pool p, "+row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

// A check that waits for another has as much time as that.
func TestLimit(t *testing.T) {
	t.Parallel()
	var f Findings
	f.concurrently(t.Context(), func(first context.Context, f *Findings) {
		f.then = []check{func(second context.Context, f *Findings) {
			before, _ := first.Deadline()
			after, limited := second.Deadline()
			f.result("then", second.Err(), "%v %v", limited, after.After(before))
		}}
	})
	if len(f.Checks) != 1 || f.Checks[0].Message != "true true" {
		t.Errorf("found %v", f.Checks)
	}
}

// The last error of ecr-refresh counts, with its hint; Airflow's own only where it has not begun.
func TestLastError(t *testing.T) {
	t.Parallel()
	ours := func(text string) airflowclient.LogEvent { return airflowclient.LogEvent{Level: "info", Text: text} }
	airflows := airflowclient.LogEvent{Level: "error", Text: "AirflowException: exit code 2"}
	for name, row := range map[string]struct {
		log  []airflowclient.LogEvent
		want [2]string
	}{
		"none":    {[]airflowclient.LogEvent{ours("Running")}, [2]string{}},
		"airflow": {[]airflowclient.LogEvent{airflows}, [2]string{"AirflowException: exit code 2"}},
		"ours": {[]airflowclient.LogEvent{ours("ecr-refresh: error: a"), ours("ecr-refresh: hint: h"), airflows},
			[2]string{"a", "h"}},
		"one event": {[]airflowclient.LogEvent{ours("ecr-refresh: error: a\necr-refresh: hint: h\n")},
			[2]string{"a", "h"}},
		"several": {[]airflowclient.LogEvent{ours("ecr-refresh: error: a"), ours("ecr-refresh: hint: h"),
			ours("ecr-refresh: error: b")}, [2]string{"b"}},
		"a hint alone": {[]airflowclient.LogEvent{ours("ecr-refresh: hint: h")}, [2]string{}},
	} {
		if text, hint := lastError(row.log); text != row.want[0] || hint != row.want[1] {
			t.Errorf("%s: %q, %q, want %q", name, text, hint, row.want)
		}
	}
}

// No line of a table is longer than 100 columns, but for one word.
func TestTable(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 60)
	f := Findings{Checks: []Finding{{Name: "a", State: ok, Message: long, Hint: long},
		{Name: strings.Repeat("n", 40), State: fail, Message: "m", URL: "http://h/" + strings.Repeat("u", 100)}}}
	lines := strings.Split(strings.TrimSuffix(string(f.Table(io.Discard)), "\n"), "\n")
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 100 && !strings.Contains(line, "http://") {
			t.Errorf("too long: %q", line)
		}
	}
	const message = "ok    a                              word"
	if !strings.HasPrefix(lines[0], message) || len(lines) != 13 {
		t.Errorf("%d lines: %s", len(lines), strings.Join(lines, "\n"))
	}
}

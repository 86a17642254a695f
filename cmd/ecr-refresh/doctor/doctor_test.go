package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/steps/secret"
)

// states returns the states and hints of findings, as "ok warn: hint".
func states(f Findings) string {
	var all []string
	for _, one := range f.Checks {
		all = append(all, strings.TrimSuffix(one.State+": "+one.Hint, ": "))
	}
	return strings.Join(all, " ")
}

func TestClock(t *testing.T) {
	t.Parallel()
	const hint = ": set this machine's clock (NTP)"
	now := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	for off, want := range map[time.Duration]string{
		0: "ok", -30 * time.Second: "ok", 31 * time.Second: "warn" + hint, -31 * time.Second: "warn" + hint,
		5 * time.Minute: "warn" + hint, 5*time.Minute + time.Second: "fail" + hint,
	} {
		var f Findings
		if f.clock("clock", now, now.Add(off)); states(f) != want {
			t.Errorf("%s: %s, want %s", off, states(f), want)
		}
	}
	var f Findings
	if f.clock("clock", now, time.Time{}); len(f.Checks) > 0 {
		t.Errorf("without a date: %v", f)
	}
}

// What DockerHook makes of the extra.
func TestReauth(t *testing.T) {
	t.Parallel()
	for extra, want := range map[string]string{
		``: "true true", `no JSON`: "true true", `{}`: "true true", `{"reauth":null}`: "false true",
		`{"reauth":true}`:  "true true",
		`{"reauth":false}`: "false true", `{"reauth":0}`: "false true", `{"reauth":2}`: "true true",
		`{"reauth":"Yes"}`: "true true",
		`{"reauth":"OFF"}`: "false true", `{"reauth":"maybe"}`: "false false", `{"reauth":[]}`: "true true",
	} {
		if on, valid := reauth(extra); fmt.Sprint(on, valid) != want {
			t.Errorf("%s: %v %v, want %s", extra, on, valid, want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	for kind, want := range map[airflowclient.Kind]string{
		airflowclient.NoPool: "fail: create it",
		airflowclient.Forbidden: "skip: name an account that may read it: " +
			"ECR_REFRESH_ADMIN_LOGIN and ECR_REFRESH_ADMIN_PASSWORD",
		airflowclient.Timeout: "fail: hint of an error",
	} {
		f := Findings{hint: func(error) string { return "hint of an error" }}
		err := &airflowclient.Error{Kind: kind, Err: errors.New("at https://airflow.test:8403")}
		f.unreadable("pool", err, "create it")
		if got := states(f); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	f := Findings{hint: func(error) string { return "repair" }}
	f.add(ok, "a", "", "fine")
	f.add(warn, "long name", "do", "%s", "two\nlines")
	if f.Err() != nil {
		t.Errorf("without a failure: %v", f.Err())
	}
	f.result("b", errors.New("it fails"), "not this")
	want := "ok    a          fine\nwarn  long name  two lines\n                 → do\n" +
		"fail  b          it fails\n                 → repair\n"
	if got := string(f.Table(console.Painter{})); got != want {
		t.Errorf("table\n%s, want\n%s", got, want)
	}
	if err := f.Err(); err == nil || err.Error() != "1 of 3 checks failed" {
		t.Errorf("error %v", err)
	}
}

// dagOf returns the findings of checkDAG where Airflow answers each path with the JSON of it.
func dagOf(t *testing.T, now time.Time, answers map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, name, _ := strings.Cut(r.URL.Path, "/api/v2/")
		if answers[name] == "" {
			w.WriteHeader(http.StatusForbidden)
			answers[name] = `{"detail":"Forbidden"}`
		}
		fmt.Fprint(w, answers[name])
	}))
	t.Cleanup(server.Close)
	reader, err := airflowclient.New(airflowclient.Config{BaseURL: server.URL, Token: secret.New("a.b.c")})
	if err != nil {
		t.Fatal(err)
	}
	x := &examination{Doctor: Doctor{Reader: reader, Pool: "p", DAG: "d", Now: func() time.Time { return now }}}
	f := Findings{hint: func(error) string { return "" }}
	x.checkDAG(context.Background(), &f)
	var all []string
	for _, one := range f.Checks {
		all = append(all, one.State+" "+one.Name)
	}
	return strings.Join(all, ", ")
}

func TestDAG(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	runs := func(state string, age time.Duration) string {
		return fmt.Sprintf(`{"dag_runs":[{"dag_run_id":"r2","state":"running"},`+
			`{"dag_run_id":"r1","state":%q,"end_date":%q}]}`, state, now.Add(-age).Format(time.RFC3339))
	}
	const pool, imports = `{"name":"p","slots":5}`, `{"import_errors":[{"filename":"f.py","stack_trace":"E"}]}`
	const dag, running = `{"dag_id":"d"}`, `{"dag_runs":[{"dag_run_id":"r2","state":"running"}]}`
	for name, row := range map[string]struct{ dag, runs, want string }{
		"good":         {dag, runs("success", 7*time.Hour), "ok DAG d, ok last run"},
		"late":         {dag, runs("success", 7*time.Hour+time.Minute), "ok DAG d, warn last run"},
		"still valid":  {dag, runs("success", 12*time.Hour), "ok DAG d, warn last run"},
		"expired":      {dag, runs("success", 12*time.Hour+time.Minute), "ok DAG d, fail last run"},
		"failed":       {dag, runs("failed", time.Minute), "ok DAG d, fail last run"},
		"never":        {dag, running, "ok DAG d, warn last run"},
		"no right":     {dag, "", "ok DAG d, skip last run"},
		"paused":       {`{"dag_id":"d","is_paused":true}`, runs("success", 0), "fail DAG d, ok last run"},
		"file is gone": {`{"dag_id":"d","is_stale":true}`, runs("success", 0), "fail DAG d, ok last run"},
		"import errors": {`{"dag_id":"d","has_import_errors":true}`, runs("success", 0),
			"fail DAG d, ok last run, fail import of f.py"},
		"may not read": {"", "", "skip DAG d, fail import of f.py"},
	} {
		got := dagOf(t, now, map[string]string{
			"pools/p": pool, "dags/d/details": row.dag, "dags/d/dagRuns": row.runs, "importErrors": imports,
		})
		if got != "ok pool p, "+row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

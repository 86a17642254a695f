package real

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/real/peers"
)

// check is what doctor --json prints of one check.
type check struct{ Name, State, Message, Hint, URL string }

// diagnose runs doctor as the admin and returns its checks by name; the last of one name counts.
func (w *world) diagnose(t *testing.T, code int, user string, options ...string) map[string]check {
	t.Helper()
	env := slices.Concat(w.Airflow.Environ(), w.admin(user), []string{"AWS_ENDPOINT_URL=",
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=", "AIRFLOW_VAR_ECR_AWS_REGION_NAME="})
	o := w.shell(t, "").Do(t, env, append([]string{"doctor", "--json"}, options...)...)
	var all struct{ Checks []check }
	must(t, json.Unmarshal([]byte(o.Stdout), &all))
	if code >= 0 && o.Code != code {
		t.Errorf("doctor %v: exit code is %d, want %d:\n%s\n%s", options, o.Code, code, o.Stdout, o.Stderr)
	}
	secrets := []string{w.Airflow.Users["op"].Password, w.Airflow.Users[user].Password}
	if token := w.Sandbox.ECR.LastToken().Password; token != "" { // a run has begun
		secrets = append(secrets, token)
	}
	wantNoPiece(t, "doctor", o.Stdout+o.Stderr, secrets...)
	byName := map[string]check{}
	for _, c := range all.Checks {
		byName[c.Name] = c
	}
	return byName
}

// wantUnwell compares the state of all checks that are not ok.
func (w *world) wantUnwell(t *testing.T, want map[string]string, options ...string) {
	t.Helper()
	code, got := min(len(want), 1), map[string]string{}
	all := w.diagnose(t, code, "admin", options...)
	for name, c := range all {
		if c.State != "ok" {
			got[name] = c.State
		}
	}
	if !maps.Equal(got, want) || len(all) == 0 {
		t.Errorf("not ok are %v, want %v:\n%+v", got, want, all)
	}
}

// wantCheck fails unless a check has a state, and words in its message and hint.
func wantCheck(t *testing.T, all map[string]check, name, state string, words ...string) {
	t.Helper()
	c := all[name]
	for _, word := range words {
		if c.State != state || !strings.Contains(c.Message+" → "+c.Hint, word) {
			t.Errorf("%s is not %s with %q: %+v; all: %+v", name, state, word, c, all)
		}
	}
}

// doctor finds all well on the real peers, and what is not: a missing pool, DAG and connection, an Engine that is not
// there.
func (w *world) doctor(t *testing.T) {
	must(t, w.Airflow.WaitIdle(t.Context(), deployedDAG, runLimit))
	w.wantUnwell(t, nil)
	w.wantUnwell(t, map[string]string{
		"connection no_such_connection": "fail", "pool no_such_pool": "fail", "DAG no_such_dag": "fail",
		"docker engine": "fail",
	}, "--pool", "no_such_pool", "--dag-id", "no_such_dag", "--engine", "unix:///nowhere/docker.sock",
		"--connection-ids", "no_such_connection")
}

// TestRealDoctor breaks what a run reads, one after another, and lets doctor say so: alone, and with --run.
func TestRealDoctor(t *testing.T) {
	w := startWorld(t)
	d := w.copy(t, "doctor", variant{})
	t.Run("no token yet", func(t *testing.T) { w.noTokenYet(t, d) })
	d.run(t).wantGreen(t)
	t.Run("green", func(t *testing.T) { w.doctorRun(t, d) })
	t.Run("rights", func(t *testing.T) { w.doctorRights(t, d) })
	t.Run("variables", func(t *testing.T) { w.doctorVariables(t, d) })
	t.Run("red", func(t *testing.T) { w.doctorRed(t, d) })
	t.Run("waits", w.doctorWaits)
}

// of are the options for a copy of the DAG.
func (d *dag) of(options ...string) []string {
	return append([]string{"--dag-id", d.id, "--connection-ids", d.connection}, options...)
}

// noTokenYet: a paused DAG is not triggered, and the connection's password is one that no registry accepts.
func (w *world) noTokenYet(t *testing.T, d *dag) {
	must(t, w.Airflow.WaitDAG(t.Context(), d.id))
	wantCheck(t, w.diagnose(t, 1, "admin", d.of("--run")...), "DAG "+d.id, "fail", "it is paused",
		"airflow dags unpause "+d.id)
	must(t, w.Airflow.Unpause(t.Context(), d.id))
	all := w.diagnose(t, 1, "admin", d.of("--run")...)
	wantCheck(t, all, "dry run", "ok", "succeeded")
	wantCheck(t, all, "connection "+d.connection, "fail", "its present password is rejected", "without dry_run")
	d.wantPassword(t, d.old)
}

// doctorRun: a dry run succeeds, and finds that the present password is accepted.
func (w *world) doctorRun(t *testing.T, d *dag) {
	before := w.Password(t, d.connection)
	all := w.diagnose(t, 0, "admin", d.of("--run")...)
	for _, task := range []string{extract, update, test} {
		wantCheck(t, all, "task "+task, "ok", "succeeded in ")
	}
	wantCheck(t, all, "connection "+d.connection, "ok", "its present password is accepted: Login Succeeded")
	d.wantPassword(t, before)
}

// doctorRights: the rights that --help names are enough, and one that is missing is named.
func (w *world) doctorRights(t *testing.T, d *dag) {
	wantCheck(t, w.diagnose(t, 1, "viewer", d.of("--run")...), "trigger DAG", "fail", "airflow answered 403",
		"can_create on DAG Runs and can_edit on DAGs (FAB), role User (SimpleAuthManager), or POST on Dag (Keycloak)")
	if !isFAB() {
		w.diagnose(t, 0, "user", d.of("--run")...)
		return
	}
	wantCheck(t, w.diagnose(t, 0, "reader", d.of()...), "Variables", "skip", "lacks can_read on Variables")
	w.addRights(t, "ecr_reader", "-r", "DAGs", "DAG Code", "DAG Runs", "Task Instances", "Task Logs", "XComs",
		"Variables", "Pools", "ImportError", "-a", "can_read")
	for name, c := range w.diagnose(t, 0, "reader", d.of()...) {
		if c.State == "skip" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	w.addRights(t, "ecr_reader", "-r", "DAG Runs", "-a", "can_create")
	wantCheck(t, w.diagnose(t, 1, "reader", d.of("--run")...), "trigger DAG", "fail", "airflow answered 403")
	w.addRights(t, "ecr_reader", "-r", "DAGs", "-a", "can_edit")
	w.diagnose(t, 0, "reader", d.of("--run")...)
}

// doctorVariables: Variables that are malformed, or do not fit the connection; one key of the pair.
func (w *world) doctorVariables(t *testing.T, d *dag) {
	set := func(key, value string) { t.Helper(); must(t, w.Airflow.SetVariable(t.Context(), key, value)) }
	set("ecr_aws_region_name", "us-east1")
	wantCheck(t, w.diagnose(t, 1, "admin", d.of()...), "Variable ecr_aws_region_name", "fail",
		`"us-east1", not an AWS region (did you mean us-east-1?)`, "airflow variables set ecr_aws_region_name")
	wantCheck(t, w.diagnose(t, 1, "admin", d.of("--run")...), "task "+extract, "fail",
		`Variable "ecr_aws_region_name"`)
	set("ecr_aws_region_name", "eu-west-1")
	wantCheck(t, w.diagnose(t, 1, "admin", d.of()...), "connection "+d.connection, "fail", "eu-west-1",
		"correct Variables ecr_aws_account and ecr_aws_region_name")
	set("ecr_aws_region_name", peers.Region)

	set("ecr_refresh_private_key", w.identity.PrivateKey)
	wantCheck(t, w.diagnose(t, 1, "admin", d.of()...), "encryption key pair", "fail",
		"Variable ecr_refresh_recipient is missing")
	w.setKeys(t, "ecr_refresh")
	wantCheck(t, w.diagnose(t, 0, "admin", d.of()...), "encryption key pair", "ok", "doctor --run tests it")
	w.diagnose(t, 0, "admin", d.of("--run")...)
	set("ecr_refresh_private_key", w.identity.PrivateKey) // of another pair
	wantCheck(t, w.diagnose(t, 1, "admin", d.of("--run")...), "task "+update, "fail", "ecr-refresh keygen")
	w.setKeys(t, "ecr_refresh")
}

// doctorRed: the password that airflow-api stores is wrong, and this shell's is not. doctor names the task, its error
// and the page of its log, which Airflow's UI has.
func (w *world) doctorRed(t *testing.T, d *dag) {
	login := w.Airflow.Users["op"]
	w.setAPI(t, "airflow-api", peers.Login{User: login.User, Password: "wrong-" + login.User}, w.Airflow.URL)
	_, answer := w.WrongLogin()
	why := `log in as "refresher": ` + answer
	all := w.diagnose(t, 1, "admin", d.of("--run")...)
	wantCheck(t, all, "task "+update, "fail", why, "connection airflow-api")
	wantCheck(t, all, "task "+test, "skip", "not run")
	r := d.run(t)
	all = w.diagnose(t, 1, "admin", d.of()...)
	wantCheck(t, all, "airflow account", "ok", "may edit connections")
	wantCheck(t, all, "connection airflow-api", "ok", "Airflow does not show the stored one: doctor --run tests it")
	wantCheck(t, all, "last run", "fail", r.id)
	wantCheck(t, all, "task "+update, "fail", why, "connection airflow-api")
	page, err := url.Parse(all["task "+update].URL)
	must(t, err)
	if isSimple() {
		u := &ui{world: w, dag: d, browser: startBrowser(t, w.Airflow.URL, w.secrets)}
		u.logIn(t)
		u.visit(t, page.RequestURI(), update, "airflow answered 401: Invalid credentials")
	}
	w.setAPI(t, "airflow-api", peers.Login{User: "somebody", Password: login.Password}, w.Airflow.URL)
	wantCheck(t, w.diagnose(t, 1, "admin", d.of()...), "connection airflow-api", "warn",
		`login is "somebody", want "refresher"`)
	w.setAPI(t, "airflow-api", login, w.Airflow.URL)
}

// doctorWaits: a run whose pool is missing is reported while it waits, and after dagrun_timeout has ended it. Another
// run waits behind it.
func (w *world) doctorWaits(t *testing.T) {
	d := w.copy(t, "doctor_waits", variant{edits: []string{`POOL = "systemqueue"`, `POOL = "no_such_pool"`,
		`dagrun_timeout=timedelta(minutes=30)`, `dagrun_timeout=timedelta(seconds=40)`}})
	r := d.start(t)
	waiting := w.diagnoseTask(t, d, "does not exist")
	wantCheck(t, waiting, "run in progress", "ok", r.id)
	wantCheck(t, waiting, "task "+extract, "fail", `pool "no_such_pool" does not exist`,
		"airflow pools set no_such_pool")
	wantCheck(t, w.diagnose(t, 1, "admin", d.of("--run", "--timeout", "5s")...), "dry run", "fail",
		"is still queued, and goes on in Airflow")
	r.wait(t)
	wantCheck(t, w.diagnose(t, 1, "admin", d.of()...), "last run", "fail", r.id)
	must(t, w.Airflow.WaitIdle(t.Context(), d.id, runLimit)) // the dry run, too
	wantCheck(t, w.diagnose(t, 1, "admin", d.of()...), "task "+extract, "fail", "not begun when dagrun_timeout ended")
}

// diagnoseTask runs doctor until it finds words about step 1 of a DAG.
func (w *world) diagnoseTask(t *testing.T, d *dag, words string) (all map[string]check) {
	t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; {
		all = w.diagnose(t, -1, "admin", d.of()...) // before, the run may be queued yet
		if strings.Contains(all["task "+extract].Message, words) {
			break
		}
	}
	return all
}

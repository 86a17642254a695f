package real

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

const deployedDAG = "refresh_docker_token_v4"

// deployed runs the DAG as it is, and follows each byte of the token.
func (w *world) deployed(t *testing.T) {
	before, err := w.Airflow.Connection(t.Context(), "docker_default")
	must(t, err)
	must(t, w.Airflow.Deploy(dags.RefreshDockerTokenFile, dags.RefreshDockerToken))
	d := &dag{world: w, id: deployedDAG, connection: "docker_default"}
	d.run(t).wantGreen(t)
	must(t, w.Airflow.WaitIdle(t.Context(), deployedDAG, runLimit)) // the scheduler has added a run of its own

	argv := watchArgv()
	r := d.run(t)
	seen := argv()
	r.wantGreen(t)
	r.wantOrder(t)
	token := w.newestToken(t)
	issued := r.document(t, extract)["tokens"].([]any)[0].(map[string]any)
	if issued["fingerprint"] != suite.Fingerprint(token) {
		t.Errorf("document 1 has fingerprint %v, and ECR's last token %s",
			issued["fingerprint"], suite.Fingerprint(token))
	}
	if d.password(t, d.connection) != token {
		t.Error("Airflow's stored password is not ECR's token")
	}
	d.wantUnchanged(t, before)
	r.wantNoPiece(t, token)
	wantNoPiece(t, "the argv of a process", seen, token)
	if len(seen) == 0 {
		t.Error("no process of ecr-refresh was seen")
	}
}

// newestToken returns what the sandbox's ECR issued last. What Airflow cuts or masks depends on its length.
func (w *world) newestToken(t *testing.T) string {
	t.Helper()
	token := w.Sandbox.ECR.LastToken().Password
	if len(token) < 2_000 {
		t.Fatalf("the token has %d characters, and a real one about 2,400", len(token))
	}
	return token
}

// wantUnchanged compares all of the connection that the API shows: everything but the password.
func (d *dag) wantUnchanged(t *testing.T, before peers.Connection) {
	t.Helper()
	after, err := d.Airflow.Connection(t.Context(), d.connection)
	must(t, err)
	if !reflect.DeepEqual(before, after) {
		t.Errorf("the connection has changed:\n%s\n%s", asJSON(before), asJSON(after))
	}
}

// wantOrder fails unless each task started after the one before it had ended.
func (r run) wantOrder(t *testing.T) {
	t.Helper()
	tasks := r.tasks(t)
	for _, pair := range [][2]string{{extract, update}, {update, test}} {
		if tasks[pair[1]].Start.Before(tasks[pair[0]].End) {
			t.Errorf("%s started at %s, before %s ended at %s",
				pair[1], tasks[pair[1]].Start, pair[0], tasks[pair[0]].End)
		}
	}
}

// realRegistry runs the DAG on moto and a real registry under ECR's own name, with no proxy between.
func (w *world) realRegistry(t *testing.T) {
	d := w.copy(t, "moto", w.Registry.Host, append(withEnv(w.Moto.Environ()), `"ecr_aws_account"`, `"moto_account"`)...)
	d.run(t).wantGreen(t)
	if got := d.password(t, d.connection); got != w.Moto.Password {
		t.Errorf("Airflow's stored password is %q, and ECR issued %q", got, w.Moto.Password)
	}
}

// noPool: tasks of a missing pool wait for ever; dagrun_timeout ends the run, and the next one starts.
func (w *world) noPool(t *testing.T) {
	d := w.copy(t, "no_pool", peers.SandboxHost,
		`POOL = "systemqueue"`, `POOL = "no_such_pool"`,
		`dagrun_timeout=timedelta(minutes=30)`, `dagrun_timeout=timedelta(seconds=10)`)
	first, err := w.Airflow.Trigger(t.Context(), d.id)
	must(t, err)
	second, err := w.Airflow.Trigger(t.Context(), d.id)
	must(t, err)
	for _, id := range []string{first, second} {
		state, err := w.Airflow.WaitRun(t.Context(), d.id, id, runLimit)
		must(t, err)
		if state != "failed" {
			t.Errorf("run %s is %s, want failed by its timeout", id, state)
		}
	}
	d.wantOld(t)
}

// oneVersion: after many parses the deployed DAG has one version, no warning and no import error.
func (w *world) oneVersion(t *testing.T) {
	parsed := w.parses(t, 3)
	versions, err := w.Airflow.DAGVersions(t.Context(), deployedDAG)
	must(t, err)
	if versions != 1 {
		t.Errorf("the DAG has %d versions after %s of parsing, want 1", versions, parsed)
	}
	warnings, err := w.Airflow.DAGWarnings(t.Context(), deployedDAG)
	must(t, err)
	errors, err := w.Airflow.ImportErrors(t.Context())
	must(t, err)
	if len(warnings)+len(errors) > 0 {
		t.Errorf("Airflow warns of %q, and cannot import %q", warnings, errors)
	}
}

// parses waits until Airflow has parsed the deployed DAG n more times, and returns how long it took.
func (w *world) parses(t *testing.T, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	last, err := w.Airflow.LastParsed(t.Context(), deployedDAG)
	must(t, err)
	for range n {
		last, err = w.Airflow.WaitParsed(t.Context(), deployedDAG, last)
		must(t, err)
	}
	return time.Since(begin)
}

func asJSON(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

package real

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

// deployed runs the DAG as it is, and follows each byte of the token.
func (w *world) deployed(t *testing.T) {
	d := w.deploy(t)
	before := d.stored(t)
	d.run(t).wantGreen(t)
	must(t, w.Airflow.WaitIdle(t.Context(), d.id, runLimit)) // the scheduler has added a run of its own

	argv := watchArgv()
	r := d.run(t)
	seen := argv()
	r.wantGreen(t)
	token := w.newestToken(t)
	if got := r.result(t, extract).Tokens[0].Fingerprint; got != suite.Fingerprint(token) {
		t.Errorf("the result of step 1 has fingerprint %s, and ECR's last token %s", got, suite.Fingerprint(token))
	}
	d.wantPassword(t, token)
	d.wantUnchanged(t, before)
	r.wantNoPiece(t, token)
	wantNoPiece(t, "the argv of a process", seen, token)
	if len(seen) == 0 {
		t.Error("no process of ecr-refresh was seen")
	}
}

// stored returns all of the connection that the API shows: everything but the password.
func (d *dag) stored(t *testing.T) peers.Connection {
	t.Helper()
	c, err := d.Airflow.Connection(t.Context(), d.connection)
	must(t, err)
	return c
}

func (d *dag) wantUnchanged(t *testing.T, before peers.Connection) {
	t.Helper()
	if after := d.stored(t); !reflect.DeepEqual(before, after) {
		t.Errorf("the connection has changed:\n%s\n%s", asJSON(before), asJSON(after))
	}
}

// realRegistry runs the DAG on moto and a real registry under ECR's own name, with no proxy between.
func (w *world) realRegistry(t *testing.T) {
	d := w.copy(t, "moto", variant{host: w.Registry.Host, env: w.Moto.Environ(),
		edits: []string{`"ecr_aws_account"`, `"moto_account"`}})
	d.run(t).wantGreen(t)
	d.wantPassword(t, w.Moto.Password)
}

// noPool: tasks of a missing pool wait for ever; dagrun_timeout ends the run, and the next one starts.
func (w *world) noPool(t *testing.T) {
	d := w.copy(t, "no_pool", variant{edits: []string{
		`POOL = "systemqueue"`, `POOL = "no_such_pool"`,
		`dagrun_timeout=timedelta(minutes=30)`, `dagrun_timeout=timedelta(seconds=10)`}})
	first, second := d.start(t), d.start(t)
	for _, r := range []run{first, second} {
		if r = r.wait(t); r.state != "failed" {
			t.Errorf("run %s is %s, want failed by its timeout", r.id, r.state)
		}
	}
	d.wantPassword(t, d.old)
}

// oneVersion: after many parses the deployed DAG is as it was.
func (w *world) oneVersion(t *testing.T) {
	w.parses(t, 3)
	w.wantSound(t, deployedDAG)
}

// parses waits until Airflow has parsed the deployed DAG n more times.
func (w *world) parses(t *testing.T, n int) {
	t.Helper()
	last, err := w.Airflow.LastParsed(t.Context(), deployedDAG)
	for range n {
		must(t, err)
		last, err = w.Airflow.WaitParsed(t.Context(), deployedDAG, last)
	}
	must(t, err)
}

// wantSound fails when Airflow warns of a DAG, has made another version of it, or cannot import a file.
func (w *world) wantSound(t *testing.T, dag string) {
	t.Helper()
	_, err := w.Airflow.WaitParsed(t.Context(), dag, time.Time{})
	must(t, err)
	versions, err := w.Airflow.DAGVersions(t.Context(), dag)
	must(t, err)
	warnings, err := w.Airflow.DAGWarnings(t.Context(), dag)
	must(t, err)
	errors, err := w.Airflow.ImportErrors(t.Context())
	must(t, err)
	if versions != 1 || len(warnings)+len(errors) > 0 {
		t.Errorf("%s has %d versions and the warnings %q; Airflow cannot import %q", dag, versions, warnings, errors)
	}
}

// dagInstall puts the DAGs where Airflow looks: what it writes can be parsed, and neither its header nor that of
// another version makes a new version of the DAG.
func (w *world) dagInstall(t *testing.T) {
	h := w.shell(t, "")
	path := filepath.Join(w.Airflow.DAGs, dags.RefreshDockerTokenFile)
	h.Do(t, nil, "dag", "install", "--dags-folder", w.Airflow.DAGs, "--force").Want(t, 0, "wrote "+path)
	w.parses(t, 2) // the next one may have begun before
	must(t, os.WriteFile(path, []byte(dags.Sign(dags.RefreshDockerToken, "v0.0.1")), 0o644))
	h.Do(t, nil, "dag", "install", "--dags-folder", w.Airflow.DAGs).Want(t, 0, path+" is up to date")
	w.parses(t, 2)
	w.wantSound(t, deployedDAG)

	// Values of one's own, under a name of its own, since another test deploys that DAG.
	h.Do(t, nil, "dag", "install", "--dags-folder", h.Dir, "--operator", dags.Docker, "--schedule", "@daily",
		"--connection-ids", "docker_a,docker_b", "--image", "registry.example.com:5000/ecr-refresh:1.0").Want(t, 0,
		dags.RefreshDockerTokenDockerFile)
	text, err := os.ReadFile(filepath.Join(h.Dir, dags.RefreshDockerTokenDockerFile))
	must(t, err)
	must(t, w.Airflow.Deploy("refresh_rendered.py", edit(t, string(text), `"`+dockerDAG+`"`, `"refresh_rendered"`)))
	w.wantSound(t, "refresh_rendered")
}

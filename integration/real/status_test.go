package real

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
)

// watched is a DAG with its connection, which status is asked about.
type watched struct{ *dag }

// statusChanged changes a connection after a green run in each way that there is. Only a run makes status --min-left
// succeed again.
func (w *world) statusChanged(t *testing.T) {
	d := watched{w.copy(t, "watched", variant{})}
	older := d.run(t)
	older.wantGreen(t)
	d.want(t, 0, `"stored":"as updated","changed":null`, `"result":"ok"`, `"run_id":"`+older.id+`"`)

	w.setDocker(t, d.connection, peers.SandboxHost)
	d.want(t, 1, `"by":"admin","event":"bulk_connections"`, "by admin (bulk_connections), and not tested since")
	d.rights(t)
	newer := d.run(t)
	newer.wantGreen(t)
	d.want(t, 0, `"stored":"as updated","changed":null`, `"run_id":"`+newer.id+`"`)

	d.again(t, older) // clears step 2
	d.want(t, 0, `"run_id":"`+older.id+`"`, `"changed":null`,
		older.result(t, extract).Tokens[0].ExpiresAt.Format("15:04:05"))

	call := w.Airflow.As("admin")
	path := "/api/v2/connections/" + d.connection
	must(t, call(t.Context(), "DELETE", path, nil, nil))
	d.want(t, 1, `"stored":"deleted"`, `"by":"admin","event":"delete_connection"`, "as its update left it: deleted")
	must(t, call(t.Context(), "POST", "/api/v2/connections", peers.Connection{ID: d.connection, Type: "docker",
		Host: new(peers.SandboxHost), Login: new("AWS")}, nil))
	d.want(t, 1, `"stored":"no password"`, `"by":"admin","event":"post_connection"`)
	d.run(t).wantGreen(t)
	d.want(t, 0, `"changed":null`)

	env := append(w.Airflow.Environ(), "AWS_ENDPOINT_URL=", "ECR_REFRESH_CONNECTION_IDS="+d.connection,
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT="+peers.SandboxAccount, "AIRFLOW_VAR_ECR_AWS_REGION_NAME="+peers.Region)
	w.shell(t, "").Do(t, env, "run").Want(t, 0, "has the new token")
	d.want(t, 1, `"by":"refresher","event":"bulk_connections"`, "by refresher (bulk_connections), and not tested since")
	d.dryRun(t)
	d.want(t, 0, `"by":"refresher","event":"bulk_connections"`, `"result":"ok"`)

	for _, args := range [][]string{{"delete", d.connection}, {"add", d.connection, "--conn-uri",
		"docker://AWS:garbage-4711@" + peers.SandboxHost}} {
		_, err := w.Airflow.CLI(t.Context(), append([]string{"connections"}, args...)...)
		must(t, err)
	}
	d.want(t, 1, `"stored":"as updated"`, `"event":"cli_connections_add"`, "and not tested since")
	r := d.dryRun(t)
	d.want(t, 1, `"run_id":"`+r.id+`","passed":false,"result":"refused"`)
}

// want runs status --min-left 3h as an administrator. All words must be in what it writes, and no secret.
func (d watched) want(t *testing.T, code int, words ...string) {
	t.Helper()
	d.wantOf(t, "admin", code, words...)
}

func (d watched) wantOf(t *testing.T, user string, code int, words ...string) {
	t.Helper()
	h := d.shell(t, "")
	o := h.Do(t, d.admin(user), "status", "--dag-id", d.id, "--min-left", "3h", "--json")
	for _, word := range words {
		if !strings.Contains(o.Stdout+o.Stderr, word) {
			t.Errorf("%s: nothing of %s in %s%s", user, word, o.Stdout, o.Stderr)
		}
	}
	if o.Code != code || !json.Valid([]byte(o.Stdout)) {
		t.Errorf("%s: exit code %d, want %d:\n%s%s", user, o.Code, code, o.Stdout, o.Stderr)
	}
	table := h.Do(t, d.admin(user), "status", "--dag-id", d.id)
	for line := range strings.Lines(table.Stdout) {
		if len(line) > 101 {
			t.Errorf("a line has %d columns: %s", len(line)-1, line)
		}
	}
	t.Log(table.Stdout)
}

// rights: what an account may not read is a warning, and no failure. The connection has just been changed.
func (d watched) rights(t *testing.T) {
	// Airflow 3.4 shows entries that are of no DAG to Admin alone: see is_authorized_view of its SimpleAuthManager, and
	// FAB's resource All Audit Logs.
	admins := strings.HasPrefix(os.Getenv("AIRFLOW"), "3.4.")
	if isKeycloak() { // its viewer reads all
		d.wantOf(t, "viewer", 1, `"by":"admin"`, `"unknown":[]`)
		return
	}
	if !isFAB() && admins {
		d.wantOf(t, "viewer", 0, `"changed":null`, `"stored":"unknown"`, "shows it to Admin alone")
		return
	}
	if !isFAB() { // every role may read the event log
		d.wantOf(t, "viewer", 1, `"by":"admin"`, `"stored":"unknown"`, "the account lacks can_read on Connections")
		return
	}
	const noLog = "the account lacks can_read on Audit Logs"
	d.wantOf(t, "viewer", 0, `"changed":null`, noLog, "the account lacks can_read on Connections")
	d.addRights(t, "ecr_reader", "-r", "DAGs", "DAG Runs", "Task Instances", "XComs", "-a", "can_read")
	d.wantOf(t, "reader", 0, `"stored":"as updated"`, noLog)
	d.addRights(t, "ecr_reader", "-r", "Audit Logs", "-a", "can_read")
	if admins {
		d.wantOf(t, "reader", 0, "shows it to Admin alone")
		d.addRights(t, "ecr_reader", "-r", "All Audit Logs", "-a", "can_read")
	}
	d.wantOf(t, "reader", 1, `"by":"admin"`, `"unknown":[]`)
}

// again clears step 2 of a run: its token replaces the newer one.
func (d watched) again(t *testing.T, r run) {
	t.Helper()
	if r.again(t, update).state != "success" {
		t.Errorf("step 2 of the older run has failed:\n%s", r.log(t, update))
	}
}

// dryRun triggers a run that updates nothing, and tests the present password.
func (d watched) dryRun(t *testing.T) run {
	t.Helper()
	var started struct {
		ID string `json:"dag_run_id"`
	}
	must(t, d.Airflow.As("admin")(t.Context(), "POST", "/api/v2/dags/"+d.id+"/dagRuns",
		map[string]any{"logical_date": nil, "conf": map[string]bool{"dry_run": true}}, &started))
	return run{dag: d.dag, id: started.ID}.wait(t)
}

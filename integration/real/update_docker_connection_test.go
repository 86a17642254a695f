package real

import (
	"testing"

	"ecr-refresh/integration/real/peers"
)

// connectionMissing: Airflow has no such Docker connection.
func (w *world) connectionMissing(t *testing.T) {
	d := w.copy(t, "absent", "")
	d.run(t).wantRed(t, update, "2", "docker_absent", "no such connection", "airflow connections add")
}

// anotherRegistry: a token must not land on a connection to somewhere else.
func (w *world) anotherRegistry(t *testing.T) {
	const elsewhere = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
	d := w.copy(t, "elsewhere", elsewhere)
	d.run(t).wantRed(t, update, "2", elsewhere, peers.SandboxHost)
	d.wantOld(t)
}

// viewer: the API user may log in, but not read connections.
func (w *world) viewer(t *testing.T) {
	d := w.copy(t, "viewer", peers.SandboxHost, `"airflow-api"`, `"airflow-viewer"`)
	d.run(t).wantRed(t, update, "2", "403", "can_read and can_edit on Connections")
	d.wantOld(t)
}

// wrongPassword: the API user's password is not the one in the connection.
func (w *world) wrongPassword(t *testing.T) {
	d := w.copy(t, "wrong", peers.SandboxHost, `"airflow-api"`, `"airflow-wrong"`)
	d.run(t).wantRed(t, update, "2", "401")
	d.wantOld(t)
}

// noAPIConnection: without airflow-api, the log says so, and how to create it.
func (w *world) noAPIConnection(t *testing.T) {
	d := w.copy(t, "no_api", peers.SandboxHost, `"airflow-api"`, `"no-such-connection"`)
	d.run(t).wantRed(t, update, "2", `Airflow connection "airflow-api" does not exist`, "ecr-refresh setup")
	d.wantOld(t)
}

// oldRunCleared: clearing step 2 of an old run must not put its token over a newer run's.
func (w *world) oldRunCleared(t *testing.T) {
	d := w.copy(t, "cleared", peers.SandboxHost, `</dev/null'`, `%s</dev/null'`,
		`task_id.replace("_", "-")`, `(task_id.replace("_", "-"), "--max-age {{ var.value.max_age }} " if `+
			`task_id.startswith("update") else "")`)
	first := d.run(t)
	first.wantGreen(t)
	d.run(t).wantGreen(t)
	newer := d.password(t, d.connection)

	must(t, w.Airflow.SetVariable(t.Context(), "max_age", "1s"))
	first = first.again(t, update)
	first.wantLog(t, update, "--max-age", "Downstream", "non-zero exit code 2")
	if got := first.tasks(t)[update].State; got != "failed" {
		t.Errorf("the cleared step is %s, want failed", got)
	}
	if d.password(t, d.connection) != newer {
		t.Error("the older run's token took the place of the newer one")
	}
}

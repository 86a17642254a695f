package real

import (
	"encoding/json"
	"testing"
	"time"
)

// status reads what the deployed DAG published, as somebody who may read and no more.
func (w *world) status(t *testing.T) {
	h := w.shell(t, "")
	shown := h.Do(t, w.admin("viewer"), "status", "--json")
	shown.Want(t, 0)
	type shownConnection struct {
		ID        string    `json:"connection_id"`
		ExpiresAt time.Time `json:"expires_at"`
		IssuedAt  time.Time `json:"issued_at"`
		RunID     string    `json:"run_id"`
	}
	var all struct{ Connections []shownConnection }
	must(t, json.Unmarshal([]byte(shown.Stdout), &all))
	if len(all.Connections) != 1 {
		t.Fatalf("status shows %s", shown.Stdout)
	}
	got := all.Connections[0]
	issued := run{dag: &dag{world: w, id: deployedDAG}, id: got.RunID}.result(t, extract).Tokens[0]
	if want := (shownConnection{"docker_default", issued.ExpiresAt, issued.IssuedAt, got.RunID}); got != want {
		t.Errorf("got %+v, and the result of step 1 of that run says %+v", got, want)
	}
	h.Do(t, w.admin("viewer"), "status", "--min-left", "11h").Want(t, 0)
	if code := h.Do(t, w.admin("viewer"), "status", "--min-left", "13h").Code; code != 1 {
		t.Errorf("exit code is %d, want 1: less than 13 hours are left", code)
	}
	if isFAB() { // the account of airflow-api may not read runs, and the rights that --help names are enough
		h.Do(t, nil, "status").Want(t, 2, "airflow answered 403", "can_read on DAG Runs")
		w.addRights(t, "ecr_reader", "-r", "DAGs", "DAG Runs", "Task Instances", "XComs", "-a", "can_read")
		h.Do(t, w.admin("reader"), "status").Want(t, 0)
	}
}

package real

import (
	"encoding/json"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox/suite"
)

// status reads what the deployed DAG published, as somebody who may read and no more.
func (w *world) status(t *testing.T) {
	h := suite.Shell{Site: realSite{w}, Binary: w.bin, Dir: t.TempDir()}
	viewer := w.admin("viewer")
	shown := h.Do(t, viewer, "status", "--json")
	shown.Want(t, 0)
	var all struct {
		Connections []struct {
			ID        string    `json:"connection_id"`
			ExpiresAt time.Time `json:"expires_at"`
			IssuedAt  time.Time `json:"issued_at"`
			Left      int       `json:"left_seconds"`
			RunID     string    `json:"run_id"`
		}
	}
	must(t, json.Unmarshal([]byte(shown.Stdout), &all))
	if len(all.Connections) != 1 || all.Connections[0].ID != "docker_default" {
		t.Fatalf("status shows %s", shown.Stdout)
	}
	got := all.Connections[0]
	r := run{world: w, dag: deployedDAG, id: got.RunID}
	issued := r.document(t, extract)["tokens"].([]any)[0].(map[string]any)
	for name, at := range map[string]time.Time{"expires_at": got.ExpiresAt, "issued_at": got.IssuedAt} {
		if want, err := time.Parse(time.RFC3339, issued[name].(string)); err != nil || !at.Equal(want) {
			t.Errorf("%s is %s, and document 1 of that run has %s", name, at, issued[name])
		}
	}
	if left := time.Duration(got.Left) * time.Second; left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("%s are left of twelve hours", left)
	}
	h.Do(t, viewer, "status", "--min-left", "11h").Want(t, 0)
	few := h.Do(t, viewer, "status", "--min-left", "13h")
	if few.Code != 1 {
		t.Errorf("exit code is %d, want 1: less than 13 hours are left", few.Code)
	}
	w.statusRights(t, h)
}

// admin is the account of a person beside airflow-api's.
func (w *world) admin(user string) []string {
	login := w.Airflow.Users[user]
	return []string{"ECR_REFRESH_ADMIN_LOGIN=" + login.User, "ECR_REFRESH_ADMIN_PASSWORD=" + login.Password}
}

// statusRights: under FAB, the account of airflow-api may not read runs, and the rights that --help names are enough.
func (w *world) statusRights(t *testing.T, h suite.Shell) {
	if !isFAB() {
		return // SimpleAuthManager knows no single rights
	}
	h.Do(t, nil, "status").Want(t, 2, "airflow answered 403", "can_read on DAG Runs")
	_, err := w.Airflow.CLI(t.Context(), "roles", "add-perms", "ecr_reader", "-r", "DAGs", "DAG Runs", "Task Instances",
		"XComs", "-a", "can_read")
	must(t, err)
	h.Do(t, w.admin("reader"), "status").Want(t, 0)
}

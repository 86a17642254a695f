package integration

import (
	"encoding/json"
	"testing"
	"time"
)

// status reads what the deployed DAG published, as somebody who may read and no more.
func (w *world) status(t *testing.T) {
	h := hand{site: realSite{w}, bin: w.bin, dir: t.TempDir()}
	viewer := w.admin("viewer")
	shown := h.do(t, viewer, "status", "--json")
	shown.want(t, 0)
	var all struct {
		Connections []struct {
			ID        string    `json:"connection_id"`
			ExpiresAt time.Time `json:"expires_at"`
			IssuedAt  time.Time `json:"issued_at"`
			Left      int       `json:"left_seconds"`
			RunID     string    `json:"run_id"`
		}
	}
	must(t, json.Unmarshal([]byte(shown.stdout), &all))
	if len(all.Connections) != 1 || all.Connections[0].ID != "docker_default" {
		t.Fatalf("status shows %s", shown.stdout)
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
	h.do(t, viewer, "status", "--min-left", "11h").want(t, 0)
	few := h.do(t, viewer, "status", "--min-left", "13h")
	if few.code != 1 {
		t.Errorf("exit code is %d, want 1: less than 13 hours are left", few.code)
	}
	w.statusRights(t, h)
}

// admin is the account of a person beside airflow-api's.
func (w *world) admin(user string) []string {
	login := w.Airflow.Users[user]
	return []string{"ECR_REFRESH_ADMIN_LOGIN=" + login.User, "ECR_REFRESH_ADMIN_PASSWORD=" + login.Password}
}

// statusRights: under FAB, the account of airflow-api may not read runs, and the rights that --help names are enough.
func (w *world) statusRights(t *testing.T, h hand) {
	if !isFAB() {
		return // SimpleAuthManager knows no single rights
	}
	h.do(t, nil, "status").want(t, 2, "airflow answered 403", "can_read on DAG Runs")
	_, err := w.Airflow.CLI(t.Context(), "roles", "add-perms", "ecr_reader", "-r", "DAGs", "DAG Runs", "Task Instances", "XComs", "-a", "can_read")
	must(t, err)
	h.do(t, w.admin("reader"), "status").want(t, 0)
}

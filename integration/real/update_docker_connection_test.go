package real

import "testing"

// viewer: the API user may log in, but not read connections.
func (w *world) viewer(t *testing.T) {
	w.setAPI(t, "airflow-viewer", w.Airflow.Users["viewer"], w.Airflow.URL)
	w.copy(t, "viewer", variant{api: "airflow-viewer"}).run(t).
		wantRed(t, update, 2, "403", "can_read and can_edit on Connections")
}

// noAPIConnection: without airflow-api, the log says so, and how to create it.
func (w *world) noAPIConnection(t *testing.T) {
	w.copy(t, "no_api", variant{api: "no-such-connection"}).run(t).
		wantRed(t, update, 2, `Airflow connection "airflow-api" is missing`, "ecr-refresh setup")
}

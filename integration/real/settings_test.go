package real

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// alerts is a module of a site, in its DAG folder. Airflow's DAG processor calls the callback of a failed run.
const alerts = `def notify(context):
    with open(%q, "a") as file:
        file.write(context["dag_run"].dag_id + "\n")
`

// siteSettings: what flags of "dag install" set is what Airflow has, and a later install carries it over, with edits
// among the settings.
func (w *world) siteSettings(t *testing.T) {
	const id = "refresh_of_a_site"
	h, folder, called := w.shell(t, ""), filepath.Join(w.Airflow.DAGs, "site"), filepath.Join(t.TempDir(), "called")
	must(t, os.MkdirAll(folder, 0o755))
	must(t, w.Airflow.Deploy("site_alerts.py", fmt.Sprintf(alerts, called)))
	h.Do(t, nil, "dag", "install", "--dags-folder", folder, "--dag-id", id, "--schedule", "None",
		"--queue", "default", "--pool", "default_pool", "--retries", "0", "--retry-delay", "5m", "--owner", "platform",
		"--tag", "one", "--tag", "two", "--connection-ids", "docker_site", "--airflow-connection", "no-such-connection",
		"--on-failure-callback", "site_alerts:notify").Want(t, 0, "wrote ")
	w.wantSound(t, id)
	w.wantSite(t, id, "docker_site")

	path, again := filepath.Join(folder, id+".py"), []string{"dag", "install", "--dags-folder", folder, "--dag-id", id}
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte(edit(t, string(text), `CONNECTION_IDS = "docker_site"`,
		`CONNECTION_IDS = "docker_site, docker_more"  # both`)), 0o644))
	h.Do(t, nil, again...).Want(t, 0, "kept settings of the file: SCHEDULE, ")
	h.Do(t, nil, append(again, "--retries", "1")...).Want(t, 0, "wrote ")
	h.Do(t, nil, append(again, "--retries", "0")...).Want(t, 0, "wrote ")
	w.wantSite(t, id, "docker_site, docker_more")

	w.setDocker(t, "docker_site", w.Refusing.Host)
	d := &dag{world: w, id: id, connection: "docker_site"}
	if r := d.run(t); r.state != "failed" {
		t.Errorf("the run is %s", r.state)
	}
	lines, deadline := []byte(nil), time.After(time.Minute)
	for tick := time.Tick(100 * time.Millisecond); string(lines) != id+"\n"; lines, _ = os.ReadFile(called) {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("the callback has written %q", lines)
		}
	}
}

// wantSite fails unless Airflow has the DAG as it was installed.
func (w *world) wantSite(t *testing.T, id, connections string) {
	t.Helper()
	var got struct {
		Owners      []string
		Description string
		Timetable   *string `json:"timetable_summary"`
		Tags        []struct{ Name string }
		Params      struct {
			IDs struct{ Value string } `json:"connection_ids"`
		}
		Tasks []struct {
			Owner, Queue, Pool string
			DocMD              string  `json:"doc_md"`
			Retries            float64 `json:"retries"`
			Delay              struct {
				Seconds int `json:"seconds"`
			} `json:"retry_delay"`
		}
	}
	call := w.Airflow.As("admin")
	deadline := time.After(2 * time.Minute) // Airflow stores a DAG anew at most every 30 seconds
	for tick := time.Tick(100 * time.Millisecond); got.Params.IDs.Value != connections; {
		select {
		case <-tick:
			must(t, call(t.Context(), "GET", "/api/v2/dags/"+id+"/details", nil, &got))
		case <-deadline:
			t.Fatalf("its connections are %s, want %s", got.Params.IDs.Value, connections)
		}
	}
	must(t, call(t.Context(), "GET", "/api/v2/dags/"+id+"/tasks", nil, &got))
	if len(got.Owners) != 1 || got.Owners[0] != "platform" || got.Timetable != nil || got.Description == "" ||
		len(got.Tags) != 2 {
		t.Errorf("Airflow has the DAG %+v", got)
	}
	if len(got.Tasks) != 3 {
		t.Errorf("it has %d tasks", len(got.Tasks))
	}
	for _, task := range got.Tasks {
		if task.Owner != "platform" || task.Queue != "default" || task.Pool != "default_pool" || task.Retries != 0 ||
			task.Delay.Seconds != 300 || !strings.Contains(task.DocMD, "When it is red") {
			t.Errorf("Airflow has the task %+v", task)
		}
	}
}

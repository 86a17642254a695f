package real

import (
	"os"
	"path/filepath"
	"testing"

	"ecr-refresh/dags"
)

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
		"--connection-id", "docker_a,docker_b", "--image", "registry.example.com:5000/ecr-refresh:1.0").Want(t, 0,
		dags.RefreshDockerTokenDockerFile)
	text, err := os.ReadFile(filepath.Join(h.Dir, dags.RefreshDockerTokenDockerFile))
	must(t, err)
	must(t, w.Airflow.Deploy("refresh_rendered.py", edit(t, string(text), `"`+dockerDAG+`"`, `"refresh_rendered"`)))
	w.wantSound(t, "refresh_rendered")
}

package real

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ecr-refresh/dags"
	"ecr-refresh/integration/sandbox/suite"
)

// dagInstall puts the DAGs where Airflow looks: what it writes can be parsed, and neither its header nor that of
// another version makes a new version of the DAG.
func (w *world) dagInstall(t *testing.T) {
	h := suite.Shell{Site: realSite{w}, Binary: w.bin, Dir: t.TempDir()}
	path := filepath.Join(w.Airflow.DAGs, dags.RefreshDockerTokenFile)
	install := []string{"dag", "install", "--dags-folder", w.Airflow.DAGs}

	h.Do(t, nil, install...).Want(t, 2, "was edited, or was not written by ecr-refresh", "--force")
	h.Do(t, nil, append(install, "--force")...).Want(t, 0, "wrote "+path)
	w.wantOneVersion(t)

	must(t, os.WriteFile(path, []byte(dags.Sign(dags.RefreshDockerToken, "v0.0.1")), 0o644))
	before := modified(t, path)
	h.Do(t, nil, install...).Want(t, 0, path+" is up to date")
	if after := modified(t, path); !after.Equal(before) {
		t.Errorf("the file was rewritten at %s", after)
	}
	w.wantOneVersion(t)

	w.dagRendered(t, h)
}

// dagRendered: a DAG with values of its own can be parsed. It gets a name of its own too, since another test deploys
// that DAG.
func (w *world) dagRendered(t *testing.T, h suite.Shell) {
	h.Do(t, nil, "dag", "install", "--dags-folder", h.Dir, "--operator", dags.Docker, "--schedule", "@daily",
		"--connection-id", "docker_a,docker_b", "--image", "registry.example.com:5000/ecr-refresh:1.0").Want(t, 0,
		dags.RefreshDockerTokenDockerFile)
	text, err := os.ReadFile(filepath.Join(h.Dir, dags.RefreshDockerTokenDockerFile))
	must(t, err)
	must(t, w.Airflow.Deploy("refresh_rendered.py", edit(t, string(text), `"`+dockerDAG+`"`, `"refresh_rendered"`)))
	_, err = w.Airflow.WaitParsed(t.Context(), "refresh_rendered", time.Time{})
	must(t, err)
	w.wantNoImportError(t)
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.ModTime()
}

// wantOneVersion waits for a parse that has begun after now: the next one may have begun before.
func (w *world) wantOneVersion(t *testing.T) {
	t.Helper()
	w.parses(t, 2)
	versions, err := w.Airflow.DAGVersions(t.Context(), deployedDAG)
	must(t, err)
	if versions != 1 {
		t.Errorf("the DAG has %d versions, want 1", versions)
	}
	w.wantNoImportError(t)
}

func (w *world) wantNoImportError(t *testing.T) {
	t.Helper()
	errors, err := w.Airflow.ImportErrors(t.Context())
	must(t, err)
	if len(errors) > 0 {
		t.Errorf("Airflow cannot import %q", errors)
	}
}

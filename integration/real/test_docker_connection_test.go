package real

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ecr-refresh/integration/real/peers"
)

// overridden: tasks read AIRFLOW_CONN_DOCKER_OVERRIDDEN of the workers before the database, where the token is.
func (w *world) overridden(t *testing.T) {
	d := w.copy(t, "overridden", peers.SandboxHost)
	d.run(t).wantRed(t, test, "2", "overridden", "AIRFLOW_CONN_DOCKER_OVERRIDDEN")
}

// testedAgain: step 3 of an old run is run again after a newer run has published. It compares with what was published
// then, and the Engine decides.
func (w *world) testedAgain(t *testing.T) {
	d := w.copy(t, "again", peers.SandboxHost)
	first := d.run(t)
	first.wantGreen(t)
	d.run(t).wantGreen(t)

	// An hour passes: in the old run's document, since Airflow's clock cannot be moved.
	doc := first.document(t, update)
	for _, c := range doc["connections"].([]any) {
		c.(map[string]any)["published_at"] = time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	}
	must(t, w.Airflow.SetXCom(t.Context(), first.dag, first.id, update, doc))
	first = first.again(t, test)
	first.wantGreen(t)
	first.wantLog(t, test, "another run has refreshed it since")
}

// staleConfig: an auths entry that a fresh login beats is reported, and does no harm.
func (w *world) staleConfig(t *testing.T) {
	file := w.dockerConfig(t, map[string]any{
		"auths": map[string]any{peers.SandboxHost: map[string]string{"auth": "QVdTOm9sZA=="}},
	})
	d := w.copy(t, "stale", peers.SandboxHost, withEnv(map[string]string{"HOME": filepath.Dir(filepath.Dir(file))})...)
	r := d.run(t)
	r.wantGreen(t)
	r.wantLog(t, test, file, peers.SandboxHost, "docker logout")
}

// helperConfig: docker-py asks a credential helper first, and fails with one that is not there.
func (w *world) helperConfig(t *testing.T) {
	file := w.dockerConfig(t, map[string]any{"credHelpers": map[string]string{peers.SandboxHost: "ecr-login"}})
	d := w.copy(t, "helper", peers.SandboxHost, withEnv(map[string]string{"HOME": filepath.Dir(filepath.Dir(file))})...)
	d.run(t).wantRed(t, test, "2", file, "credHelpers", peers.SandboxHost, "ecr-login")
}

// dockerConfig writes the .docker/config.json of a home of its own.
func (w *world) dockerConfig(t *testing.T, config any) string {
	t.Helper()
	text, err := json.Marshal(config)
	must(t, err)
	home, err := os.MkdirTemp(w.Dir, "home-")
	must(t, err)
	file := filepath.Join(home, ".docker", "config.json")
	must(t, os.Mkdir(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file, text, 0o600))
	return file
}

// engineStopped: the Engine is down when step 3 comes, and up again when that is run once more.
func (w *world) engineStopped(t *testing.T) {
	d := w.copy(t, "engine", peers.SandboxHost)
	w.Docker.Stop()
	r := d.run(t)
	r.wantRed(t, test, "1", "reach Docker at", w.Docker.Host)
	must(t, w.Docker.Start(t.Context()))
	r.again(t, test).wantGreen(t)
}

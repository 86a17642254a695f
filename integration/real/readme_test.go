package real

import (
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/readme"
)

// root is the repository's.
const root = "../.."

// TestRealReadme runs the README's commands from a clone to a green run in the lab's Airflow.
func TestRealReadme(t *testing.T) {
	t.Cleanup(func() {
		if out, err := readme.Script("make lab-down", root, readme.CleanEnviron()).CombinedOutput(); err != nil {
			t.Errorf("make lab-down: %v\n%s", err, out)
		}
	})
	for _, b := range readme.Read(t, root+"/README.md") {
		if b.Kind == "lab" {
			b.Session(t, root, readme.CleanEnviron())
		}
	}
}

// TestRealReadmeDeploy pastes steps 4 and 5 of the README into a clean shell of a worker, on an empty Airflow.
func TestRealReadmeDeploy(t *testing.T) {
	w := startEmpty(t)
	home := t.TempDir()
	env := append(w.Airflow.Environ(), "HOME="+home)
	for i, entry := range env {
		if path, is := strings.CutPrefix(entry, "PATH="); is {
			env[i] = "PATH=" + filepath.Dir(w.bin) + ":" + path
		}
	}
	steps := slices.DeleteFunc(readme.Read(t, root+"/README.md"), func(b readme.Block) bool {
		return b.Kind != "empty" && b.Kind != "deployed"
	})
	admin, account := w.Airflow.Users["admin"], w.Airflow.Users["op"]
	out, err := readme.Paste(steps, home, env,
		"http://localhost:8080", w.Airflow.URL, "~/airflow/dags", w.Airflow.DAGs,
		"ADMIN-PASSWORD", admin.Password, "REFRESHER-PASSWORD", account.Password)
	for _, want := range []string{"pool systemqueue: created", "airflow-api account refresher: can log in",
		"last run", "succeeded", `"matches":true`} {
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v, no %q in:\n%s", err, want, out)
		}
	}
}

// readmeCommands runs the blocks for FAB with Airflow's own command line.
func (w *world) readmeCommands(t *testing.T) {
	for _, b := range readme.Read(t, root+"/README.md") {
		if b.Kind == peers.FABAuthManager {
			b.Session(t, t.TempDir(), w.Airflow.Environ(), "…", rand.Text())
		}
	}
}

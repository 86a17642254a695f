package real

import (
	"crypto/rand"
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

// readmeCommands runs the blocks for FAB with Airflow's own command line.
func (w *world) readmeCommands(t *testing.T) {
	for _, b := range readme.Read(t, root+"/README.md") {
		if b.Kind == peers.FABAuthManager {
			b.Session(t, t.TempDir(), w.Airflow.Environ(), "…", rand.Text())
		}
	}
}

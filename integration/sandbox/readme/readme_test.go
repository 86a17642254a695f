package readme

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/suite"
)

// root is the repository's.
const root = "../../.."

// TestReadme runs the blocks that need only Go, and fails when a kind has none.
func TestReadme(t *testing.T) {
	t.Parallel()
	bin, err := suite.Build(t.TempDir())
	must(t, err)
	ran := map[string]int{}
	for _, b := range Read(t, root+"/README.md") {
		ran[b.Kind]++
		switch b.Kind {
		case "demo":
			b.Session(t, root, CleanEnviron(), "make demo", "make --no-print-directory demo BIN="+t.TempDir())
		case "empty", "sandbox":
			b.inSandbox(t, bin)
		case "lab", "fab":
		default:
			t.Errorf("README.md:%d: unknown kind %q", b.Line, b.Kind)
		}
	}
	for _, kind := range []string{"demo", "empty", "sandbox", "lab", "fab"} {
		if ran[kind] == 0 {
			t.Errorf("the README has no block of kind %q", kind)
		}
	}
}

// inSandbox runs a block where all peers are stand-ins.
func (b Block) inSandbox(t *testing.T, bin string) {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	defer box.Close()
	home := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(home, "airflow", "dags"), 0o700))
	admin, _ := box.Airflow.User("admin")
	refresher, _ := box.Airflow.User("refresher")
	env := append(box.Environ(),
		"HOME="+home, "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"),
		"ECR_REFRESH_ADMIN_LOGIN=admin", "ECR_REFRESH_ADMIN_PASSWORD="+admin.Password,
		"ECR_REFRESH_AIRFLOW_PASSWORD="+refresher.Password)
	if b.Kind == "sandbox" {
		runOnce(t, box, bin, env)
	}
	b.Session(t, t.TempDir(), env,
		"http://localhost:8080", box.Airflow.URL(),
		"refresher:password@localhost:8080",
		"refresher:"+refresher.Password+"@"+strings.TrimPrefix(box.Airflow.URL(), "http://"))
}

// runOnce adds the pool and the DAG to Airflow, with a run that updated the connection.
func runOnce(t *testing.T, box *sandbox.Sandbox, bin string, env []string) {
	t.Helper()
	document, err := command(bin, env, "extract-ecr-token").Output()
	must(t, err)
	published, err := command(bin, append(env, "ECR_REFRESH_DOCUMENT="+string(document)),
		"update-docker-connection").Output()
	must(t, err)
	box.Airflow.SetPool(sandbox.Pool{Name: "systemqueue", Slots: 5})
	now := time.Now()
	box.Airflow.SetDAG(sandbox.DAG{ID: "refresh_docker_token_v4", Runs: []sandbox.DAGRun{{
		ID: "manual", State: "success", Start: now, End: now,
		XComs: map[string]any{"update_docker_connection": json.RawMessage(published)},
	}}})
}

func command(bin string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin, args...)
	cmd.Env = env
	return cmd
}

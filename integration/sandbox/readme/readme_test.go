package readme

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/suite"
)

const root = "../../.."

// TestReadme runs the blocks that need only Go, and fails when a kind has none.
func TestReadme(t *testing.T) {
	t.Parallel()
	bin, err := suite.Build(t.TempDir())
	must(t, err)
	kinds := map[string]bool{}
	for _, b := range Read(t, root+"/README.md") {
		if b.Language == "json" { // package docs reads it
			continue
		}
		kinds[b.Kind] = true
		t.Run(fmt.Sprintf("line %d", b.Line), func(t *testing.T) {
			t.Parallel()
			switch b.Kind {
			case "demo":
				b.Session(t, root, CleanEnviron())
			case "empty", "sandbox":
				b.inSandbox(t, bin)
			case "lab", "fab", "deployed": // package real runs them
			default:
				t.Errorf("unknown kind %q", b.Kind)
			}
		})
	}
	if len(kinds) != 6 {
		t.Errorf("the README has blocks of the kinds %v, want 6", kinds)
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
	env := append(box.Environ(), "HOME="+home, "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"))
	if b.Kind == "empty" {
		env = slices.DeleteFunc(env, func(entry string) bool { // all of it comes from the file that the README writes
			return strings.HasPrefix(entry, "ECR_REFRESH_AIRFLOW_") || strings.HasPrefix(entry, "AIRFLOW_VAR_")
		})
		out, err := Paste([]Block{b}, home, env, "http://localhost:8080", box.Airflow.URL(),
			"ADMIN-PASSWORD", admin.Password, "REFRESHER-PASSWORD", refresher.Password)
		if err != nil || !strings.Contains(out, "airflow-api account refresher: can log in, read and update") {
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}
	if b.Kind == "sandbox" { // the pool, and the DAG with a run that updated the connection
		steps := "ecr-refresh extract-ecr-token --out one.json >&2; ecr-refresh update-docker-connection --in one.json"
		published, err := Script(steps, t.TempDir(), env).Output()
		must(t, err)
		now := time.Now()
		box.Airflow.SetPool(sandbox.Pool{Name: "systemqueue", Slots: 5})
		box.Airflow.SetConnection(sandbox.Connection{ID: "airflow-api", Type: "http", Host: box.Airflow.URL(),
			Login: "refresher", Password: "of refresher"})
		box.Airflow.SetDAG(sandbox.DAG{ID: "refresh_docker_token_v4", Runs: []sandbox.DAGRun{{
			ID: "manual", State: "success", Start: now, End: now, Returned: now,
			XComs: map[string]any{"update_docker_connection": json.RawMessage(published)},
		}}})
	}
	b.Session(t, t.TempDir(), env,
		"http://localhost:8080", box.Airflow.URL(),
		"refresher:password@localhost:8080",
		"refresher:"+refresher.Password+"@"+strings.TrimPrefix(box.Airflow.URL(), "http://"))
}

package integration

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// block is a block of commands in the README. A comment above it says where it is run: <!-- test: KIND -->.
type block struct {
	kind, text string
	line       int
}

// readme gives all blocks of commands. One without a comment fails.
func readme(t *testing.T) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	must(t, err)
	fence := regexp.MustCompile("(?m)^( *)(?:<!-- test: (\\w+) -->\n *)?```(?:sh|console)\n((?s:.*?))^ *```$")
	for _, m := range fence.FindAllSubmatchIndex(text, -1) {
		b := block{line: 1 + strings.Count(string(text[:m[0]]), "\n")}
		if m[4] < 0 {
			t.Errorf("README.md:%d: nothing says where this block is tested", b.line)
			continue
		}
		b.kind = string(text[m[4]:m[5]])
		b.text = strings.ReplaceAll("\n"+string(text[m[6]:m[7]]), "\n"+string(text[m[2]:m[3]]), "\n")
		blocks = append(blocks, b)
	}
	return blocks
}

// TestReadme runs the README's commands as they stand there, but for addresses and passwords.
func TestReadme(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bin := binary(t, dir)
	ran := 0
	for _, b := range readme(t) {
		switch b.kind {
		case "sandbox":
			ran++
			b.inSandbox(t, bin)
		case "make":
			b.targetsExist(t)
		case "fab": // TestReal, with AUTH_MANAGER=fab
		default:
			t.Errorf("README.md:%d: unknown kind %q", b.line, b.kind)
		}
	}
	if ran < 3 {
		t.Errorf("only %d blocks ran", ran)
	}
}

// inSandbox runs a block where all peers are stand-ins, and the DAG has run once.
func (b block) inSandbox(t *testing.T, bin string) {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	defer box.Close()
	dir, home := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(home, "airflow", "dags"), 0o700))
	admin, _ := box.Airflow.User("admin")
	refresher, _ := box.Airflow.User("refresher")
	env := append(box.Environ(),
		"HOME="+home, "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"),
		"ECR_REFRESH_ADMIN_LOGIN=admin", "ECR_REFRESH_ADMIN_PASSWORD="+admin.Password, "ECR_REFRESH_AIRFLOW_PASSWORD="+refresher.Password)
	haveRun(t, box, bin, env)
	script := strings.NewReplacer(
		"http://localhost:8080", box.Airflow.URL(),
		"refresher:password@localhost:8080", "refresher:"+refresher.Password+"@"+strings.TrimPrefix(box.Airflow.URL(), "http://"),
	).Replace(b.text)
	bash(t, b.line, script, dir, env)
}

// haveRun gives Airflow the pool and the DAG with a run that published.
func haveRun(t *testing.T, box *sandbox.Sandbox, bin string, env []string) {
	t.Helper()
	document, err := command(bin, env, "extract-ecr-token").Output()
	must(t, err)
	published, err := command(bin, append(env, "ECR_REFRESH_DOCUMENT="+string(document)), "update-docker-connection").Output()
	must(t, err)
	box.Airflow.SetPool(sandbox.Pool{Name: "systemqueue", Slots: 5})
	now := time.Now()
	box.Airflow.SetDAG(sandbox.DAG{ID: deployedDAG, Runs: []sandbox.DAGRun{
		{ID: "manual", State: "success", Start: now, End: now, XComs: map[string]any{update: json.RawMessage(published)}},
	}})
}

func command(bin string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin, args...)
	cmd.Env = env
	return cmd
}

// bash runs a block; the first command that fails ends it.
func bash(t *testing.T, line int, script, dir string, env []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("README.md:%d: %v\n%s", line, err, out)
	}
}

// targetsExist: what `make` is called with is a target.
func (b block) targetsExist(t *testing.T) {
	t.Helper()
	makefile, err := os.ReadFile("../Makefile")
	must(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\$ make ([a-z-]+)`).FindAllStringSubmatch(b.text, -1) {
		if !strings.Contains(string(makefile), "\n"+m[1]+":") {
			t.Errorf("README.md:%d: make has no target %s", b.line, m[1])
		}
	}
}

// readmeCommands runs the blocks for this auth manager with Airflow's own command line.
func (w *world) readmeCommands(t *testing.T) {
	ran := 0
	for _, b := range readme(t) {
		if b.kind == os.Getenv("AUTH_MANAGER") {
			ran++
			bash(t, b.line, strings.ReplaceAll(b.text, "…", rand.Text()), t.TempDir(), w.Airflow.Environ())
		}
	}
	if os.Getenv("AUTH_MANAGER") == "fab" && ran == 0 {
		t.Error("the README has no commands for FAB")
	}
}

package integration

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/peers"
	"ecr-refresh/integration/sandbox"
)

// block is a block of commands in the README. A comment above it says where it is run: <!-- test: KIND -->.
//
//	demo     in the clone: one command, and all that it prints
//	empty    in the sandbox, with an Airflow that holds nothing but docker_default
//	sandbox  in the sandbox, where the DAG has run once
//	lab      in the clone, one block after another, with real peers: TestRealReadme
//	fab      with the command line of a real Airflow that runs FAB: TestReal
type block struct {
	kind, text string
	line       int // of the fence
}

// readme gives all blocks of commands. One without a comment fails.
func readme(t *testing.T) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	must(t, err)
	fence := regexp.MustCompile("(?m)^( *)(?:<!-- test: (\\w+) -->\n *)?```(?:sh|console)\n((?s:.*?))^ *```$")
	for _, m := range fence.FindAllSubmatchIndex(text, -1) {
		b := block{line: strings.Count(string(text[:m[6]]), "\n")}
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

// TestReadme runs the README's commands as they stand there, but for addresses and passwords, and holds what they print
// to what the README shows.
func TestReadme(t *testing.T) {
	t.Parallel()
	bin := binary(t, t.TempDir())
	ran := map[string]int{}
	for _, b := range readme(t) {
		ran[b.kind]++
		switch b.kind {
		case "demo":
			b.session(t, "..", clean(), "make demo", "make --no-print-directory demo BIN="+t.TempDir())
		case "empty", "sandbox":
			b.inSandbox(t, bin)
		case "lab", "fab":
		default:
			t.Errorf("README.md:%d: unknown kind %q", b.line, b.kind)
		}
	}
	for _, kind := range []string{"demo", "empty", "sandbox", "lab", "fab"} {
		if ran[kind] == 0 {
			t.Errorf("the README has no block of kind %q", kind)
		}
	}
}

// TestRealReadme goes the README's way from a clone to a green run in the lab's Airflow.
func TestRealReadme(t *testing.T) {
	t.Cleanup(func() {
		if out, err := script("make lab-down", "..", clean()).CombinedOutput(); err != nil {
			t.Errorf("make lab-down: %v\n%s", err, out)
		}
	})
	for _, b := range readme(t) {
		if b.kind == "lab" {
			b.session(t, "..", clean())
		}
	}
}

// clean is this environment without what a make around this test tells those below it.
func clean() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "MAKE") || strings.HasPrefix(entry, "MFLAGS=")
	})
}

// inSandbox runs a block where all peers are stand-ins.
func (b block) inSandbox(t *testing.T, bin string) {
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
		"ECR_REFRESH_ADMIN_LOGIN=admin", "ECR_REFRESH_ADMIN_PASSWORD="+admin.Password, "ECR_REFRESH_AIRFLOW_PASSWORD="+refresher.Password)
	if b.kind == "sandbox" {
		haveRun(t, box, bin, env)
	}
	b.session(t, t.TempDir(), env,
		"http://localhost:8080", box.Airflow.URL(),
		"refresher:password@localhost:8080", "refresher:"+refresher.Password+"@"+strings.TrimPrefix(box.Airflow.URL(), "http://"))
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

// script is a Bash script whose first failing command ends it.
func script(text, dir string, env []string) *exec.Cmd {
	cmd := command("bash", env, "-euo", "pipefail", "-c", text)
	cmd.Dir = dir
	return cmd
}

// session runs a block's commands, with pairs of what stands in the README and what takes its place.
func (b block) session(t *testing.T, dir string, env []string, replacements ...string) {
	t.Helper()
	replace := strings.NewReplacer(replacements...).Replace
	before := "" // what earlier commands exported or read in
	for _, c := range b.commands() {
		if strings.HasPrefix(c.text, "export ") || strings.HasPrefix(c.text, ". ") {
			before += replace(c.text) + "\n"
			continue
		}
		if err := c.run(before+replace(c.text), dir, env); err != nil {
			t.Errorf("README.md:%d: %s\n%v", c.line, c.text, err)
			return // those below need this one
		}
	}
}

// shown is one command, and what the README shows below it.
type shown struct {
	text, output string
	line         int
}

// commands splits a block at its prompts. One without prompts is a script, whose output the README does not show.
func (b block) commands() (all []shown) {
	prompts := -1
	if b.kind == "demo" {
		prompts = 2 // it prints prompts of its own
	}
	parts := strings.SplitN(b.text, "\n$ ", prompts)
	if len(parts) == 1 {
		return []shown{{b.text, "…", b.line}}
	}
	line := b.line + 1
	for _, part := range parts[1:] {
		text, output, _ := strings.Cut(part, "\n")
		all = append(all, shown{text, output, line})
		line += 1 + strings.Count(part, "\n")
	}
	return all
}

// run fails unless the script ends well and prints what is shown. A command whose comment says "again" waits for that.
func (c shown) run(text, dir string, env []string) error {
	deadline := time.After(runLimit)
	for tick := time.Tick(time.Second); ; {
		out, err := script(text, dir, env).CombinedOutput()
		if err == nil {
			err = c.compare(string(out))
		}
		if err == nil || !strings.Contains(c.text, "# again") {
			return withOutput(err, out)
		}
		select {
		case <-deadline:
			return withOutput(err, out)
		case <-tick:
		}
	}
}

func withOutput(err error, out []byte) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; it printed:\n%s", err, out)
}

// compare holds an output to the one shown. "…" stands for anything: alone on a line, for any number of lines.
func (c shown) compare(out string) error {
	pattern := regexp.QuoteMeta("\n" + shape(c.output))
	pattern = strings.ReplaceAll(pattern, "\n…", "(?:\n.*)*")
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	if !regexp.MustCompile(`^` + pattern + `$`).MatchString("\n" + shape(out)) {
		return fmt.Errorf("the README shows something else")
	}
	return nil
}

// shape replaces what differs from run to run: each of these is as good as any other of its kind.
func shape(text string) string {
	for _, kind := range []struct{ pattern, name string }{
		{`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "TIME"},
		{`\b127\.0\.0\.1:\d+`, "ADDRESS"},
		{`\b(\d+h)?(\d+m)?\d+(\.\d+)?s\b`, "DURATION"},
		{`\b\d+\.\d+(\.\d+)?([+~]\w+)?\b`, "VERSION"},
		{`\b[A-Z2-7]{26}\b`, "PASSWORD"},
		{`\bage1\w+`, "RECIPIENT"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(kind.pattern).ReplaceAllString(text, kind.name)
	}
	return strings.TrimSpace(text)
}

// readmeCommands runs the blocks for FAB with Airflow's own command line.
func (w *world) readmeCommands(t *testing.T) {
	for _, b := range readme(t) {
		if b.kind == peers.FABAuthManager {
			b.session(t, t.TempDir(), w.Airflow.Environ(), "…", rand.Text())
		}
	}
}

package docs

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/readme"
	"ecr-refresh/integration/sandbox/suite"
)

// TestBlocks tests each block of the pages as its kind says.
func TestBlocks(t *testing.T) {
	t.Parallel()
	s := site{bin: must[string](t)(suite.Build(t.TempDir()))}
	for path := range pages(t) {
		if name := filepath.Base(path); name != "operate.md" && filepath.Base(filepath.Dir(path)) != "deploy" {
			continue
		}
		s.blocks = append(s.blocks, readme.Read(t, path)...)
	}
	for _, b := range s.blocks {
		t.Run(b.String(), func(t *testing.T) { t.Parallel(); s.test(t, b) })
	}
}

// site is the pages' blocks, and the program that they are about.
type site struct {
	bin    string
	blocks []readme.Block
}

func (s site) test(t *testing.T, b readme.Block) {
	t.Helper()
	switch b.Kind {
	case "compose", "kubernetes", "helm":
		wantStrict(t, b)
	case "dockerfile":
		wantLines(t, b, `FROM \S+:\S+|COPY (--chmod=755 )?\w\S* /\S+|ENV [A-Z_]+=\w+`)
	case "service", "timer":
		wantLines(t, b, `|\[(Unit|Service|Timer|Install)\]|[A-Z]\w+=\S.*`) // package real asks systemd
	case "crontab":
		wantLines(t, b, `([0-9,*/]+ ){5}airflow \S.*`)
	case "install":
		s.install(t, b)
	case "env":
		s.runsWith(t, b)
	case "sandbox":
		box := startBox(t)
		account, _ := box.Airflow.User("refresher")
		b.Session(t, t.TempDir(), s.environ(box), "http://airflow.example.com:8080", box.Airflow.URL(),
			"REFRESHER-PASSWORD", account.Password)
	case "": // JSON
		wantTargets(t, b)
	case "systemctl":
		wantUnits(t, b)
	case "shown", "kubectl": // TestCommandLines has read it
	default: // package real runs it
		if !slices.Contains(realKinds(t), b.Kind) {
			t.Errorf("unknown kind %q", b.Kind)
		}
	}
}

// realKinds returns those that the tests of package real name.
func realKinds(t *testing.T) (all []string) {
	t.Helper()
	paths := must[[]string](t)(filepath.Glob(root + "/integration/real/docs_*test.go"))
	for _, path := range paths {
		text := must[[]byte](t)(os.ReadFile(path))
		for _, found := range regexp.MustCompile(`\.md", "(\w+)"|\.paste\(t, "(\w+)"`).FindAllSubmatch(text, -1) {
			all = append(all, string(found[1])+string(found[2]))
		}
	}
	return all
}

// wantLines fails unless each line of a block is of a form.
func wantLines(t *testing.T, b readme.Block, form string) {
	t.Helper()
	line := regexp.MustCompile(`^(?:` + form + `)$`)
	for text := range strings.Lines(strings.TrimSpace(b.Text)) {
		if !line.MatchString(strings.TrimSuffix(text, "\n")) {
			t.Errorf("%s: %q", b, text)
		}
	}
}

// wantUnits fails unless the packages have each unit that a block names.
func wantUnits(t *testing.T, b readme.Block) {
	t.Helper()
	packages := string(must[[]byte](t)(os.ReadFile(root + "/cmd/release/nfpm.yaml")))
	units := regexp.MustCompile(`[\w-]+\.(service|timer)`).FindAllString(b.Text, -1)
	if len(units) == 0 {
		t.Errorf("%s names no unit", b)
	}
	for _, unit := range units {
		if !strings.Contains(packages, "dst: /usr/lib/systemd/system/"+unit+",") {
			t.Errorf("%s: the packages have no %s", b, unit)
		}
	}
}

// wantTargets holds a block of JSON to the schema of ecr_targets.
func wantTargets(t *testing.T, b readme.Block) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(b.Text), &value); err != nil {
		t.Fatal(err)
	}
	schema := must[*jsonschema.Schema](t)(jsonschema.NewCompiler().Compile(root + "/ecr_targets.schema.json"))
	if err := schema.Validate(value); err != nil {
		t.Error(err)
	}
}

// install runs the commands that write the DAG's file, and looks for a constant of each flag's value in it.
func (s site) install(t *testing.T, b readme.Block) {
	t.Helper()
	home := t.TempDir()
	for _, folder := range []string{"airflow/dags", "dags"} {
		if err := os.MkdirAll(filepath.Join(home, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"HOME=" + home, "PATH=" + filepath.Dir(s.bin) + ":" + os.Getenv("PATH")}
	if out, err := readme.Script(b.Text, home, env).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var files []string
	for _, pattern := range []string{"*.py", "dags/*.py", "airflow/dags/*.py"} {
		files = append(files, must[[]string](t)(filepath.Glob(filepath.Join(home, pattern)))...)
	}
	if len(files) != 1 {
		t.Fatalf("it wrote %q", files)
	}
	text := must[[]byte](t)(os.ReadFile(files[0]))
	for _, flag := range regexp.MustCompile(`--(operator|queue|pool|schedule|on-failure-callback) ('[^']+'|\S+)`).
		FindAllStringSubmatch(b.Text, -1) {
		constant := strings.ToUpper(strings.ReplaceAll(flag[1], "-", "_"))
		if want := constant + ` = "` + strings.Trim(flag[2], "'") + `"`; !bytes.Contains(text, []byte("\n"+want)) {
			t.Errorf("no %s in the file", want)
		}
	}
}

// runsWith runs each command that reads a page's inputs, as a service, cron or a pod does, with these inputs alone.
func (s site) runsWith(t *testing.T, b readme.Block) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ecr-refresh.env")
	commands := s.commands(t, b.Page, file)
	if len(commands) == 0 {
		t.Fatalf("no command of %s reads them", b.Page)
	}
	for _, c := range commands {
		box := startBox(t)
		account, _ := box.Airflow.User("refresher")
		address := regexp.MustCompile(`http://[a-z.-]+:8080`).FindString(b.Text)
		text := strings.NewReplacer(address, box.Airflow.URL(), "REFRESHER-PASSWORD", account.Password).Replace(b.Text)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		env := s.environ(box)
		if c.pod {
			env = append(env, strings.Fields(text)...)
		}
		out, err := readme.Script(c.text, t.TempDir(), env).CombinedOutput()
		connection, _ := box.Airflow.Connection("docker_default")
		if err != nil || connection.Password != box.ECR.LastToken().Password {
			t.Errorf("%s: %v\n%s", c.text, err, out)
		}
	}
}

// command is one that a page tells a service manager, cron or Kubernetes to run.
type command struct {
	text string
	pod  bool // it has the inputs in its environment
}

func (s site) commands(t *testing.T, page, file string) (all []command) {
	t.Helper()
	here := strings.NewReplacer("/usr/bin/ecr-refresh", s.bin, "/etc/ecr-refresh.env", file)
	for _, b := range s.blocks {
		if b.Page != page {
			continue
		}
		switch b.Kind {
		case "crontab":
			_, job, _ := strings.Cut(b.Text, " airflow ")
			all = append(all, command{text: here.Replace(job)})
		case "service":
			settings := regexp.MustCompile(`(?s)Environment=(\S+)\n.*ExecStart=([^\n]+)`).FindStringSubmatch(b.Text)
			all = append(all, command{text: here.Replace(settings[1] + " " + settings[2])})
		case "kubernetes":
			for _, c := range containers(t, b) {
				all = append(all, command{s.bin + " " + strings.Join(c.Args, " "), true})
			}
		}
	}
	return all
}

func startBox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	box := must[*sandbox.Sandbox](t)(sandbox.Start(sandbox.Options{}))
	t.Cleanup(func() { box.Close() })
	return box
}

// environ returns the environment of a worker, without the inputs that a page sets.
func (s site) environ(box *sandbox.Sandbox) []string {
	env := slices.DeleteFunc(box.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "ECR_REFRESH_AIRFLOW_") || strings.HasPrefix(entry, "AIRFLOW_VAR_")
	})
	return append(env, "PATH="+filepath.Dir(s.bin)+":"+os.Getenv("PATH"))
}

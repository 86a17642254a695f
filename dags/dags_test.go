package dags

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	t.Parallel()
	if name, text := Template(Bash); name != RefreshDockerTokenFile || text != RefreshDockerToken {
		t.Errorf("with bash it is %s, and not the DAG itself", name)
	}
	name, text := Template(Docker)
	if name != RefreshDockerTokenDockerFile {
		t.Errorf("with docker it is %s", name)
	}
	wantLines(t, text, `OPERATOR = "docker"`, `DAG_ID = "refresh_docker_token_docker_v4"`, "SCHEDULE = None\n")
}

// wantLines fails unless each of lines begins a line of the text.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line %s in:\n%.2500s", line, text)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	for _, row := range [][3]string{ // a setting, its value, the line; no line: the value is rejected
		{"OPERATOR", "docker", `OPERATOR = "docker"  #`}, {"OPERATOR", "spark"},
		{"DAG_ID", "ecr.team-a_1", `DAG_ID = "ecr.team-a_1"`}, {"DAG_ID", "a b"}, {"DAG_ID", ""},
		{"DAG_ID", strings.Repeat("a", 201)},
		{"SCHEDULE", "0 */4 * * *", `SCHEDULE = "0 */4 * * *"`}, {"SCHEDULE", "None", "SCHEDULE = None\n"},
		{"SCHEDULE", "@daily", `SCHEDULE = "@daily"`}, {"SCHEDULE", `"; import os #`}, {"SCHEDULE", "* * * *"},
		{"SCHEDULE", "@fortnightly"},
		{"CONNECTION_IDS", "a,b.c", `CONNECTION_IDS = "a,b.c"  #`}, {"CONNECTION_IDS", "", `CONNECTION_IDS = ""  #`},
		{"CONNECTION_IDS", `a"b`}, {"CONNECTION_IDS", "a,,b"}, {"CONNECTION_IDS", "a\n"},
		{"AIRFLOW_API", "airflow-b", `AIRFLOW_API = "airflow-b"`}, {"AIRFLOW_API", "a,b"},
		{"QUEUE", "maintenance", `QUEUE = "maintenance"`}, {"QUEUE", `a\`}, {"QUEUE", " a"},
		{"POOL", "default_pool", `POOL = "default_pool"`}, {"POOL", "None", "POOL = \"None\"\n"}, {"POOL", ""},
		{"RETRIES", "0", "RETRIES = 0  #"}, {"RETRIES", "-1"}, {"RETRIES", "05"}, {"RETRIES", "many"},
		{"RETRY_DELAY", "5m", "RETRY_DELAY = 300  #"}, {"RETRY_DELAY", "5"}, {"RETRY_DELAY", "500ms"},
		{"OWNER", "Platform team", `OWNER = "Platform team"`}, {"OWNER", "a'b"},
		{"TAGS", "ecr,team a", `TAGS = ["ecr", "team a"]`}, {"TAGS", "a,"}, {"TAGS", `a"]; x = ["`},
		{"ON_FAILURE_CALLBACK", "site.alerts:notify", `ON_FAILURE_CALLBACK = "site.alerts:notify"  #`},
		{"ON_FAILURE_CALLBACK", "", `ON_FAILURE_CALLBACK = ""  #`}, {"ON_FAILURE_CALLBACK", "notify"},
		{"ON_FAILURE_CALLBACK", "a:b()"},
		{"IMAGE", "registry.example.com:5000/ecr-refresh:1.0", `IMAGE = "registry.example.com:5000/ecr-refresh:1.0"`},
		{"IMAGE", `x"`}, {"IMAGE", "-x"},
	} {
		text, err := set(row[0], row[1])
		if row[2] == "" && err == nil {
			t.Errorf("%s = %q passes", row[0], row[1])
		}
		if row[2] != "" {
			wantLines(t, text, row[2])
		}
	}
}

func set(constant, value string) (string, error) {
	for _, o := range Options() {
		if o.Constant == constant {
			return o.Set(RefreshDockerToken, value)
		}
	}
	return "", errors.New("no option")
}

// edited returns a text with pairs of what is there and what takes its place.
func edited(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if strings.Count(text, pair[0]) != 1 {
			t.Fatalf("%q is there %d times", pair[0], strings.Count(text, pair[0]))
		}
		text = strings.Replace(text, pair[0], pair[1], 1)
	}
	return text
}

// What was edited in the settings of an installed DAG is carried over, whatever a flag or a hand wrote.
func TestUpgradeKeepsSettings(t *testing.T) {
	t.Parallel()
	const dict = "ENVIRONMENT = {\n# a } of a comment\n    \"A\": \"{#\",\n\n    'B': '''[\n''',\n}  # ours\n"
	installed := edited(t, Sign(RefreshDockerToken, "v0.0.1"),
		"ENVIRONMENT = {}\n", dict, `POOL = "systemqueue"`, `POOL="ours"  # see the wiki`, "RETRIES = 2", "RETRIES = 5")
	given, _ := set("RETRIES", "7")
	text, kept, err := Upgrade(given, installed, []string{"RETRIES"})
	if want := []string{"POOL", "ENVIRONMENT"}; err != nil || !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q (%v)", kept, want, err)
	}
	want := edited(t, given, "ENVIRONMENT = {}\n", dict, `POOL = "systemqueue"`, `POOL="ours"  # see the wiki`)
	if text != want {
		t.Errorf("got:\n%.3000s", text)
	}
	if again, kept, err := Upgrade(RefreshDockerToken, Sign(text, "v2"), nil); again != text || err != nil {
		t.Errorf("a second upgrade changes it: kept %q, %v", kept, err)
	}
	windows := strings.ReplaceAll(installed, "\n", "\r\n")
	if same, _, err := Upgrade(given, windows, []string{"RETRIES"}); same != text || err != nil {
		t.Errorf("with line ends of Windows: %v", err)
	}
	if same, kept, err := Upgrade(text, Sign(text, "v1"), nil); same != text || kept != nil || err != nil {
		t.Errorf("of its own text it keeps %q, %v", kept, err)
	}
}

// Comments among the settings stay a site's, and a setting that is new comes below them.
func TestUpgradeKeepsComments(t *testing.T) {
	t.Parallel()
	ours := "# Our queue, see the wiki.\nQUEUE = \"ours\"\n"
	old := edited(t, RefreshDockerToken, "OWNER = \"airflow\"\n", "", "QUEUE = \"systemqueue\"\n", ours,
		"def fields(", "def fields_of_old(")
	text, kept, err := Upgrade(RefreshDockerToken, Sign(old, "v0.0.1"), nil)
	want := edited(t, RefreshDockerToken, "QUEUE = \"systemqueue\"\n", ours, "OWNER = \"airflow\"\n", "",
		"# --- End of settings", "OWNER = \"airflow\"\n# --- End of settings")
	if text != want || err != nil || !slices.Equal(kept, []string{"QUEUE"}) {
		t.Errorf("kept %q, %v:\n%.3000s", kept, err, text)
	}
	if again, _, err := Upgrade(RefreshDockerToken, Sign(text, "v2"), nil); again != text || err != nil {
		t.Errorf("a second upgrade changes it: %v\n%.3000s", err, again)
	}
}

// A flag wins over what is installed, unless that is no plain value, whose end is not known.
func TestUpgradeTakesGiven(t *testing.T) {
	t.Parallel()
	given, _ := set("TAGS", "a,b")
	const before = `TAGS = ["airflow", "docker", "ecr"]`
	for _, is := range []string{`TAGS = []`, `TAGS=['x']  # ours`} {
		installed := Sign(edited(t, RefreshDockerToken, before, is), "v1")
		if text, kept, err := Upgrade(given, installed, []string{"TAGS"}); text != given || kept != nil || err != nil {
			t.Errorf("%s: kept %q, %v", is, kept, err)
		}
	}
	installed := Sign(edited(t, RefreshDockerToken, before, "TAGS = [\n    \"x\",\n]"), "v1")
	_, _, err := Upgrade(given, installed, []string{"TAGS"})
	if err == nil || err.Error() != "its setting TAGS is more than a value on one line" {
		t.Error(err)
	}
}

func TestUpgradeStops(t *testing.T) {
	t.Parallel()
	signed := Sign(RefreshDockerToken, "v1")
	for _, row := range [][2]string{
		{"pass\n", "not written by ecr-refresh"},
		{"", "not written by ecr-refresh"},
		{signed + "\n# mine\n", ErrEdited.Error()},
		{edited(t, signed, "catchup=False", "catchup=True"), ErrEdited.Error()},
		{edited(t, signed, "# --- End of settings", "# --- The end"), "no block of settings"},
		{edited(t, signed, "MOUNTS = []", "VOLUMES = []"), "this version has no setting VOLUMES"},
	} {
		_, _, err := Upgrade(RefreshDockerToken, row[0], nil)
		if err == nil || !strings.Contains(err.Error(), row[1]) {
			t.Errorf("%v, want %s", err, row[1])
		}
	}
}

// TestEnvironments compares what the DAG passes to Airflow with testdata/environments.txt: the operators' arguments,
// and their environments for all combinations of Variables, connections, params, results and releases of Airflow.
// testdata/environments.py describes how they are made without Airflow.
//
// That script writes the file: NAME=FILE for bash and docker, and docker-settings with the settings below. Look at each
// line that changes.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	_, docker := Template(Docker)
	settings := strings.NewReplacer(
		`ENVIRONMENT = {}`, `ENVIRONMENT = {"HTTPS_PROXY": "http://proxy:3128", "ECR_REFRESH_LOG_OUTPUT": "x"}`,
		`MOUNTS = []`, `MOUNTS = [{"target": "/ca.pem", "source": "/etc/ca.pem", "type": "bind", "read_only": True}]`,
		`AWS = "aws_default"`, `AWS = "airflow-api"`,
		`SOCKET_USER = "0:0"`, `SOCKET_USER = "65532:998"`,
	).Replace(docker)
	python := exec.Command("python3", "testdata/environments.py")
	for _, dag := range [][2]string{{"bash", RefreshDockerToken}, {"docker", docker}, {"docker-settings", settings}} {
		python.Args = append(python.Args, dag[0]+"="+writeDAG(t, dag[1]))
	}
	wantGolden(t, python, "testdata/environments.txt")
}

// No data of Airflow makes the DAG fail while it renders: a traceback would take the place of ecr-refresh's own words.
func TestAnyData(t *testing.T) {
	t.Parallel()
	_, docker := Template(Docker)
	out, err := exec.Command("python3", "-B", "testdata/any_data.py", writeDAG(t, docker)).CombinedOutput()
	if err != nil || string(out) != "9000\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestStepOperator compares what a task logs and how it ends, for each exit code, with testdata/step_operator.txt.
func TestStepOperator(t *testing.T) {
	t.Parallel()
	_, docker := Template(Docker)
	python := exec.Command("python3", "testdata/step_operator.py", writeDAG(t, docker))
	wantGolden(t, python, "testdata/step_operator.txt")
}

// writeDAG returns the path of a file with a DAG's text.
func writeDAG(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dag.py")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantGolden compares the output of a command with a file.
func wantGolden(t *testing.T, python *exec.Cmd, file string) {
	t.Helper()
	python.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	python.Stderr = os.Stderr
	out, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, want := strings.Split(string(out), "\n"), strings.Split(string(golden), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
}

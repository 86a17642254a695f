package dags

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		options Options
		name    string
		want    []string
	}{
		{Options{Operator: Bash}, RefreshDockerTokenFile,
			[]string{`CONNECTION_IDS = ""`, `SCHEDULE = "55 5,11,17,23 * * *"`}},
		{Options{Operator: Bash, Schedule: "0 */4 * * *", ConnectionIDs: "a,b.c"}, RefreshDockerTokenFile,
			[]string{`SCHEDULE = "0 */4 * * *"`, `CONNECTION_IDS = "a,b.c"`}},
		{Options{Operator: Bash, Schedule: "None"}, RefreshDockerTokenFile, []string{"SCHEDULE = None\n"}},
		{Options{Operator: Docker, Schedule: "@daily", Image: "registry.example.com:5000/ecr-refresh:1.0"},
			RefreshDockerTokenDockerFile,
			[]string{`SCHEDULE = "@daily"`, `IMAGE = "registry.example.com:5000/ecr-refresh:1.0"`}},
		{Options{Operator: Docker}, RefreshDockerTokenDockerFile,
			[]string{`OPERATOR = "docker"`, `DAG_ID = "refresh_docker_token_docker_v4"`, "SCHEDULE = None\n"}},
	} {
		name, text, err := Render(row.options)
		if err != nil || name != row.name {
			t.Errorf("%+v: %s, %v", row.options, name, err)
		}
		if before, after := strings.Count(RefreshDockerToken, "\n"), strings.Count(text, "\n"); before != after {
			t.Errorf("%+v: %d lines, want %d", row.options, after, before)
		}
		for _, line := range row.want {
			if !strings.Contains(text, "\n"+line) {
				t.Errorf("%+v: no line %s", row.options, line)
			}
		}
	}
}

// A later install keeps what an earlier one has set, and an option replaces it.
func TestKeep(t *testing.T) {
	t.Parallel()
	earlier := Options{
		Operator: Docker, Schedule: "@daily", ConnectionIDs: "a,b", Image: "registry.example.com/ecr-refresh:1.0",
	}
	_, installed, _ := Render(earlier)
	_, own, _ := Render(Options{Operator: Docker})
	now := Options{Operator: Docker, Image: "registry.example.com/ecr-refresh:2.0"}
	kept := now.Keep(installed, own)
	if want := []string{`SCHEDULE = "@daily"`, `CONNECTION_IDS = "a,b"`}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
	if earlier.Image = now.Image; now != earlier {
		t.Errorf("%+v, want %+v", now, earlier)
	}
	for what, text := range map[string]string{"its own text": own, "a text without these constants": "pass\n"} {
		plain := Options{Operator: Docker}
		if kept := plain.Keep(text, own); kept != nil || plain != (Options{Operator: Docker}) {
			t.Errorf("%s: kept %q", what, kept)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{}, {Operator: "kubernetes"}, {Operator: Bash, Image: "x"},
		{Operator: Bash, Schedule: `"; import os #`}, {Operator: Bash, Schedule: "* * * *"},
		{Operator: Bash, Schedule: "@fortnightly"}, {Operator: Bash, ConnectionIDs: `a"b`},
		{Operator: Bash, ConnectionIDs: "a,,b"}, {Operator: Bash, ConnectionIDs: "a\n"},
		{Operator: Docker, Image: `x"`}, {Operator: Docker, Image: "-x"},
	} {
		if _, _, err := Render(o); err == nil {
			t.Errorf("%+v passes", o)
		}
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	signed := Sign(RefreshDockerToken, "v1")
	if text, ok := Signed(signed); !ok || text != RefreshDockerToken {
		t.Error("a signed text is not recognized")
	}
	for _, other := range []string{RefreshDockerToken, signed + " ", strings.Replace(signed, "55 5,", "50 5,", 1), ""} {
		if _, ok := Signed(other); ok {
			t.Errorf("%.40q passes", other)
		}
	}
}

// TestEnvironments compares what the DAG passes to Airflow with testdata/environments.txt: the operators' arguments,
// and their environments for all combinations of Variables, connections, params, results and releases of Airflow.
// testdata/environments.py describes how they are made without Airflow.
//
// That script made the file from the two DAGs that this one replaces, in commit 91b4bdb: refresh_docker_token.py as
// bash, refresh_docker_token_docker.py as docker, and the same as docker-settings with the settings below (MOUNTS was
// [Mount("/ca.pem", "/etc/ca.pem", type="bind", read_only=True)]). Edited since are the lines "operators" (those DAGs did
// not set ECR_REFRESH_OPERATOR) and the arguments of the DAG and its operators; no environment is.
func TestEnvironments(t *testing.T) {
	t.Parallel()
	_, docker, err := Render(Options{Operator: Docker})
	if err != nil {
		t.Fatal(err)
	}
	settings := strings.NewReplacer(
		`ENVIRONMENT = {}`, `ENVIRONMENT = {"HTTPS_PROXY": "http://proxy:3128", "ECR_REFRESH_LOG_OUTPUT": "x"}`,
		`MOUNTS = []`, `MOUNTS = [{"target": "/ca.pem", "source": "/etc/ca.pem", "type": "bind", "read_only": True}]`,
		`AWS = "aws_default"`, `AWS = "airflow-api"`,
		`SOCKET_USER = "0:0"`, `SOCKET_USER = "65532:998"`,
	).Replace(docker)
	python := exec.Command("python3", "testdata/environments.py")
	for _, dag := range [][2]string{{"bash", RefreshDockerToken}, {"docker", docker}, {"docker-settings", settings}} {
		path := filepath.Join(t.TempDir(), "dag.py")
		if err := os.WriteFile(path, []byte(dag[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		python.Args = append(python.Args, dag[0]+"="+path)
	}
	python.Stderr = os.Stderr
	out, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/environments.txt")
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

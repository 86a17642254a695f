package dags

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEnvironments compares what the DAG passes to Airflow with testdata/environments.txt: the operators' arguments,
// and their environments for all combinations of Variables, connections, params, results and releases of Airflow.
// testdata/environments.py describes how they are made without Airflow.
//
// That script made the file from the two DAGs that this one replaces, in commit 91b4bdb: refresh_docker_token.py as
// bash, refresh_docker_token_docker.py as docker, and the same as docker-settings with the settings below (MOUNTS was
// [Mount("/ca.pem", "/etc/ca.pem", type="bind", read_only=True)]). Three lines are edited, "operators": those DAGs did
// not set ECR_REFRESH_OPERATOR.
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
	differences(t, strings.Split(string(out), "\n"), strings.Split(string(golden), "\n"))
}

// differences reports the lines that differ, each with the one that says what it belongs to.
func differences(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
	of := ""
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(want[i], " ") {
			of = want[i]
		}
		if got[i] != want[i] {
			t.Errorf("%s\n got %s\nwant %s", of, got[i], want[i])
		}
	}
}

package dags

import (
	"regexp"
	"strings"
	"testing"
)

// Airflow parses each file alone, so what the two have in common stands in both. Here it stays the same.
func TestFilesAgree(t *testing.T) {
	t.Parallel()
	bash, docker := parts(RefreshDockerToken), parts(RefreshDockerTokenDocker)
	for _, name := range []string{"def in_parts", "def cut", "def fields", "def hosts", "def handed_over"} {
		if bash[name] == "" || bash[name] != docker[name] {
			t.Errorf("%s is not the same in both files", name)
		}
	}
	same := docker["with DAG"]
	for _, pair := range [][2]string{
		{`"refresh_docker_token_docker_v4"`, `"refresh_docker_token_v4"`},
		{"JWT authentication, in containers", "JWT authentication"},
		{"        mounts=[Mount(\"/var/run/docker.sock\", SOCKET, type=\"bind\")],\n        user=SOCKET_USER,\n", ""}, // step 3 alone
	} {
		same = strings.Replace(same, pair[0], pair[1], 1)
	}
	if bash["with DAG"] == "" || bash["with DAG"] != same {
		t.Errorf("the DAGs differ in more than they have to:\n%s\n%s", bash["with DAG"], docker["with DAG"])
	}
}

// parts splits a file at its functions and its DAG.
func parts(text string) map[string]string {
	parts := map[string]string{}
	start := regexp.MustCompile(`(?m)^(def \w+|with DAG)`)
	at := start.FindAllStringIndex(text, -1)
	for i, here := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		parts[text[here[0]:here[1]]] = strings.TrimSpace(text[here[0]:end])
	}
	return parts
}

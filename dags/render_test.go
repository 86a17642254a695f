package dags

import (
	"os/exec"
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
		compiles(t, Sign(text, "v1.2.3"))
	}
}

func compiles(t *testing.T, text string) {
	t.Helper()
	python := exec.Command("python3", "-c", "import sys; compile(sys.stdin.read(), 'dag', 'exec')")
	python.Stdin = strings.NewReader(text)
	if out, err := python.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
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

package suite

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// Shell is a person's shell on a worker, with a connection of its own.
type Shell struct {
	Site
	Binary, Dir, ConnectionID string
}

// Outcome is how one command ended.
type Outcome struct {
	Code           int
	Stdout, Stderr string
}

// Do runs one command; env is added to the worker's environment.
func (h Shell) Do(t *testing.T, env []string, args ...string) Outcome {
	t.Helper()
	cmd := h.Command(t, args...)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return Outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Command returns a command that is not yet started.
func (h Shell) Command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), h.Binary, args...)
	cmd.Dir = h.Dir
	cmd.Env = append(h.Environ(), "ECR_REFRESH_CONNECTION_IDS="+h.ConnectionID, "XDG_STATE_HOME="+h.Dir, "HOME="+h.Dir)
	return cmd
}

// Extract runs step 1.
func (h Shell) Extract(t *testing.T, env ...string) Outcome {
	return h.Do(t, env, "extract-ecr-token", "--out", "token.json")
}

// Update runs step 2 on the result of Extract.
func (h Shell) Update(t *testing.T, env ...string) Outcome {
	return h.Do(t, env, "update-docker-connection", "--in", "token.json", "--out", "published.json")
}

// Test runs step 3 on the result of Update.
func (h Shell) Test(t *testing.T, env ...string) Outcome {
	return h.Do(t, append(h.asTaskSeesIt(t), env...), "test-docker-connection", "--in", "published.json")
}

// asTaskSeesIt returns the connection as the DAG renders it into the environment of step 3.
func (h Shell) asTaskSeesIt(t *testing.T) []string {
	const prefix = "ECR_REFRESH_DOCKER_"
	return []string{prefix + "HOST=" + h.Host(), prefix + "LOGIN=AWS",
		prefix + "PASSWORD=" + h.Password(t, h.ConnectionID)}
}

// Want fails unless the command ended with code and its log has all words.
func (o Outcome) Want(t *testing.T, code int, words ...string) {
	t.Helper()
	if o.Code != code {
		t.Errorf("exit code is %d, want %d; stderr:\n%s", o.Code, code, o.Stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.Stderr, w) {
			t.Errorf("stderr does not contain %q:\n%s", w, o.Stderr)
		}
	}
	if code != 0 && o.Stdout != "" {
		t.Errorf("a failed step left a result: %s", o.Stdout)
	}
}

// WantPassword fails unless Airflow has stored this password.
func (h Shell) WantPassword(t *testing.T, want string) {
	t.Helper()
	if h.Password(t, h.ConnectionID) != want {
		t.Errorf("connection %s does not hold the password that it should", h.ConnectionID)
	}
}

// WantOld fails when the connection was updated.
func (h Shell) WantOld(t *testing.T) {
	t.Helper()
	h.WantPassword(t, OldPassword(h.ConnectionID))
}

package main

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"ecr-refresh/integration/sandbox"
)

// onTerminal runs ecr-refresh with its streams on a terminal, and gives what that showed.
func onTerminal(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ecr-refresh", args...)
	cmd.Env = append(env, "TERM=xterm")
	screen, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, screen) // ends with an error when the program closes its side
	_ = cmd.Wait()
	return shown.String()
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	if shown := onTerminal(t, nil, "plan", "--registry", "docker.io"); !strings.Contains(shown, "\x1b[31merror:\x1b[0m read inputs") {
		t.Errorf("no red error: %q", shown)
	}
	for _, env := range [][]string{{"NO_COLOR=1"}, {"NO_COLOR=1", "CLICOLOR_FORCE=1"}} {
		if shown := onTerminal(t, env, "plan", "--registry", "docker.io"); strings.Contains(shown, "\x1b[") {
			t.Errorf("%v: colours: %q", env, shown)
		}
	}
}

// A registry that takes its time is waited for with a line that is gone in the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	box.Registry.Inject(sandbox.Fault{Delay: 1500 * time.Millisecond, Times: 1})
	shown := onTerminal(t, append(box.Environ(), "XDG_STATE_HOME="+t.TempDir()), "extract-ecr-token")
	before, after, found := strings.Cut(shown, "extract-ecr-token: 1 s …")
	if !found || !strings.Contains(before, "ECR gave a token") || !strings.HasPrefix(after, eraseLine) {
		t.Errorf("shown %q", shown)
	}
}

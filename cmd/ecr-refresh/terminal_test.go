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
	cmd.Env = append([]string{"TERM=xterm"}, env...)
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
	shown := onTerminal(t, nil, "plan", "--registry", "docker.io")
	if !strings.Contains(shown, "\x1b[31merror:\x1b[0m registry host") {
		t.Errorf("no red error: %q", shown)
	}
	for _, env := range [][]string{{"NO_COLOR=1"}, {"NO_COLOR=1", "CLICOLOR_FORCE=1"}, {"TERM=dumb"}} {
		if shown := onTerminal(t, env, "plan", "--registry", "docker.io"); strings.Contains(shown, "\x1b[") {
			t.Errorf("%v: colours: %q", env, shown)
		}
	}
}

// A registry that takes its time is waited for with a line that is gone in the end, and was never there for a log.
func TestProgress(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, command string
		env           []string
		shown         bool
	}{
		{"a step", "extract-ecr-token", nil, true},
		{"a command whose result is on the same terminal", "doctor", nil, true},
		{"without colours", "extract-ecr-token", []string{"NO_COLOR=1"}, true},
		{"a terminal that cannot erase", "extract-ecr-token", []string{"TERM=dumb"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			shown := onTerminal(t, append(slowRegistry(t), row.env...), row.command)
			line := row.command + ": 1 s …"
			if n := strings.Count(shown, line); (n > 0) != row.shown || n != strings.Count(shown, line+"\r\x1b[K") {
				t.Errorf("shown %q", shown)
			}
		})
	}
}

func TestNoProgressInALog(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "ecr-refresh", "extract-ecr-token")
	cmd.Env = append(slowRegistry(t), "TERM=xterm")
	log, err := cmd.CombinedOutput()
	if err != nil || bytes.ContainsAny(log, "…\r\x1b") {
		t.Errorf("%v: %q", err, log)
	}
}

func slowRegistry(t *testing.T) (env []string) {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	box.Registry.Inject(sandbox.Fault{Delay: 1500 * time.Millisecond, Times: 1})
	return append(box.Environ(), "XDG_STATE_HOME="+t.TempDir())
}

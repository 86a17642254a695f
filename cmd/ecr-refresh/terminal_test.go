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

// onTerminal runs ecr-refresh with its streams on a terminal, types, and returns what that showed.
func onTerminal(t *testing.T, env []string, typed string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ecr-refresh", args...)
	cmd.Env = append([]string{"TERM=xterm"}, env...)
	screen, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	_, _ = io.WriteString(screen, typed)
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, screen) // ends with an error when the program closes its side
	_ = cmd.Wait()
	return shown.String()
}

func TestColoursAreForTerminals(t *testing.T) {
	t.Parallel()
	shown := onTerminal(t, nil, "", "plan", "--registry", "docker.io")
	if !strings.Contains(shown, "\x1b[31merror:\x1b[0m registry host") {
		t.Errorf("no red error: %q", shown)
	}
	for _, env := range [][]string{{"NO_COLOR=1"}, {"NO_COLOR=1", "CLICOLOR_FORCE=1"}, {"TERM=dumb"}} {
		if shown := onTerminal(t, env, "", "plan", "--registry", "docker.io"); strings.Contains(shown, "\x1b[") {
			t.Errorf("%v: colours: %q", env, shown)
		}
	}
}

// Colours are not what it takes to ask.
func TestSetupAsks(t *testing.T) {
	t.Parallel()
	env, box := sandboxEnv(t)
	admin, _ := box.Airflow.User("admin")
	shown := onTerminal(t, append(env, "TERM=dumb"), "admin\n"+admin.Password+"\n", "setup")
	for _, line := range []string{
		"ecr-refresh: Airflow admin login: ", `ecr-refresh: password of "admin": `, "pool systemqueue",
	} {
		if strings.Count(shown, line) != 1 {
			t.Errorf("%q is not once in %q", line, shown)
		}
	}
}

func sandboxEnv(t *testing.T) ([]string, *sandbox.Sandbox) {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return append(box.Environ(), "XDG_STATE_HOME="+t.TempDir()), box
}

// A registry that takes its time makes a person wait, who is told so; a log is not.
func TestWaiting(t *testing.T) {
	t.Parallel()
	env, box := sandboxEnv(t)
	box.Registry.Inject(sandbox.Fault{Delay: 1200 * time.Millisecond})
	shown, line := make(chan string, 1), "ecr-refresh: extract-ecr-token is still running; --timeout ends it after 1m0s"
	go func() { shown <- onTerminal(t, env, "", "extract-ecr-token") }()
	cmd := exec.CommandContext(t.Context(), "ecr-refresh", "extract-ecr-token")
	cmd.Env = append(env, "TERM=xterm")
	log, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(log), line) || bytes.Contains(log, []byte("\x1b")) {
		t.Errorf("%v: %q", err, log)
	}
	if shown := <-shown; strings.Count(shown, line) != 1 {
		t.Errorf("shown %q", shown)
	}
}

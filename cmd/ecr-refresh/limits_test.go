package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// A core dump would hold the token: while a step runs, the kernel makes none.
func TestNoCoreDumps(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/limits"); err != nil {
		t.Log("this system shows no limits")
		return
	}
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	box.ECR.Inject(sandbox.Fault{Delay: time.Hour})
	cmd := exec.CommandContext(t.Context(), "ecr-refresh", "extract-ecr-token")
	cmd.Env = append(box.Environ(), "XDG_STATE_HOME="+t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	awaitRequest(t, box.ECR)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && fields[4] != "0" {
			t.Errorf("%s", line)
		}
	}
}

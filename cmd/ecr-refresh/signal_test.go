package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// Airflow sends SIGTERM when a task is killed or times out, and SIGKILL 5 s later: a step ends before that, whatever it
// waits for, and nothing half done is left. As long as it runs, the kernel makes no core dump, which would have the
// token.
func TestSignalsEndASteps(t *testing.T) {
	t.Parallel()
	type peer interface {
		Inject(sandbox.Fault)
		Requests() []string
	}
	for _, row := range []struct {
		command string
		peer    func(*sandbox.Sandbox) peer
		signal  syscall.Signal
	}{
		{"extract-ecr-token", func(b *sandbox.Sandbox) peer { return b.ECR }, syscall.SIGTERM},
		{"extract-ecr-token", func(b *sandbox.Sandbox) peer { return b.Registry }, syscall.SIGINT},
		{"run", func(b *sandbox.Sandbox) peer { return b.Airflow }, syscall.SIGTERM},
		{"run", func(b *sandbox.Sandbox) peer { return b.Engine }, syscall.SIGTERM},
	} {
		t.Run(row.command+" ended by "+row.signal.String(), func(t *testing.T) {
			t.Parallel()
			env, box := sandboxEnv(t)
			out := filepath.Join(t.TempDir(), "out.json")
			cmd := exec.CommandContext(t.Context(), "ecr-refresh", row.command, "--out", out)
			cmd.Env = env
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			hanging := row.peer(box)
			hanging.Inject(sandbox.Fault{Delay: time.Hour})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); len(hanging.Requests()) == 0; time.Sleep(5 * time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatal("the peer was not asked")
				}
			}
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid)) // only Linux has it
			if err == nil && !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
				t.Errorf("%s", limits)
			}
			killed := time.Now()
			_ = cmd.Process.Signal(row.signal)
			_ = cmd.Wait()
			code, want := cmd.ProcessState.ExitCode(), 128+int(row.signal)
			if took := time.Since(killed); took > 4*time.Second || code != want {
				t.Errorf("exit code %d after %s, want %d within 4 s", code, took, want)
			}
			if !strings.Contains(stderr.String(), "ecr-refresh: error: ended by ") || stdout.Len() > 0 {
				t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
			}
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// peer is any stand-in.
type peer interface {
	Inject(sandbox.Fault)
	Requests() []string
}

// Airflow sends SIGTERM when a task is killed or times out, and SIGKILL 5 s later: a step ends before that, whatever it
// waits for, and nothing half done is left.
func TestSignalsEndASteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		peer   func(*sandbox.Sandbox) peer
		args   []string
		signal syscall.Signal
		code   int
	}{
		{"ecr", func(b *sandbox.Sandbox) peer { return b.ECR }, []string{"extract-ecr-token"}, syscall.SIGTERM, 143},
		{"registry", func(b *sandbox.Sandbox) peer { return b.Registry },
			[]string{"extract-ecr-token"}, syscall.SIGINT, 130},
		{"airflow", func(b *sandbox.Sandbox) peer { return b.Airflow }, []string{"run"}, syscall.SIGTERM, 143},
		{"engine", func(b *sandbox.Sandbox) peer { return b.Engine }, []string{"run"}, syscall.SIGTERM, 143},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			box, err := sandbox.Start(sandbox.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { box.Close() })
			out := filepath.Join(t.TempDir(), "out.json")
			cmd := exec.Command("ecr-refresh", append(c.args, "--out", out)...)
			cmd.Env = box.Environ()
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			hanging := c.peer(box)
			hanging.Inject(sandbox.Fault{Delay: time.Hour})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitRequest(t, hanging)
			killed := time.Now()
			_ = cmd.Process.Signal(c.signal)
			_ = cmd.Wait()
			if took := time.Since(killed); took > 4*time.Second || cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("exit code %d after %s, want %d within 4 s", cmd.ProcessState.ExitCode(), took, c.code)
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

func awaitRequest(t *testing.T, p peer) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(p.Requests()) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the peer was not asked")
		}
	}
}

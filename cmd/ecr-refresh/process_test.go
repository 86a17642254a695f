package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"ecr-refresh/integration/sandbox"
)

// sandboxEnv returns the environment of a worker, and its sandbox.
func sandboxEnv(t *testing.T) ([]string, *sandbox.Sandbox) {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return append(box.Environ(), "XDG_STATE_HOME="+t.TempDir()), box
}

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
		"ecr-refresh: login of the admin account: ",
		`ecr-refresh: password of the admin account "admin": `, "pool systemqueue",
	} {
		if strings.Count(shown, line) != 1 {
			t.Errorf("%q is not once in %q", line, shown)
		}
	}
}

// An admin is not needed, and airflow-api's account is.
func TestDoctorAsks(t *testing.T) {
	t.Parallel()
	env, box := sandboxEnv(t)
	refresher, _ := box.Airflow.User("refresher")
	env = append(env, "ECR_REFRESH_AIRFLOW_LOGIN=", "ECR_REFRESH_AIRFLOW_PASSWORD=")
	shown := onTerminal(t, env, "\nrefresher\n"+refresher.Password+"\n", "doctor")
	for _, line := range []string{
		"ecr-refresh: login of the admin account (empty: none): ",
		"ecr-refresh: login of the airflow-api account: ",
		`ecr-refresh: password of the airflow-api account "refresher": `, "connection airflow-api may edit",
	} {
		if strings.Count(shown, line) != 1 {
			t.Errorf("%q is not once in %q", line, shown)
		}
	}
}

// Who ends doctor --run by Ctrl-C learns that the run goes on.
func TestDoctorRunInterrupted(t *testing.T) {
	t.Parallel()
	env, box := sandboxEnv(t)
	box.Airflow.SetDAG(sandbox.DAG{ID: "refresh_docker_token_v4"})
	cmd := exec.CommandContext(t.Context(), "ecr-refresh", "doctor", "--run")
	cmd.Env = env
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal(err)
	}
	first := make([]byte, 100)
	n, _ := stderr.Read(first)
	_ = cmd.Process.Signal(os.Interrupt)
	_, _ = io.Copy(io.Discard, stderr)
	_ = cmd.Wait()
	text := strings.Join(strings.Fields(stdout.String()), " ")
	if !strings.Contains(string(first[:n]), "triggered") || cmd.ProcessState.ExitCode() != 130 ||
		!strings.Contains(text, "is still queued, and goes on in Airflow") {
		t.Errorf("exit code %d: %s %s", cmd.ProcessState.ExitCode(), first[:n], text)
	}
}

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

// A proxy cannot reach the addresses where AWS issues credentials, and would see the token of a pod.
func TestCredentialsAreRequestedDirectly(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"} {
		env, box := sandboxEnv(t)
		cmd := exec.CommandContext(t.Context(), "ecr-refresh", "extract-ecr-token", "--timeout", "2s")
		cmd.Env = append(env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+host+"/", "AWS_CONTAINER_AUTHORIZATION_TOKEN=s3cret")
		if out, err := cmd.CombinedOutput(); err == nil || len(box.Proxy.Refused()) > 0 {
			t.Errorf("%s: the proxy was asked for %v: %s", host, box.Proxy.Refused(), out)
		}
	}
}

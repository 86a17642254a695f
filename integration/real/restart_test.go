package real

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
)

// restarted: Airflow's API server ends in the middle of the bulk update of many connections, and comes back.
func (w *world) restarted(t *testing.T) {
	old := oldPasswords(250) // several calls of the bulk API
	w.setRestarted(t, old)
	h := suite.Shell{Site: realSite{w}, Binary: w.bin, Dir: t.TempDir(),
		ConnectionID: strings.Join(slices.Collect(maps.Keys(old)), ",")}
	h.Extract(t).Want(t, 0)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			w.setRestarted(t, old)
			c := background(t, h, "update-docker-connection", "--in", "token.json", "--log-level", "debug")
			c.await(t, "method=PATCH")
			must(t, w.Airflow.RestartAPIServer(t.Context(), signal))
			w.wantEitherWay(t, c.wait(t), old)
			h.Update(t).Want(t, 0)
			if n := w.fresh(t, old); n != len(old) {
				t.Errorf("after the second run %d of %d connections hold the new token", n, len(old))
			}
		})
	}
}

// oldPasswords returns n connections with a password. It is one for all: Airflow's masker searches for every one that
// it has seen, and on 3.0 takes minutes to learn a thousand.
func oldPasswords(n int) map[string]string {
	old, password := map[string]string{}, "old-password-"+rand.Text()
	for i := range n {
		old[fmt.Sprintf("docker_restart_%03d", i)] = password
	}
	return old
}

// setRestarted restores the connections as they were.
func (w *world) setRestarted(t *testing.T, old map[string]string) {
	t.Helper()
	var all []peers.Connection
	for id, password := range old {
		all = append(all, peers.Connection{ID: id, Type: "docker", Host: &w.Registry.Host, Login: new("AWS"),
			Password: &password})
	}
	for some := range slices.Chunk(all, 100) {
		must(t, w.Airflow.SetConnections(t.Context(), some))
	}
}

// wantEitherWay: what is not published has an error line that names Airflow, and holds the old password. (It may be
// reported for what is, too: the answer can be lost.) Where each has one, the step is red.
func (w *world) wantEitherWay(t *testing.T, o suite.Outcome, old map[string]string) {
	t.Helper()
	fresh := w.fresh(t, old)
	t.Logf("exit code %d, %d of %d connections hold the new token", o.Code, fresh, len(old))
	reported := strings.Count(o.Stderr, "ecr-refresh: error: update connection ")
	switch {
	case reported < len(old)-fresh:
		t.Errorf("%d errors are reported for %d connections that are not updated:\n%s",
			reported, len(old)-fresh, o.Stderr)
	case reported == len(old):
		o.Want(t, 1, "airflow", "ecr-refresh: hint: check that Airflow's API server runs")
	default:
		o.Want(t, 0)
	}
}

// fresh counts the connections that hold the new token, and fails when one holds neither that nor its old password.
func (w *world) fresh(t *testing.T, old map[string]string) (n int) {
	t.Helper()
	stored, err := w.Airflow.StoredPasswords(t.Context(), "^docker_restart_")
	must(t, err)
	for id, password := range old {
		switch stored[id] {
		case w.Moto.Password:
			n++
		case password:
		default:
			t.Errorf("%s holds neither its old password nor the new token", id)
		}
	}
	return n
}

// background starts a command and leaves it running.
func background(t *testing.T, h suite.Shell, args ...string) *running {
	t.Helper()
	c := &running{cmd: h.Command(t, args...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	must(t, c.cmd.Start())
	return c
}

// running is a command that runs while something happens to its peers.
type running struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr watched
}

// watched is a buffer that is read while it is written.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await returns when the command has written some words.
func (c *running) await(t *testing.T, words string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(c.stderr.String(), words); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not contain %q:\n%s", words, c.stderr.String())
		}
	}
}

func (c *running) wait(t *testing.T) suite.Outcome {
	t.Helper()
	if err := c.cmd.Wait(); c.cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return suite.Outcome{Code: c.cmd.ProcessState.ExitCode(), Stdout: c.stdout.String(), Stderr: c.stderr.String()}
}

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ecr-refresh/integration/sandbox"
)

// A user who may not use the Engine's socket is told so, and what to do about it.
func TestEngineSocketClosed(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	dir := t.TempDir()
	bin := binary(t, dir)
	env := append(box.Environ(), "XDG_STATE_HOME="+dir)
	document, err := command(bin, env, "extract-ecr-token").Output()
	must(t, err)
	published, err := command(bin, append(env, "ECR_REFRESH_DOCUMENT="+string(document)), "update-docker-connection").Output()
	must(t, err)

	env = append(env, box.TaskEnviron("docker_default")...)
	cmd := command(bin, append(env, "ECR_REFRESH_DOCUMENT="+string(published), "HOME=/nonexistent"), "test-docker-connection")
	must(t, os.Chmod(strings.TrimPrefix(box.Engine.Host(), "unix://"), 0))
	asNobody(t, cmd, filepath.Dir(strings.TrimPrefix(box.Engine.Host(), "unix://")), box.Proxy.CAFile())
	out, _ := cmd.CombinedOutput()
	for _, words := range []string{"error: ask Docker Engine at ", "permission denied", "hint: let this user use the Engine's socket (group docker)"} {
		if !strings.Contains(string(out), words) {
			t.Errorf("%q is not said:\n%s", words, out)
		}
	}
	if cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("exit code %d, want 2", cmd.ProcessState.ExitCode())
	}
}

// asNobody makes root's test run the command as a user without rights; folders of paths become open to it.
func asNobody(t *testing.T, cmd *exec.Cmd, paths ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		return // a mode of 0 is closed to everybody else already
	}
	for _, path := range append(paths, cmd.Path) {
		for dir := path; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			must(t, err)
			if info.Mode().Type() != os.ModeSocket {
				must(t, os.Chmod(dir, info.Mode().Perm()|0o055))
			}
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

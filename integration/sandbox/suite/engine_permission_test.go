package suite

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ecr-refresh/integration/sandbox"
)

// TestEngineSocketClosed: a user without access to the Docker socket reads that, and what to do about it.
func TestEngineSocketClosed(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	dir := t.TempDir()
	bin := binary(t)
	env := append(box.Environ(), "XDG_STATE_HOME="+dir)
	document, err := command(bin, env, "extract-ecr-token").Output()
	must(t, err)
	published, err := command(bin, append(env, "ECR_REFRESH_DOCUMENT="+string(document)),
		"update-docker-connection").Output()
	must(t, err)

	env = append(env, box.TaskEnviron("docker_default")...)
	cmd := command(bin, append(env, "ECR_REFRESH_DOCUMENT="+string(published), "HOME=/nonexistent"),
		"test-docker-connection")
	must(t, os.Chmod(strings.TrimPrefix(box.Engine.Host(), "unix://"), 0))
	asNobody(t, cmd, filepath.Dir(strings.TrimPrefix(box.Engine.Host(), "unix://")), box.Proxy.CAFile())
	out, _ := cmd.CombinedOutput()
	for _, words := range []string{
		"error: ask Docker Engine at ", "permission denied",
		"hint: let this user use the Engine's socket (group docker)",
	} {
		if !strings.Contains(string(out), words) {
			t.Errorf("output does not contain %q:\n%s", words, out)
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

// TestEngineFilter: step 3 is green with the calls that it needs, and without one of them it reports that the filter
// rejected it.
func TestEngineFilter(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, box.Close()) })
	s := standIns{box}
	s.Connect(t, "filtered", s.Host(), OldPassword("filtered"))
	h := Shell{Site: s, Binary: binary(t), Dir: t.TempDir(), ConnectionID: "filtered"}
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	socket := strings.TrimPrefix(box.Engine.Host(), "unix://")
	h.Test(t, "DOCKER_HOST="+EngineFilter(t, socket, EngineCalls()...)).Want(t, 0)
	for _, lacking := range EngineCalls() {
		passed := slices.DeleteFunc(EngineCalls(), func(call string) bool { return call == lacking })
		h.Test(t, "DOCKER_HOST="+EngineFilter(t, socket, passed...)).Want(t, 2, "it answered 403 Forbidden", lacking)
	}
}

func command(bin string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(bin, args...)
	cmd.Env = env
	return cmd
}

package integration

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// What step 3 needs of an Engine. Who may use all of the socket is root on that host; a filter before it may pass no more
// than this.
func needed() []string { return []string{"GET /version", "POST /auth"} }

// TestEngineFilter: with what is needed step 3 is green, and with one of it less the filter's refusal is told as one.
func TestEngineFilter(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, box.Close()) })
	s := standIns{box}
	s.connect(t, "filtered", s.host(), oldPassword("filtered"))
	h := hand{site: s, bin: binary(t, t.TempDir()), dir: t.TempDir(), id: "filtered"}
	h.extract(t).want(t, 0)
	h.update(t).want(t, 0)
	socket := strings.TrimPrefix(box.Engine.Host(), "unix://")
	h.test(t, "DOCKER_HOST="+filter(t, socket, needed()...)).want(t, 0)
	for _, lacking := range needed() {
		passed := slices.DeleteFunc(needed(), func(call string) bool { return call == lacking })
		h.test(t, "DOCKER_HOST="+filter(t, socket, passed...)).want(t, 2, "it answered 403 Forbidden", lacking)
	}
}

// filteredEngine: the same calls are enough for a real Engine.
func (w *world) filteredEngine(t *testing.T) {
	h := w.session(t, "filtered")
	h.update(t).want(t, 0)
	h.test(t, "DOCKER_HOST="+filter(t, w.Docker.Socket, needed()...)).want(t, 0)
}

// filter is a proxy before an Engine's socket that passes some calls of any version of the API, and refuses all others in
// HTML, as those that people use do. It gives its address.
func filter(t *testing.T, socket string, calls ...string) string {
	version := regexp.MustCompile(`^/v1\.\d+/`)
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	pass.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(calls, r.Method+" "+version.ReplaceAllString(r.URL.Path, "/")) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<html><body><h1>403 Forbidden</h1></body></html>")
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

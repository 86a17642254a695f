package suite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ecr-refresh/integration/sandbox"
)

// TestSuite runs the cases on stand-ins, and those of a Docker socket that is not open to everybody.
func TestSuite(t *testing.T) {
	t.Parallel()
	binary, err := Build(t.TempDir())
	must(t, err)
	for name, run := range map[string]func(*testing.T, standIns, string){
		"cases":         func(t *testing.T, s standIns, binary string) { Run(t, s, binary) },
		"socket closed": socketClosed,
		"engine filter": engineFilter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box, err := sandbox.Start(sandbox.Options{})
			must(t, err)
			t.Cleanup(func() { must(t, box.Close()) })
			run(t, standIns{box}, binary)
		})
	}
}

// updated returns a shell in which the first two steps have run.
func (s standIns) updated(t *testing.T, binary string) Shell {
	t.Helper()
	h := Shell{Site: s, Binary: binary, Dir: t.TempDir(), ConnectionID: "docker_default"}
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	return h
}

// socketClosed: a user without access to the Docker socket reads that, and what to do about it.
func socketClosed(t *testing.T, s standIns, binary string) {
	h, socket := s.updated(t, binary), strings.TrimPrefix(s.Engine.Host(), "unix://")
	must(t, os.Chmod(socket, 0))
	cmd := h.Command(t, "test-docker-connection")
	result, err := os.ReadFile(filepath.Join(h.Dir, "published.json"))
	must(t, err)
	cmd.Env = slices.Concat(cmd.Env, h.asTaskSeesIt(t), []string{"ECR_REFRESH_DOCUMENT=" + string(result),
		"HOME=/nonexistent"})
	if os.Getuid() == 0 { // nothing is closed to root: a user without rights runs it, who may enter the folders
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		for _, path := range []string{filepath.Dir(socket), s.Proxy.CAFile(), h.Dir, cmd.Path} {
			for dir := path; len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
				info, err := os.Stat(dir)
				must(t, err)
				must(t, os.Chmod(dir, info.Mode().Perm()|0o055))
			}
		}
	}
	out, _ := cmd.CombinedOutput()
	Outcome{Code: cmd.ProcessState.ExitCode(), Stderr: string(out)}.Want(t, 2, "error: reach Docker at ",
		"permission denied", "hint: add this user to the group of the socket (docker)")
}

// engineFilter: step 3 is green with the calls that it needs, and without one of them it reports that the filter
// rejected it.
func engineFilter(t *testing.T, s standIns, binary string) {
	h, socket := s.updated(t, binary), strings.TrimPrefix(s.Engine.Host(), "unix://")
	h.Test(t, "DOCKER_HOST="+EngineFilter(t, socket, EngineCalls()...)).Want(t, 0)
	for _, lacking := range EngineCalls() {
		passed := slices.DeleteFunc(EngineCalls(), func(call string) bool { return call == lacking })
		h.Test(t, "DOCKER_HOST="+EngineFilter(t, socket, passed...)).Want(t, 2, "it answered 403 with", lacking)
	}
}

// standIns is a sandbox as a site.
type standIns struct{ *sandbox.Sandbox }

func (s standIns) As(role string) []string {
	user, _ := s.Airflow.User(role)
	if role == "wrong" {
		return []string{"ECR_REFRESH_AIRFLOW_PASSWORD=wrong"}
	}
	return []string{"ECR_REFRESH_AIRFLOW_LOGIN=" + role, "ECR_REFRESH_AIRFLOW_PASSWORD=" + user.Password}
}

func (s standIns) WrongLogin() (code int, answer string) {
	return 2, "airflow answered 401: Invalid credentials"
}

// Rejected makes the registry reject one call.
func (s standIns) Rejected() []string {
	s.Registry.Inject(sandbox.Fault{Times: 1, Status: 403, Body: "no"})
	return nil
}

func (s standIns) Host() string { return s.RegistryHost() }

func (s standIns) Issued() string { return s.ECR.LastToken().Password }

func (s standIns) Connect(_ *testing.T, id, host, secret string) {
	conn, _ := s.Airflow.Connection("docker_default")
	conn.ID, conn.Host, conn.Password = id, host, secret
	s.Airflow.SetConnection(conn)
}

func (s standIns) Password(_ *testing.T, id string) string {
	conn, _ := s.Airflow.Connection(id)
	return conn.Password
}

func (s standIns) StopEngine(t *testing.T) { must(t, s.Engine.SetDown(true)) }

func (s standIns) StartEngine(t *testing.T) { must(t, s.Engine.SetDown(false)) }

package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ecr-refresh/integration/peers"
	"ecr-refresh/integration/sandbox"
)

// site is a set of peers, and a worker's environment among them. The suite asks the same of stand-ins and real ones.
type site interface {
	environ() []string                             // of the tasks; Airflow's user may edit connections
	as(role string) []string                       // the login of another user: "viewer", or "wrong" with a wrong password
	refused() []string                             // makes the registry refuse what ECR issues
	host() string                                  // of the registry
	issued() string                                // the newest token
	connect(t *testing.T, id, host, secret string) // makes a connection of type docker
	password(t *testing.T, id string) string       // what Airflow has stored
	stopEngine(t *testing.T)
	startEngine(t *testing.T)
}

// TestSuite runs the binary by hand, step by step, among stand-ins.
func TestSuite(t *testing.T) {
	t.Parallel()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, box.Close()) })
	suite(t, standIns{box}, binary(t, t.TempDir()))
}

// oldPassword is what a connection holds before a case: its own, and no part of its name, which stands in every log.
func oldPassword(id string) string { return "old-" + fingerprint(id) }

// suite is what a person who runs the steps by hand may rely on.
func suite(t *testing.T, s site, bin string) {
	for name, behaviour := range map[string]func(*testing.T, hand){
		"green":              green,
		"twice":              twice,
		"dry run":            dryRun,
		"all in one process": inOneProcess,
		"registry refuses":   registryRefuses,
		"connection missing": missing,
		"another registry":   otherRegistry,
		"viewer":             viewerMayNot,
		"wrong password":     wrongPassword,
		"shadowed":           shadowedByEnvironment,
	} {
		id := "hand_" + strings.ReplaceAll(name, " ", "_")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name != "connection missing" {
				s.connect(t, id, s.host(), oldPassword(id))
			}
			behaviour(t, hand{site: s, bin: bin, dir: dir, id: id})
		})
	}
	t.Run("engine stopped", func(t *testing.T) {
		s.connect(t, "hand_stopped", s.host(), "old")
		engineDown(t, hand{site: s, bin: bin, dir: t.TempDir(), id: "hand_stopped"})
	})
}

// hand is a person at a worker's shell, with a connection of their own.
type hand struct {
	site
	bin, dir, id string
}

// outcome is how one command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// do runs one command; env comes on top of the worker's.
func (h hand) do(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	cmd := h.command(t, args...)
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (h hand) command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), h.bin, args...)
	cmd.Dir = h.dir
	cmd.Env = append(h.environ(), "ECR_REFRESH_CONNECTION_IDS="+h.id, "XDG_STATE_HOME="+h.dir, "HOME="+h.dir)
	return cmd
}

// background starts a command and leaves it running.
func (h hand) background(t *testing.T, args ...string) *running {
	t.Helper()
	c := &running{cmd: h.command(t, args...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	must(t, c.cmd.Start())
	return c
}

func (h hand) extract(t *testing.T, env ...string) outcome {
	return h.do(t, env, "extract-ecr-token", "--out", "token.json")
}

func (h hand) update(t *testing.T, env ...string) outcome {
	return h.do(t, env, "update-docker-connection", "--in", "token.json", "--out", "published.json")
}

// test hands the connection over as Airflow hands it to tasks.
func (h hand) test(t *testing.T, env ...string) outcome {
	handed := []string{"ECR_REFRESH_DOCKER_HOST=" + h.host(), "ECR_REFRESH_DOCKER_LOGIN=AWS", "ECR_REFRESH_DOCKER_PASSWORD=" + h.password(t, h.id)}
	return h.do(t, append(handed, env...), "test-docker-connection", "--in", "published.json")
}

// want fails unless the command ended with code and its log has all words.
func (o outcome) want(t *testing.T, code int, words ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code is %d, want %d; stderr:\n%s", o.code, code, o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.stderr, w) {
			t.Errorf("stderr does not say %q:\n%s", w, o.stderr)
		}
	}
	if code != 0 && o.stdout != "" {
		t.Errorf("a failed step left a result: %s", o.stdout)
	}
}

func (h hand) wantPassword(t *testing.T, want string) {
	t.Helper()
	if h.password(t, h.id) != want {
		t.Errorf("connection %s does not hold the password that it should", h.id)
	}
}

func (h hand) wantOld(t *testing.T) {
	t.Helper()
	h.wantPassword(t, oldPassword(h.id))
}

func green(t *testing.T, h hand) {
	h.extract(t).want(t, 0, "token for "+h.host(), h.host()+" accepts the token")
	h.wantOld(t)
	h.update(t).want(t, 0, "has the new token")
	h.wantPassword(t, h.issued())
	done := h.test(t)
	done.want(t, 0, "Docker Engine", "holds the token that was published")
	if !strings.Contains(done.stdout, `"matches":true`) || !strings.Contains(done.stdout, `"login":"Login Succeeded"`) {
		t.Errorf("result is %s", done.stdout)
	}
	h.wantNoSecret(t, done, h.issued(), oldPassword(h.id))
}

// wantNoSecret looks into the output and all files that the steps left.
func (h hand) wantNoSecret(t *testing.T, last outcome, secrets ...string) {
	t.Helper()
	texts := map[string]string{"stdout": last.stdout, "stderr": last.stderr}
	for _, name := range []string{"token.json", "published.json"} {
		text, err := os.ReadFile(filepath.Join(h.dir, name))
		must(t, err)
		texts[name] = string(text)
	}
	for where, text := range texts {
		for i, secret := range secrets {
			if strings.Contains(text, secret[:min(len(secret), 24)]) {
				t.Errorf("%s holds secret %d", where, i)
			}
		}
	}
}

func twice(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	for range 2 {
		h.update(t).want(t, 0)
		h.test(t).want(t, 0)
	}
	h.wantPassword(t, h.issued())
}

func dryRun(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	h.update(t, "ECR_REFRESH_DRY_RUN=True").want(t, 0, "dry run: ")
	h.wantOld(t)
	h.test(t).want(t, 0, "its present password is refused")
}

func inOneProcess(t *testing.T, h hand) {
	h.do(t, nil, "run").want(t, 0, "accepts the token", "has the new token", "Login Succeeded")
	h.wantPassword(t, h.issued())
}

func registryRefuses(t *testing.T, h hand) {
	h.extract(t, h.refused()...).want(t, 1, "check token at registry", "the credential is refused", "ecr-refresh: hint: ")
	h.wantOld(t)
}

func missing(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	h.update(t).want(t, 2, `update connection "`+h.id+`": airflow has no such connection`, "ecr-refresh: hint: create it")
}

func otherRegistry(t *testing.T, h hand) {
	other := "other-" + h.host()
	h.connect(t, h.id, other, oldPassword(h.id))
	h.extract(t).want(t, 0)
	h.update(t).want(t, 2, other, h.host(), "ecr-refresh: hint: set the connection's host")
	h.wantOld(t)
}

func viewerMayNot(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	h.update(t, h.as("viewer")...).want(t, 2, "airflow answered 403", "can_read and can_edit on Connections")
	h.wantOld(t)
}

func wrongPassword(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	h.update(t, h.as("wrong")...).want(t, 2, "airflow answered 401", "check login and password of connection airflow-api")
	h.wantOld(t)
}

func shadowedByEnvironment(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	h.update(t).want(t, 0)
	name := "AIRFLOW_CONN_" + strings.ToUpper(h.id)
	h.test(t, "ECR_REFRESH_DOCKER_PASSWORD=another", name+"=docker://AWS:another@"+h.host()).
		want(t, 2, "the connection is shadowed by "+name, "ecr-refresh: hint: unset "+name)
}

func engineDown(t *testing.T, h hand) {
	h.extract(t).want(t, 0)
	h.update(t).want(t, 0)
	h.stopEngine(t)
	defer h.startEngine(t)
	h.test(t).want(t, 1, "it cannot be reached", "ecr-refresh: hint: start it")
	h.do(t, []string{"ECR_REFRESH_DOCKER_HOST=" + h.host(), "ECR_REFRESH_DOCKER_LOGIN=AWS", "ECR_REFRESH_DOCKER_PASSWORD=" + h.password(t, h.id)},
		"test-docker-connection", "--in", "published.json", "--engine", "none").want(t, 0, "the registry itself is asked")
}

// standIns is a sandbox as a site.
type standIns struct{ *sandbox.Sandbox }

func (s standIns) environ() []string { return s.Environ() }

func (s standIns) as(role string) []string {
	user, _ := s.Airflow.User(role)
	if role == "wrong" {
		return []string{"ECR_REFRESH_AIRFLOW_PASSWORD=wrong"}
	}
	return []string{"ECR_REFRESH_AIRFLOW_LOGIN=" + role, "ECR_REFRESH_AIRFLOW_PASSWORD=" + user.Password}
}

// refused asks for a token whose password the registry does not know: the stand-in is told to refuse until the next call.
func (s standIns) refused() []string {
	s.Registry.Inject(sandbox.Fault{Times: 1, Status: 403, Body: "no"})
	return nil
}

func (s standIns) host() string { return s.RegistryHost() }

func (s standIns) issued() string { return s.ECR.LastToken().Password }

func (s standIns) connect(_ *testing.T, id, host, secret string) {
	conn, _ := s.Airflow.Connection("docker_default")
	conn.ID, conn.Host, conn.Password = id, host, secret
	s.Airflow.SetConnection(conn)
}

func (s standIns) password(_ *testing.T, id string) string {
	conn, _ := s.Airflow.Connection(id)
	return conn.Password
}

func (s standIns) stopEngine(t *testing.T) { must(t, s.Engine.SetDown(true)) }

func (s standIns) startEngine(t *testing.T) { must(t, s.Engine.SetDown(false)) }

// realSite is real Airflow, Docker Engine and registry, with moto for AWS.
type realSite struct{ *world }

func (s realSite) environ() []string {
	op := s.Airflow.Users["op"]
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"AIRFLOW_VAR_ECR_AWS_ACCOUNT=" + s.Moto.Account, "AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.Region,
		"ECR_REFRESH_AIRFLOW_HOST=127.0.0.1", "ECR_REFRESH_AIRFLOW_PORT=" + strconv.Itoa(s.Airflow.Port),
		"ECR_REFRESH_AIRFLOW_LOGIN=" + op.User, "ECR_REFRESH_AIRFLOW_PASSWORD=" + op.Password,
		"DOCKER_HOST=" + s.Docker.Host, "ECR_REFRESH_CA_FILE=" + s.CAFile(),
	}
	for name, value := range s.Moto.Environ() {
		env = append(env, name+"="+value)
	}
	return env
}

func (s realSite) as(role string) []string {
	if role == "wrong" {
		return []string{"ECR_REFRESH_AIRFLOW_PASSWORD=wrong"}
	}
	user := s.Airflow.Users[role]
	return []string{"ECR_REFRESH_AIRFLOW_LOGIN=" + user.User, "ECR_REFRESH_AIRFLOW_PASSWORD=" + user.Password}
}

func (s realSite) refused() []string {
	return []string{"AIRFLOW_VAR_ECR_AWS_REGION_NAME=" + peers.RefusedRegion, "AWS_REGION=" + peers.RefusedRegion}
}

func (s realSite) host() string { return s.Registry.Host }

func (s realSite) issued() string { return s.Moto.Password }

func (s realSite) connect(t *testing.T, id, host, secret string) {
	must(t, s.Airflow.SetConnection(t.Context(), peers.Connection{ID: id, Type: "docker", Host: &host, Login: new("AWS"), Password: &secret}))
}

func (s realSite) password(t *testing.T, id string) string { return s.world.password(t, id) }

func (s realSite) stopEngine(*testing.T) { s.Docker.Stop() }

func (s realSite) startEngine(t *testing.T) { must(t, s.Docker.Start(t.Context())) }

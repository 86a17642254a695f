package real

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/integration/sandbox/suite"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// overridden: tasks read AIRFLOW_CONN_DOCKER_OVERRIDDEN of the workers before the database, where the token is.
func (w *world) overridden(t *testing.T) {
	w.copy(t, "overridden", variant{}).run(t).wantRed(t, test, 2, "overridden", "AIRFLOW_CONN_DOCKER_OVERRIDDEN")
}

// engineStopped: the Engine is down when step 3 comes, and up again when that is run once more.
func (w *world) engineStopped(t *testing.T) {
	d := w.copy(t, "engine", variant{})
	w.Docker.Stop()
	r := d.run(t)
	r.wantRed(t, test, 1, "reach Docker at", w.Docker.Host, "ECR_REFRESH_ENGINE=none")
	must(t, w.Docker.Start(t.Context()))
	r.again(t, test).wantGreen(t)
}

// filteredEngine: the calls that are enough for the stand-in are enough for a real Engine.
func (w *world) filteredEngine(t *testing.T) {
	h := w.shell(t, "filtered")
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	h.Test(t, "DOCKER_HOST="+suite.EngineFilter(t, w.Docker.Socket, suite.EngineCalls()...)).Want(t, 0)
}

// podmanWorld is the world with podman in Docker's place.
type podmanWorld struct{ *world }

func (w podmanWorld) Environ() []string {
	return append(w.world.Environ(), "DOCKER_HOST="+w.Podman.Host)
}

func (w podmanWorld) StopEngine(*testing.T) { w.Podman.Stop() }

func (w podmanWorld) StartEngine(t *testing.T) { must(t, w.Podman.Start(t.Context())) }

// login is one login through an Engine, and how its error is classified.
type login struct {
	host, password string
	status         int // the registry's answer, if it does not decide itself
	kind           failure.Kind
	permanent      bool
}

func (w *world) logins() map[string]login {
	const sandbox = peers.SandboxHost
	host, password := w.Registry.Host, w.Registry.Password
	return map[string]login{
		"good":             {host: host, password: password},
		"good, with port":  {host: host + ":443", password: password},
		"stale":            {host: host, password: "stale", kind: docker.BadCredential},
		"another registry": {host: w.Refusing.Host, password: password, kind: docker.BadCredential},
		"no such host":     {host: "nobody.invalid", password: password, kind: docker.Failed},
		"400":              {host: sandbox, password: password, status: 400, kind: docker.BadCredential},
		"403":              {host: sandbox, password: password, status: 403, kind: docker.BadCredential},
		"503":              {host: sandbox, password: password, status: 503, kind: docker.Unavailable},
	}
}

// engines: Docker's Engine and podman answer in words of their own, and are classified alike.
func (w *world) engines(t *testing.T) {
	must(t, w.Podman.Start(t.Context()))
	t.Cleanup(w.Podman.Stop)
	t.Run("podman by hand", func(t *testing.T) { suite.Run(t, podmanWorld{w}, w.bin) })
	for _, engine := range []*peers.Engine{w.Docker, w.Podman} {
		t.Run(engine.Name+"/version", func(t *testing.T) { w.wantVersion(t, engine) })
		for name, row := range w.logins() {
			t.Run(engine.Name+"/"+name, func(t *testing.T) { w.wantLogin(t, engine, row) })
		}
		t.Run(engine.Name+"/untrusted certificate", func(t *testing.T) {
			engine.Stop()
			must(t, engine.Start(t.Context(), "SSL_CERT_FILE="))
			w.wantLogin(t, engine, login{peers.SandboxHost, "p", 0, docker.UntrustedRegistry, true})
			engine.Stop()
			must(t, engine.Start(t.Context()))
		})
	}
}

// wantVersion fails unless the Engine names the version that its program has.
func (w *world) wantVersion(t *testing.T, e *peers.Engine) {
	engine, err := docker.NewEngine(e.Host, "", false)
	must(t, err)
	version, api, err := engine.Reach(t.Context())
	must(t, err)
	said, err := exec.CommandContext(t.Context(), e.Name, "--version").Output()
	must(t, err)
	if !strings.Contains(string(said), " version "+version) || !strings.HasPrefix(api, "1.") {
		t.Errorf("version %q, API %q, and the program says %s", version, api, said)
	}
}

func (w *world) wantLogin(t *testing.T, e *peers.Engine, want login) {
	t.Helper()
	engine, err := docker.NewEngine(e.Host, "", false)
	must(t, err)
	w.Sandbox.Registry.SetStatus(want.status)
	defer w.Sandbox.Registry.SetStatus(0)
	answer, err := engine.Login(t.Context(), want.host, "AWS", secret.New(want.password))
	kind, _ := failure.Describe(err)
	permanent, rejected := failure.IsPermanent(err), errors.Is(err, registry.ErrRejected)
	if kind != want.kind || permanent != want.permanent || rejected != (want.kind == docker.BadCredential) {
		t.Errorf("%v, of kind %q", err, kind)
	}
	if err == nil && answer != "Login Succeeded" {
		t.Errorf("it answered %q", answer)
	}
	if want.kind == docker.UntrustedRegistry && !strings.Contains(err.Error(), "x509: ") {
		t.Errorf("%v does not name the fault", err)
	}
}

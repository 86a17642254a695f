// Package suite holds the cases that a person at a worker's shell may rely on: the steps run by hand, one process each.
// The same cases run on stand-ins (the tests of this package) and on real peers (package real), which keeps the
// stand-ins honest.
package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Site is a set of peers, and a worker's environment among them.
type Site interface {
	Environ() []string                             // of the tasks; Airflow's user may edit connections
	As(role string) []string                       // the login of user "viewer", or "wrong": a wrong password
	WrongLogin() (code int, answer string)         // how step 2 ends with that
	Rejected() []string                            // makes the registry reject what ECR issues
	Host() string                                  // of the registry
	Issued() string                                // the newest token
	Connect(t *testing.T, id, host, secret string) // creates a connection of type docker
	Password(t *testing.T, id string) string       // what Airflow has stored
	StopEngine(t *testing.T)
	StartEngine(t *testing.T)
}

// OldPassword is what a connection holds before a case: its own, and no part of its name, which stands in every log.
func OldPassword(id string) string { return "old-" + Fingerprint(id) }

// Run runs all cases on a site with a binary of ecr-refresh.
func Run(t *testing.T, s Site, binary string) {
	for name, behaviour := range map[string]func(*testing.T, Shell){
		"green":              green,
		"twice":              twice,
		"dry run":            dryRun,
		"all in one process": inOneProcess,
		"registry rejects":   registryRejects,
		"connection missing": missing,
		"another registry":   otherRegistry,
		"viewer":             viewerMayNot,
		"wrong password":     wrongPassword,
		"overridden":         overriddenByEnvironment,
	} {
		id := "shell_" + strings.ReplaceAll(name, " ", "_")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name != "connection missing" {
				s.Connect(t, id, s.Host(), OldPassword(id))
			}
			behaviour(t, Shell{Site: s, Binary: binary, Dir: dir, ConnectionID: id})
		})
	}
	t.Run("engine stopped", func(t *testing.T) {
		s.Connect(t, "shell_stopped", s.Host(), "old")
		engineDown(t, Shell{Site: s, Binary: binary, Dir: t.TempDir(), ConnectionID: "shell_stopped"})
	})
}

func green(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0, "token for "+h.Host(), h.Host()+" accepts the token")
	h.WantOld(t)
	h.Update(t).Want(t, 0, "has the new token")
	h.WantPassword(t, h.Issued())
	done := h.Test(t)
	done.Want(t, 0, "tasks read the new token")
	if !strings.Contains(done.Stdout, `"matches":true`) || !strings.Contains(done.Stdout, `"login":"Login Succeeded"`) {
		t.Errorf("result is %s", done.Stdout)
	}
	h.wantNoSecret(t, done, h.Issued(), OldPassword(h.ConnectionID))
}

// wantNoSecret looks into the output and all files that the steps left.
func (h Shell) wantNoSecret(t *testing.T, last Outcome, secrets ...string) {
	t.Helper()
	texts := map[string]string{"stdout": last.Stdout, "stderr": last.Stderr}
	for _, name := range []string{"token.json", "published.json"} {
		text, err := os.ReadFile(filepath.Join(h.Dir, name))
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

func twice(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	for range 2 {
		h.Update(t).Want(t, 0)
		h.Test(t).Want(t, 0)
	}
	h.WantPassword(t, h.Issued())
}

func dryRun(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	h.Update(t, "ECR_REFRESH_DRY_RUN=True").Want(t, 0, "dry run: ")
	h.WantOld(t)
	h.Test(t).Want(t, 0, "its password is rejected")
}

func inOneProcess(t *testing.T, h Shell) {
	h.Do(t, nil, "run").Want(t, 0, "accepts the token", "has the new token", "Login Succeeded")
	h.WantPassword(t, h.Issued())
}

func registryRejects(t *testing.T, h Shell) {
	h.Extract(t, h.Rejected()...).Want(t, 1, "check token at registry", "login rejected", "ecr-refresh: hint: ")
	h.WantOld(t)
}

func missing(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 2, `update connection "`+h.ConnectionID+`": airflow has no such connection`,
		"ecr-refresh: hint: create it")
}

func otherRegistry(t *testing.T, h Shell) {
	const other = "registry.example.com" // moto's token has the account, which is left out of a connection's host
	h.Connect(t, h.ConnectionID, other, OldPassword(h.ConnectionID))
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 2, other, h.Host(), "or set the host of connection "+h.ConnectionID)
	h.WantOld(t)
}

func viewerMayNot(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	h.Update(t, h.As("viewer")...).Want(t, 2, "airflow answered 403", "hint: the account needs ")
	h.WantOld(t)
}

func wrongPassword(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	code, answer := h.WrongLogin()
	h.Update(t, h.As("wrong")...).Want(t, code, answer, "check login and password of connection airflow-api")
	h.WantOld(t)
}

func overriddenByEnvironment(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	name := "AIRFLOW_CONN_" + strings.ToUpper(h.ConnectionID)
	h.Test(t, "ECR_REFRESH_DOCKER_PASSWORD=another", name+"=docker://AWS:another@"+h.Host()).
		Want(t, 2, "it is overridden", "ecr-refresh: hint: unset "+name)
}

func engineDown(t *testing.T, h Shell) {
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	h.StopEngine(t)
	defer h.StartEngine(t)
	h.Test(t).Want(t, 1, "reach Docker at ", "ecr-refresh: hint: start Docker")
	h.Do(t, h.asTaskSeesIt(t), "test-docker-connection", "--in", "published.json", "--engine", "none").
		Want(t, 0, "asking the registry itself")
}

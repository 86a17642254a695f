package faults

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// TestSecrets runs every command that calls somebody over every fault of every peer, at level debug, and looks for every
// secret in all that was written.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"ecr", "registry", "airflow", "engine"} {
		for _, r := range slices.Concat(answers(peer), network(peer), certificates(peer)) {
			t.Run(peer+"/"+r.fault, func(t *testing.T) {
				t.Parallel()
				s := newSetting(t, "every", 0)
				s.limit = 1500 * time.Millisecond
				r.inject(s)
				for _, args := range everyCommand() {
					s.runs(args...)
				}
				s.wantAlone()
				s.wantNoSecret()
				if r.also != nil {
					r.also(s)
				}
			})
		}
	}
}

func everyCommand() [][]string {
	return [][]string{
		{"extract-ecr-token", "--out", "new.json", "--metrics-file", "m.prom"},
		{"update-docker-connection", "--in", "one.json", "--out", "new2.json"},
		{"test-docker-connection", "--in", "two.json"},
		{"run", "--dry-run"}, {"run", "--out", "r.json"},
		{"status"}, {"doctor"}, {"doctor", "--json"},
		{"setup", "--dry-run"}, {"setup"},
	}
}

// TestSecretsWithoutPeers is the same of the commands that call nobody, so that no fault can reach them.
func TestSecretsWithoutPeers(t *testing.T) {
	t.Parallel()
	s := newSetting(t, "every", 0)
	for _, args := range [][]string{{"plan"}, {"setup", "--print-cli"}} {
		before := len(s.asked())
		s.runs(args...)
		if all := s.asked(); len(all) > before {
			t.Errorf("%v asks %v", args, all[before:])
		}
	}
	s.wantAlone()
	s.wantNoSecret()
}

// asked gives all requests to all peers so far.
func (s *setting) asked() []string {
	return slices.Concat(s.ECR.Requests(), s.Registry.Requests(), s.Airflow.Requests(), s.Engine.Requests(), s.Proxy.Requests())
}

// runs holds a command to what each one promises, however it ends.
func (s *setting) runs(args ...string) {
	s.t.Helper()
	p := s.start(append(args, "--timeout", s.limit.String(), "--log-level", "debug")...)
	o := p.wait()
	if o.exit < 0 || o.exit > 2 || o.took > s.limit+grace || strings.Contains(p.stderr.String(), "goroutine ") {
		s.t.Errorf("%v: exit code %d after %s:\n%s", args, o.exit, o.took, &p.stderr)
	}
}

// TestPanicShowsNoSecret ends the program with the dump of all its goroutines, as a panic does, while it holds the token,
// the login and the JWT.
func TestPanicShowsNoSecret(t *testing.T) {
	t.Parallel()
	for peer, request := range map[string]string{"registry": "GET /v2/", "airflow": "PATCH /api/v2/connections", "engine": "POST /auth"} {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			s := newSetting(t, "ecr", 0)
			s.limit = 30 * time.Second
			s.setenv("GOTRACEBACK", "crash")
			method, path, _ := strings.Cut(request, " ")
			s.peer(peer).Inject(sandbox.Fault{Method: method, Path: path, Delay: time.Hour})
			p := s.start("run", "--log-level", "debug")
			s.await(func() bool { return slices.Contains(s.peer(peer).Requests(), request) })
			must(t, p.cmd.Process.Signal(syscall.SIGQUIT))
			p.wait()
			if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !strings.Contains(p.stderr.String(), "goroutine ") || status.CoreDump() {
				t.Errorf("no dump of goroutines, or one of memory:\n%s", &p.stderr)
			}
			s.wantNoSecret()
		})
	}
}

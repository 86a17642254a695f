package faults

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// TestSecrets runs every command that calls a peer over every fault of that peer and of the way to it, at level debug,
// and looks for every secret in all that was written.
func TestSecrets(t *testing.T) {
	t.Parallel()
	calling := callers(t)
	run := func(r row, commands [][]string) {
		t.Run(r.peer+"/"+r.fault, func(t *testing.T) {
			t.Parallel()
			s := newSetting(t, "every", 0)
			r.inject(s)
			for _, args := range commands {
				s.runs(args...)
			}
			s.wantAlone()
			s.wantNoSecret()
			if r.also != nil {
				r.also(s)
			}
		})
	}
	// ECR and the registries are reached through the proxy: a fault of the proxy applies to all of them.
	way := map[string]string{"airflow": "airflow", "registry": "proxy", "ecr": "proxy", "engine": "engine"}
	for _, peer := range []string{"airflow", "registry", "ecr", "engine"} {
		for _, r := range answers(peer) {
			run(r, calling[peer])
		}
		for _, r := range slices.Concat(network(peer), certificates(peer)) {
			run(r, calling[way[peer]])
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

// callers returns by peer the commands that call it, as they are seen to do where nothing is wrong. Its faults cannot
// reach the other commands.
func callers(t *testing.T) map[string][][]string {
	t.Helper()
	calling, s := map[string][][]string{}, newSetting(t, "every", 0)
	s.limit = patience
	for _, args := range everyCommand() {
		before := map[string]int{}
		for _, peer := range peers() {
			before[peer] = len(s.peer(peer).Requests())
		}
		s.runs(args...)
		for _, peer := range peers() {
			if len(s.peer(peer).Requests()) > before[peer] {
				calling[peer] = append(calling[peer], args)
			}
		}
	}
	for peer, least := range map[string]int{"ecr": 5, "registry": 6, "airflow": 8, "engine": 5} {
		if len(calling[peer]) < least {
			t.Errorf("%d commands call %s, want %d or more: %v", len(calling[peer]), peer, least, calling[peer])
		}
	}
	s.wantNoSecret()
	return calling
}

func peers() []string { return []string{"proxy", "ecr", "registry", "airflow", "engine"} }

// TestSecretsWithoutPeers is the same of the commands that call nobody, so that no fault can reach them.
func TestSecretsWithoutPeers(t *testing.T) {
	t.Parallel()
	s := newSetting(t, "every", 0)
	for _, args := range [][]string{{"plan"}, {"setup", "--print-cli"}} {
		before := len(s.calls())
		s.runs(args...)
		if all := s.calls(); len(all) > before {
			t.Errorf("%v calls %v", args, all[before:])
		}
	}
	s.wantAlone()
	s.wantNoSecret()
}

// calls returns all requests to all peers so far.
func (s *setting) calls() (all []string) {
	for _, peer := range peers() {
		all = append(all, s.peer(peer).Requests()...)
	}
	return all
}

// runs runs a command, and checks what each one promises, however it ends.
func (s *setting) runs(args ...string) {
	s.t.Helper()
	p := s.start(append(args, "--timeout", s.limit.String(), "--log-level", "debug")...)
	o := p.wait()
	if o.exit < 0 || o.exit > 2 || o.took > s.limit+grace || strings.Contains(p.stderr.String(), "goroutine ") {
		s.t.Errorf("%v: exit code %d after %s:\n%s", args, o.exit, o.took, &p.stderr)
	}
}

// TestPanicShowsNoSecret ends the program with the dump of all its goroutines, as a panic does, while it holds the
// token, the login and the JWT.
func TestPanicShowsNoSecret(t *testing.T) {
	t.Parallel()
	for peer, request := range map[string]string{
		"registry": "GET /v2/", "airflow": "PATCH /api/v2/connections", "engine": "POST /auth",
	} {
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
			status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !strings.Contains(p.stderr.String(), "goroutine ") || status.CoreDump() {
				t.Errorf("no dump of goroutines, or one of memory:\n%s", &p.stderr)
			}
			s.wantNoSecret()
		})
	}
}

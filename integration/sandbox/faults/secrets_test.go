package faults

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// TestSecrets runs every command where nothing is wrong, at level debug, and looks for every secret in all that was
// written. Each must call the peers whose faults the rows let it meet, and those that call nobody must not.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := newSetting(t, 0)
	for _, args := range [][]string{
		{"extract-ecr-token", "--out", "new.json", "--metrics-file", "m.prom"},
		{"update-docker-connection", "--in", "one.json", "--out", "new2.json"},
		{"test-docker-connection", "--in", "two.json"},
		{"run", "--dry-run"}, {"run", "--out", "r.json"},
		{"status"}, {"doctor"}, {"doctor", "--json"},
		{"setup", "--dry-run"}, {"setup"}, {"setup", "--print-cli"}, {"plan"},
	} {
		before := map[string]int{}
		for _, peer := range peers {
			before[peer] = len(s.peer(peer).Requests())
		}
		s.start(patience, args...).wantEnd()
		for _, peer := range peers {
			calls := len(s.peer(peer).Requests()) > before[peer]
			meets := slices.ContainsFunc(append(othersOf(peer), stepOf(peer)), func(other []string) bool {
				return slices.Equal(other, args)
			})
			if meets && !calls {
				t.Errorf("%v does not call %s", args, peer)
			}
			if nobody := args[0] == "plan" || slices.Contains(args, "--print-cli"); nobody && calls {
				t.Errorf("%v calls %s", args, peer)
			}
		}
	}
	s.wantAlone()
	s.wantNoSecret()
}

var peers = []string{"proxy", "ecr", "registry", "airflow", "engine"}

// TestPanicShowsNoSecret ends the program with the dump of all its goroutines, as a panic does, while it holds the
// token, the login and the JWT.
func TestPanicShowsNoSecret(t *testing.T) {
	t.Parallel()
	for peer, request := range map[string]string{
		"registry": "GET /v2/", "airflow": "PATCH /api/v2/connections", "engine": "POST /auth",
	} {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			s := newSetting(t, 0)
			s.setenv("GOTRACEBACK", "crash")
			method, path, _ := strings.Cut(request, " ")
			s.peer(peer).Inject(sandbox.Fault{Method: method, Path: path, Delay: time.Hour})
			p := s.start(30*time.Second, "run")
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

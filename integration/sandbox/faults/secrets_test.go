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
// written. The first calls nobody.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := newSetting(t, 0)
	s.start(patience, "plan").wantEnd()
	for _, peer := range []string{"proxy", "airflow", "engine"} {
		if asked := s.peer(peer).Requests(); len(asked) > 0 {
			t.Errorf("%s was asked: %v", peer, asked)
		}
	}
	for _, args := range []string{
		"extract-ecr-token --out new.json --metrics-file m.prom",
		"update-docker-connection --in one.json --out new2.json", "test-docker-connection --in two.json",
		"run --dry-run", "run --out r.json", "status", "doctor", "doctor --json", "setup --dry-run", "setup",
	} {
		s.start(patience, strings.Fields(args)...).wantEnd()
	}
	s.wantAlone()
	s.wantNoSecret()
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

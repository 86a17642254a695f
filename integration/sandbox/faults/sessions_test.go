package faults

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// sessions are JWTs that Airflow no longer accepts: one new login, and no loop.
func sessions() (all []row) {
	for _, j := range []struct {
		fault, detail       string
		exit, status, times int
	}{
		{"JWT expires between two calls", "Token Expired", 0, 401, 1},
		{"JWT is revoked between two calls", "Invalid JWT token", 0, 403, 1},
		{"API servers disagree on the JWT secret", "Invalid JWT token", 2, 403, 0},
	} {
		f := saying(j.status, fmt.Sprintf(`{"detail":%q}`, j.detail), jsonType)
		f.Method, f.Path, f.Times = "PATCH", "/api/v2/connections", j.times
		all = append(all, row{peer: "airflow", fault: j.fault, exit: j.exit,
			error:  "the JWT of a new login is rejected: ",
			inject: func(s *setting) { s.Airflow.Inject(f) },
			also: func(s *setting) {
				if n := s.Airflow.Logins(); n != 2 {
					s.t.Errorf("%d logins, want 2", n)
				}
				if j.exit == 0 {
					s.wantPublished()
				}
			}})
	}
	return all
}

func (s *setting) wantPublished() {
	if s.password() != s.ECR.LastToken().Password {
		s.t.Error("nothing was published")
	}
}

// waits has a row for each request of a whole run, and for other places where the program waits: SIGTERM ends it there.
func waits(t *testing.T) (all []row) {
	s := newSetting(t, 0)
	s.good("run")
	for _, peer := range []string{"proxy", "ecr", "registry", "airflow", "engine"} {
		asked := s.peer(peer).Requests()
		slices.Sort(asked)
		for _, request := range slices.Compact(asked) {
			all = append(all, hanging(peer, "it waits for "+strings.TrimSpace(request), request,
				sandbox.Fault{Delay: time.Hour}))
		}
	}
	pause := hanging("airflow", "it waits as long as Airflow asked to", "POST /auth/token",
		saying(503, "", plain, "Retry-After", "25"))
	return append(all, pause, atStdin(), beforeAnswer("airflow"), beforeAnswer("ecr"))
}

// sigterm ends a row's program where it waits: inject says how to see that.
func sigterm(peer, where string, args []string, inject func(*setting)) row {
	return row{peer: peer, fault: "SIGTERM while " + where, args: args, exit: terminated, error: "ended by terminated",
		inject: func(s *setting) {
			s.limit = 30 * time.Second
			inject(s)
		}}
}

// hanging is SIGTERM while a request waits for its answer.
func hanging(peer, where, request string, f sandbox.Fault) row {
	f.Method, f.Path, _ = strings.Cut(request, " ")
	return sigterm(peer, where, []string{"run", "--out", "r.json"}, func(s *setting) {
		s.peer(peer).Inject(f)
		s.waits = func() bool { return slices.Contains(s.peer(peer).Requests(), request) }
	})
}

// atStdin is SIGTERM while the program reads a document that does not end.
func atStdin() row {
	return sigterm("files", "it reads stdin", []string{"update-docker-connection", "--in", "-"}, func(s *setting) {
		reader, writer, err := os.Pipe()
		must(s.t, err)
		s.stdin = reader
		s.t.Cleanup(func() { reader.Close(); writer.Close() })
		var read atomic.Bool
		s.waits = read.Load
		go func() { // more than a pipe of the kernel holds: somebody reads
			_, _ = io.WriteString(writer, strings.Repeat(" ", 256<<10))
			read.Store(true)
		}()
	})
}

// beforeAnswer is SIGTERM while the peer, or the proxy before it, has taken the connection and says nothing at all.
func beforeAnswer(peer string) row {
	return sigterm(peer, "the connection is silent", nil, func(s *setting) {
		var asked atomic.Bool
		s.waits = asked.Load
		s.leadTo(peer, s.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked.Store(true)
			_, _ = io.Copy(io.Discard, r.Body) // the end of the connection is seen only behind the body
			<-r.Context().Done()
		})))
	})
}

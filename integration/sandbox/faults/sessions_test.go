package faults

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// sessions are JWTs that Airflow no longer accepts: one new login, and no loop.
func sessions() (all []row) {
	add := func(fault string, exit int, status int, detail string, times int) {
		r := row{peer: "airflow", fault: fault, exit: exit, error: "the JWT of a new login is rejected: "}
		r.inject = func(s *setting) {
			s.Airflow.Inject(sandbox.Fault{Method: "PATCH", Path: "/api/v2/connections", Times: times, Status: status,
				Header: header("Content-Type", "application/json"), Body: fmt.Sprintf(`{"detail":%q}`, detail)})
		}
		r.also = func(s *setting) {
			if n := s.Airflow.Logins(); n != 2 {
				s.t.Errorf("%d logins, want 2", n)
			}
			if exit == 0 && s.password() == s.old {
				s.t.Error("nothing was published")
			}
		}
		all = append(all, r)
	}
	add("JWT expires between two calls", 0, 401, "Token Expired", 1)
	add("JWT is revoked between two calls", 0, 403, "Invalid JWT token", 1)
	add("API servers disagree on the JWT secret", 2, 403, "Invalid JWT token", 0)
	return all
}

// waits has a row for each request of a whole run, and for other places where the program waits: SIGTERM ends it there.
func waits(t *testing.T) (all []row) {
	s := newSetting(t, "ecr", 0)
	s.good("run")
	for _, peer := range []string{"proxy", "ecr", "registry", "airflow", "engine"} {
		asked := s.peer(peer).Requests()
		slices.Sort(asked)
		for _, request := range slices.Compact(asked) {
			all = append(all, hanging(peer, request, sandbox.Fault{Delay: time.Hour}))
		}
	}
	pause := hanging("airflow", "POST /auth/token", sandbox.Fault{Status: 503, Header: header("Retry-After", "25")})
	pause.fault = "SIGTERM while it waits as long as Airflow asked to"
	return append(all, pause, atStdin(), beforeAnswer("airflow"), beforeAnswer("ecr"))
}

// hanging is SIGTERM while a request waits for its answer.
func hanging(peer, request string, f sandbox.Fault) row {
	f.Method, f.Path, _ = strings.Cut(request, " ")
	return row{peer: peer, from: "ecr", fault: "SIGTERM while it waits for " + strings.TrimSpace(request),
		exit: terminated, error: "ended by terminated",
		inject: func(s *setting) {
			s.args, s.limit = []string{"run", "--out", "r.json"}, 30*time.Second
			s.peer(peer).Inject(f)
		},
		until: func(s *setting) bool { return slices.Contains(s.peer(peer).Requests(), request) },
	}
}

// atStdin is SIGTERM while the program reads a document that does not end.
func atStdin() row {
	return row{peer: "files", fault: "SIGTERM while it reads stdin", exit: terminated, error: "ended by terminated",
		inject: func(s *setting) {
			reader, writer, err := os.Pipe()
			must(s.t, err)
			s.stdin, s.args = reader, []string{"update-docker-connection", "--in", "-"}
			s.t.Cleanup(func() { reader.Close(); writer.Close() })
			s.until = make(chan struct{})
			go func() { // more than a pipe of the kernel holds: somebody reads
				_, _ = io.WriteString(writer, strings.Repeat(" ", 256<<10))
				close(s.until)
			}()
		},
		until: func(s *setting) bool { return closed(s.until) },
	}
}

// beforeAnswer is SIGTERM while a peer has taken the connection and says nothing at all.
func beforeAnswer(peer string) row {
	return row{peer: peer, fault: "SIGTERM while the connection is silent",
		exit: terminated, error: "ended by terminated",
		inject: func(s *setting) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			must(s.t, err)
			s.t.Cleanup(func() { listener.Close() })
			s.limit, s.until = 30*time.Second, make(chan struct{})
			s.leadTo(peer, listener.Addr().String())
			go func() {
				if conn, err := listener.Accept(); err == nil {
					close(s.until)
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		},
		until: func(s *setting) bool { return closed(s.until) },
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

package faults

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"ecr-refresh/integration/sandbox"
)

// peers are the services: the step that asks one first, and for the registry the one that asks nobody before it; how an
// error line names it and the object; what the hint asks when another program answers in its place.
var peers = map[string]struct{ step, named, stranger string }{
	"ecr": {extract + " --out new.json", "extract token of account 123456789012 in us-east-1: ",
		"check AWS_ENDPOINT_URL and HTTPS_PROXY"},
	"registry": {update, "check token at registry 123456789012.dkr.ecr", ""},
	"airflow":  {update, `update connection "docker_default": `, "host, port and base path"},
	"engine":   {"test-docker-connection --in two.json", "reach Docker at ", "DOCKER_TLS_VERIFY lead to Docker"},
}

const extract, update = "extract-ecr-token", "update-docker-connection --in one.json"

// answers are faults in what a peer answers over HTTP.
func answers(peer string) []row {
	// others are the exit codes that are not 1, by peer. Of a registry the status alone is read.
	says := func(fault string, others map[string]int, because, advises string, f sandbox.Fault) row {
		exit, other := others[peer]
		if !other {
			exit = 1
		}
		return row{fault: fault, exit: exit, because: because, advises: advises, inject: func(s *setting) {
			s.peer(peer).Inject(f)
			if f.Header.Get("Content-Encoding") != "" && peer == "engine" {
				s.leadTo(peer, s.serve(s.Engine)) // nothing is compressed on a socket
			}
		}}
	}
	const again = "again"
	stranger, anotherProgram := peers[peer].stranger, map[string]int{"airflow": 2, "engine": 2, "registry": 0}
	all := []row{
		says("no answer", nil, "", "", sandbox.Fault{Drop: true}),
		says("hangs", nil, inVain, "", sandbox.Fault{Delay: time.Hour}),
		says("answers 429, Retry-After 1 s", nil, "answered 429", again, saying(429, "", plain, "Retry-After", "1")),
		says("answers 429, Retry-After an hour", nil, "answered 429", again,
			saying(429, "", plain, "Retry-After", "3600")),
		says("cut JSON", map[string]int{"airflow": 2, "registry": 0}, "JSON", stranger,
			saying(200, cutJSON, jsonType)),
		says("ends in the middle of the body", map[string]int{"registry": 0}, "", "",
			saying(200, cutJSON, jsonType, "Content-Length", "900")),
		says("another content type", anotherProgram, "answered 200 with", stranger, saying(200, "hello", plain)),
		says("HTML of a proxy", anotherProgram, "answered 200 with", stranger,
			saying(200, "<html>log in</html>", "text/html")),
		says("endless body", anotherProgram, "is longer than", "", endless(200)),
		says("gzip bomb", anotherProgram, "is longer than", "", bomb(200)),
		says("hostile words", map[string]int{"airflow": 2}, "", "", saying(400, hostile, jsonType)),
		redirect(peer, 302), redirect(peer, 307),
	}
	if peer == "engine" {
		all = append(all, says("endless body of an error", nil, "answered 500", "", endless(500)),
			says("gzip bomb of an error", nil, "answered 500", "", bomb(500)))
	}
	for _, status := range []int{429, 500, 502, 503, 504} {
		answered := fmt.Sprintf("answered %d", status)
		all = append(all, says(fmt.Sprintf("answers %d", status), nil, answered, again, saying(status, "no", plain)))
	}
	return all
}

const jsonType, plain = "application/json", "text/plain"

// saying is an answer with a body, and pairs of a header.
func saying(status int, body, contentType string, pairs ...string) sandbox.Fault {
	header := http.Header{"Content-Type": {contentType}}
	for pair := range slices.Chunk(pairs, 2) {
		header.Set(pair[0], pair[1])
	}
	return sandbox.Fault{Status: status, Header: header, Body: body}
}

func endless(status int) sandbox.Fault {
	f := saying(status, longJSON, jsonType)
	f.Endless = true
	return f
}

var longJSON = `{"message":"` + strings.Repeat("x", 1<<20)

// bomb is an answer that unpacks to twice the memory that the program may take.
func bomb(status int) sandbox.Fault {
	return saying(status, packed(), jsonType, "Content-Encoding", "gzip")
}

var packed = sync.OnceValue(func() string {
	var text bytes.Buffer
	out := gzip.NewWriter(&text)
	for range 2 * mostMemory / len(longJSON) {
		_, _ = io.WriteString(out, longJSON)
	}
	_ = out.Close()
	return text.String()
})

// redirect leads to a server that nobody may ask.
func redirect(peer string, status int) row {
	return row{fault: fmt.Sprintf("redirect (%d) to another host", status), exit: 2,
		because: fmt.Sprintf("answered %d, a redirect to", status), inject: func(s *setting) {
			trap := s.serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				s.t.Error("a redirect was followed")
			}))
			s.peer(peer).Inject(saying(status, "", plain, "Location", "http://"+trap+"/v2/"))
		}}
}

const (
	cutJSON      = `{"authorizationData":[{"author`
	hostile      = `{"__type":"X","detail":"` + hostileWords + `","message":"` + hostileWords + `"}`
	hostileWords = `a \u001b[31mred\u001b[0m \u009b7m\u202eword\n::group::x\necr-refresh: error: forged`
)

// network returns faults of the network before a peer, most of them made by toxiproxy. ECR and the registries are
// reached through the HTTPS proxy.
func network(peer string) []row {
	leads := func(fault, address string) row {
		return row{fault: fault, exit: 1, inject: func(s *setting) { s.leadTo(peer, address) }}
	}
	toxic := func(fault, because, toxic string) row {
		return row{fault: fault, exit: 1, because: because, inject: func(s *setting) {
			s.leadTo(peer, s.toxic(peer, toxic))
		}}
	}
	return []row{
		leads("connection refused", "127.0.0.1:1"),
		leads("no such host", peer+".invalid:8080"),
		toxic("reset", "connection reset", `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`),
		toxic("reset in the middle of the request", "",
			`{"type":"limit_data","stream":"upstream","attributes":{"bytes":40}}`),
		toxic("reset in the middle of an answer", "",
			`{"type":"limit_data","stream":"downstream","attributes":{"bytes":90}}`),
		toxic("slow drip", inVain, `{"type":"slicer","stream":"downstream",`+
			`"attributes":{"average_size":1,"size_variation":0,"delay":200000}}`),
		toxic("silence", inVain, `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`),
	}
}

// toxic puts toxiproxy between the program and a peer, and returns its address.
func (s *setting) toxic(peer, toxic string) string {
	upstream := s.Proxy.URL().Host
	switch peer {
	case "airflow":
		upstream = strings.TrimPrefix(s.Airflow.URL(), "http://")
	case "engine":
		upstream = s.serve(s.Engine)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, peer, "127.0.0.1:0", upstream)
	must(s.t, proxy.Start())
	s.t.Cleanup(proxy.Stop)
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	must(s.t, err)
	return proxy.Listen
}

// leadTo makes the program look for a peer at address.
func (s *setting) leadTo(peer, address string) {
	host, port, err := net.SplitHostPort(address)
	must(s.t, err)
	switch peer {
	case "airflow":
		s.setenv("ECR_REFRESH_AIRFLOW_HOST", host)
		s.setenv("ECR_REFRESH_AIRFLOW_PORT", port)
	case "engine":
		s.setenv("DOCKER_HOST", "tcp://"+address)
	default:
		s.throughProxy(address)
		return
	}
	s.setenv("NO_PROXY", "127.0.0.1,localhost,"+host)
}

// withoutProxy: NO_PROXY names a host, and the proxy is not asked for it. The name is none that anybody has.
func withoutProxy(peer, more string) row {
	const suffix = "example.invalid"
	target := `[{"connection_id":"docker_default","registry":"123456789012.dkr.ecr.us-east-1.` + suffix +
		`","partition_suffix":"` + suffix + `"` + more + `}]`
	return row{peer: peer, args: extract, fault: "NO_PROXY, and no such host", exit: 1, error: peers[peer].named,
		inject: func(s *setting) {
			s.setenv("NO_PROXY", "127.0.0.1,localhost,."+suffix)
			s.setenv("AIRFLOW_VAR_ECR_TARGETS", target)
		}}
}

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
			error: "the JWT of a new login is rejected: ", advises: "jwt_secret",
			inject: func(s *setting) { s.Airflow.Inject(f) },
			also: func(s *setting) {
				if n := s.Airflow.Logins(); n != 2 {
					s.t.Errorf("%d logins, want 2", n)
				}
				if j.exit == 0 {
					s.wantNew()
				}
			}})
	}
	return all
}

func (s *setting) wantNew() {
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
	return append(all,
		hanging("airflow", "it waits as long as Airflow asked to", "POST /auth/token",
			saying(503, "", plain, "Retry-After", "25")),
		sigterm("files", "it reads stdin", "update-docker-connection --in -", (*setting).endlessStdin),
		beforeAnswer("airflow"), beforeAnswer("ecr"))
}

// sigterm ends a row's program where it waits: inject says how to see that.
func sigterm(peer, where, args string, inject func(*setting)) row {
	return row{peer: peer, fault: "SIGTERM while " + where, args: args, exit: terminated, error: "ended by terminated",
		inject: inject}
}

// hanging is SIGTERM while a request waits for its answer.
func hanging(peer, where, request string, f sandbox.Fault) row {
	f.Method, f.Path, _ = strings.Cut(request, " ")
	return sigterm(peer, where, "run --out r.json", func(s *setting) {
		s.peer(peer).Inject(f)
		s.waits = func() bool { return slices.Contains(s.peer(peer).Requests(), request) }
	})
}

// endlessStdin is a document that does not end.
func (s *setting) endlessStdin() {
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
}

// beforeAnswer is SIGTERM while the peer, or the proxy before it, has taken the connection and says nothing at all.
func beforeAnswer(peer string) row {
	return sigterm(peer, "the connection is silent", "", func(s *setting) {
		var asked atomic.Bool
		s.waits = asked.Load
		s.leadTo(peer, s.serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked.Store(true)
			_, _ = io.Copy(io.Discard, r.Body) // the end of the connection is seen only behind the body
			<-r.Context().Done()
		})))
	})
}

package faults

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"ecr-refresh/integration/sandbox"
)

// named returns how an error line names a peer and the object.
func named(peer string) string {
	return map[string]string{
		"ecr":      "extract token of account 123456789012 in us-east-1: ",
		"registry": "check token at registry 123456789012.dkr.ecr",
		"airflow":  `update connection "docker_default": `,
		"engine":   "reach Docker at ",
	}[peer]
}

// answers returns faults in what a peer answers over HTTP. exits has the exit codes that are not 1, by peer.
func answers(peer string) (all []row) {
	add := func(name string, exits map[string]int, because, advises string, f sandbox.Fault) {
		exit, other := exits[peer]
		if !other {
			exit = 1
		}
		all = append(all, row{peer: peer, fault: name, exit: exit,
			error: named(peer), because: because, advises: advises,
			inject: func(s *setting) {
				if f.Header.Get("Location") != "" {
					f.Header.Set("Location", s.Trap.url+"/v2/")
				}
				s.peer(peer).Inject(f)
			}})
	}
	const again = "again"
	strange := stranger(peer)
	anotherProgram := map[string]int{"airflow": 2, "engine": 2, "registry": 0} // of a registry the status alone is read
	add("no answer", nil, "", "", sandbox.Fault{Drop: true})
	add("hangs", nil, inVain, "", sandbox.Fault{Delay: time.Hour})
	for _, status := range []int{429, 500, 502, 503, 504} {
		add(fmt.Sprintf("answers %d", status), nil, fmt.Sprintf("answered %d", status), again,
			sandbox.Fault{Status: status, Body: "no"})
	}
	add("answers 429, Retry-After 1 s", nil, "answered 429", again,
		sandbox.Fault{Status: 429, Header: header("Retry-After", "1")})
	add("answers 429, Retry-After an hour", nil, "answered 429", again,
		sandbox.Fault{Status: 429, Header: header("Retry-After", "3600")})
	add("cut JSON", map[string]int{"airflow": 2, "registry": 0}, "JSON", strange,
		sandbox.Fault{Status: 200, Header: header("Content-Type", "application/json"),
			Body: `{"authorizationData":[{"author`})
	add("ends in the middle of the body", map[string]int{"registry": 0}, "", "",
		sandbox.Fault{Status: 200, Header: header("Content-Type", "application/json", "Content-Length", "900"),
			Body: `{"authorizationData":[{"author`})
	add("another content type", anotherProgram, "answered 200 with", strange,
		sandbox.Fault{Status: 200, Header: header("Content-Type", "text/plain"), Body: "hello"})
	add("HTML of a proxy", anotherProgram, "answered 200 with", strange,
		sandbox.Fault{Status: 200, Header: header("Content-Type", "text/html"), Body: "<html>log in</html>"})
	add("endless body", anotherProgram, "is longer than", "",
		sandbox.Fault{Status: 200, Header: header("Content-Type", "application/json"),
			Body: `{"a":"` + strings.Repeat("x", 1<<20), Endless: true})
	for _, status := range []int{302, 307} {
		add(fmt.Sprintf("redirect (%d) to another host", status),
			map[string]int{"ecr": 2, "registry": 2, "airflow": 2, "engine": 2},
			fmt.Sprintf("answered %d, a redirect to", status), "",
			sandbox.Fault{Status: status, Header: header("Location", "…")})
	}
	add("hostile words", map[string]int{"airflow": 2}, "", "",
		sandbox.Fault{Status: 400, Header: header("Content-Type", "application/json"), Body: hostile})
	for i := range all {
		if all[i].fault == "hostile words" {
			all[i].also = (*setting).wantTame
		}
	}
	return all
}

// stranger returns what the hint asks when another program answers in the place of a peer.
func stranger(peer string) string {
	return map[string]string{"ecr": "check AWS_ENDPOINT_URL and HTTPS_PROXY",
		"airflow": "host, port and base path", "engine": "DOCKER_TLS_VERIFY lead to Docker"}[peer]
}

const (
	hostile      = `{"__type":"X","detail":"` + hostileWords + `","message":"` + hostileWords + `"}`
	hostileWords = `a \u001b[31mred\u001b[0m word\n::group::x\necr-refresh: error: forged`
)

// wantTame: a server's words stay on the error's line, without a colour and without Airflow's marks.
func (s *setting) wantTame() {
	for _, text := range s.texts {
		if strings.Contains(text, "\x1b") || strings.Contains(text, "[31m") || strings.Contains(text, "::group::") ||
			strings.Contains(text, "\necr-refresh: error: forged") {
			s.t.Errorf("a server's words do harm: %q", text)
		}
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for pair := range slices.Chunk(pairs, 2) {
		h.Set(pair[0], pair[1])
	}
	return h
}

// network returns faults of the network before a peer, most of them made by toxiproxy. ECR and the registries are
// reached through the HTTPS proxy.
func network(peer string) (all []row) {
	add := func(name, because string, inject func(*setting)) {
		all = append(all, row{peer: peer, fault: name, exit: 1, error: named(peer), because: because, inject: inject})
	}
	toxic := func(toxic string) func(*setting) { return func(s *setting) { s.leadTo(peer, s.toxic(peer, toxic)) } }
	add("connection refused", "", toxic(""))
	add("reset", "connection reset", toxic(`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`))
	add("reset in the middle of the request", "",
		toxic(`{"type":"limit_data","stream":"upstream","attributes":{"bytes":40}}`))
	add("reset in the middle of an answer", "",
		toxic(`{"type":"limit_data","stream":"downstream","attributes":{"bytes":90}}`))
	add("slow drip", inVain, toxic(`{"type":"slicer","stream":"downstream",`+
		`"attributes":{"average_size":1,"size_variation":0,"delay":200000}}`))
	add("silence", inVain, toxic(`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`))
	add("no such host", "", func(s *setting) { s.leadTo(peer, peer+".invalid:8080") })
	all[len(all)-1].also = (*setting).wantNoProxy
	return all
}

// toxic puts toxiproxy between the program and a peer, and returns its address. Without a toxic nobody listens.
func (s *setting) toxic(peer, toxic string) string {
	if toxic == "" {
		return s.closedPort()
	}
	upstream := s.Proxy.URL().Host
	switch peer {
	case "airflow":
		upstream = strings.TrimPrefix(s.Airflow.URL(), "http://")
	case "engine":
		upstream = s.engineTCP()
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, peer, "127.0.0.1:0", upstream)
	must(s.t, proxy.Start())
	s.t.Cleanup(proxy.Stop)
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	must(s.t, err)
	return proxy.Listen
}

// closedPort returns an address at which nobody listens, and no other row can: the port is bound.
func (s *setting) closedPort() string {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(s.t, err)
	syscall.CloseOnExec(socket)
	s.t.Cleanup(func() { _ = syscall.Close(socket) })
	must(s.t, syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	address, err := syscall.Getsockname(socket)
	must(s.t, err)
	return fmt.Sprintf("127.0.0.1:%d", address.(*syscall.SockaddrInet4).Port)
}

// leadTo makes the program look for a peer at address. The registry is asked by step 2 first: ECR is well.
func (s *setting) leadTo(peer, address string) {
	host, port, _ := strings.Cut(address, ":")
	switch peer {
	case "airflow":
		s.setenv("ECR_REFRESH_AIRFLOW_HOST", host)
		s.setenv("ECR_REFRESH_AIRFLOW_PORT", port)
		s.setenv("NO_PROXY", "127.0.0.1,localhost,"+host)
	case "engine":
		s.setenv("DOCKER_HOST", "tcp://"+address)
		s.setenv("NO_PROXY", "127.0.0.1,localhost,"+host)
	case "registry":
		s.extracted()
		fallthrough
	default:
		s.throughProxy(address, s.proxyPassword)
	}
}

// withoutProxy: NO_PROXY names a host, and the proxy is not asked for it. The name is none that anybody has.
func withoutProxy() (all []row) {
	const suffix = "example.invalid"
	target := `[{"connection_id":"docker_default","registry":"123456789012.dkr.ecr.us-east-1.` + suffix +
		`","partition_suffix":"` + suffix + `"%s}]`
	for peer, more := range map[string]string{
		"ecr": "", "registry": `,"endpoint":"https://api.ecr.us-east-1.amazonaws.com"`,
	} {
		all = append(all, row{peer: peer, from: "ecr", fault: "NO_PROXY, and no such host", exit: 1, error: named(peer),
			inject: func(s *setting) {
				s.setenv("NO_PROXY", "127.0.0.1,localhost,."+suffix)
				s.setenv("AIRFLOW_VAR_ECR_TARGETS", fmt.Sprintf(target, more))
			}, also: (*setting).wantNoProxy})
	}
	return all
}

// wantNoProxy: the sandbox's proxy was asked for no host but those that it answers for.
func (s *setting) wantNoProxy() {
	if refused := s.Proxy.Refused(); len(refused) > 0 {
		s.t.Errorf("the proxy was asked for %v", refused)
	}
}

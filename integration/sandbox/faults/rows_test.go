package faults

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"ecr-refresh/integration/sandbox"
)

// named is how an error line names a peer and the object.
var named = map[string]string{
	"ecr":      "extract token of account 123456789012 in us-east-1: ",
	"registry": "check token at registry 123456789012.dkr.ecr",
	"airflow":  `update connection "docker_default": `,
	"engine":   "reach Docker at ",
}

// stranger is what the hint asks when another program answers in the place of a peer.
var stranger = map[string]string{
	"ecr":     "check AWS_ENDPOINT_URL and HTTPS_PROXY",
	"airflow": "host, port and base path",
	"engine":  "DOCKER_TLS_VERIFY lead to Docker",
}

// answer is a fault in what a peer answers over HTTP.
type answer struct {
	fault            string
	exits            map[string]int // those that are not 1, by peer
	because, advises string
	sandbox.Fault
}

func answers(peer string) (all []row) {
	const again = "again"
	anotherProgram := map[string]int{"airflow": 2, "engine": 2, "registry": 0} // of a registry the status alone is read
	list := []answer{
		{"no answer", nil, "", "", sandbox.Fault{Drop: true}},
		{"hangs", nil, inVain, "", sandbox.Fault{Delay: time.Hour}},
		{"answers 429, Retry-After 1 s", nil, "answered 429", again, saying(429, "", plain, "Retry-After", "1")},
		{"answers 429, Retry-After an hour", nil, "answered 429", again, saying(429, "", plain, "Retry-After", "3600")},
		{"cut JSON", map[string]int{"airflow": 2, "registry": 0}, "JSON", stranger[peer],
			saying(200, cutJSON, jsonType)},
		{"ends in the middle of the body", map[string]int{"registry": 0}, "", "",
			saying(200, cutJSON, jsonType, "Content-Length", "900")},
		{"another content type", anotherProgram, "answered 200 with", stranger[peer], saying(200, "hello", plain)},
		{"HTML of a proxy", anotherProgram, "answered 200 with", stranger[peer],
			saying(200, "<html>log in</html>", "text/html")},
		{"endless body", anotherProgram, "is longer than", "", endless()},
		{"hostile words", map[string]int{"airflow": 2}, "", "", saying(400, hostile, jsonType)},
	}
	for _, status := range []int{429, 500, 502, 503, 504} {
		list = append(list, answer{fmt.Sprintf("answers %d", status), nil, fmt.Sprintf("answered %d", status), again,
			saying(status, "no", plain)})
	}
	for _, a := range list {
		exit, other := a.exits[peer]
		if !other {
			exit = 1
		}
		all = append(all, row{peer: peer, fault: a.fault, exit: exit, error: named[peer], because: a.because,
			advises: a.advises, inject: func(s *setting) { s.peer(peer).Inject(a.Fault) }})
	}
	return append(all, redirect(peer, 302), redirect(peer, 307))
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

func endless() sandbox.Fault {
	f := saying(200, `{"a":"`+strings.Repeat("x", 1<<20), jsonType)
	f.Endless = true
	return f
}

// redirect leads to a server that nobody may ask.
func redirect(peer string, status int) row {
	return row{peer: peer, fault: fmt.Sprintf("redirect (%d) to another host", status), exit: 2, error: named[peer],
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
	hostileWords = `a \u001b[31mred\u001b[0m word\n::group::x\necr-refresh: error: forged`
)

// network returns faults of the network before a peer, most of them made by toxiproxy. ECR and the registries are
// reached through the HTTPS proxy.
func network(peer string) (all []row) {
	toxic := func(toxic string) func(*setting) { return func(s *setting) { s.leadTo(peer, s.toxic(peer, toxic)) } }
	for _, n := range []struct {
		fault, because string
		inject         func(*setting)
	}{
		{"connection refused", "", func(s *setting) { s.leadTo(peer, "127.0.0.1:1") }},
		{"reset", "connection reset", toxic(`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`)},
		{"reset in the middle of the request", "",
			toxic(`{"type":"limit_data","stream":"upstream","attributes":{"bytes":40}}`)},
		{"reset in the middle of an answer", "",
			toxic(`{"type":"limit_data","stream":"downstream","attributes":{"bytes":90}}`)},
		{"slow drip", inVain, toxic(`{"type":"slicer","stream":"downstream",` +
			`"attributes":{"average_size":1,"size_variation":0,"delay":200000}}`)},
		{"silence", inVain, toxic(`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)},
		{"no such host", "", func(s *setting) { s.leadTo(peer, peer+".invalid:8080") }},
	} {
		all = append(all, row{peer: peer, fault: n.fault, exit: 1, error: named[peer], because: n.because,
			inject: n.inject})
	}
	return all
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
		s.setenv("NO_PROXY", "127.0.0.1,localhost,"+host)
	case "engine":
		s.setenv("DOCKER_HOST", "tcp://"+address)
		s.setenv("NO_PROXY", "127.0.0.1,localhost,"+host)
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
		all = append(all, row{peer: peer, args: stepOf("ecr"), fault: "NO_PROXY, and no such host", exit: 1,
			error: named[peer], inject: func(s *setting) {
				s.setenv("NO_PROXY", "127.0.0.1,localhost,."+suffix)
				s.setenv("AIRFLOW_VAR_ECR_TARGETS", fmt.Sprintf(target, more))
			}})
	}
	return all
}

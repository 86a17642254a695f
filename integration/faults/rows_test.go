package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"ecr-refresh/integration/sandbox"
)

var (
	ports   = regexp.MustCompile(`(?:127\.0\.0\.1|airflow\.invalid):\d+`)
	sockets = regexp.MustCompile(`unix:///[^\s:]+|/tmp/[^\s"]+`)
)

// said is a word of the peer's in its error lines.
var said = map[string]string{"ecr": "extract token of account 123456789012 in us-east-1: ", "registry": "check token at registry 123456789012.dkr.ecr", "airflow": `connection "docker_default": `, "engine": "Docker Engine"}

func rows() (all []row) {
	for _, peer := range []string{"ecr", "registry", "airflow", "engine"} {
		all = append(all, answers(peer)...)
	}
	for _, peer := range []string{"ecr", "registry", "airflow"} {
		all = append(all, network(peer)...)
	}
	all = append(all, certificates()...)
	return append(all, local()...)
}

// answers are faults in what a peer says over HTTP. Exit codes that are not 1 are named by peer.
func answers(peer string) (all []row) {
	add := func(name string, exits map[string]int, f sandbox.Fault) {
		exit, other := exits[peer]
		if !other {
			exit = 1
		}
		all = append(all, row{peer, name, exit, said[peer], func(s *setting) { s.inject(peer, f) }})
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	add("no answer", nil, sandbox.Fault{Drop: true})
	add("hangs", nil, sandbox.Fault{Delay: time.Hour})
	for _, status := range []int{429, 500, 502, 503, 504} {
		add(fmt.Sprintf("answers %d", status), nil, sandbox.Fault{Status: status, Body: "no"})
	}
	add("answers 429, Retry-After an hour", nil, sandbox.Fault{Status: 429, Header: header("Retry-After", "3600")})
	add("cut JSON", map[string]int{"registry": 0, "airflow": 2}, sandbox.Fault{Status: 200, Header: header("Content-Type", "application/json"), Body: `{"authorizationData":[{"author`})
	add("another content type", map[string]int{"registry": 0, "airflow": 2}, sandbox.Fault{Status: 200, Header: header("Content-Type", "text/plain"), Body: "hello"})
	add("a proxy's HTML", map[string]int{"registry": 0, "airflow": 2}, sandbox.Fault{Status: 200, Header: header("Content-Type", "text/html"), Body: "<html>login</html>"})
	add("endless body", map[string]int{"registry": 0, "airflow": 2}, sandbox.Fault{Status: 200, Header: header("Content-Type", "application/json"), Body: strings.Repeat(" ", 32<<20)})
	add("redirect to another host", map[string]int{"registry": 2, "airflow": 2}, sandbox.Fault{Status: 307, Header: header("Location", "https://evil.example.com/")})
	add("hostile words", map[string]int{"airflow": 2}, sandbox.Fault{Status: 400, Header: header("Content-Type", "application/json"),
		Body: "{\"detail\":\"a\\u001b[31m\\n::group::x\\necr-refresh: error: forged\",\"message\":\"a\\u001b[31m\\n::group::x\\necr-refresh: error: forged\",\"__type\":\"X\"}"})
	return all
}

// network are faults of the way to a peer, made by toxiproxy. ECR and the registries are reached through the HTTPS proxy.
func network(peer string) (all []row) {
	add := func(name string, exit int, toxic string) {
		all = append(all, row{peer, name, exit, said[peer], func(s *setting) { s.toxic(peer, toxic) }})
	}
	add("connection refused", 1, "")
	add("reset", 1, `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`)
	add("reset in the middle of an answer", 1, `{"type":"limit_data","stream":"downstream","attributes":{"bytes":90}}`)
	add("slow drip", 1, `{"type":"slicer","stream":"downstream","attributes":{"average_size":1,"size_variation":0,"delay":200000}}`)
	add("silence", 1, `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
	return all
}

// toxic puts toxiproxy between the program and a peer. Without a toxic nobody listens.
func (s *setting) toxic(peer, toxic string) {
	upstream, name := strings.TrimPrefix(s.Airflow.URL(), "http://"), "ECR_REFRESH_AIRFLOW_PORT"
	if peer != "airflow" {
		upstream, name = s.Proxy.URL().Host, "HTTPS_PROXY"
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, peer, "127.0.0.1:0", upstream)
	must(s.t, proxy.Start())
	listen := proxy.Listen
	if toxic == "" {
		proxy.Stop()
	} else {
		s.t.Cleanup(proxy.Stop)
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
		must(s.t, err)
	}
	if peer == "airflow" {
		s.setenv(name, listen[strings.LastIndexByte(listen, ':')+1:])
		return
	}
	s.setenv(name, "http://"+listen)
	if peer == "registry" { // ECR is well: step 2 asks the registry alone
		s.setenv(name, s.Proxy.URL().String())
		s.good("extract-ecr-token", "--skip-registry-check", "--out", "one.json")
		s.setenv(name, "http://"+listen)
		s.args = []string{"update-docker-connection", "--in", "one.json"}
	}
}

// certificates: nobody's word is taken for a host's name.
func certificates() []row {
	noCA := func(s *setting) { s.setenv("ECR_REFRESH_CA_FILE", "") }
	return []row{
		{"ecr", "certificate of an unknown authority", 2, "failed to verify certificate", noCA},
		{"registry", "certificate of an unknown authority", 2, "failed to verify certificate", func(s *setting) {
			s.good("extract-ecr-token", "--out", "one.json")
			s.args = []string{"update-docker-connection", "--in", "one.json"}
			noCA(s)
		}},
		{"airflow", "no such host", 1, "no such host", func(s *setting) {
			s.setenv("ECR_REFRESH_AIRFLOW_HOST", "airflow.invalid")
			s.setenv("NO_PROXY", "*.invalid,airflow.invalid")
		}},
		{"engine", "no such socket", 1, "it cannot be reached", func(s *setting) { s.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock") }},
		{"airflow", "https where http is spoken", 2, "connection", func(s *setting) { s.setenv("ECR_REFRESH_AIRFLOW_SCHEMA", "https") }},
	}
}

// flip changes one character in the middle of the seal.
func flip(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	at := strings.Index(string(text), `"sealed":"`) + 600
	if text[at]++; text[at] == '{' || text[at] == '[' || text[at] == ':' || text[at] == ',' {
		text[at] = 'A'
	}
	return os.WriteFile(path, text, 0o600)
}

// local are faults of this machine: files, clocks, two runs at once.
func local() []row {
	document := func(change func(path string) error) func(*setting) {
		return func(s *setting) {
			s.good("extract-ecr-token", "--out", "one.json")
			s.args = []string{"update-docker-connection", "--in", "one.json"}
			must(s.t, change(filepath.Join(s.dir, "one.json")))
		}
	}
	edit := func(old, new string) func(string) error {
		return func(path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600)
		}
	}
	return []row{
		{"files", "document readable by others", 2, "lets others at it", document(func(p string) error { return os.Chmod(p, 0o644) })},
		{"files", "document is a link", 2, "one.json", document(func(p string) error {
			if err := os.Rename(p, p+".real"); err != nil {
				return err
			}
			return os.Symlink(p+".real", p)
		})},
		{"files", "document of another user", 2, "one.json", document(func(p string) error { return os.Chown(p, 65534, 65534) })},
		{"files", "document cut", 2, "document", document(func(p string) error { return os.Truncate(p, 200) })},
		{"files", "registry in the document altered", 2, "it was altered", document(edit(`"registry_url":"https://123456789012`, `"registry_url":"https://210987654321`))},
		{"files", "expiry in the document altered", 2, "it was altered", document(edit(`"expires_at":"20`, `"expires_at":"21`))},
		{"files", "seal altered", 2, "open seal", document(flip)},
		{"files", "folder of --out is missing", 2, "nowhere", func(s *setting) { s.args = []string{"extract-ecr-token", "--out", "nowhere/x.json"} }},
		{"files", "disk is full", 2, "/dev/full", func(s *setting) { s.args = []string{"extract-ecr-token", "--out", "/dev/full"} }},
		{"files", "identity readable by others", 2, "lets others at it", func(s *setting) {
			s.good("extract-ecr-token", "--out", "one.json")
			must(s.t, os.Chmod(filepath.Join(s.dir, "state", "ecr-refresh", "identity"), 0o644))
		}},
		{"clock", "document too old", 2, "a newer run may have published since", func(s *setting) {
			s.good("extract-ecr-token", "--out", "one.json")
			s.args = []string{"update-docker-connection", "--in", "one.json", "--max-age", "1ns"}
		}},
		{"clock", "token that has expired", 1, "it answered 403", func(s *setting) { s.ECR.SetLife(-time.Hour) }},
	}
}

package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ecr-refresh/integration/real/peers"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// pyHost is the registry of the cases, H in the texts below.
const pyHost = "r.example.com"

// The sections of a configuration file; "" is one that is not there.
var (
	pyAuths = []string{
		"", `{}`, `[]`, `null`, `0`, `"x"`, `[1]`, `true`,
		`{"H":{}}`, `{"H":null}`, `{"H":{"auth":"QVdTOnN0YWxl"}}`, `{"H":{"auth":"cm9vdDpzdGFsZQ=="}}`,
		`{"https://H":{"auth":"QVdTOnN0YWxl"}}`, `{"https://H/v2/":{"auth":"QVdTOnN0YWxl"},"H":{}}`,
		`{"H:443":{"auth":"QVdTOnN0YWxl"}}`, `{"H":{"identitytoken":"t"}}`, `{"o":{"auth":""}}`, `{"o":{"auth":null}}`,
		`{"o":{"auth":"QVdTOnN0YWxl=="},"http://H":{"auth":"QUE6Qg==trailing"}}`, `{"o":{"auth":"QVdTOnN0YW"}}`,
		`{"o":{"auth":"wqA6eA=="},"H":{"auth":"QVdT OnN0YWxl","email":3}}`, `{"o":{"auth":"/zo="}}`,
		`{"o":{"auth":"é"}}`, `{"o":{"auth":"QTpCé"}}`, `{"o":{"auth":"=QTpC"}}`, `{"o":{"auth":"QTp=C"}}`,
	}
	pyStores  = []string{"", `""`, `"works"`, `["works"]`}
	pyHelpers = []string{"", `{"H":"works"}`, `{"H":"","https://H":"broken"}`, `["H"]`, `{"H":3}`}

	pyFiles = []string{ // whole ones
		`null`, `[]`, `[1]`, `"x"`, `3`, `{`, "\ufeff{}", "\xff", `{"auths":{"H":{"auth":"QVdTOnN0YWxl"}},"auths":{}}`,
		`{"H":{"auth":"QVdTOnN0YWxl"}}`, `{"H":{"auth":"QVdTOnN0YWxl"},"x":1}`, `{"o":{"auth":""},"x":1}`,
		`{"x":1,"o":{"auth":""}}`, `{"credSstore":"missing","Auths":{"H":{"auth":"QVdTOnN0YWxl"}}}`,
		`{"CredsStore":"missing","auths":{"H":{"Auth":"QVdTOnN0YWxl"}}}`, `{"proxies":[]}`,
		`{"proxies":{"default":null}}`,
		`{"proxies":{"default":{"httpProxy":"x"}},"auths":{"H":{"auth":"QVdTOnN0YWxl"}}}`, `{"proxies":null}`,
		`{"credsStore":"missing"}`, `{"credsStore":"nameless"}`, `{"credsStore":"token"}`, `{"credsStore":"wordy"}`,
		"auth = QVdTOnN0YWxl\nemail = x\n", `{"HttpHeaders":{"a":"b"},"detachKeys":"ctrl-e"}`,
	}
)

// TestRealDockerConfig holds what step 3 says of docker-py's configuration to docker-py itself.
func TestRealDockerConfig(t *testing.T) {
	helpers, err := filepath.Abs(root + "/steps/docker/testdata/helpers")
	must(t, err)
	t.Setenv("PATH", helpers+string(os.PathListSeparator)+os.Getenv("PATH"))
	texts := slices.Clone(pyFiles)
	for _, auths := range pyAuths {
		for _, store := range pyStores {
			for _, helper := range pyHelpers {
				texts = append(texts, pyFile(auths, store, helper))
			}
		}
	}
	var cases []peers.DockerPyCase
	for i, text := range texts {
		cases = append(cases, pyCases(t, i, strings.ReplaceAll(text, "H", pyHost))...)
	}
	want, err := peers.DockerPy(t.Context(), os.Getenv("AIRFLOW"), os.Getenv("PATH"), cases)
	must(t, err)
	if len(texts) < 150 || len(want) != len(cases) {
		t.Fatalf("%d files, %d cases, %d outcomes", len(texts), len(cases), len(want))
	}
	counts := map[string]int{}
	for i, c := range cases {
		counts[want[i]]++
		if got := outcomeOf(t.Context(), c); got != want[i] {
			t.Errorf("%+v, %s: %s, docker-py: %s", c, texts[i/8], got, want[i])
		}
	}
	for _, outcome := range []string{"fresh", "stale", "helper", "token", "none", "raises"} {
		if counts[outcome] < 8 {
			t.Errorf("only %d cases end with %q: %v", counts[outcome], outcome, counts)
		}
	}
}

func pyFile(auths, store, helpers string) string {
	var sections []string
	for name, value := range map[string]string{"auths": auths, "credsStore": store, "credHelpers": helpers} {
		if value != "" {
			sections = append(sections, fmt.Sprintf("%q:%s", name, value))
		}
	}
	return "{" + strings.Join(sections, ",") + "}"
}

// pyCases writes a file to one of the places where docker-py looks, and returns the tasks that meet it there.
func pyCases(t *testing.T, i int, text string) (cases []peers.DockerPyCase) {
	t.Helper()
	home := t.TempDir()
	folder, path := "", filepath.Join(home, ".docker", "config.json")
	switch i % 4 {
	case 1: // a folder without the file
		folder = filepath.Join(home, "none")
	case 2:
		folder, path = filepath.Join(home, "own"), filepath.Join(home, "own", "config.json")
	case 3:
		path = filepath.Join(home, ".dockercfg")
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
	for _, server := range []string{pyHost, pyHost + ":443", "https://" + pyHost, "other.example.com"} {
		for _, reauth := range []bool{true, false} {
			cases = append(cases, peers.DockerPyCase{
				Folder: folder, Home: home, Server: server, Registry: pyHost, Reauth: reauth,
			})
		}
	}
	return cases
}

// outcomeOf returns what ecr-refresh says of a case, in the words of peers.DockerPy.
func outcomeOf(ctx context.Context, c peers.DockerPyCase) string {
	paths := []string{filepath.Join(c.Home, ".docker", "config.json"), filepath.Join(c.Home, ".dockercfg")}
	if c.Folder != "" {
		paths = append([]string{filepath.Join(c.Folder, "config.json")}, paths...)
	}
	config, _ := docker.ReadConfig(paths...)
	sent := "token"
	warning, err := config.Check(ctx, docker.Pull{
		Server: c.Server, Registry: c.Registry, Username: "AWS", Reauth: c.Reauth,
		Accepts: func(_ context.Context, _, _ string, password secret.Secret) error {
			sent = password.Reveal()
			return registry.ErrRejected
		},
	})
	kind, _ := failure.Describe(err)
	switch {
	case kind == docker.EntryWins:
		return sent
	case err != nil:
		return "raises"
	case warning != nil:
		return "none"
	}
	return "fresh"
}

// TestRealDockerHost: step 3 calls Docker where docker-py does. (A login in the address is rejected though docker-py
// takes the name of a user.)
func TestRealDockerHost(t *testing.T) {
	hosts := []string{
		"unix:///var/run/docker.sock", "unix://var/run/docker.sock", "unix:/p", "http+unix://p/q", "http+unix:///p",
		"Unix:///p", "unix:///a b", "tcp://h:2375", "tcp://:2375", "h:2375", "my-host:2375", "h2:1", "127.0.0.1:2375",
		"https://h:2376", "http://h:80/", "http://h:80/a/", "tcp://[::1]:2375", "[::1]:2375", " tcp://h:1 ",
		"TCP://H:1",
		"tcp://h", "tcp://", "tcp://h:0", "tcp://h:99999", "tcp://h:x", "tcp://h:1;x", "tcp://h:1?x", "tcp://h:1#x",
		"127.0.0.1", "localhost:2375", "fd://x", "/var/run/docker.sock", "tcp://a:b@h:1", "ssh://me",
		"npipe:////./pipe/x",
	}
	want, err := peers.DockerPyAccepts(t.Context(), os.Getenv("AIRFLOW"), hosts)
	must(t, err)
	for i, host := range hosts {
		if _, err := docker.NewEngine(host, "", false); (err == nil) != want[i] {
			t.Errorf("%q: %v, docker-py accepts it: %v", host, err, want[i])
		}
	}
}

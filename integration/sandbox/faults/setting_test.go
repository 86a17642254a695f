package faults

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/leaks"
)

// setting is a sandbox with documents of a good run, and the program's environment. Its secrets are all distinct.
type setting struct {
	*sandbox.Sandbox
	Trap *trap // where redirects lead

	t             *testing.T
	dir           string
	env           []string
	args          []string
	limit         time.Duration // --timeout
	stdin         io.Reader
	stdout        io.Writer // nil keeps what is written
	old           string    // the connection's password before the row
	planted       []string
	proxyPassword string
	texts         []string      // all that was written
	until         chan struct{} // closed when the program waits
	second        *process
}

// newSetting starts a sandbox in which the steps before the peer's have run.
func newSetting(t *testing.T, peer string, ahead time.Duration) *setting {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{Now: func() time.Time { return time.Now().Add(ahead) }})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	s := &setting{Sandbox: box, Trap: newTrap(t), t: t, dir: t.TempDir(), limit: limit}
	s.plant()
	switch peer {
	case "airflow":
		s.extracted()
	case "engine", "every":
		s.extracted()
		s.published()
	default:
		s.args = []string{"extract-ecr-token", "--out", "new.json"}
	}
	s.old = s.password()
	return s
}

// results is what good steps left in another sandbox.
type results struct {
	token                    sandbox.Token
	one, published, identity []byte
}

// makeResults runs steps 1 and 2, once for all rows.
func makeResults() (r results, err error) {
	path, err := program.build()
	if err != nil {
		return r, err
	}
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return r, err
	}
	defer box.Close()
	in := func(name string) string { return filepath.Join(program.dir, name) }
	for _, args := range [][]string{
		{"extract-ecr-token", "--out", in("one.json")},
		{"update-docker-connection", "--in", in("one.json"), "--out", in("two.json")},
	} {
		cmd := exec.Command(path, args...)
		cmd.Env = append(box.Environ(), "XDG_STATE_HOME="+in("state"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return r, fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	r.token = box.ECR.LastToken()
	for name, to := range map[string]*[]byte{"one.json": &r.one, "two.json": &r.published, identityFile: &r.identity} {
		text, e := os.ReadFile(in(name))
		*to, err = text, errors.Join(err, e)
	}
	return r, err
}

const identityFile = "state/ecr-refresh/identity"

// extracted leaves what step 1 does, in one.json, and makes step 2 the row's.
func (s *setting) extracted() {
	s.t.Helper()
	r, err := program.results()
	must(s.t, err)
	s.ECR.Accept(r.token)
	must(s.t, os.MkdirAll(filepath.Dir(s.path(identityFile)), 0o700))
	must(s.t, os.WriteFile(s.path(identityFile), r.identity, 0o600))
	must(s.t, os.WriteFile(s.path("one.json"), r.one, 0o600))
	s.wrote(string(r.one))
	s.args = []string{"update-docker-connection", "--in", "one.json"}
}

// published leaves what step 2 does, in two.json and in Airflow, and makes step 3 the row's.
func (s *setting) published() {
	s.t.Helper()
	r, err := program.results()
	must(s.t, err)
	conn, _ := s.Airflow.Connection("docker_default")
	conn.Password = r.token.Password
	s.Airflow.SetConnection(conn)
	must(s.t, os.WriteFile(s.path("two.json"), r.published, 0o600))
	s.wrote(string(r.published))
	s.env = append(s.env, s.TaskEnviron("docker_default")...)
	s.args = []string{"test-docker-connection", "--in", "two.json"}
}

// plant sets secrets of the peers, and an environment of the program that holds what it needs of them.
func (s *setting) plant() {
	credentials := s.ECR.Credentials()
	credentials.SessionToken = "session-" + rand.Text() + rand.Text()
	s.ECR.SetCredentials(credentials)
	user, _ := s.Airflow.User("refresher")
	admin, _ := s.Airflow.User("admin")
	conn, _ := s.Airflow.Connection("docker_default")
	s.proxyPassword = "proxy-" + rand.Text()
	s.planted = []string{credentials.SecretAccessKey, credentials.SessionToken, user.Password, admin.Password,
		conn.Password, s.proxyPassword}
	s.env = append(s.Environ(), "XDG_STATE_HOME="+s.path("state"), "ECR_REFRESH_ADMIN_LOGIN=admin",
		"ECR_REFRESH_ADMIN_PASSWORD="+admin.Password)
	s.throughProxy(s.Proxy.URL().Host, s.proxyPassword)
}

func (s *setting) throughProxy(host, password string) {
	s.setenv("HTTPS_PROXY", "http://me:"+password+"@"+host)
}

func (s *setting) path(name string) string { return filepath.Join(s.dir, name) }

func (s *setting) password() string {
	conn, _ := s.Airflow.Connection("docker_default")
	return conn.Password
}

// good runs a step that must succeed.
func (s *setting) good(args ...string) {
	s.t.Helper()
	cmd := exec.Command(built(s.t), args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	s.wrote(string(out))
}

// setenv replaces a variable.
func (s *setting) setenv(name, value string) {
	others := slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
	s.env = append(others, name+"="+value)
}

// peer returns the faults of a peer by its name.
func (s *setting) peer(name string) *sandbox.Faults {
	return map[string]*sandbox.Faults{
		"ecr": &s.ECR.Faults, "registry": &s.Registry.Faults, "airflow": &s.Airflow.Faults,
		"engine": &s.Engine.Faults, "proxy": &s.Proxy.Faults,
	}[name]
}

// await waits until something holds.
func (s *setting) await(holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("waited in vain")
		}
	}
}

// wrote keeps texts for wantNoSecret, and the token that may stand in them.
func (s *setting) wrote(texts ...string) {
	s.texts = append(s.texts, texts...)
	s.planted = append(s.planted, s.ECR.LastToken().Password)
}

// wantNoSecret looks for every secret in all that was written, and in the files that are left but the identity itself.
func (s *setting) wantNoSecret() {
	s.t.Helper()
	identity, _ := os.ReadFile(s.path(identityFile))
	for l := range strings.Lines(string(identity)) {
		if !strings.HasPrefix(l, "#") {
			s.planted = append(s.planted, strings.TrimSpace(l))
		}
	}
	slices.Sort(s.planted)
	pieces := leaks.Of(append(slices.Compact(s.planted), s.Airflow.JWTs()...)...)
	for _, text := range s.texts {
		if at := pieces.In(text); at >= 0 {
			s.t.Errorf("a piece of a secret was written behind %q", text[max(0, at-60):at])
		}
	}
	must(s.t, filepath.WalkDir(s.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "identity" {
			return err
		}
		text, err := os.ReadFile(path)
		if at := pieces.In(string(text)); at >= 0 {
			s.t.Errorf("%s holds a piece of a secret, at byte %d", path, at)
		}
		return err
	}))
}

// trap is a server that nobody may call.
type trap struct {
	url   string
	count atomic.Int64
}

func newTrap(t *testing.T) *trap {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	trap := &trap{url: "http://" + listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			trap.count.Add(1)
			_ = conn.Close()
		}
	}()
	return trap
}

// asked reports whether somebody connected.
func (tr *trap) asked() bool { return tr.count.Load() > 0 }

// engineTCP serves the Engine at a TCP address: toxiproxy speaks no other.
func (s *setting) engineTCP() string {
	server := httptest.NewServer(s.Engine)
	s.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

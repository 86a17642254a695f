package faults

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/leaks"
)

const identityFile = "state/ecr-refresh/identity"

// makeResults runs steps 1 and 2 in another sandbox, once for all rows.
func makeResults(dir string) error {
	box, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		return err
	}
	defer box.Close()
	script := `"$0" extract-ecr-token --out one.json && "$0" update-docker-connection --in one.json --out two.json`
	cmd := exec.Command("sh", "-c", script, program)
	cmd.Dir, cmd.Env = dir, append(box.Environ(), "XDG_STATE_HOME="+dir+"/state")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	goodToken = box.ECR.LastToken()
	for _, name := range []string{"one.json", "two.json", identityFile} {
		if goodFiles[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// setting is a sandbox, a folder with the results of a good run, and the program's environment, in which each step can
// run. Its secrets are all distinct.
type setting struct {
	*sandbox.Sandbox
	t             *testing.T
	dir           string
	env           []string
	stdin         io.Reader
	stdout        io.Writer // nil keeps what is written
	old           string    // the connection's password before the row
	planted       []string
	proxyPassword string
	texts         []string    // all that was written
	waits         func() bool // not nil: SIGTERM ends the program when this holds
	grace         time.Duration
}

func newSetting(t *testing.T, ahead time.Duration) *setting {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{Now: func() time.Time { return time.Now().Add(ahead) }})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	s := &setting{Sandbox: box, t: t, dir: t.TempDir(), grace: grace}
	s.old = s.password()
	s.plant()
	s.ECR.Accept(goodToken)
	must(t, os.MkdirAll(filepath.Dir(s.path(identityFile)), 0o700))
	for name, text := range goodFiles {
		must(t, os.WriteFile(s.path(name), text, 0o600))
	}
	return s
}

// plant sets secrets of the peers, and an environment of the program that holds what it needs of them.
func (s *setting) plant() {
	credentials := s.ECR.Credentials()
	credentials.SessionToken = "session-" + rand.Text() + rand.Text()
	s.ECR.SetCredentials(credentials)
	user, _ := s.Airflow.User("refresher")
	admin, _ := s.Airflow.User("admin")
	s.proxyPassword = "proxy-" + rand.Text()
	identity := strings.Fields(string(goodFiles[identityFile])) // the key comes last
	s.planted = []string{credentials.SecretAccessKey, credentials.SessionToken, user.Password, admin.Password, s.old,
		s.proxyPassword, identity[len(identity)-1]}
	s.env = append(s.Environ(), "XDG_STATE_HOME="+s.path("state"), "ECR_REFRESH_ADMIN_LOGIN=admin",
		"ECR_REFRESH_ADMIN_PASSWORD="+admin.Password,
		"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nowhere") // reading the system's takes a third of a step
	s.throughProxy(s.Proxy.URL().Host)
}

func (s *setting) throughProxy(host string) {
	s.setenv("HTTPS_PROXY", "http://me:"+s.proxyPassword+"@"+host)
}

func (s *setting) path(name string) string { return filepath.Join(s.dir, name) }

func (s *setting) password() string {
	conn, _ := s.Airflow.Connection("docker_default")
	return conn.Password
}

// command returns a run of the program. As in Airflow, step 3 alone is given the connection.
func (s *setting) command(args string) *exec.Cmd {
	cmd := exec.Command(program, strings.Fields(args)...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, s.stdin
	if strings.HasPrefix(args, "test-docker-connection") {
		c, _ := s.Airflow.Connection("docker_default")
		c.Password = goodToken.Password
		cmd.Env = append(slices.Clone(s.env), c.TaskEnviron()...)
	}
	return cmd
}

// good runs a command that must succeed.
func (s *setting) good(args string) {
	s.t.Helper()
	out, err := s.command(args).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", args, err, out)
	}
	s.texts = append(s.texts, string(out))
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
		"engine": &s.Engine.Faults, "proxy": &s.Proxy.Faults, "sts": &s.STS.Faults, "oidc": &s.STS.Faults,
	}[name]
}

// serve serves a handler until the row ends, and returns its address.
func (s *setting) serve(h http.Handler) string {
	server := httptest.NewServer(h)
	s.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// await waits until something holds.
func (s *setting) await(holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("waited in vain")
		}
	}
}

var harmful = regexp.MustCompile(`[\x{80}-\x{9f}\x{202a}-\x{202e}]|\x1b|\[31m|::group::|\necr-refresh: error: forged`)

// wantAlone wants Airflow to hold the old password or one with which the registry lets in, and nobody to have asked the
// proxy for a host that it does not answer for.
func (s *setting) wantAlone() {
	s.t.Helper()
	if refused := s.Proxy.Refused(); len(refused) > 0 {
		s.t.Errorf("the proxy was asked for %v", refused)
	}
	password := s.password()
	if password == s.old {
		return
	}
	s.Registry.Clear()
	req, err := http.NewRequest(http.MethodGet, "https://"+s.RegistryHost()+"/v2/", nil)
	must(s.t, err)
	req.SetBasicAuth("AWS", password)
	resp, err := s.HTTPClient().Do(req)
	must(s.t, err)
	if resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		s.t.Errorf("Airflow holds neither the old password nor one that works: %s", resp.Status)
	}
}

// wantNoSecret looks for every secret in all that was written, and in the files that are left but the identity itself.
// A server's words stay on the error's line, without a colour and without Airflow's marks.
func (s *setting) wantNoSecret() {
	s.t.Helper()
	pieces := leaks.Of(slices.Concat(s.planted, s.ECR.Passwords(), s.Airflow.JWTs())...)
	for _, text := range s.texts {
		if harm := harmful.FindString(text); harm != "" {
			s.t.Errorf("a server's words do harm: %q", harm)
		}
		if at := pieces.In(text); at >= 0 {
			s.t.Errorf("a piece of a secret was written behind %q", text[max(0, at-60):at])
		}
	}
	must(s.t, filepath.WalkDir(s.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "identity" || entry.Name() == "token" {
			return err
		}
		text, err := os.ReadFile(path)
		if at := pieces.In(string(text)); at >= 0 {
			s.t.Errorf("%s holds a piece of a secret, at byte %d", path, at)
		}
		return err
	}))
}

// Package faults runs the program against peers that fail in every way we know, and holds each outcome to what is
// promised: the exit code, one error that names the peer, a hint, an end in time, no secret, and a password in Airflow
// that is still the old one or already the new one.
//
// FAULTS=docs/reliability.md writes the table of what was seen: `make faults`.
package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
)

// limit is the --timeout of each row; grace is what a program may take beside it on a busy machine.
const (
	limit = 4 * time.Second
	grace = 6 * time.Second
)

// row is one fault of one peer, and what is promised.
type row struct {
	peer, fault string
	exit        int
	says        string // in the error line
	inject      func(*setting)
}

// setting is a sandbox with documents of a good run, and the program's environment.
type setting struct {
	*sandbox.Sandbox
	t    *testing.T
	dir  string
	env  []string
	args []string
	old  string // the connection's password before the row
}

var program struct {
	once sync.Once
	path string
	err  error
}

// built gives the program, built once.
func built(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		dir, err := os.MkdirTemp("", "ecr-refresh-faults-")
		if err != nil {
			program.err = err
			return
		}
		program.path = filepath.Join(dir, "ecr-refresh")
		build := exec.Command("go", "build", "-o", program.path, "ecr-refresh/cmd/ecr-refresh")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.path != "" {
		_ = os.RemoveAll(filepath.Dir(program.path))
	}
	os.Exit(code)
}

// TestMatrix runs all rows, some at a time.
func TestMatrix(t *testing.T) {
	var table seenTable
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows() {
			t.Run(r.peer+"/"+r.fault, func(t *testing.T) {
				t.Parallel()
				table.add(r, r.run(t))
			})
		}
	})
	if path := os.Getenv("FAULTS"); path != "" && !t.Failed() {
		must(t, table.write(path))
	}
}

// outcome is what a row came to.
type outcome struct {
	exit  int
	took  time.Duration
	error string
}

func (r row) run(t *testing.T) outcome {
	s := newSetting(t, r.peer)
	r.inject(s)
	ctx, cancel := context.WithTimeout(t.Context(), limit+grace+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, built(t), append(s.args, "--timeout", limit.String(), "--log-level", "debug")...)
	cmd.Dir, cmd.Env = s.dir, s.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	must(t, cmd.Start())
	argv := argvOf(cmd.Process.Pid)
	err := cmd.Wait()
	o := outcome{exit: cmd.ProcessState.ExitCode(), took: time.Since(began)}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o.error = line(stderr.String(), "error: ")
	r.judge(t, s, o, stderr.String())
	s.wantNoSecret(stdout.String(), stderr.String(), argv)
	return o
}

func (r row) judge(t *testing.T, s *setting, o outcome, stderr string) {
	t.Helper()
	switch {
	case o.exit != r.exit:
		t.Errorf("exit code %d, want %d:\n%s", o.exit, r.exit, stderr)
	case o.took > limit+grace:
		t.Errorf("took %s", o.took)
	case r.exit != 0 && !strings.Contains(o.error, r.says):
		t.Errorf("error is %q, want %q in it", o.error, r.says)
	case r.exit != 0 && line(stderr, "hint: ") == "":
		t.Errorf("no hint:\n%s", stderr)
	}
	if n := strings.Count("\n"+stderr, "\necr-refresh: error: "); r.exit != 0 && n != 1 {
		t.Errorf("%d error lines, want 1:\n%s", n, stderr)
	}
	conn, _ := s.Airflow.Connection("docker_default")
	if newest := s.ECR.LastToken().Password; conn.Password != s.old && conn.Password != newest {
		t.Error("Airflow holds neither the old password nor the new one")
	}
	for _, host := range s.Proxy.Refused() {
		if strings.Contains(host, "evil") {
			t.Errorf("a redirect was followed to %s", host)
		}
	}
}

// line gives what follows a word in the first line that has it.
func line(text, word string) string {
	for l := range strings.Lines(text) {
		if _, after, found := strings.Cut(l, "ecr-refresh: "+word); found {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

// newSetting starts a sandbox and makes the documents that the peer's step needs.
func newSetting(t *testing.T, peer string) *setting {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	s := &setting{Sandbox: box, t: t, dir: t.TempDir()}
	s.env = append(box.Environ(), "XDG_STATE_HOME="+filepath.Join(s.dir, "state"))
	switch peer {
	case "airflow":
		s.good("extract-ecr-token", "--out", "one.json")
		s.args = []string{"update-docker-connection", "--in", "one.json"}
	case "engine":
		s.good("extract-ecr-token", "--out", "one.json")
		s.good("update-docker-connection", "--in", "one.json", "--out", "two.json")
		s.env = append(s.env, box.TaskEnviron("docker_default")...)
		s.args = []string{"test-docker-connection", "--in", "two.json"}
	default:
		s.args = []string{"extract-ecr-token", "--out", "new.json"}
	}
	conn, _ := box.Airflow.Connection("docker_default")
	s.old = conn.Password
	return s
}

// good runs a step that must succeed.
func (s *setting) good(args ...string) {
	s.t.Helper()
	cmd := exec.Command(built(s.t), args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// setenv replaces a variable.
func (s *setting) setenv(name, value string) {
	s.env = append(slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, name+"=") }), name+"="+value)
}

// inject gives a peer a fault for all its requests.
func (s *setting) inject(peer string, f sandbox.Fault) {
	switch peer {
	case "ecr":
		s.ECR.Inject(f)
	case "registry":
		s.Registry.Inject(f)
	case "airflow":
		s.Airflow.Inject(f)
	case "engine":
		s.Engine.Inject(f)
	}
}

func argvOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(text)
}

// wantNoSecret looks for every secret of the row in all that was written, and in the files that are left.
func (s *setting) wantNoSecret(texts ...string) {
	s.t.Helper()
	user, _ := s.Airflow.User("refresher")
	secrets := []string{user.Password, s.ECR.Credentials().SecretAccessKey, s.old, s.ECR.LastToken().Password}
	must(s.t, filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "identity") {
			return err
		}
		text, err := os.ReadFile(path)
		texts = append(texts, string(text))
		return err
	}))
	for _, secret := range secrets {
		for _, piece := range []string{secret, secret[:min(24, len(secret))]} {
			for _, text := range texts {
				if piece != "" && strings.Contains(text, piece) {
					s.t.Error("a secret was written")
				}
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seenTable gathers the outcomes for docs/reliability.md.
type seenTable struct {
	mu   sync.Mutex
	rows []string
}

func (s *seenTable) add(r row, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := strings.NewReplacer("|", "\\|", "\n", " ").Replace(o.error)
	if len(said) > 140 {
		said = said[:strings.LastIndexByte(said[:140], ' ')] + " …"
	}
	s.rows = append(s.rows, fmt.Sprintf("| %s | %s | %d | %s |", r.peer, r.fault, o.exit, masked(said)))
}

// masked leaves out what differs from run to run.
func masked(text string) string {
	for _, port := range ports.FindAllString(text, -1) {
		text = strings.Replace(text, port, port[:strings.IndexByte(port, ':')]+":…", 1)
	}
	return sockets.ReplaceAllString(text, "…")
}

func (s *seenTable) write(path string) error {
	slices.Sort(s.rows)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const begin, end = "<!-- faults -->\n", "<!-- /faults -->"
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no %q", path, begin)
	}
	table := "| peer | fault | exit | error |\n|---|---|---|---|\n" + strings.Join(s.rows, "\n") + "\n"
	return os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644)
}

// Package faults runs the program against peers that fail in every way we know, and holds each outcome to what is
// promised: the exit code, one error that names the peer and the object, a hint, an end in time, bounded memory, no
// secret, no redirect followed, and a password in Airflow that is still the old one or already a new one that works.
//
// FAULTS=docs/reliability.md writes the table of what was seen: `make faults`. Some rows mount a tmpfs or give a file
// away: they are there for root, who writes the table.
package faults

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/integration/sandbox/suite"
)

const (
	// limit is the --timeout of a row that waits in vain, and patience of the others, which end by themselves; grace is
	// what a program may take beside it on a busy machine.
	limit    = 1500 * time.Millisecond
	patience = 30 * time.Second
	grace    = 6 * time.Second
	// late is when a program ends itself whatever it waits for, after --timeout.
	late = 10 * time.Second
	// killLimit is what Airflow leaves a task between SIGTERM and SIGKILL.
	killLimit = 5 * time.Second
	// mostMemory has room for one of the areas of 64 MiB in which Go reserves its heap, not for a second one.
	mostMemory = 120 << 20
	terminated = 128 + int(syscall.SIGTERM)
)

// row is one fault of one peer, and what is promised.
type row struct {
	peer, fault string
	args        string // of the program; "" is the step that asks the peer first
	exit        int
	error       string // in the error line, at its beginning where it names peer and object
	because     string // also in the error line
	advises     string // in the hint
	inject      func(*setting)
	also        func(*setting) // what must hold besides; nil is nothing
	alone       bool           // nothing else slows it down
	ahead       time.Duration  // of the peers' clocks
	root        bool           // root alone can make it: mounts a tmpfs, or gives a file away
	others      []string       // commands that run at the same time, over the same fault
}

// inVain is in the errors of rows that end at their deadline, noEnd in those of the ones that are ended after it.
const inVain, noEnd = "no answer", "no end in time: stdin, or a file that it reads"

// program is the path of the binary, race whether its memory is watched for races, and the others what good steps left.
var (
	program   string
	race      = os.Getenv("FAULTS_RACE") == "1"
	goodToken sandbox.Token
	goodFiles = map[string][]byte{}
)

// TestMain lets many rows run at a time: they wait for peers that hang more than they work.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", map[bool]string{true: "4", false: "32"}[race])
	dir, err := os.MkdirTemp("", "ecr-refresh-faults-")
	if err == nil {
		program, err = suite.Build(dir)
	}
	if err == nil {
		err = makeResults(dir)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// TestFaults runs all rows, some at a time.
func TestFaults(t *testing.T) {
	t.Parallel()
	all := rows(t)
	table := make([]string, len(all))
	t.Cleanup(func() { writeTable(t, table) })
	for i, r := range all {
		t.Run(r.peer+"/"+r.fault, func(t *testing.T) {
			if !r.alone {
				t.Parallel()
			}
			p := r.run(t)
			table[i] = fmt.Sprintf("| %s | %s | %d | %s | %s |\n", r.peer, r.fault, p.exit, cell(p.error), cell(p.hint))
		})
	}
}

// rows returns all rows, those that take longest last: testing starts parallel tests from the end.
func rows(t *testing.T) []row {
	all := slices.Concat(atOnce(), clocks(), files(), withoutEnd(), waits(t), sessions())
	all = append(all, withoutProxy("ecr", ""),
		withoutProxy("registry", `,"endpoint":"https://api.ecr.us-east-1.amazonaws.com"`))
	for _, peer := range []string{"engine", "registry", "ecr", "airflow"} {
		others := []string{"run --out r.json", "doctor --json"}
		if peer == "airflow" {
			others = append(others, "status", "setup", "doctor")
		}
		for _, r := range slices.Concat(certificates(peer), network(peer), answers(peer)) {
			r.peer, r.error, r.others = peer, peers[peer].named, others
			all = append(all, r)
		}
	}
	return slices.DeleteFunc(all, func(r row) bool { return r.root && os.Geteuid() != 0 })
}

func (r row) run(t *testing.T) *process {
	s := newSetting(t, r.ahead)
	if r.inject != nil {
		r.inject(s)
	}
	var others []*process
	for _, args := range r.others {
		others = append(others, s.start(limit, args))
	}
	end := patience
	if r.because == inVain || r.because == noEnd {
		end = limit
	}
	if r.because == noEnd {
		s.grace += late
	}
	args := cmp.Or(r.args, peers[r.peer].step)
	if r.others != nil && r.because != inVain { // which a busy machine makes of other rows
		defer s.startTask(end, args).wantTask(r.exit)
	}
	p := s.start(end, args)
	if s.waits != nil {
		s.await(s.waits)
		must(t, p.cmd.Process.Signal(syscall.SIGTERM))
		p.killAfter(killLimit)
	}
	p.wait()
	r.check(p)
	for _, other := range others {
		other.wantEnd()
	}
	if r.also != nil {
		r.also(s)
	}
	s.wantAlone()
	s.wantNoSecret()
	return p
}

// check compares what came of a row with what is promised.
func (r row) check(p *process) {
	p.t.Helper()
	switch {
	case p.exit != r.exit:
		p.t.Errorf("exit code %d, want %d:\n%s", p.exit, r.exit, &p.stderr)
	case r.exit != 0 && !(strings.Contains(p.error, r.error) && strings.Contains(p.error, r.because)):
		p.t.Errorf("error is %q, want %q and %q in it", p.error, r.error, r.because)
	case r.exit != 0 && !strings.Contains(p.hint, r.advises):
		p.t.Errorf("hint is %q, want %q in it", p.hint, r.advises)
	case (r.exit == 1 || r.exit == 2) && p.hint == "":
		p.t.Errorf("no hint:\n%s", &p.stderr)
	}
	if n := strings.Count("\n"+p.stderr.String(), "\necr-refresh: error: "); r.exit != 0 && n != 1 {
		p.t.Errorf("%d error lines, want 1:\n%s", n, &p.stderr)
	}
}

// process is a run of the program, and what came of it.
type process struct {
	*setting
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	exit           int
	error, hint    string
}

// start runs the program with args. It is killed when it takes too long, and gets as much memory as it may take.
func (s *setting) start(limit time.Duration, args string) *process {
	s.t.Helper()
	p := &process{setting: s, cmd: s.command(args + " --timeout " + limit.String() + " --log-level debug")}
	p.cmd.Stdout, p.cmd.Stderr = cmp.Or[io.Writer](s.stdout, &p.stdout), &p.stderr
	must(s.t, p.cmd.Start())
	p.killAfter(limit + s.grace)
	if !race { // whose detector reserves far more
		most := unix.Rlimit{Cur: mostMemory, Max: mostMemory}
		must(s.t, unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_DATA, &most, nil))
	}
	return p
}

// startTask is start in the environment of a task, where hints are others.
func (s *setting) startTask(limit time.Duration, args string) *process {
	s.t.Helper()
	shell := s.env
	defer func() { s.env = shell }()
	s.env = append(slices.Clip(shell), "ECR_REFRESH_OPERATOR=bash")
	return s.start(limit, args)
}

// wantTask wants of a task the exit code of a shell, and a hint without a flag.
func (p *process) wantTask(exit int) {
	p.t.Helper()
	p.wait()
	if p.exit != exit || (p.hint == "") != (exit == 0) || strings.Contains(p.hint, "--") {
		p.t.Errorf("in a task: exit code %d, want %d, hint %q", p.exit, exit, p.hint)
	}
}

func (p *process) killAfter(limit time.Duration) {
	timer := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	p.t.Cleanup(func() { timer.Stop() })
}

func (p *process) wait() {
	p.t.Helper()
	err := p.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	stderr := p.stderr.String()
	p.texts = append(p.texts, p.stdout.String(), stderr)
	p.exit = p.cmd.ProcessState.ExitCode()
	if m := reported.FindStringSubmatch(stderr); m != nil {
		p.error, p.hint = m[1], m[2]
	}
}

// wantEnd wants of a command what each one promises, however it ends.
func (p *process) wantEnd() {
	p.t.Helper()
	if p.wait(); p.exit < 0 || p.exit > 2 || strings.Contains(p.stderr.String(), "goroutine ") {
		p.t.Errorf("%v: exit code %d:\n%s", p.cmd.Args, p.exit, &p.stderr)
	}
}

// reported matches the first error, and its hint on the next line: a warning before it may have one, too.
var reported = regexp.MustCompile(`(?m)^ecr-refresh: error: (.*)(?:\necr-refresh: hint: (.*))?$`)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cell is text without what differs from run to run, cut to what a reader needs.
func cell(text string) string {
	text = strings.ReplaceAll(text, "|", "\\|")
	for _, changing := range []struct{ pattern, as string }{
		{`(127\.0\.0\.1|\.invalid|localhost):\d+`, "$1:…"},
		{`unix:///[^\s":]+`, "unix:///…"},
		{`"?/tmp/[^\s":]+"?`, "…"},
		{` on [0-9.:]+:53: `, ": "},
		{`\b\d+s old`, "…s old"},
		{`\d{4}-\d\d-\d\dT[0-9:]+Z`, "…"},
	} {
		text = regexp.MustCompile(changing.pattern).ReplaceAllString(text, changing.as)
	}
	if len(text) > 180 {
		text = text[:strings.LastIndexByte(text[:180], ' ')] + " …"
	}
	return text
}

// writeTable puts rows into the document that FAULTS names.
func writeTable(t *testing.T, rows []string) {
	path := os.Getenv("FAULTS")
	if path == "" || t.Failed() {
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("the table has rows that root alone can make: run make faults as root")
	}
	slices.Sort(rows)
	text, err := os.ReadFile(path)
	must(t, err)
	const begin, end = "<!-- faults -->\n", "<!-- /faults -->"
	table := begin + "| service | fault | exit | error | hint |\n|---|---|---|---|---|\n" + strings.Join(rows, "") + end
	marked := regexp.MustCompile("(?s)" + begin + ".*" + end)
	if !marked.Match(text) {
		t.Fatalf("%s has no %q", path, begin+end)
	}
	must(t, os.WriteFile(path, marked.ReplaceAllLiteral(text, []byte(table)), 0o644))
}

// TestSecrets runs every command where nothing is wrong, at level debug, and looks for every secret in all that was
// written.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := newSetting(t, 0)
	for _, args := range []string{
		"plan", "extract-ecr-token --out new.json --metrics-file m.prom",
		"update-docker-connection --in one.json --out new2.json", "test-docker-connection --in two.json",
		"run --dry-run", "run --out r.json", "status", "doctor", "doctor --json", "setup --dry-run", "setup",
		"setup --remove",
	} {
		s.start(patience, args).wantEnd()
	}
	s.wantAlone()
	s.wantNoSecret()
}

// TestPanicShowsNoSecret ends the program with the dump of all its goroutines, as a panic does, while it holds the
// token, the login and the JWT.
func TestPanicShowsNoSecret(t *testing.T) {
	t.Parallel()
	for peer, request := range map[string]string{
		"registry": "GET /v2/", "airflow": "PATCH /api/v2/connections", "engine": "POST /auth",
	} {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			s := newSetting(t, 0)
			s.setenv("GOTRACEBACK", "crash")
			hanging(peer, "", request, sandbox.Fault{Delay: time.Hour}).inject(s)
			p := s.start(patience, "run")
			s.await(s.waits)
			must(t, p.cmd.Process.Signal(syscall.SIGQUIT))
			p.wait()
			status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !strings.Contains(p.stderr.String(), "goroutine ") || status.CoreDump() {
				t.Errorf("no dump of goroutines, or one of memory:\n%s", &p.stderr)
			}
			s.wantNoSecret()
		})
	}
}

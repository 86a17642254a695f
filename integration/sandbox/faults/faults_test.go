// Package faults runs the program against peers that fail in every way we know, and holds each outcome to what is
// promised: the exit code, one error that names the peer and the object, a hint, an end in time, bounded memory, no
// secret, no redirect followed, and a password in Airflow that is still the old one or already a new one that works.
//
// FAULTS=docs/reliability.md writes the table of what was seen: `make faults`. Some rows mount a tmpfs or give a file
// away: they are there for root, who writes the table.
package faults

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
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
	patience = 20 * time.Second
	grace    = 6 * time.Second
	// killLimit is what Airflow leaves a task between SIGTERM and SIGKILL.
	killLimit = 5 * time.Second
	// mostMemory has room for one of the areas of 64 MiB in which Go reserves its heap, not for a second one.
	mostMemory = 120 << 20
	terminated = 128 + int(syscall.SIGTERM)
)

// row is one fault of one peer, and what is promised.
type row struct {
	peer, fault string
	args        []string // of the program; nil is the step that asks the peer first
	exit        int
	error       string // in the error line, at its beginning where it names peer and object
	because     string // also in the error line
	advises     string // in the hint
	inject      func(*setting)
	also        func(*setting)         // what must hold besides; nil is nothing
	by          func(*setting) outcome // not nil: how the row runs, instead of one program
	ahead       time.Duration          // of the peers' clocks
	root        bool                   // root alone can make it: mounts a tmpfs, or gives a file away
	others      bool                   // othersOf the peer run at the same time, over the same fault
}

// inVain is in the error of a row that ends at its deadline.
const inVain = "no answer"

// outcome is what a row came to.
type outcome struct {
	exit        int
	error, hint string
}

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
			if r.by == nil { // nothing else slows down what is killed 80 times
				t.Parallel()
			}
			o := r.run(t)
			table[i] = fmt.Sprintf("| %s | %s | %d | %s | %s |\n", r.peer, r.fault, o.exit, cell(o.error), cell(o.hint))
		})
	}
}

// rows returns all rows, those that take longest last: testing starts parallel tests from the end.
func rows(t *testing.T) []row {
	all := slices.Concat(atOnce(), clocks(), files(), waits(t), sessions(), withoutProxy())
	for _, peer := range []string{"engine", "registry", "ecr", "airflow"} {
		for _, r := range slices.Concat(certificates(peer), network(peer), answers(peer)) {
			r.others = true
			all = append(all, r)
		}
	}
	return slices.DeleteFunc(all, func(r row) bool { return r.root && os.Geteuid() != 0 })
}

// stepOf returns the step that asks a peer first; for a registry the one that asks nobody before it.
func stepOf(peer string) []string {
	switch peer {
	case "airflow", "registry":
		return []string{"update-docker-connection", "--in", "one.json"}
	case "engine":
		return []string{"test-docker-connection", "--in", "two.json"}
	}
	return []string{"extract-ecr-token", "--out", "new.json"}
}

// othersOf returns the other commands that call a peer.
func othersOf(peer string) [][]string {
	all := [][]string{{"run", "--out", "r.json"}, {"doctor", "--json"}}
	if peer == "airflow" {
		all = append(all, []string{"status"}, []string{"setup"}, []string{"doctor"})
	}
	return all
}

func (r row) run(t *testing.T) outcome {
	s := newSetting(t, r.ahead)
	s.args = r.args
	if r.args == nil {
		s.args = stepOf(r.peer)
	}
	r.inject(s)
	if r.by != nil {
		return r.by(s)
	}
	var others []*process
	if r.others {
		for _, args := range othersOf(r.peer) {
			others = append(others, s.start(limit, args...))
		}
	}
	if r.because != inVain && s.limit == limit {
		s.limit = patience
	}
	p := s.start(s.limit, s.args...)
	if s.waits != nil {
		s.await(s.waits)
		must(t, p.cmd.Process.Signal(syscall.SIGTERM))
		p.killAfter(killLimit)
	}
	o := p.wait()
	r.check(t, o, p)
	for _, other := range others {
		other.wantEnd()
	}
	if r.also != nil {
		r.also(s)
	}
	s.wantAlone()
	s.wantNoSecret()
	return o
}

// check compares what came of a row with what is promised.
func (r row) check(t *testing.T, o outcome, p *process) {
	t.Helper()
	stderr := p.stderr.String()
	switch {
	case o.exit != r.exit:
		t.Errorf("exit code %d, want %d:\n%s", o.exit, r.exit, stderr)
	case r.exit != 0 && !(strings.Contains(o.error, r.error) && strings.Contains(o.error, r.because)):
		t.Errorf("error is %q, want %q and %q in it", o.error, r.error, r.because)
	case r.exit != 0 && !strings.Contains(o.hint, r.advises):
		t.Errorf("hint is %q, want %q in it", o.hint, r.advises)
	case (r.exit == 1 || r.exit == 2) && o.hint == "":
		t.Errorf("no hint:\n%s", stderr)
	}
	if n := strings.Count("\n"+stderr, "\necr-refresh: error: "); r.exit != 0 && n != 1 {
		t.Errorf("%d error lines, want 1:\n%s", n, stderr)
	}
}

// process is a run of the program.
type process struct {
	*setting
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// start runs the program with args. It is killed when it takes too long, and gets as much memory as it may take.
func (s *setting) start(limit time.Duration, args ...string) *process {
	s.t.Helper()
	p := &process{setting: s, cmd: s.command(append(args, "--timeout", limit.String(), "--log-level", "debug")...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if s.stdout != nil {
		p.cmd.Stdout = s.stdout
	}
	must(s.t, p.cmd.Start())
	p.killAfter(limit + grace)
	if !race { // whose detector reserves far more
		most := unix.Rlimit{Cur: mostMemory, Max: mostMemory}
		must(s.t, unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_DATA, &most, nil))
	}
	return p
}

func (p *process) killAfter(limit time.Duration) {
	timer := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	p.t.Cleanup(func() { timer.Stop() })
}

// wait returns what came of it.
func (p *process) wait() outcome {
	p.t.Helper()
	err := p.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	stderr := p.stderr.String()
	p.texts = append(p.texts, p.stdout.String(), stderr)
	return outcome{p.cmd.ProcessState.ExitCode(), line(stderr, "error: "), line(stderr, "hint: ")}
}

// wantEnd wants of a command what each one promises, however it ends.
func (p *process) wantEnd() {
	p.t.Helper()
	if o := p.wait(); o.exit < 0 || o.exit > 2 || strings.Contains(p.stderr.String(), "goroutine ") {
		p.t.Errorf("%v: exit code %d:\n%s", p.cmd.Args, o.exit, &p.stderr)
	}
}

// line returns what follows a word in the first line that has it.
func line(text, word string) string {
	_, after, _ := strings.Cut("\n"+text, "\necr-refresh: "+word)
	found, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(found)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

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
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// limit is the --timeout of a row that waits in vain, and patience of the others, which end by themselves; grace is
	// what a program may take beside it on a busy machine.
	limit    = 1500 * time.Millisecond
	patience = 20 * time.Second
	grace    = 6 * time.Second
	// killLimit is what Airflow leaves a task between SIGTERM and SIGKILL.
	killLimit = 5 * time.Second
	// mostMemory is in KiB. A good run takes about 20 MiB; what a peer says must not change that much.
	mostMemory = 64 << 10
	terminated = 128 + int(syscall.SIGTERM)
)

// row is one fault of one peer, and what is promised.
type row struct {
	peer, fault string
	exit        int
	error       string // in the error line, at its beginning where it names peer and object
	because     string // also in the error line
	advises     string // in the hint
	inject      func(*setting)
	also        func(*setting)         // what must hold besides; nil is nothing
	until       func(*setting) bool    // not nil: SIGTERM ends the program when this holds
	by          func(*setting) outcome // not nil: how the row runs, instead of one program
	ahead       time.Duration          // of the peers' clocks
	from        string                 // the peer whose setting it starts from; "" is its own
	root        bool                   // root alone can make it: mounts a tmpfs, or gives a file away
}

// inVain is in the error of a row that ends at its deadline.
const inVain = "no answer"

// outcome is what a row came to.
type outcome struct {
	exit  int
	took  time.Duration
	error string
	hint  string
}

// program is the binary, built once, and what two good steps leave.
var program struct {
	dir     string
	build   func() (string, error)
	results func() (results, error)
}

// TestMain lets many rows run at a time: they wait for peers that hang more than they work.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "24")
	var err error
	if program.dir, err = os.MkdirTemp("", "ecr-refresh-faults-"); err != nil {
		panic(err)
	}
	program.build, program.results = sync.OnceValues(build), sync.OnceValues(makeResults)
	code := m.Run()
	_ = os.RemoveAll(program.dir)
	os.Exit(code)
}

// build builds the program as it is released. FAULTS_RACE=1 builds it with the race detector, whose output is searched
// as all output is.
func build() (string, error) {
	path, race := filepath.Join(program.dir, "ecr-refresh"), os.Getenv("FAULTS_RACE") == "1"
	build := exec.Command("go", "build", "-ldflags=-s -w", "-tags=urfave_cli_no_docs", fmt.Sprintf("-race=%t", race),
		"-o", path, "ecr-refresh/cmd/ecr-refresh")
	build.Env = append(os.Environ(), "CGO_ENABLED="+map[bool]string{true: "1", false: "0"}[race])
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ecr-refresh: %w: %s", err, out)
	}
	return path, nil
}

func built(t *testing.T) string {
	t.Helper()
	path, err := program.build()
	must(t, err)
	return path
}

// TestMatrix runs all rows, some at a time.
func TestMatrix(t *testing.T) {
	t.Parallel()
	var table seenTable
	all := append(rows(), waits(t)...)
	t.Run("rows", func(t *testing.T) {
		for _, r := range all {
			t.Run(r.peer+"/"+r.fault, func(t *testing.T) {
				t.Parallel()
				table.add(r, r.run(t))
			})
		}
	})
	if path := os.Getenv("FAULTS"); path != "" && !t.Failed() {
		if os.Geteuid() != 0 {
			t.Fatal("the table has rows that root alone can make: run make faults as root")
		}
		must(t, table.write(path))
	}
}

// rows returns all rows, those that take longest first.
func rows() (all []row) {
	all = atOnce()
	for _, peer := range []string{"airflow", "ecr", "registry", "engine"} {
		all = append(all, answers(peer)...)
		all = append(all, network(peer)...)
		all = append(all, certificates(peer)...)
	}
	all = append(all, withoutProxy()...)
	all = append(all, sessions()...)
	all = append(all, documents()...)
	all = append(all, disks()...)
	all = append(all, clocks()...)
	return slices.DeleteFunc(all, func(r row) bool { return r.root && os.Geteuid() != 0 })
}

func (r row) run(t *testing.T) outcome {
	s := newSetting(t, cmp.Or(r.from, r.peer), r.ahead)
	if r.because != inVain {
		s.limit = patience
	}
	r.inject(s)
	if r.by != nil {
		return r.by(s)
	}
	p := s.start(append(s.args, "--timeout", s.limit.String(), "--log-level", "debug")...)
	memory := p.watchMemory()
	if r.until != nil {
		s.await(func() bool { return r.until(s) })
		p.began = time.Now()
		must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	}
	o := p.wait()
	r.check(t, s, o, p)
	if most := <-memory; most > mostMemory {
		t.Errorf("took %d MiB of memory", most>>10)
	}
	if r.also != nil {
		r.also(s)
	}
	return o
}

// check compares what came of a row with what is promised.
func (r row) check(t *testing.T, s *setting, o outcome, p *process) {
	t.Helper()
	stderr := p.stderr.String()
	switch {
	case o.exit != r.exit:
		t.Errorf("exit code %d, want %d:\n%s", o.exit, r.exit, stderr)
	case o.took > s.limit+grace || o.exit == terminated && o.took > killLimit:
		t.Errorf("took %s", o.took)
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
	s.wantAlone()
	s.wantNoSecret()
}

// wantAlone: no redirect was followed, and Airflow holds a password that works or the old one.
func (s *setting) wantAlone() {
	s.t.Helper()
	if s.Trap.asked() {
		s.t.Error("a redirect was followed")
	}
	conn, _ := s.Airflow.Connection("docker_default")
	if conn.Password != s.old && conn.Password != s.ECR.LastToken().Password && !s.works(conn.Password) {
		s.t.Error("Airflow holds neither the old password nor one that works")
	}
}

// works asks the registry itself.
func (s *setting) works(password string) bool {
	s.Registry.Clear()
	req, err := http.NewRequest(http.MethodGet, "https://"+s.RegistryHost()+"/v2/", nil)
	must(s.t, err)
	req.SetBasicAuth("AWS", password)
	resp, err := s.HTTPClient().Do(req)
	must(s.t, err)
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// process is a run of the program.
type process struct {
	*setting
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	began          time.Time
	ctx            context.Context
	cancel         func()
}

// start runs the program with args.
func (s *setting) start(args ...string) *process {
	s.t.Helper()
	path := built(s.t) // the first time this takes longer than any limit
	ctx, cancel := context.WithTimeout(s.t.Context(), s.limit+2*grace)
	p := &process{setting: s, cmd: exec.CommandContext(ctx, path, args...), began: time.Now(), ctx: ctx,
		cancel: cancel}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdin = s.dir, s.env, s.stdin
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if s.stdout != nil {
		p.cmd.Stdout = s.stdout
	}
	must(s.t, p.cmd.Start())
	argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	s.wrote(string(argv))
	return p
}

// watchMemory reads the peak of a process until it ends. The channel receives that in KiB. (What wait4 reports of a
// child is at least the peak of the process that started it, and this one holds all peers.)
func (p *process) watchMemory() <-chan int {
	p.t.Helper()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	must(p.t, err)
	peak := make(chan int, 1)
	go func() {
		defer status.Close()
		peak <- peakMemory(p.ctx, status)
	}()
	return peak
}

func peakMemory(ctx context.Context, status io.ReaderAt) (most int) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	buffer := make([]byte, 4<<10)
	for {
		n, _ := status.ReadAt(buffer, 0)
		_, line, found := strings.Cut(string(buffer[:n]), "VmHWM:")
		if !found { // it is a zombie, or gone
			return most
		}
		_, _ = fmt.Sscan(line, &most)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return most
		}
	}
}

// wait returns what came of it.
func (p *process) wait() outcome {
	p.t.Helper()
	defer p.cancel()
	err := p.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	p.wrote(p.stdout.String(), p.stderr.String())
	stderr := p.stderr.String()
	return outcome{p.cmd.ProcessState.ExitCode(), time.Since(p.began), line(stderr, "error: "), line(stderr, "hint: ")}
}

// line returns what follows a word in the first line that has it.
func line(text, word string) string {
	for l := range strings.Lines(text) {
		if _, after, found := strings.Cut(l, "ecr-refresh: "+word); found {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

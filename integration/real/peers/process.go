package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	pollEvery = 100 * time.Millisecond
	stopAfter = 15 * time.Second
)

// process is one running peer: a process group of its own whose output goes to a log file.
type process struct {
	name string
	log  string
	pid  int
	done chan struct{}
	err  error

	guardian *exec.Cmd
	pipe     *os.File // the guardian's stdin
}

// start runs argv with exactly env; its log is <dir>/<name>.log, appended to.
func start(name, dir string, env []string, argv ...string) (*process, error) {
	return startAs(nil, name, dir, env, argv...)
}

// startAs is start as another user; nil is this one.
func startAs(user *syscall.Credential, name, dir string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: user}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	go func() { p.err = cmd.Wait(); close(p.done) }()
	if err := p.guard(); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// guard leaves a guardian beside the process, who ends it when this program dies without having done so (a test that
// is killed or runs out of time): then the pipe between them closes.
func (p *process) guard() error {
	stdin, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	p.pipe = pipe
	p.guardian = exec.Command("sh", "-c", `read -r _; kill -TERM "-$1"; sleep 10; kill -KILL "-$1"`, "guardian",
		strconv.Itoa(p.pid))
	p.guardian.Stdin, p.guardian.SysProcAttr = stdin, &syscall.SysProcAttr{Setpgid: true}
	return p.guardian.Start()
}

// stop ends the whole group: SIGTERM, and SIGKILL for whoever is left.
func (p *process) stop() {
	_ = syscall.Kill(-p.pid, syscall.SIGTERM)
	deadline := time.Now().Add(stopAfter)
	for time.Now().Before(deadline) && p.groupAlive() {
		time.Sleep(pollEvery / 2)
	}
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	<-p.done
	_ = p.guardian.Process.Kill()
	_ = p.guardian.Wait()
	_ = p.pipe.Close()
}

func (p *process) groupAlive() bool {
	return !errors.Is(syscall.Kill(-p.pid, 0), syscall.ESRCH)
}

// ready polls probe until it passes; a process that ends before is an error that shows its log.
func (p *process) ready(ctx context.Context, probe func(context.Context) error) error {
	return poll(ctx, p.name, func(ctx context.Context) error {
		select {
		case <-p.done:
			return final{fmt.Errorf("it ended (%v):\n%s", p.err, tail(p.log, 20))}
		default:
			return probe(ctx)
		}
	})
}

// run executes argv to its end and returns its output.
func run(ctx context.Context, env []string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// final is an error that no further poll can cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// poll calls probe until it returns nil or a final error, or until ctx ends: then it returns the last error.
func poll(ctx context.Context, what string, probe func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		if errors.As(err, new(final)) {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// tail returns the last n lines of a file.
func tail(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// freePort returns a TCP port of ip that nobody listens on.
func freePort(ip string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// listening reports whether somebody accepts connections at address.
func listening(network, address string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

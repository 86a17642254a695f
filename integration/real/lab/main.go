// Command lab leaves the real peers running: Airflow with its UI, a Docker Engine, a registry, and an ECR that issues
// tokens as long as real ones. The DAG is deployed and set up with the commands that the README shows.
//
//	lab up [--trigger] [--bin FILE] [--airflow RELEASE] [--dir FOLDER]
//	lab down [--dir FOLDER]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lab is where one lab lies and what it is made of.
type lab struct {
	dir     string
	bin     string
	airflow string
	trigger bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: lab up|down")
	}
	l, err := parse(args[1:])
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return l.up(ctx, args[1:])
	case "down":
		return l.down(ctx)
	case "supervise": // what up leaves behind
		return l.supervise(ctx)
	}
	return fmt.Errorf("unknown command %q: up or down", args[0])
}

func parse(args []string) (lab, error) {
	var l lab
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	// Not under root's home: PostgreSQL runs as another user and must reach its data.
	flags.StringVar(&l.dir, "dir", "/var/lib/ecr-refresh-lab", "folder of all data and logs, removed by down")
	flags.StringVar(&l.bin, "bin", "bin/ecr-refresh", "the binary that the tasks run")
	flags.StringVar(&l.airflow, "airflow", os.Getenv("AIRFLOW"), "Airflow's release")
	flags.BoolVar(&l.trigger, "trigger", false, "run the DAG once, and wait for its end")
	if err := flags.Parse(args); err != nil {
		return l, err
	}
	if flags.NArg() > 0 {
		return l, fmt.Errorf("unexpected %q", flags.Args())
	}
	var err error
	if l.bin, err = filepath.Abs(l.bin); err != nil {
		return l, err
	}
	l.dir, err = filepath.Abs(l.dir)
	return l, err
}

func (l lab) path(name string) string { return filepath.Join(l.dir, name) }

// up starts a supervisor in the background and waits until its lab is ready, or shows why it is not.
func (l lab) up(ctx context.Context, args []string) error {
	if l.pid() != 0 {
		fmt.Println("It is running already:")
		return l.show()
	}
	if _, err := os.Stat(l.bin); err != nil {
		return fmt.Errorf("no binary for the tasks: %w (make build)", err)
	}
	if err := errors.Join(os.RemoveAll(l.dir), os.MkdirAll(l.dir, 0o711)); err != nil {
		return err
	}
	supervisor, err := l.spawn(args)
	if err != nil {
		return err
	}
	progress, err := os.Open(l.path("lab.out"))
	if err != nil {
		return err
	}
	defer progress.Close()
	for tick := time.Tick(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), l.down(context.WithoutCancel(ctx)))
		case err := <-supervisor:
			_, _ = io.Copy(os.Stdout, progress)
			return fmt.Errorf("it did not start: %w", err)
		case <-tick:
			_, _ = io.Copy(os.Stdout, progress) // what is new of it
			if err := l.show(); err == nil {
				return nil
			}
		}
	}
}

// spawn runs this program anew as the supervisor, in a session of its own; the channel receives its end.
func (l lab) spawn(args []string) (<-chan error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(l.path("lab.out"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	process, err := os.StartProcess(self, append([]string{"ecr-refresh-lab", "supervise"}, args...), &os.ProcAttr{
		Files: []*os.File{nil, out, out}, Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(l.path("pid"), []byte(strconv.Itoa(process.Pid)), 0o600); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		state, err := process.Wait()
		done <- errors.Join(err, fmt.Errorf("%v", state))
	}()
	return done, nil
}

// show prints what the supervisor wrote when its lab was ready.
func (l lab) show() error {
	text, err := os.ReadFile(l.path("ready"))
	if err == nil {
		fmt.Print(string(text))
	}
	return err
}

// pid returns the supervisor's process id, or 0 when none runs. The id may be somebody else's by now: its name decides.
func (l lab) pid() int {
	text, err := os.ReadFile(l.path("pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return 0
	}
	argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if !strings.HasPrefix(string(argv), "ecr-refresh-lab\x00supervise\x00") {
		return 0
	}
	return pid
}

// down stops the supervisor, which stops the peers, and removes all data.
func (l lab) down(ctx context.Context) error {
	if pid := l.pid(); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return err
		}
		fmt.Println("stopping the lab")
	}
	deadline := time.After(90 * time.Second)
	for tick := time.Tick(100 * time.Millisecond); l.pid() != 0; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("the supervisor (process %d) does not end: see %s", l.pid(), l.path("lab.out"))
		case <-tick:
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return err
	}
	cache = filepath.Join(cache, "ecr-refresh")
	fmt.Printf("removed %s\n", l.dir)
	fmt.Printf("what it installed stays; make lab-purge removes it:\n  %s (Airflow)\n", cache)
	if list, err := os.ReadFile(filepath.Join(cache, "packages")); err == nil {
		fmt.Printf("  Debian's packages %s\n", strings.Join(strings.Fields(string(list)), " "))
	}
	return nil
}

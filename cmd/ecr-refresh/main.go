// Command ecr-refresh keeps Airflow's Docker connections to Amazon ECR alive: three steps, each an Airflow task and a
// shell command. See --help of each command for its inputs and exit codes.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps/failure"
)

// grace is how long a step may take to end after SIGTERM; Airflow sends SIGKILL after 5 s.
const grace = 3 * time.Second

// gcPercent lets a step end before it collects: it lives for some hundredths of a second and takes some MiB. One that has
// a thousand connections to renew collects when it comes near memoryLimit, in bytes; then both are within 24 MiB.
const (
	gcPercent   = 400
	memoryLimit = 16 << 20
)

func main() {
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: it gives the exit code. The result goes to stdout; errors and logs go to stderr, or to
// stdout as well where --log-output says so.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // a core dump would hold the token
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	p := &program{inputs: settings(), stdin: stdin, stdout: stdout, stderr: stderr}
	p.log.Store(slog.New(newSentences(stderr, slog.LevelInfo, paint(stderr))))
	done := make(chan error, 1)
	go func() { done <- p.app().RunContext(ctx, args) }()
	select {
	case err := <-done:
		if err != nil {
			report(p.log.Load(), err)
		}
		return failure.ExitCode(err)
	case sig := <-signals:
		cancel()
		select {
		case <-done:
		case <-time.After(grace):
		}
		p.log.Load().Error(fmt.Sprintf("ended by %s", sig))
		return 128 + int(sig.(syscall.Signal))
	}
}

// program is one run: what its inputs are called, its streams, and its log, which a command replaces when its flags are
// read.
type program struct {
	inputs         inputs
	stdin          io.Reader
	stdout, stderr io.Writer
	log            atomic.Pointer[slog.Logger]
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:      "ecr-refresh",
		Usage:     "keep Airflow's Docker connections to Amazon ECR alive",
		UsageText: "ecr-refresh COMMAND [--help]",
		Description: `An ECR password lives 12 hours. Three steps, each a task of Airflow's DAG refresh_docker_token_v4 and a shell
command, get a new one, put it into Airflow's connections, and log in with it as a Docker task would.

First of all:
  ecr-refresh plan --account 123456789012 --region us-east-1   # what a run would do; sends nothing
  ecr-refresh doctor                                           # what is set up, and what is wrong with it
  ecr-refresh run --dry-run                                    # everything but the publishing`,
		Version:              version(),
		EnableBashCompletion: true,
		HideHelpCommand:      true,
		Writer:               p.stdout,
		ErrWriter:            p.stderr,
		OnUsageError:         usageError,
		ExitErrHandler:       func(*cli.Context, error) {},
		Action:               noCommand,
	}
	app.Commands = p.commands()
	return app
}

// commands are in the order of a day: the DAG's steps, the shell's commands, what is needed once.
func (p *program) commands() []*cli.Command {
	const steps, look, once = "The steps, as tasks and by hand", "To look at things", "To set things up"
	return []*cli.Command{
		in(steps, p.extractECRToken()),
		in(steps, p.updateDockerConnection()),
		in(steps, p.testDockerConnection()),
		in(steps, p.run()),
		in(look, p.plan()),
		in(look, p.status()),
		in(look, p.doctor()),
		in(once, p.setup()),
		in(once, p.dag()),
		in(once, p.keygen()),
		in(once, p.completion()),
		p.man(),
	}
}

func in(category string, command *cli.Command) *cli.Command {
	command.Category = category
	return command
}

// usageError names the flag that was probably meant.
func usageError(c *cli.Context, err error, _ bool) error {
	hint := ""
	if _, flag, unknown := strings.Cut(err.Error(), "flag provided but not defined: -"); unknown {
		hint = didYouMean(flag, flagNames(c.Command.Flags))
	}
	return failure.Permanent(failure.Kind(cmp.Or(hint, "see "+c.Command.HelpName+" --help")), "read command line: %w", err)
}

// noCommand runs when no command's name was given; the library itself would exit with 0, or 3.
func noCommand(c *cli.Context) error {
	name, help := c.Args().First(), false
	if name == "help" {
		name, help = c.Args().Get(1), true
	}
	switch {
	case help && name == "":
		return cli.ShowAppHelp(c)
	case help && c.App.Command(name) != nil:
		return cli.ShowCommandHelp(c, name)
	case name != "":
		hint := didYouMean(name, commandNames(c.App.Commands))
		return failure.Permanent(failure.Kind(cmp.Or(hint, "see ecr-refresh --help")), "read command line: unknown command %q", name)
	}
	return failure.Permanent("see ecr-refresh --help", "read command line: no command given")
}

// version is what the Go command stamped: the module's version from git, and the Go release.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			commit = " (" + s.Value[:12] + ")"
		}
	}
	return info.Main.Version + commit + " " + info.GoVersion
}

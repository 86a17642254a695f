// Command ecr-refresh refreshes the Amazon ECR passwords of Airflow's Docker connections in three steps, each an
// Airflow task and a shell command. See --help of each command for its inputs and exit codes.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
)

func main() {
	stderr := os.Stderr
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil && !console.IsTerminal(stderr) {
		os.Stderr = null // AWS's SDK passes it to a credential_process, which may print a secret
	}
	os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, stderr))
}

// run is the whole program; it returns the exit code. The result goes to stdout; errors and logs go to stderr, or to
// stdout as well with --log-output stdout.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// A step usually ends before its first garbage collection: it runs for some hundredths of a second and takes some
	// MiB. With a thousand connections it collects garbage near 16 MiB, and the process stays below 24 MiB.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(16 << 20)
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // a core dump would have the token
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	stdout, stderr = console.Printable{Writer: stdout}, console.Printable{Writer: stderr}
	p := &program{Settings: input.NewSettings(), stdin: stdin, stdout: stdout, stderr: stderr}
	if len(args) > 1 && args[1] == "help" && args[len(args)-1] != "--generate-bash-completion" {
		args = append(append(args[:1:1], args[2:]...), "--help")
	}
	slog.SetDefault(console.NewLog(stderr, slog.LevelInfo, false, hints.Of)) // until a command has read its flags
	if p.completesValue(args) {
		return 0
	}
	done := make(chan error, 1)
	go func() { done <- p.app().RunContext(ctx, args) }()
	select {
	case err := <-done:
		if err != nil {
			slog.Error(err.Error(), steps.FailureKey, err)
		}
		return failure.ExitCode(err)
	case sig := <-signals:
		cancel()
		select {
		case <-done:
		case <-time.After(3 * time.Second): // Airflow sends SIGKILL after 5 s
		}
		slog.Error(fmt.Sprintf("ended by %s", sig))
		return 128 + int(sig.(syscall.Signal))
	}
}

func (p *program) app() *cli.App {
	return &cli.App{
		Name:      "ecr-refresh",
		Usage:     "refresh the Amazon ECR passwords of Airflow's Docker connections",
		UsageText: "ecr-refresh [global options] COMMAND [--help]",
		Description: `An ECR password is valid for 12 hours. Three steps, each a task of Airflow's DAG
refresh_docker_token_v4 and a shell command, get a new one, update Airflow's connections with it, and log in
with it as a Docker task would.

Getting started:
  ecr-refresh plan --account 123456789012 --region us-east-1   # what a run would do; sends nothing
  ecr-refresh doctor                                           # what is set up, and what is wrong with it
  ecr-refresh run --dry-run                                    # everything but the update

` + input.EnvFileHelp,
		Flags:                flags(append(p.Calling(), p.Logging()...)), // before the command, too,
		Version:              version(),
		EnableBashCompletion: true,
		HideHelpCommand:      true,
		Writer:               p.stdout,
		ErrWriter:            p.stderr,
		OnUsageError:         usageError,
		ExitErrHandler:       func(*cli.Context, error) {},
		Action:               noCommand,
		Commands: slices.Concat( // the steps in the DAG's order
			in("DAG steps, also in a shell",
				p.extractECRToken(), p.updateDockerConnection(), p.testDockerConnection(), p.run()),
			in("Inspect", p.plan(), p.status(), p.doctor()),
			in("Set up", p.setup(), p.dag(), p.keygen(), p.completion()),
		),
	}
}

func in(category string, commands ...*cli.Command) []*cli.Command {
	for _, c := range commands {
		c.Category = category
	}
	return commands
}

// release is the version at the top of CHANGELOG.md, with -dev until that has a date; a test compares them.
const release = "0.2.0-dev"

// version returns it with what the Go command stamped: the commit, unless git was not there, and the Go release.
func version() string {
	info, _ := debug.ReadBuildInfo()
	commit := "unknown commit"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = fmt.Sprintf("%.12s", s.Value)
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += " modified"
		}
	}
	return fmt.Sprintf("%s (%s, %s)", release, commit, info.GoVersion)
}

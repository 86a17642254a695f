package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"

	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/metrics"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/xcom"
)

// program is one run of the program: its settings and its streams.
type program struct {
	input.Settings
	stdin          io.Reader
	stdout, stderr io.Writer
}

// call is one invocation of a command.
type call struct {
	*input.Reader
	written func() // called once the result is on stdout, unless it is nil
}

// work is what a command does when it has its inputs. It returns what is printed, even if there is an error.
type work = func(context.Context) ([]byte, error)

// What the exit codes 1 and 2 mean to most commands.
const (
	unavailable = "a service failed: the same command may succeed later"
	wrong       = "input, configuration or permission is wrong"
	inTheDAG    = " (in the DAG, the task fails at once, without retries)"
)

// exits returns the end of a command's help: its exit codes. One that has no code 1 calls no service, and ends at once.
func exits(one, two string) string {
	if one != "" {
		one, two = "  1  "+one+"\n", two+"\n  130, 143  ended by SIGINT, SIGTERM"
	}
	return "\n\nExit codes:\n  0  done\n" + one + "  2  " + two
}

// command returns a command that calls services, with flags for settings. read reads the inputs and returns the work,
// which runs under --timeout.
func (p *program) command(command cli.Command, settings []input.Setting, read func(*call) work) *cli.Command {
	command.Flags = append(command.Flags, input.RequireHTTPSFlag())
	return p.local(command, append(settings, p.Calling()...), func(c *call) work {
		work := read(c)
		timeout := c.Duration(c.Timeout) // read may set its fallback
		return func(ctx context.Context) ([]byte, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			c.End.Reset(timeout + grace) // the inputs are read
			return work(ctx)
		}
	})
}

// local returns a command that calls no service.
func (p *program) local(command cli.Command, settings []input.Setting, read func(*call) work) *cli.Command {
	command.Flags = append(command.Flags, flags(append(settings, p.Logging()...))...)
	command.OnUsageError = usageError
	command.HideHelpCommand = true
	command.Action = func(c *cli.Context) error {
		if word := c.Args().First(); c.Args().Present() {
			return unknown(c, "unexpected argument", word, c.Command.VisibleCommands())
		}
		if err := input.Prepare(); err != nil {
			return err
		}
		call := &call{Reader: &input.Reader{Context: c, Settings: p.Settings, Stdin: p.stdin}}
		p.openLog(call)
		call.CheckFIPS()
		return call.inTime(func() error { return call.do(read) })
	}
	return &command
}

// grace is how long a command may take beside --timeout: it logs out, and doctor looks at a run that goes on.
const grace = 10 * time.Second

// inTime returns what do returns, or an error some time after --timeout, whatever do waits for then: a library may read
// a pipe that nobody writes to.
func (c *call) inTime(do func() error) error {
	limit, _ := time.ParseDuration(c.Optional(c.Timeout)) // Duration reports one that is malformed
	c.End = time.NewTimer(limit + grace)
	defer c.End.Stop()
	const late = "run %s: no end in time: stdin, or a file that it reads, may have none"
	return within(c.End.C, do, failure.Transient(input.NoFile, late, c.Command.HelpName))
}

// within returns what do returns, or late if the end comes first: nobody waits for do any more.
func within(end <-chan time.Time, do func() error, late error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-end:
		return late
	}
}

func flags(settings []input.Setting) (all []cli.Flag) {
	for _, s := range settings {
		all = append(all, s.CLI())
	}
	return all
}

// openLog reads the settings of the log, where the errors of the program go from here on, too.
func (p *program) openLog(c *call) {
	stream, format := p.stderr, c.Choice(c.LogFormat)
	if c.Choice(c.LogOutput) == "stdout" {
		stream = p.stdout
	}
	var lowest slog.Level // info, where it is no choice
	_ = lowest.UnmarshalText([]byte(c.Choice(c.LogLevel)))
	c.Log = console.NewLog(stream, lowest, format == "json", hints.Of)
	slog.SetDefault(c.Log)
}

// do reads the inputs, works, and writes the result to stdout, the last line there, and to the file of --out.
func (c *call) do(read func(*call) work) error {
	work, out := read(c), c.String(c.Out.Flag)
	if out != "" {
		c.Fault(privatefile.CheckWrite(out))
	}
	if err := c.Err(); err != nil {
		return err
	}
	result, err := work(c.Context.Context)
	if result == nil {
		return err
	}
	if _, failed := c.App.Writer.Write(result); failed != nil {
		err = errors.Join(failure.Permanent(console.StdoutFailed, "write result: %w", failed), err)
	}
	if out != "" {
		err = errors.Join(privatefile.Write(out, result), err)
	}
	if c.written != nil {
		c.written()
	}
	return err
}

// text returns v as JSON with --json, else the text.
func (c *call) text(v any, text []byte) []byte {
	if c.Bool("json") {
		text, _ = xcom.Print(v) // strings, numbers and times
	}
	return text
}

// result returns the work of a step, which prints its result as JSON. If it succeeded, and was no dry run, that is
// followed by --metrics-file: a file that cannot be written is a warning before the result, and fails no step.
func result[R any](c *call, step func(context.Context) (R, error)) work {
	return func(ctx context.Context) (text []byte, err error) {
		began := time.Now()
		result, err := step(ctx)
		if err == nil {
			text, err = xcom.Print(result)
		}
		if pattern := c.Optional(c.Metrics); err == nil && pattern != "" && !c.DryRun() {
			name, dag := strings.ReplaceAll(c.Command.Name, "-", "_"), os.Getenv("AIRFLOW_CTX_DAG_ID")
			run := metrics.Run{Step: name, DAG: dag, Began: began, Ended: time.Now(), Result: text}
			path, late := run.Path(pattern), errors.New("no answer of the disk within a second")
			err := within(time.After(time.Second), func() error { return privatefile.CheckWrite(path) }, late)
			if err != nil {
				c.Log.Warn("metrics: " + err.Error())
				return text, nil
			}
			c.written = func() { _ = privatefile.WritePublic(path, run.Text()) } // the result ends a task's log
		}
		return text, err
	}
}

func jsonFlag() cli.Flag { return input.Switch("json", "print one JSON object") }

// noCommand prints the help when no command was named. For another word, the library itself would exit with 0, or 3.
func noCommand(c *cli.Context) error {
	if word := c.Args().First(); word != "" {
		return unknown(c, "unknown command", word, c.App.VisibleCommands())
	}
	return cli.ShowAppHelp(c)
}

// usageError returns an error of the command line.
func usageError(c *cli.Context, err error, _ bool) error {
	if _, flag, found := strings.Cut(err.Error(), "flag provided but not defined: -"); found {
		return unknown(c, "unknown flag", "--"+flag, c.Command.VisibleFlags())
	}
	hint := "see " + cmp.Or(c.Command.HelpName, c.App.Name) + " --help"
	return failure.Permanent(console.Usage, "read command line: %w", err).Want(hint)
}

// unknown returns an error of the command line with the one of known, flags or commands, that was probably meant.
func unknown[T interface{ Names() []string }](c *cli.Context, what, word string, known []T) error {
	name := strings.TrimPrefix(word, "--")
	meant, best := "", 0.8 // of 1, by Jaro and Winkler's measure
	for _, one := range known {
		if likeness := smetrics.JaroWinkler(one.Names()[0], name, 0.7, 4); likeness >= best {
			meant, best = strings.TrimSuffix(word, name)+one.Names()[0], likeness
		}
	}
	if meant == "" {
		return usageError(c, fmt.Errorf("%s %q", what, word), false)
	}
	return failure.Permanent("", "read command line: %s %q: did you mean %s?", what, word, meant)
}

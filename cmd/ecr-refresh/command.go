package main

import (
	"cmp"
	"context"
	"errors"
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
	stdout io.Writer
}

// work is what a command does when it has its inputs. It returns what is printed, even if there is an error.
type work = func(context.Context) ([]byte, error)

const exitCodes = `

Exit codes:
  0    done
  1    a service failed: a retry may help
  2    input, configuration or permission is wrong: a retry fails again until it is changed
  130, 143  ended by SIGINT, SIGTERM`

// command returns command with flags for settings. read reads the inputs and returns the work, which runs under
// --timeout.
func (p *program) command(command cli.Command, settings []input.Setting, read func(*call) work) *cli.Command {
	for _, s := range append(settings, p.Common()...) {
		command.Flags = append(command.Flags, s.CLI())
	}
	command.Description += exitCodes
	command.OnUsageError = usageError
	command.HideHelpCommand = true
	command.Action = func(c *cli.Context) error {
		if word := c.Args().First(); c.Args().Present() {
			return usage(c, similar(word, c.Command.VisibleCommands()), "unexpected argument %q", word)
		}
		call := &call{Reader: &input.Reader{Context: c, Settings: p.Settings, Stdin: p.stdin}, stdout: p.stdout}
		if err := p.openLog(call); err != nil {
			return err
		}
		return call.do(read)
	}
	return &command
}

// openLog reads the settings of the log, where the errors of the program go from here on, too.
func (p *program) openLog(c *call) error {
	output, err1 := c.Choice(c.LogOutput, "stderr", "stdout")
	format, err2 := c.Choice(c.LogFormat, "text", "json")
	level, err3 := c.Choice(c.LogLevel, "debug", "info", "warn", "error")
	var lowest slog.Level
	if err := cmp.Or(err1, err2, err3, lowest.UnmarshalText([]byte(level))); err != nil {
		return err
	}
	stream := p.stderr
	if output == "stdout" {
		stream = p.stdout
	}
	c.Log = console.NewLog(stream, lowest, format == "json", hints.Of)
	slog.SetDefault(c.Log)
	return nil
}

// do reads the inputs, works, and writes the result to stdout, the last line there, and to the file of --out.
func (c *call) do(read func(*call) work) error {
	work, out := read(c), c.String(c.Out.Flag)
	timeout := c.Duration(c.Timeout) // read may set its fallback
	if out != "" {
		c.Fault(privatefile.CheckWrite(out))
	}
	if err := c.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context.Context, timeout)
	defer cancel()
	result, err := work(ctx)
	if result == nil {
		return err
	}
	if _, failed := c.stdout.Write(result); failed != nil {
		err = errors.Join(failure.Permanent(console.StdoutFailed, "write result: %w", failed), err)
	}
	if out != "" {
		err = errors.Join(privatefile.Write(out, result), err)
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

// result returns the work of a step, which prints its result as JSON. If it succeeded, and was no dry run, it writes
// --metrics-file: a file that cannot be written fails no step.
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
			if err := run.Write(pattern); err != nil {
				c.Log.Warn("metrics: " + err.Error())
			}
		}
		return text, err
	}
}

func jsonFlag() cli.Flag { return input.Switch("json", "print one JSON object") }

// noCommand runs when no command was named; the library itself would exit with 0, or 3.
func noCommand(c *cli.Context) error {
	if word := c.Args().First(); word != "" {
		return usage(c, similar(word, c.App.VisibleCommands()), "unknown command %q", word)
	}
	return usage(c, "", "no command given")
}

// usageError returns an error of the command line with the flag that was probably meant.
func usageError(c *cli.Context, err error, _ bool) error {
	_, flag, _ := strings.Cut(err.Error(), "flag provided but not defined: -")
	meant := similar(flag, c.Command.VisibleFlags())
	if meant != "" {
		meant = "--" + meant
	}
	return usage(c, meant, "%w", err)
}

// usage returns an error of the command line. meant is what was probably meant, or "".
func usage(c *cli.Context, meant, format string, args ...any) error {
	hint := "see " + cmp.Or(c.Command.HelpName, c.App.Name) + " --help"
	if meant != "" {
		hint = "did you mean " + meant + "?"
	}
	return failure.Permanent(console.Usage, "read command line: "+format, args...).Want(hint)
}

// similar returns the name of the flag or command that word was probably meant to be, or "".
func similar[T interface{ Names() []string }](word string, all []T) (meant string) {
	best := 0.8 // of 1, by Jaro and Winkler's measure
	for _, one := range all {
		name := one.Names()[0]
		if likeness := smetrics.JaroWinkler(name, word, 0.7, 4); likeness >= best {
			meant, best = name, likeness
		}
	}
	return meant
}

// Package command runs one command: it reads the settings, opens the log, bounds the work and prints the result.
package command

import (
	"cmp"
	"context"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/metrics"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/xcom"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"
)

// Kinds of failure of a command.
const (
	Misspelt     failure.Kind = "misspelt" // Facts.Want: what was probably meant
	Usage        failure.Kind = "usage"    // Facts.Object: the command
	StdoutFailed failure.Kind = "stdout not written"
)

// Program is one run of the program: its settings, its streams, the table of hints.
type Program struct {
	input.Settings
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Hint           func(error) string

	log atomic.Pointer[slog.Logger] // of the command, when it has read its flags
}

// Log returns the log.
func (p *Program) Log() *slog.Logger {
	if log := p.log.Load(); log != nil {
		return log
	}
	return console.Log{Writer: p.Stderr, Paint: console.Paint(p.Stderr), Hint: p.Hint}.Logger()
}

// Call is one invocation of a command.
type Call struct {
	*input.Reader
	Stdout   io.Writer
	terminal *console.Progress // nil where the log goes elsewhere
}

// Work is what a command does when it has its inputs. It returns what is printed, even if there is an error.
type Work = func(context.Context) ([]byte, error)

// Step returns command with flags for settings. read reads the inputs and returns the work, which runs under --timeout.
func (p *Program) Step(command cli.Command, settings []input.Setting, read func(*Call) Work) *cli.Command {
	for _, s := range append(settings, p.Common()...) {
		command.Flags = append(command.Flags, s.CLI())
	}
	command.OnUsageError = UsageError
	command.HideHelpCommand = true
	command.Action = func(c *cli.Context) error {
		if err := NoArguments(c); err != nil {
			return err
		}
		call := &Call{Reader: &input.Reader{Context: c, Settings: p.Settings, Stdin: p.Stdin}, Stdout: p.Stdout}
		if err := p.openLog(call); err != nil {
			return err
		}
		return call.do(read)
	}
	return &command
}

// openLog reads the settings of the log, and from here on errors go there too.
func (p *Program) openLog(c *Call) error {
	output, err1 := c.Choice(c.LogOutput, "stderr", "stdout")
	format, err2 := c.Choice(c.LogFormat, "text", "json")
	level, err3 := c.Choice(c.LogLevel, "debug", "info", "warn", "error")
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	log := console.Log{Writer: p.Stderr, JSON: format == "json", Hint: p.Hint}
	if output == "stdout" {
		log.Writer = p.Stdout
	}
	_ = log.Level.UnmarshalText([]byte(level)) // one of the four
	log.Paint = console.Paint(log.Writer)
	if console.IsTerminal(log.Writer) {
		c.terminal = console.NewProgress(log.Writer)
		log.Writer = c.terminal
	}
	c.Log = log.Logger()
	p.log.Store(c.Log)
	return nil
}

func (c *Call) do(read func(*Call) Work) error {
	timeout := c.Duration(c.Timeout)
	work := read(c)
	out := c.String(c.Out.Flag)
	if out != "" {
		c.Fault(privatefile.CheckWrite(out))
	}
	if err := c.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context.Context, timeout)
	defer cancel()
	began := time.Now()
	result, err := c.watched(ctx, work)
	if err == nil {
		c.writeMetrics(began, result)
	}
	if err != nil && result == nil {
		return err
	}
	return errors.Join(c.print(result, out), err)
}

// watched shows on a terminal that the work goes on.
func (c *Call) watched(ctx context.Context, work Work) ([]byte, error) {
	if c.terminal != nil {
		defer c.terminal.During(c.Command.Name)()
	}
	return work(ctx)
}

// writeMetrics writes --metrics-file for a step that succeeded. One that failed leaves the file as it is, which then
// shows the last success; so does a dry run. A file that cannot be written fails no step.
func (c *Call) writeMetrics(began time.Time, result []byte) {
	pattern := c.Optional(c.Metrics)
	measured := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return f.Names()[0] == c.Metrics.Flag })
	if pattern == "" || !measured || c.DryRun() {
		return
	}
	run := metrics.Run{
		Step: strings.ReplaceAll(c.Command.Name, "-", "_"), DAG: os.Getenv("AIRFLOW_CTX_DAG_ID"),
		Began: began, Ended: time.Now(), Result: result,
	}
	if err := run.Write(pattern); err != nil {
		c.Log.Warn("metrics: " + err.Error())
	}
}

// print writes the result to stdout, the last line there, and to the file out unless that is "".
func (c *Call) print(result []byte, out string) error {
	_, err := c.Stdout.Write(result)
	if err != nil {
		err = failure.Permanent(StdoutFailed, "write result: %w", err)
	}
	if out != "" {
		err = errors.Join(err, privatefile.Write(out, result))
	}
	return err
}

// Printed returns the JSON line of a step's result.
func Printed(result any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return xcom.Print(result)
}

// JSONLine returns v as one line of JSON.
func JSONLine(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	return append(text, '\n'), err
}

// JSONFlag returns the flag of commands that print JSON on demand.
func JSONFlag() cli.Flag {
	return input.Switch("json", "print one JSON object")
}

// Describe returns a command's description with what all of them share.
func Describe(text string) string {
	return text + `

Exit codes:
  0    done
  1    a service failed: in a task, Airflow retries
  2    input, configuration or permission: not retried
  130, 143  ended by SIGINT, SIGTERM`
}

// NoArguments returns an error if there is any.
func NoArguments(c *cli.Context) error {
	if word := c.Args().First(); c.Args().Present() {
		return usage(c, similarCommand(word, c.Command.Subcommands), "unexpected argument %q", word)
	}
	return nil
}

// UsageError returns an error of the command line with the flag that was probably meant.
func UsageError(c *cli.Context, err error, _ bool) error {
	_, flag, _ := strings.Cut(err.Error(), "flag provided but not defined: -")
	return usage(c, similarFlag(flag, c.Command.Flags), "%w", err)
}

// usage returns an error of the command line. meant is what was probably meant, or "".
func usage(c *cli.Context, meant, format string, args ...any) error {
	kind := Usage
	if meant != "" {
		kind = Misspelt
	}
	name := cmp.Or(c.Command.HelpName, c.App.Name)
	return failure.Permanent(kind, "read command line: "+format, args...).About(name).Want(meant)
}

// NoCommand runs when no command was named; the library itself would exit with 0, or 3.
func NoCommand(c *cli.Context) error {
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
		return usage(c, similarCommand(name, c.App.Commands), "unknown command %q", name)
	}
	return usage(c, "", "no command given")
}

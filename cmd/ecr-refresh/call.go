package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// maxDocument bounds a document: 50 tokens take 121 kB.
const maxDocument = 8 << 20

// call is one invocation of a step's command. Its inputs are read one after another; what is missing or malformed is
// gathered in faults and told all at once.
type call struct {
	*cli.Context
	inputs
	stdin  io.Reader
	stdout io.Writer
	log    *slog.Logger
	faults []error

	hosts    map[string]string // of connections, where Airflow told
	terminal *progress         // nil where the log goes elsewhere
}

// step makes the command of one step. read gathers the inputs and makes the step; the step it gives runs under --timeout
// and its result is printed, be there an error beside it or not.
func (p *program) step(command cli.Command, flags []setting, read func(*call) func(context.Context) ([]byte, error)) *cli.Command {
	for _, s := range append(flags, p.inputs.common()...) {
		command.Flags = append(command.Flags, s.cliFlag())
	}
	command.OnUsageError = usageError
	command.HideHelpCommand = true
	command.Action = func(c *cli.Context) error {
		call := &call{Context: c, inputs: p.inputs, stdin: p.stdin, stdout: p.stdout}
		if err := p.openLog(call); err != nil {
			return err
		}
		return call.do(read)
	}
	return &command
}

// openLog reads the flags of the log, and from here on errors go there too.
func (p *program) openLog(c *call) error {
	if c.Args().Present() {
		hint := didYouMean(c.Args().First(), commandNames(c.Command.Subcommands))
		return failure.Permanent(failure.Kind(cmp.Or(hint, "see "+c.Command.HelpName+" --help")), "read command line: unexpected argument %q", c.Args().First())
	}
	w := p.stderr
	switch output := c.optional(c.logOutput); output {
	case "stderr":
	case "stdout":
		w = p.stdout
	default:
		return failure.Permanent("give stderr or stdout", "read --log-output: %q is no stream", output)
	}
	colours := paint(w)
	if isTerminal(w) {
		c.terminal = &progress{w: w}
		w = c.terminal
	}
	log, err := newLog(w, c.optional(c.logFormat), c.optional(c.logLevel), colours)
	if err != nil {
		return err
	}
	c.log = log
	p.log.Store(log)
	return nil
}

func (c *call) do(read func(*call) func(context.Context) ([]byte, error)) error {
	timeout := c.duration(c.timeout)
	run := read(c)
	if path := c.String(c.out.flag); path != "" {
		c.fault(privatefile.CheckWrite(path))
	}
	if len(c.faults) > 0 {
		return failure.Permanent(failure.Kind(inputHint(c.faults)), "read inputs: %w", failure.Join(c.faults))
	}
	ctx, cancel := context.WithTimeout(c.Context.Context, timeout)
	defer cancel()
	began := time.Now()
	result, err := c.watched(ctx, run)
	c.writeMetrics(began, result, err)
	if err != nil && result == nil {
		return err
	}
	return errors.Join(c.print(result), err)
}

// watched runs a command's work under the eyes of who sits at the terminal, if somebody does.
func (c *call) watched(ctx context.Context, run func(context.Context) ([]byte, error)) ([]byte, error) {
	if c.terminal != nil {
		defer c.terminal.during(c.Command.Name)()
	}
	return run(ctx)
}

func inputHint(faults []error) string {
	if hint := hintOf(failure.Join(faults)); hint != "" {
		return hint
	}
	return "see --help for each input; in the DAG they are the keys of env"
}

// print writes the result to stdout, the last line there, and to --out.
func (c *call) print(result []byte) error {
	_, err := c.stdout.Write(result)
	if err != nil {
		err = failure.Permanent("look at where stdout leads: its disk is full, or its reader is gone", "%w", err)
	}
	if path := c.String(c.out.flag); path != "" {
		err = errors.Join(err, privatefile.Write(path, result))
	}
	return err
}

func (c *call) fault(err error) {
	if err != nil {
		c.faults = append(c.faults, err)
	}
}

// excused runs read, and gives the faults that it finds instead of keeping them.
func (c *call) excused(read func()) error {
	before := c.faults
	c.faults = nil
	read()
	found := failure.Join(c.faults)
	c.faults = before
	return found
}

// optional gives an input, or its fallback.
func (c *call) optional(s setting) string {
	if v, _ := given(c.Context, s); v != "" {
		return v
	}
	return s.fallback
}

// need gives an input that has no fallback.
func (c *call) need(s setting, check func(string) error) string {
	v := c.optional(s)
	if v == "" {
		c.missing(s.flag, s.names())
		return ""
	}
	c.fault(check(v))
	return v
}

func (c *call) missing(what, how string) {
	c.fault(fmt.Errorf("missing %s (%s)", what, how))
}

func (c *call) duration(s setting) time.Duration {
	return c.positive(s.flag, c.optional(s), s.fallback)
}

func (c *call) positive(flag, text, example string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		c.fault(fmt.Errorf("--%s %.20q is not a duration such as %s", flag, text, example))
	}
	return d
}

func (c *call) dryRun() bool { return c.yes("dry-run", dryRunEnv) }

// yes reads an input of two values; Jinja renders them as True and False.
func (c *call) yes(flag, env string) bool {
	if c.IsSet(flag) {
		return c.Bool(flag)
	}
	v := os.Getenv(env)
	if unset(v) {
		return false
	}
	yes, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v)))
	if err != nil {
		c.fault(fmt.Errorf("%s %.20q is neither true nor false", env, v))
	}
	return yes
}

const (
	dryRunEnv       = "ECR_REFRESH_DRY_RUN"
	requireHTTPSEnv = "ECR_REFRESH_REQUIRE_HTTPS"
)

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "check all, publish nothing [$" + dryRunEnv + "]", DisableDefaultText: true}
}

func requireHTTPSFlag() cli.Flag {
	return &cli.BoolFlag{Name: "require-https", Usage: "refuse http to an Airflow, an Engine or an ECR on another host [$" + requireHTTPSEnv + "]", DisableDefaultText: true}
}

// documentOf reads the document of the step before from exactly one of its sources. stdin is read only for "-": in an
// Airflow task it is the supervisor's socket.
func documentOf[D xcom.ExtractECRToken | xcom.UpdateDockerConnection](c *call, read func(string) (D, error)) (doc D) {
	text, err := c.documentText()
	if err == nil {
		doc, err = read(text)
	}
	c.fault(err)
	return doc
}

func (c *call) documentText() (string, error) {
	path, name := c.String(c.document.flag), c.document.env[0]
	env, set := inParts(name)
	switch {
	case path != "" && env != "":
		return "", failure.Permanent("give one", "two sources for one document: --in and %s", name)
	case path == "-":
		return readDocument(c.stdin)
	case path != "":
		text, err := privatefile.Read(path, maxDocument)
		return string(text), err
	case !set:
		return "", fmt.Errorf("missing document of the step before (%s)", c.document.names())
	}
	return env, nil
}

func readDocument(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("read document: it is longer than %d bytes", maxDocument)
	}
	return string(text), err
}

// identityPath is where this host's own identity lies.
func (c *call) identityPath() (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", failure.Permanent("set ECR_REFRESH_RECIPIENT for step 1 and ECR_REFRESH_PRIVATE_KEY for step 2 (ecr-refresh keygen)",
				"find a place for this host's identity: neither XDG_STATE_HOME nor HOME is set")
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "ecr-refresh", "identity"), nil
}

// givenIdentity gives the identity that was handed over, if one was: the private key, or a named file.
func (c *call) givenIdentity() (id secret.Identity, found bool, err error) {
	if key := secretFromEnv(privateKeyEnv); !key.Empty() {
		id, err = secret.ParseIdentity(key)
		if err != nil {
			err = fmt.Errorf("%s: %w", privateKeyEnv, err)
		}
		return id, true, err
	}
	if path := c.optional(c.identityFile); path != "" {
		id, err = secret.LoadIdentity(path)
		return id, true, err
	}
	return id, false, nil
}

const privateKeyEnv = "ECR_REFRESH_PRIVATE_KEY"

// Package input reads what an invocation is given: flags, the environment, files. What is missing or malformed is
// reported as the reader of the log knows it: in a task by Airflow's Variables and connections, in a shell by flags
// and variables.
package input

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/privatefile"
)

// Kinds of failure of inputs, and their facts.
const (
	Missing      failure.Kind = "input missing"         // Object: what to give
	BadValue     failure.Kind = "malformed value"       // Object: the flag or variable
	BadIDs       failure.Kind = "ids of connections"    // malformed, or not of the targets list
	BadField     failure.Kind = "field of a connection" // Object: the connection; Want: its fields
	NoFile       failure.Kind = "file not read"
	BadProxy     failure.Kind = "malformed proxy"        // Object: the variable
	Malformed    failure.Kind = "malformed AIRFLOW_CONN" // Object: the variable
	Conflict     failure.Kind = "two inputs for one"
	OldDAG       failure.Kind = "input of an old dag" // it cannot be read
	NoAirflow    failure.Kind = "airflow connection"
	NoDocker     failure.Kind = "docker connection" // Object: its AIRFLOW_CONN variable
	NoPrivateKey failure.Kind = "private key missing"
	NotApproved  failure.Kind = "cryptography that fips does not approve"
	Unencrypted  failure.Kind = "unencrypted" // Want: what to use instead
)

// maxInput bounds an input file or stdin, in bytes: 50 tokens take 121 kB.
const maxInput = 8 << 20

// Reader reads the inputs of one invocation, one after another. What is missing or malformed is collected, for Err.
type Reader struct {
	*cli.Context
	Settings
	Stdin io.Reader
	Log   *slog.Logger
	End   *time.Timer // ends the command: it is stopped while a person is asked

	Hosts     map[string]string // of connections, by id, as far as Airflow reported them
	Variables map[string]string // of Airflow, where it was asked: they stand in for settings that are not given

	faults []error
}

// Fault collects err, unless it is nil.
func (r *Reader) Fault(err error) {
	if err != nil {
		r.faults = append(r.faults, err)
	}
}

// Faulty reports whether anything was missing or malformed so far.
func (r *Reader) Faulty() bool { return len(r.faults) > 0 }

// Collect returns what is missing or malformed of the inputs that read reads, as one error, in place of collecting it.
func (r *Reader) Collect(read func()) error {
	defer func(before []error) { r.faults = before }(r.faults)
	r.faults = nil
	read()
	return failure.Join(r.faults)
}

// Err returns nil, or the error of the last input that is missing or malformed. The others are logged, each with its
// hint, up to a limit. In a shell, an input that is missing takes one line, with its hint.
func (r *Reader) Err() (err error) {
	const most = 50 // a result that somebody made may have any number
	for i, fault := range r.faults {
		switch {
		case err == nil || i > most:
		case i == most:
			r.Log.Error(fmt.Sprintf("%d more inputs are missing or malformed", len(r.faults)-most))
		default:
			r.Log.Error(err.Error(), steps.FailureKey, err)
		}
		if kind, facts := failure.Describe(fault); kind == Missing && Operator() == "" {
			err = failure.Permanent("", "%v: give %s", fault, facts.Object)
		} else {
			err = failure.Permanent("", "%w", fault)
		}
	}
	return err
}

// Given returns the value of a setting and the name of the flag or variable that it comes from, or its fallback and "".
// The flag may stand before the command, too.
func (r *Reader) Given(s Setting) (value, source string) {
	for _, part := range r.Lineage() {
		if v := trim(part.String(s.Flag)); v != "" {
			return v, "--" + s.Flag
		}
	}
	for _, name := range s.Env {
		if v := lookup(name); v != "" {
			return v, name
		}
		if v := r.Variables[variableOf(name)]; v != "" {
			return v, nameOf(name)
		}
	}
	return s.Fallback, ""
}

// Optional returns the value of a setting, or its fallback.
func (r *Reader) Optional(s Setting) string {
	v, _ := r.Given(s)
	return v
}

// Need returns a setting that comes from a Variable. also is put behind the message that it is missing.
func (r *Reader) Need(s Setting, also string) string {
	v, source := r.Given(s)
	err, kind, correct, give := s.check(v), BadValue, source, s.Names()
	if Operator() != "" {
		source = sourceOf(s.Env[0])
		give = variableOf(s.Env[0]) + " " + failure.WantOf(err, s.example)
		kind, correct, also = Missing, give, ": "+source+" is missing"+also
	}
	if v == "" {
		r.Missing(s.title, give, also)
	} else if err != nil {
		r.Fault(failure.Permanent(kind, "%s is %w", source, err).About(correct))
	}
	return v
}

// Missing reports what is not given. how is what to give; also is put behind the message.
func (r *Reader) Missing(what, how, also string) {
	r.Fault(failure.Permanent(Missing, "%s is not set%s", what, also).About(how))
}

// Duration returns a setting that is a positive time.
func (r *Reader) Duration(s Setting) time.Duration {
	v, source := r.Given(s)
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		r.Fault(badValue(cmp.Or(source, "--"+s.Flag), v, "a duration (such as 60s or 3h)"))
	}
	return d
}

// Choice returns a setting that is one of its choices, in their case.
func (r *Reader) Choice(s Setting) string {
	v, source := r.Given(s)
	choice := strings.ToLower(v)
	if !slices.Contains(s.Choices, choice) {
		r.Fault(badValue(source, v, strings.Join(s.Choices, " or ")))
	}
	return choice
}

func badValue(source, value, want string) error {
	return failure.Permanent(BadValue, "%s is %.20q, not %s", source, value, want).About(source)
}

// DryRun reports whether nothing may be changed.
func (r *Reader) DryRun() bool { return r.yes(dryRun, names.DryRunEnv) }

// yes reads an input of two values; Jinja renders them as True and False.
func (r *Reader) yes(flag, env string) bool {
	if r.IsSet(flag) {
		return r.Bool(flag)
	}
	v := lookup(env)
	yes, err := strconv.ParseBool(strings.ToLower(v))
	if v != "" && err != nil {
		r.Fault(badValue(env, v, "true or false"))
	}
	return yes
}

// Result returns the result of the previous step, from exactly one of its sources. stdin is read only for "-": in an
// Airflow task it is the supervisor's socket.
func Result[R any](r *Reader, parse func(text string) (R, error)) (result R) {
	path, text, file, err := r.String(r.Previous.Flag), parts(names.ResultEnv), []byte(nil), error(nil)
	switch {
	case path != "" && text != "":
		err = failure.Permanent(Conflict, "--%s and %s are both set", r.Previous.Flag, names.ResultEnv)
	case path == "-":
		if file, err = readLimited(r.Stdin); err != nil {
			err = fmt.Errorf("read stdin: %w", err)
		}
	case path != "":
		file, err = privatefile.Read(path, maxInput)
	}
	if err == nil {
		result, err = parse(text + string(file)) // one of them is empty
	}
	r.Fault(err)
	return result
}

func readLimited(in io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = failure.Permanent(NoFile, "it is longer than %d bytes", maxInput)
	}
	return text, err
}

// readFile reads a file that is no secret.
func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a pipe must not wait for its writer
	if err != nil {
		return nil, failure.Permanent(NoFile, "%w", errors.Unwrap(err))
	}
	defer file.Close()
	return readLimited(file)
}

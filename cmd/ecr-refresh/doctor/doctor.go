// Package doctor checks what a run needs, and changes nothing. Each area has a file of checks.
package doctor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/console"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/untrusted"
)

// checkLimit bounds one check.
const checkLimit = 10 * time.Second

// Doctor is what a run would use. A client is nil where there is none, or its inputs are faulty.
type Doctor struct {
	Inputs    *input.Reader
	Pool, DAG string
	Version   string // of this program

	Airflow                   *airflowclient.Client // logs in as the DAG does
	Account, Login, GrantType string                // what it logs in with
	Reader                    *airflowclient.Client // of all that Airflow has, if not Airflow

	AWS      ecr.Config
	Registry *registry.Client
	Docker   *docker.Engine

	faults   Findings
	patience time.Duration // with a task that waits: none at the end of Run
	targets  []target.Target
}

type check func(context.Context, *Findings)

// Examine runs all checks: first those of Airflow's Variables and connections, since these may name the registries,
// then all others at once.
func (d *Doctor) Examine(ctx context.Context) Findings {
	d.patience = 2 * time.Minute
	found, checks := d.faults, []check{d.checkDocker}
	found.concurrently(ctx, d.checkAirflow)
	if d.Reader != nil {
		found.concurrently(ctx, d.checkVariables)
		checks = append(checks, d.checkAPI, d.checkPool, d.checkDAG)
	}
	found.concurrently(ctx, d.checkConnections)
	found.concurrently(ctx, slices.Concat(checks, each(d.targets, source, d.checkIdentity),
		each(d.targets, source, d.checkECR), each(d.targets, host, d.checkConfig))...)
	return found
}

// Fault adds what is wrong with the inputs for name.
func (d *Doctor) Fault(name string, err error) { d.faults.result(name, err, "") }

// concurrently adds what the checks find, in their order. What one of them leaves in then has a time of its own.
func (f *Findings) concurrently(ctx context.Context, checks ...check) {
	found := make([]Findings, len(checks))
	var all sync.WaitGroup
	for i, check := range checks {
		all.Go(func() {
			limited, cancel := context.WithTimeout(ctx, checkLimit)
			defer cancel()
			check(limited, &found[i])
			found[i].concurrently(ctx, found[i].then...)
		})
	}
	all.Wait()
	for _, one := range found {
		f.Checks = append(f.Checks, one.Checks...)
	}
}

// The states of a finding.
const (
	ok   = "ok"
	warn = "warn"
	fail = "fail"
	skip = "skip"
)

// Finding is what a check found.
type Finding struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what to do
	URL     string `json:"url,omitempty"`  // of the log in Airflow's UI
}

// Findings are in the order of the checks.
type Findings struct {
	Checks []Finding `json:"checks"`

	then []check // run after the check that leaves them
}

// add adds a finding: each of its words may be somebody else's.
func (f *Findings) add(state, name, hint, format string, args ...any) {
	message := untrusted.Clean(fmt.Sprintf(format, args...))
	one := Finding{Name: untrusted.Clean(name), State: state, Message: message, Hint: untrusted.Clean(hint)}
	f.Checks = append(f.Checks, one)
}

// result adds the message, or err if there is one, and reports whether there is none. What an account may not read of
// Airflow is skipped.
func (f *Findings) result(name string, err error, format string, args ...any) bool {
	const hint = "give one that has it, or role Op (SimpleAuthManager): " + names.AdminPrefix + "LOGIN and " +
		names.AdminPrefix + "PASSWORD"
	lacks := airflowclient.MissingRight(err)
	switch {
	case err == nil:
		f.add(ok, name, "", format, args...)
	case lacks != "":
		f.add(skip, name, hint, "not known: this account lacks %s", lacks)
	default:
		f.add(fail, name, hints.Of(err), "%s", err)
	}
	return err == nil
}

// Table returns the findings for a person, to be written to w. Its lines have at most 100 columns, 29 of them for the
// name; only a URL, or a longer word, makes a longer line.
func (f Findings) Table(w io.Writer) []byte {
	const nameColumn = 29
	colours := map[string]string{ok: console.Good, warn: console.Warn, fail: console.Bad, skip: console.Dim}
	var text bytes.Buffer
	for _, one := range f.Checks {
		state, name := console.Paint(w, colours[one.State], fmt.Sprintf("%-4s", one.State)), one.Name
		lines := wrap(one.Message)
		if one.Hint != "" {
			lines = append(lines, wrap("→ "+one.Hint)...)
		}
		lines = append(lines, wrap(one.URL)...)
		if utf8.RuneCountInString(name) > nameColumn {
			lines = append([]string{""}, lines...)
		}
		for _, line := range lines {
			row := fmt.Sprintf("%s  %-*s  %s", state, nameColumn, name, line)
			fmt.Fprintln(&text, strings.TrimRight(row, " "))
			state, name = "    ", ""
		}
	}
	return text.Bytes()
}

// wrap breaks a text between its words into lines of at most 63 columns, but for a longer word.
func wrap(text string) []string {
	line := regexp.MustCompile(`.{1,63}( |$)|\S+ ?`)
	return line.FindAllString(strings.Join(strings.Fields(text), " "), -1)
}

// Err returns an error if a check failed.
func (f Findings) Err() error {
	failed := slices.DeleteFunc(slices.Clone(f.Checks), func(one Finding) bool { return one.State != fail })
	if len(failed) == 0 {
		return nil
	}
	return failure.Transient("", "%d of %d checks failed", len(failed), len(f.Checks))
}

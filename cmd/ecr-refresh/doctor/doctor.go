// Package doctor checks what a run needs, and changes nothing. Each area has a file of checks.
package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
)

// checkLimit bounds one check.
const checkLimit = 10 * time.Second

// Doctor is what a run would use. A client is nil where there is none, or its inputs are faulty.
type Doctor struct {
	Faults map[string]error // of inputs, by the name of what they are for

	Airflow        *airflowclient.Client // logs in as the DAG does
	Account, Login string                // what it logs in with; Login is "" for a token
	Reader         *airflowclient.Client // of Variables, the pool, the DAG and its runs, if not Airflow

	Flags     map[string]string                          // what the command line gives in place of Variables
	IDs       func(variables map[string]string) []string // of the connections, given Airflow's Variables
	Targets   func(hosts map[string]string) ([]target.Target, error)
	Pool, DAG string
	Version   string // of this program
	KeyFile   bool   // a file here has the private key

	AWS      ecr.Config
	Registry *registry.Client
	Docker   *docker.Engine
	Log      *slog.Logger

	patience    time.Duration // with a task that waits
	variables   map[string]string
	connections map[string]airflowclient.Connection
	targets     []target.Target
}

type check func(context.Context, *Findings)

// Examine runs all checks: first those of Airflow's Variables and connections, since these may name the registries,
// then all others at once.
func (d *Doctor) Examine(ctx context.Context) (found Findings) {
	d.patience = patience
	d.checkFaults(&found)
	found.concurrently(ctx, d.checkAirflow)
	found.concurrently(ctx, d.checkVariables)
	ids := d.IDs(d.variables)
	found.concurrently(ctx, d.checkAPI, func(ctx context.Context, f *Findings) { d.readConnections(ctx, f, ids) })
	d.checkTargets(&found)
	found.concurrently(ctx, slices.Concat(d.awsChecks(), d.dagChecks(), d.workerChecks())...)
	return found
}

func (d *Doctor) checkFaults(f *Findings) {
	for _, name := range slices.Sorted(maps.Keys(d.Faults)) {
		f.result(name, d.Faults[name], "")
	}
}

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

// each returns a check of every different value that of returns for the targets.
func each[T comparable](targets []target.Target, of func(target.Target) T, look func(context.Context, *Findings, T)) (
	checks []check,
) {
	seen := map[T]bool{}
	for _, t := range targets {
		if value := of(t); !seen[value] {
			seen[value] = true
			checks = append(checks, func(ctx context.Context, f *Findings) { look(ctx, f, value) })
		}
	}
	return checks
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
	message := failure.Clean(fmt.Sprintf(format, args...))
	one := Finding{Name: failure.Clean(name), State: state, Message: message, Hint: failure.Clean(hint)}
	f.Checks = append(f.Checks, one)
}

// result adds the message, or err if there is one, and reports whether there is none.
func (f *Findings) result(name string, err error, format string, args ...any) bool {
	if err != nil {
		f.add(fail, name, hints.Of(err), "%s", err)
		return false
	}
	f.add(ok, name, "", format, args...)
	return true
}

// Err returns an error if a check failed.
func (f Findings) Err() error {
	passed := func(one Finding) bool { return one.State != fail }
	if failed := slices.DeleteFunc(slices.Clone(f.Checks), passed); len(failed) > 0 {
		return failure.Transient("", "%d of %d checks failed", len(failed), len(f.Checks))
	}
	return nil
}

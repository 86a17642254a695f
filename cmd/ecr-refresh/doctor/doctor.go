// Package doctor checks what a run needs, and changes nothing. Each area has a file of checks.
package doctor

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/console"
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

	Airflow *airflowclient.Client // logs in as the DAG does
	Account string                // what it logs in with
	Reader  *airflowclient.Client // of the pool, the DAG and its runs, if not Airflow

	ConnectionIDs []string
	Targets       func(hosts map[string]string) ([]target.Target, error) // given the hosts of connections
	Pool, DAG     string

	AWS      ecr.Config
	Registry *registry.Client
	Docker   *docker.Engine

	connections map[string]airflowclient.Connection
	targets     []target.Target
}

type check func(context.Context, *Findings)

// Examine runs all checks: first those of Airflow's connections, since their hosts may name the registries, then all
// others at once.
func (d *Doctor) Examine(ctx context.Context) (found Findings) {
	for _, name := range slices.Sorted(maps.Keys(d.Faults)) {
		found.result(name, d.Faults[name], "")
	}
	found.concurrently(ctx, d.checkConnections)
	found.concurrently(ctx, d.checkAdmin)
	d.checkTargets(&found)
	found.concurrently(ctx, slices.Concat(d.awsChecks(), d.dagChecks(), d.workerChecks())...)
	return found
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
}

// Findings are in the order of the checks.
type Findings struct {
	Checks []Finding `json:"checks"`

	then []check // run after the check that leaves them
}

func (f *Findings) add(state, name, hint, format string, args ...any) {
	f.Checks = append(f.Checks, Finding{name, state, failure.Clean(fmt.Sprintf(format, args...)), hint})
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

// Table returns the findings for a person, to be written to w.
func (f Findings) Table(w io.Writer) []byte {
	colours := map[string]string{ok: console.Good, warn: console.Warn, fail: console.Bad, skip: console.Dim}
	var rows [][]string
	for _, one := range f.Checks {
		colour := colours[one.State]
		rows = append(rows, []string{console.Paint(w, colour, one.State), one.Name, one.Message})
		if one.Hint != "" {
			rows = append(rows, []string{console.Paint(w, colour, ""), "", "→ " + one.Hint})
		}
	}
	return console.Table(rows)
}

// Err returns an error if a check failed.
func (f Findings) Err() error {
	passed := func(one Finding) bool { return one.State != fail }
	if failed := slices.DeleteFunc(slices.Clone(f.Checks), passed); len(failed) > 0 {
		return failure.Transient("", "%d of %d checks failed", len(failed), len(f.Checks))
	}
	return nil
}

// Package doctor checks what a run needs, and changes nothing. Each area has a file of checks.
package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/target"
)

// checkLimit bounds one check.
const checkLimit = 10 * time.Second

// Doctor is what a run would use. An input that is missing or malformed leaves an error beside it.
type Doctor struct {
	Airflow    *airflowclient.Client // logs in as the DAG does; nil with AirflowErr
	AirflowErr error
	Reader     *airflowclient.Client // reads the pool, the DAG and its runs: Airflow, or the admin's
	ReaderErr  error                 // of the admin's alone

	ConnectionIDs []string
	Targets       func(hosts map[string]string) ([]target.Target, error) // given the hosts of connections
	Overriding    func(connectionID string) string                       // the variable that tasks read instead, or ""
	Pool, DAG     string

	AWS       ecr.Config
	Registry  *registry.Client
	Docker    *docker.Engine // nil without DockerErr: there is none on this worker
	DockerErr error
	Config    docker.Config
	ConfigErr error

	Now  func() time.Time
	Hint func(error) string // what to do about an error
}

// examination is what is known while the checks run.
type examination struct {
	Doctor
	connections map[string]airflowclient.Connection
	targets     []target.Target
}

type check func(context.Context, *Findings)

// Examine runs all checks: first those of Airflow's connections, since their hosts may name the registries, then all
// others at once.
func (d Doctor) Examine(ctx context.Context) (found Findings) {
	x := &examination{Doctor: d}
	found.hint = d.Hint
	found.concurrently(ctx, []check{x.checkConnections})
	x.checkTargets(&found)
	found.concurrently(ctx, slices.Concat(x.awsChecks(), []check{x.checkRight, x.checkDAG}, x.workerChecks()))
	return found
}

// concurrently adds what the checks find, in their order.
func (f *Findings) concurrently(ctx context.Context, checks []check) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	found := make([]Findings, len(checks))
	var all sync.WaitGroup
	for i, check := range checks {
		found[i].hint = f.hint
		all.Go(func() { check(ctx, &found[i]) })
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
	var all []T
	for _, t := range targets {
		if value := of(t); !slices.Contains(all, value) {
			all = append(all, value)
			checks = append(checks, func(ctx context.Context, f *Findings) { look(ctx, f, value) })
		}
	}
	return checks
}

func hostOf(t target.Target) string { return t.Registry.Name }

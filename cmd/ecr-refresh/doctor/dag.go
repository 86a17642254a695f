package doctor

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
)

// latestRuns are how many runs are looked through. The DAG runs every 6 hours, and its tokens are valid for 12.
const (
	latestRuns = 25
	runDue     = 7 * time.Hour
	tokenLife  = 12 * time.Hour
)

const hintDeploy = "deploy the file of this version: ecr-refresh dag install"

// dagChecks are of what Airflow has beside the connections, where somebody could log in.
func (d *Doctor) dagChecks() []check {
	if d.Reader = cmp.Or(d.Reader, d.Airflow); d.Reader == nil {
		return nil
	}
	return []check{d.checkPool, d.checkDAG}
}

func (d *Doctor) checkPool(ctx context.Context, f *Findings) {
	pool, err := d.Reader.Pool(ctx, d.Pool)
	f.object("pool "+d.Pool, err, "%d slots", pool.Slots)
}

// checkDAG looks at the DAG, and then at its last run.
func (d *Doctor) checkDAG(ctx context.Context, f *Findings) {
	name := "DAG " + d.DAG
	dag, err := d.Reader.DAG(ctx, d.DAG)
	switch {
	case dag.HasImportErrors:
		f.add(fail, name, hintDeploy, "its file has import errors")
	case dag.Stale:
		f.add(fail, name, hintDeploy, "its file is gone")
	case dag.Paused:
		f.add(fail, name, "airflow dags unpause "+dag.ID, "it is paused")
	default:
		f.object(name, err, "deployed and not paused")
	}
	if err == nil {
		f.then = []check{d.checkLastRun}
	}
	if err != nil || dag.HasImportErrors {
		all, _ := d.Reader.ImportErrors(ctx) // of all files: one that cannot be read has no DAG
		for _, e := range all {
			f.add(fail, "import of "+e.File, hintDeploy, "%s", e.Text)
		}
	}
}

// object adds the message, or why an object was not read. The account may not be allowed to.
func (f *Findings) object(name string, err error, format string, args ...any) {
	if !isForbidden(err) {
		f.result(name, err, format, args...)
		return
	}
	hint := "name an account that may read it: " + names.AdminPrefix + "LOGIN and " + names.AdminPrefix + "PASSWORD"
	f.add(skip, name, hint, "this account may not read it")
}

// isForbidden reports whether err says that the account lacks a right.
func isForbidden(err error) bool {
	var e *airflowclient.Error
	return errors.As(err, &e) && e.Kind == airflowclient.Forbidden
}

func (d *Doctor) checkLastRun(ctx context.Context, f *Findings) {
	const name, hintLate = "last run", "check that the scheduler runs"
	runs, err := d.Reader.DAGRuns(ctx, d.DAG, latestRuns)
	if err != nil {
		f.object(name, err, "")
		return
	}
	at := slices.IndexFunc(runs, func(r airflowclient.DAGRun) bool {
		return r.Conf.DryRun != true && (r.State == "success" || r.State == "failed")
	})
	if at < 0 {
		f.add(warn, name, "trigger the DAG", "no run has ended yet")
		return
	}
	switch age := time.Since(runs[at].End).Round(time.Minute); {
	case runs[at].State == "failed":
		f.add(fail, name, "see the log of its failed task", "run %s failed %s ago", runs[at].ID, age)
	case age > tokenLife:
		f.add(fail, name, hintLate, "it ended %s ago, and a token is valid for 12h", age)
	case age > runDue:
		f.add(warn, name, hintLate, "it ended %s ago, and a run is due every 6h", age)
	default:
		f.add(ok, name, "", "succeeded %s ago", age)
	}
}

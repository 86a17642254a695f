package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/rights"
)

// latestRuns are how many runs are looked through. The DAG runs every 6 hours, and its tokens are valid for 12.
const (
	latestRuns = 25
	runDue     = 7 * time.Hour
	tokenLife  = 12 * time.Hour
)

const hintDeploy = "deploy the file of this version: ecr-refresh dag install"

// checkDAG looks at the pool, the DAG and its last run.
func (x *examination) checkDAG(ctx context.Context, f *Findings) {
	if x.Reader == nil || x.ReaderErr != nil {
		f.notChecked("pool, DAG and runs", x.ReaderErr)
		return
	}
	if pool, err := x.Reader.Pool(ctx, x.Pool); err == nil {
		f.add(ok, "pool "+x.Pool, "", "%d slots", pool.Slots)
	} else {
		f.unreadable("pool "+x.Pool, err, fmt.Sprintf("airflow pools set %s %d %q; without it the tasks wait for ever",
			x.Pool, names.PoolSlots, names.PoolUse))
	}
	name := "DAG " + x.DAG
	dag, err := x.Reader.DAG(ctx, x.DAG)
	switch {
	case err != nil:
		f.unreadable(name, err, "ecr-refresh dag install --dags-folder …, and look for import errors")
	case dag.HasImportErrors:
		f.add(fail, name, hintDeploy, "its file has import errors")
	case dag.Stale:
		f.add(fail, name, hintDeploy, "its file is gone")
	case dag.Paused:
		f.add(fail, name, "airflow dags unpause "+dag.ID, "it is paused")
	default:
		f.add(ok, name, "", "deployed and not paused")
	}
	if err == nil {
		x.checkLastRun(ctx, f)
	}
	if err != nil || dag.HasImportErrors {
		all, _ := x.Reader.ImportErrors(ctx) // of all files: one that cannot be read has no DAG
		for _, e := range all {
			f.add(fail, "import of "+e.File, hintDeploy, "%s", e.Text)
		}
	}
}

// unreadable adds an error of reading an object: it may not exist, or the account may not read it.
func (f *Findings) unreadable(name string, err error, create string) {
	switch {
	case errors.Is(err, airflowclient.ErrNotFound):
		f.add(fail, name, create, "does not exist")
	case rights.IsMissing(err):
		hint := "name an account that may read it: " + names.AdminPrefix + "LOGIN and " + names.AdminPrefix + "PASSWORD"
		f.add(skip, name, hint, "this account may not read it")
	default:
		f.result(name, err, "")
	}
}

func (x *examination) checkLastRun(ctx context.Context, f *Findings) {
	const name, hintLate = "last run", "check that the scheduler runs"
	runs, err := x.Reader.DAGRuns(ctx, x.DAG, latestRuns)
	if err != nil {
		f.unreadable(name, err, "")
		return
	}
	at := slices.IndexFunc(runs, func(r airflowclient.DAGRun) bool {
		return !r.DryRun && (r.State == "success" || r.State == "failed")
	})
	if at < 0 {
		f.add(warn, name, "trigger the DAG", "no run has ended yet")
		return
	}
	switch age := x.Now().Sub(runs[at].End).Round(time.Minute); {
	case runs[at].State == "failed":
		f.add(fail, name, "look at the log of its red task", "run %s failed %s ago", runs[at].ID, age)
	case age > tokenLife:
		f.add(fail, name, hintLate, "it ended %s ago, and a token is valid for 12h", age)
	case age > runDue:
		f.add(warn, name, hintLate, "it ended %s ago, and a run is due every 6h", age)
	default:
		f.add(ok, name, "", "succeeded %s ago", age)
	}
}

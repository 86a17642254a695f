package doctor

import (
	"context"
	"errors"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/dags"
)

const hintDeploy = "deploy the file of this version: ecr-refresh dag install"

// dagChecks are of what Airflow has beside Variables and connections, where somebody could log in.
func (d *Doctor) dagChecks() []check {
	if d.Reader == nil {
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
		f.then = []check{d.checkFile, d.checkRuns}
	}
	if err != nil || dag.HasImportErrors {
		all, _ := d.Reader.ImportErrors(ctx) // of all files: one that cannot be read has no DAG
		for _, e := range all {
			f.add(fail, "DAG import error", hintDeploy, "%s: %s", e.File, e.Text)
		}
	}
}

// checkFile compares the version that wrote the DAG's file with this one.
func (d *Doctor) checkFile(ctx context.Context, f *Findings) {
	const name = "DAG file"
	text, err := d.Reader.DAGSource(ctx, d.DAG)
	version, edited := dags.Version(text), ""
	if _, _, err := dags.Upgrade(dags.RefreshDockerToken, text, nil); err != nil {
		edited = ", and edited since"
	}
	switch {
	case err != nil:
		f.object(name, err, "")
	case version == d.Version:
		f.add(ok, name, "", "written by this version of ecr-refresh%s", edited)
	case version != "":
		f.add(warn, name, hintDeploy, "written by ecr-refresh %s%s, and this is %s", version, edited, d.Version)
	case text == dags.RefreshDockerToken:
		f.add(ok, name, "", "that of this version")
	default:
		f.add(warn, name, hintDeploy, "it does not say which version of ecr-refresh wrote it")
	}
}

// object adds the message, or why an object was not read: the account may lack the right to.
func (f *Findings) object(name string, err error, format string, args ...any) {
	if !isForbidden(err) {
		f.result(name, err, format, args...)
		return
	}
	var e *airflowclient.Error
	errors.As(err, &e)
	const hint = "give one that has it, or role Op (SimpleAuthManager): " + names.AdminPrefix + "LOGIN and " +
		names.AdminPrefix + "PASSWORD"
	f.add(skip, name, hint, "not known: this account lacks %s on %s", e.Right, e.Object)
}

// isForbidden reports whether err says that the account lacks a right.
func isForbidden(err error) bool {
	var e *airflowclient.Error
	return errors.As(err, &e) && e.Kind == airflowclient.Forbidden
}

package doctor

import (
	"cmp"
	"context"

	"ecr-refresh/dags"
)

const hintDeploy = "deploy the file of this version: ecr-refresh dag install"

func (d *Doctor) checkPool(ctx context.Context, f *Findings) {
	pool, err := d.Reader.Pool(ctx, d.Pool)
	f.result("pool "+d.Pool, err, "%d slots", pool.Slots)
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
		f.result(name, err, "deployed and not paused")
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

// checkFile reports whether the DAG's file is of this version, or is what dag install would leave as it is.
func (d *Doctor) checkFile(ctx context.Context, f *Findings) {
	const name = "DAG file"
	text, err := d.Reader.DAGSource(ctx, d.DAG)
	version := dags.Version(text)
	again, _, _ := dags.Upgrade(dags.RefreshDockerToken, text, nil)
	switch {
	case err != nil:
		f.result(name, err, "")
	case version == d.Version, text == dags.RefreshDockerToken, again != "" && again == dags.Signed(text):
		f.add(ok, name, "", "that of this version of ecr-refresh")
	default:
		const form = "written by ecr-refresh %s, and this is %s"
		f.add(warn, name, hintDeploy, form, cmp.Or(version, "of unknown version"), d.Version)
	}
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/xcom"
)

// RunLimit is for how long Run waits unless the caller says otherwise: a task has three tries of up to three minutes.
const RunLimit = 10 * time.Minute

// pollInterval is the time between two looks at a run.
const pollInterval = time.Second

// hintTrigger names the rights, of which Airflow does not say which one is missing.
const hintTrigger = "the account needs can_create on DAG Runs and can_edit on DAGs (FAB), or role User " +
	"(SimpleAuthManager)"

// Run triggers a dry run of the DAG, waits for its end, and returns what became of its tasks, and what step 3 says of
// the present password of each connection.
func (d *Doctor) Run(ctx context.Context) (found Findings) {
	d.checkFaults(&found)
	found.concurrently(ctx, d.checkAirflow)
	if d.Reader == nil || !d.mayRun(ctx, &found) {
		return found
	}
	run, err := d.Reader.Trigger(ctx, d.DAG, map[string]any{"dry_run": true})
	if err != nil {
		hint := hints.Of(err)
		if isForbidden(err) {
			hint = hintTrigger
		}
		found.add(fail, "trigger DAG", hint, "%s", err)
		return found
	}
	d.Log.Info(fmt.Sprintf("triggered a dry run of DAG %s: %s", d.DAG, run.ID))
	run, err = d.await(ctx, run)
	d.report(ctx, &found, run, err)
	return found
}

// mayRun reports whether a run of the DAG would begin: Airflow queues one of a paused DAG for ever.
func (d *Doctor) mayRun(ctx context.Context, f *Findings) bool {
	var dag Findings
	d.checkDAG(ctx, &dag)
	f.Checks = append(f.Checks, dag.Checks...)
	return dag.Err() == nil
}

// await polls until the run ends, or ctx does, and logs each change. An Airflow that is away for a while ends nothing.
func (d *Doctor) await(ctx context.Context, run airflowclient.DAGRun) (airflowclient.DAGRun, error) {
	for said := ""; ; {
		runs, err := d.Reader.DAGRuns(ctx, d.DAG, latestRuns)
		for _, one := range runs {
			if one.ID == run.ID {
				run = one
			}
		}
		if now := d.progress(ctx, run, runs); now != "" && now != said {
			d.Log.Info(now)
			said = now
		}
		switch {
		case ended(run):
			return run, nil
		case ctx.Err() != nil:
			return run, ctx.Err()
		case failure.IsPermanent(err):
			return run, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

// progress returns what a run is at, or "" where that is not known.
func (d *Doctor) progress(ctx context.Context, run airflowclient.DAGRun, runs []airflowclient.DAGRun) string {
	if other, found := newest(runs, "running"); run.State == "queued" && found {
		return "waiting for the end of run " + other.ID
	}
	var states []string
	tasks, _ := d.taskInstances(ctx, run.ID) // is asked again
	for _, task := range tasks {
		where := map[string]string{"queued": " in queue " + task.Queue, "scheduled": " for pool " + task.Pool}
		if task.State != "" {
			states = append(states, task.ID+": "+task.State+where[task.State])
		}
	}
	return failure.Clean(strings.Join(states, ", "))
}

// report adds how the run ended, or why nobody waits for it any more, and what became of its tasks.
func (d *Doctor) report(ctx context.Context, f *Findings, run airflowclient.DAGRun, err error) {
	const name, hintLonger = "dry run", "see what it waits for in Airflow's UI, or give a longer --timeout"
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
	defer cancel()
	switch {
	case run.State == "success":
		f.add(ok, name, "", "%s succeeded", run.ID)
		defer d.checkPasswords(after, f, run.ID)
	case err == nil:
		f.add(fail, name, "", "%s failed", run.ID)
	case errors.Is(err, context.Canceled): // the program is about to end
		f.add(fail, name, "", "%s is %s, and goes on in Airflow: doctor has stopped waiting", run.ID, run.State)
		return
	case errors.Is(err, context.DeadlineExceeded):
		f.add(fail, name, hintLonger, "%s is still %s, and goes on in Airflow", run.ID, run.State)
	default:
		f.add(fail, name, hints.Of(err), "%s goes on in Airflow, which does not say how it is: %s", run.ID, err)
	}
	if run.State != "queued" {
		d.tasks(after, f, run)
	}
}

// checkPasswords adds what step 3 says of the present password of each connection, which a dry run leaves as it is.
func (d *Doctor) checkPasswords(ctx context.Context, f *Findings, runID string) {
	const step = xcom.StepTestDockerConnection
	var result xcom.TestDockerConnection
	text, _, err := d.Reader.XCom(ctx, d.DAG, runID, step)
	if err == nil {
		result, err = xcom.Parse[xcom.TestDockerConnection](text)
	}
	if err != nil {
		f.object("result of "+step, err, "")
	}
	for _, c := range result.Connections {
		name, hint := "connection "+c.ConnectionID, "trigger the DAG without dry_run: it sets a new password"
		switch c.Login {
		case xcom.LoginRefused:
			f.add(fail, name, hint, "its present password is rejected by %s", registry.Host(c.RegistryURL))
		case xcom.NoPassword:
			f.add(fail, name, hint, "it has no login or no password yet")
		default:
			f.add(ok, name, "", "its present password is accepted: %s", d.Reader.Clean(c.Login))
		}
	}
}

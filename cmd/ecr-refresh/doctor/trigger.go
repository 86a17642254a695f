package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/xcom"
)

// RunLimit is for how long Run waits unless the caller says otherwise: a task has three tries of up to three minutes.
const RunLimit = 10 * time.Minute

// Run triggers a dry run of the DAG, waits for its end, and returns what became of its tasks, and what step 3 says of
// the present password of each connection.
func (d *Doctor) Run(ctx context.Context) Findings {
	found := d.faults
	found.concurrently(ctx, d.checkAirflow)
	if d.Reader == nil {
		return found
	}
	d.checkDAG(ctx, &found)
	if found.Err() != nil { // Airflow would queue a run of a paused DAG for ever
		return found
	}
	run, err := d.Reader.Trigger(ctx, d.DAG, map[string]any{"dry_run": true})
	if err != nil {
		hint := hints.Of(err)
		if isForbidden(err) { // Airflow does not say which right is missing
			hint = "the account needs can_create on DAG Runs and can_edit on DAGs (FAB), or role User " +
				"(SimpleAuthManager)"
		}
		found.add(fail, "trigger DAG", hint, "%s", err)
		return found
	}
	d.Inputs.Log.Info(fmt.Sprintf("triggered a dry run of DAG %s: %s", d.DAG, run.ID))
	err = d.await(ctx, &run)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
	defer cancel()
	d.report(after, &found, run, err)
	return found
}

// await polls until the run or ctx ends, and logs each change. An Airflow that is away for a while ends nothing.
func (d *Doctor) await(ctx context.Context, run *dagRun) error {
	for said := ""; ; {
		runs, err := d.Reader.DAGRuns(ctx, d.DAG, latestRuns)
		for _, one := range runs {
			if one.ID == run.ID {
				*run = one
			}
		}
		if now := d.progress(ctx, *run, runs); now != "" && now != said {
			d.Inputs.Log.Info(now)
			said = now
		}
		if ended(*run) || failure.IsPermanent(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// progress returns what a run is at, or "" where that is not known.
func (d *Doctor) progress(ctx context.Context, run dagRun, runs []dagRun) string {
	if other := newest(runs, "running"); run.State == "queued" && other.ID != "" {
		return "waiting for the end of run " + other.ID
	}
	var states []string
	tasks, _ := d.taskInstances(ctx, run.ID) // is asked again
	for _, task := range tasks {
		if task.State != "" {
			states = append(states, task.ID+": "+task.State)
		}
	}
	return failure.Clean(strings.Join(states, ", "))
}

// report adds how the run ended, or why nobody waits for it any more, and what became of its tasks.
func (d *Doctor) report(ctx context.Context, f *Findings, run dagRun, err error) {
	const name, hintLonger = "dry run", "see what it waits for in Airflow's UI, or give a longer --timeout"
	switch {
	case run.State == "success":
		f.add(ok, name, "", "%s succeeded", run.ID)
		defer d.checkPasswords(ctx, f, run.ID)
	case run.State == "failed":
		f.add(fail, name, "", "%s failed", run.ID)
	case err != nil:
		f.add(fail, name, hints.Of(err), "%s goes on in Airflow, which does not say how it is: %s", run.ID, err)
	default:
		f.add(fail, name, hintLonger, "%s is still %s, and goes on in Airflow", run.ID, run.State)
	}
	if run.State != "queued" {
		d.tasks(ctx, f, run)
	}
}

// checkPasswords adds what step 3 says of the present password of each connection, which a dry run leaves as it is.
func (d *Doctor) checkPasswords(ctx context.Context, f *Findings, runID string) {
	const step, hint = xcom.StepTestDockerConnection, "trigger the DAG without dry_run: it sets a new password"
	text, unread := d.Reader.XCom(ctx, d.DAG, runID, step, -1)
	result, invalid := xcom.Parse[xcom.TestDockerConnection](text)
	if err := cmp.Or(unread, invalid); err != nil {
		f.result("result of "+step, err, "")
	}
	for _, c := range result.Connections {
		name := "connection " + c.ConnectionID
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

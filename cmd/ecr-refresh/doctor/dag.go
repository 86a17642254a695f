package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/dags"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/untrusted"
	"ecr-refresh/steps/xcom"
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

// RunLimit is for how long Run waits unless the caller says otherwise: a task has three tries of up to three minutes.
const RunLimit = 10 * time.Minute

const (
	latestRuns = 25 // how many are looked through
	tokenLife  = 12 * time.Hour
)

type (
	dagRun   = airflowclient.DAGRun
	instance = airflowclient.TaskInstance
)

// checkRuns looks at the run that is going on, and at the last one that has ended.
func (d *Doctor) checkRuns(ctx context.Context, f *Findings) {
	const name, hintLate = "last run", "check that the scheduler runs, and that the DAG is not paused"
	runs, err := d.Reader.DAGRuns(ctx, d.DAG, latestRuns)
	if err != nil {
		f.result(name, err, "")
		return
	}
	if run := newest(runs, "running"); run.ID != "" {
		f.add(ok, "run in progress", "", "%s, for %s", run.ID, since(run.Start))
		d.tasks(ctx, f, run)
	} else if run := newest(runs, "queued"); run.ID != "" {
		f.add(warn, "run in progress", hintLate, "%s is queued, and no other is running", run.ID)
	}
	dry := func(r dagRun) bool { return r.Conf.DryRun == true }
	last := newest(slices.DeleteFunc(runs, dry), "success", "failed")
	switch age := time.Since(last.End).Round(time.Minute); {
	case last.ID == "":
		f.add(warn, name, "trigger the DAG", "no run has ended yet")
	case last.State == "failed":
		f.add(fail, name, "see what is said of its tasks below", "run %s failed %s ago", last.ID, age)
		d.tasks(ctx, f, last)
	case age > tokenLife:
		f.add(fail, name, hintLate, "it ended %s ago, and a token is valid for 12h", age)
	default:
		f.add(ok, name, "", "succeeded %s ago", age)
	}
}

// newest returns the newest run of any of the states.
func newest(runs []dagRun, states ...string) (run dagRun) {
	if at := slices.IndexFunc(runs, func(r dagRun) bool { return slices.Contains(states, r.State) }); at >= 0 {
		run = runs[at]
	}
	return run
}

func ended(run dagRun) bool { return run.State == "success" || run.State == "failed" }

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }

// taskInstances returns the tasks of a run in their order.
func (d *Doctor) taskInstances(ctx context.Context, runID string) ([]instance, error) {
	tasks, err := d.Reader.TaskInstances(ctx, d.DAG, runID)
	order := []string{xcom.StepExtractECRToken, xcom.StepUpdateDockerConnection, xcom.StepTestDockerConnection}
	slices.SortFunc(tasks, func(a, b instance) int {
		return slices.Index(order, a.ID) - slices.Index(order, b.ID)
	})
	return tasks, err
}

// tasks adds what became of the tasks of a run, and what the next one waits for.
func (d *Doctor) tasks(ctx context.Context, f *Findings, run dagRun) {
	tasks, err := d.taskInstances(ctx, run.ID)
	if err != nil {
		f.result("tasks", err, "")
	}
	from, blocked := run.Start, false
	for _, task := range tasks {
		if blocked { // Airflow sets what is behind a task that failed to one of several states
			f.add(skip, "task "+task.ID, "", "not run")
			continue
		}
		d.task(ctx, f, run, task, from)
		from, blocked = task.End, task.State != "success"
	}
}

// task adds what became of a task, before which nothing happened since from.
func (d *Doctor) task(ctx context.Context, f *Findings, run dagRun, task instance, from time.Time) {
	name := "task " + task.ID
	switch {
	case task.State == "success":
		f.add(ok, name, "", "succeeded in %s", task.End.Sub(task.Start).Round(time.Second/10))
	case task.State == "failed", task.State == "up_for_retry", ended(run) && !task.Start.Equal(task.End):
		d.failed(ctx, f, run, task)
	case ended(run): // Airflow 3.4 sets both times of such a task, TaskInstance.set_state
		f.add(fail, name, hintWorker(task), "not begun when dagrun_timeout ended the run: no slot of pool %q, or no "+
			"worker of queue %q", task.Pool, task.Queue)
	case task.Start.IsZero():
		d.waits(ctx, f, task, since(from))
	default:
		f.add(ok, name, "", "%s, for %s", task.State, since(task.Start))
	}
}

// failed adds the last error in the log of a task's last try.
func (d *Doctor) failed(ctx context.Context, f *Findings, run dagRun, task instance) {
	log, err := d.Reader.Log(ctx, d.DAG, run.ID, task.ID, task.Try)
	text, hint := lastError(log)
	if err != nil {
		text, hint = task.State+", and its log could not be read: "+err.Error(), hints.Of(err)
	}
	text = cmp.Or(text, task.State+", and its log has no error")
	f.add(fail, "task "+task.ID, untrusted.New(hint).Line(), "%s", untrusted.New(text).Line())
	f.Checks[len(f.Checks)-1].URL = d.Reader.TaskURL(d.DAG, run.ID, task.ID, task.Try)
}

// lastError returns the last error of a log, and its hint: ecr-refresh's or, where it has not begun, Airflow's.
func lastError(log []airflowclient.LogEvent) (text, hint string) {
	var all strings.Builder
	for _, event := range log {
		fmt.Fprintln(&all, event.Text)
		if event.Level == "error" || event.Level == "critical" {
			text = event.Text
		}
	}
	ours := regexp.MustCompile(`ecr-refresh: error: (.*)\n(?:.*ecr-refresh: hint: (.*))?`)
	if found := ours.FindAllStringSubmatch(all.String(), -1); found != nil {
		last := found[len(found)-1]
		return last[1], last[2]
	}
	return text, ""
}

// waits adds what a task waits for that no worker has begun: scheduled, it needs a slot of its pool; queued, a worker.
func (d *Doctor) waits(ctx context.Context, f *Findings, task instance, waited time.Duration) {
	state, hint := ok, ""
	if waited > d.patience {
		state, hint = fail, hintWorker(task)
	}
	why := fmt.Sprintf("it waits for a slot of pool %q, or for the scheduler", task.Pool)
	if _, err := d.Reader.Pool(ctx, task.Pool); errors.Is(err, airflowclient.ErrNotFound) {
		state, hint, why = fail, hints.Of(err), fmt.Sprintf("pool %q does not exist", task.Pool)
	} else if task.State == "queued" {
		why = fmt.Sprintf("no worker of queue %q has begun it", task.Queue)
	}
	f.add(state, "task "+task.ID, hint, "%s for %s: %s", cmp.Or(task.State, "not scheduled"), waited, why)
}

func hintWorker(task instance) string {
	return "let a worker serve queue " + task.Queue + " (airflow celery worker -q default," + task.Queue +
		"), and check that pool " + task.Pool + " has free slots and that the scheduler runs"
}

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
		if airflowclient.MissingRight(err) != "" { // Airflow does not say which right is missing
			hint = "the account needs can_create on DAG Runs and can_edit on DAGs (FAB), role User " +
				"(SimpleAuthManager), or POST on Dag (Keycloak)"
		}
		found.add(fail, "trigger DAG", hint, "%s", err)
		return found
	}
	d.Inputs.Log.Info(fmt.Sprintf("triggered a dry run of DAG %s: %s", d.DAG, run.ID))
	err = d.await(ctx, &run)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkLimit/2)
	defer cancel()
	d.report(after, &found, run, err)
	return found
}

// await polls until the run or ctx ends, and logs each change. An Airflow that is away for a while ends nothing.
func (d *Doctor) await(ctx context.Context, run *dagRun) error {
	for logged := ""; ; {
		runs, err := d.Reader.DAGRuns(ctx, d.DAG, latestRuns)
		if at := slices.IndexFunc(runs, func(r dagRun) bool { return r.ID == run.ID }); at >= 0 {
			*run = runs[at]
		}
		if now := d.progress(ctx, *run, runs); now != "" && now != logged {
			d.Inputs.Log.Info(now)
			logged = now
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
	return untrusted.Clean(strings.Join(states, ", "))
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
	text, _, unread := d.Reader.XCom(ctx, d.DAG, runID, step)
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
			f.add(ok, name, "", "its present password is accepted: %s", untrusted.New(c.Login))
		}
	}
}

package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/steps/xcom"
)

const (
	latestRuns = 25 // how many are looked through
	tokenLife  = 12 * time.Hour
)

// patience is for how long a task may wait before that is a failure.
const patience = 2 * time.Minute

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
	case task.State == "failed", task.State == "up_for_retry", ended(run) && !task.Start.IsZero():
		d.failed(ctx, f, run, task)
	case ended(run):
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
	f.add(fail, "task "+task.ID, d.Reader.Clean(hint), "%s", d.Reader.Clean(text))
	f.Checks[len(f.Checks)-1].URL = d.Reader.TaskURL(d.DAG, run.ID, task.ID, task.Try)
}

// lastError returns the last error of a log, and its hint: ecr-refresh's or, where it has not begun, Airflow's.
func lastError(log []airflowclient.LogEvent) (text, hint string) {
	var other string
	for _, event := range log {
		for line := range strings.Lines(event.Text) {
			if _, after, found := strings.Cut(line, "ecr-refresh: error: "); found {
				text, hint = after, ""
			} else if _, after, found := strings.Cut(line, "ecr-refresh: hint: "); found && text != "" {
				hint = after
			}
		}
		if event.Level == "error" || event.Level == "critical" {
			other = event.Text
		}
	}
	return cmp.Or(text, other), hint
}

// waits adds what a task waits for that no worker has begun: scheduled, it needs a slot of its pool; queued, a worker.
func (d *Doctor) waits(ctx context.Context, f *Findings, task instance, waited time.Duration) {
	state, hint := ok, ""
	if waited > patience {
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

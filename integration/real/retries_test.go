package real

import (
	"strings"
	"testing"
)

// retries: Airflow retries a step that ended with exit code 1, and none that ended with 2. Warnings and errors are
// records of their level in the task's log.
func (w *world) retries(docker bool) func(*testing.T) {
	return func(t *testing.T) {
		once := []string{`RETRIES = 0`, `RETRIES = 1`, `RETRY_DELAY = 60`, `RETRY_DELAY = 1`}
		env := map[string]string{"ECR_REFRESH_METRICS_FILE": "/no/such/folder/{step}_{dag}.prom"}
		cannot := w.copy(t, "cannot", variant{docker: docker, env: env,
			edits: append(once, `AIRFLOW_API = "airflow-api"`, `AIRFLOW_API = "no-such-connection"`)}).start(t)
		may := w.copy(t, "may", variant{docker: docker, host: w.Refusing.Host, env: w.Moto.Environ(),
			edits: append(once, `"ecr_aws_account"`, `"moto_account"`, `"ecr_aws_region_name"`, `"refused_region"`),
		}).start(t)

		cannot = cannot.wait(t)
		cannot.wantRed(t, update, 2, "no-such-connection")
		cannot.wantTries(t, update, 1)
		cannot.wantRecord(t, extract, "warning", "ecr-refresh: warning: metrics: ")
		cannot.wantRecord(t, extract, "info", "accepts the token")
		cannot.wantRecord(t, update, "error", "ecr-refresh: error: ")
		cannot.wantRecord(t, update, "error", "ecr-refresh: hint: ")

		may = may.wait(t)
		may.wantRed(t, extract, 1, w.Refusing.Host, "401")
		may.wantTries(t, extract, 2)
	}
}

// noBinary: without the binary a task ends at once, and says what to do.
func (w *world) noBinary(t *testing.T) {
	r := w.copy(t, "no_binary", variant{env: map[string]string{"ECR_REFRESH_BIN": "/no/such/binary"},
		edits: []string{`RETRIES = 0`, `RETRIES = 2`}}).run(t)
	r.wantRed(t, extract, 2, "run /no/such/binary: not found on this worker's PATH", "set ECR_REFRESH_BIN")
	r.wantTries(t, extract, 1)
}

func (r run) wantTries(t *testing.T, task string, want int) {
	t.Helper()
	if got := r.tasks(t)[task].TryNumber; got != want {
		t.Errorf("%s ended in try %d, want %d", task, got, want)
	}
}

// wantRecord fails unless the log of a task's last try has a record of this level with these words.
func (r run) wantRecord(t *testing.T, task, level, words string) {
	t.Helper()
	for _, record := range r.records(t, task) {
		if record.Level == level && strings.Contains(record.Event, words) {
			return
		}
	}
	t.Errorf("the log of %s has no %s %q:\n%+v", task, level, words, r.records(t, task))
}

package real

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"ecr-refresh/integration/real/peers"
)

const (
	// killLimit is what Airflow leaves a process between SIGTERM and SIGKILL.
	killLimit = 5 * time.Second
	// noticeLimit is how long Airflow may take to notify the task: it polls a task's state once a second here.
	noticeLimit = 4 * time.Second
	// taskLimit is the execution_timeout of the copies that run into it. A call to Airflow times out after ten seconds.
	taskLimit = 6 * time.Second
	// ownLimit is the --timeout of the copies that nobody ends.
	ownLimit = 8 * time.Second
)

// markedFailed: somebody marks the task failed in the UI while it publishes. In a container the binary is process 1,
// for which the kernel has no default signal handlers: it ends in time only if it handles SIGTERM itself.
func (w *world) markedFailed(docker bool) func(*testing.T) {
	return func(t *testing.T) {
		h := w.held(t, "marked", variant{docker: docker})
		begin := time.Now()
		must(t, w.Airflow.MarkFailed(t.Context(), h.dag.id, h.id, update))
		gone := h.wantEnd(t, noticeLimit+killLimit)
		t.Logf("the binary ends %s after the call that marks its task failed", gone.Sub(begin))
		h.wait(t).wantHarmless(t)
	}
}

// timedOut: the task runs into its execution_timeout while it publishes.
func (w *world) timedOut(docker bool) func(*testing.T) {
	return func(t *testing.T) {
		h := w.held(t, "late", variant{docker: docker, edits: []string{`"execution_timeout": timedelta(minutes=3)`,
			fmt.Sprintf(`"execution_timeout": timedelta(seconds=%.0f)`, taskLimit.Seconds())}})
		gone := h.wantEnd(t, taskLimit+killLimit)
		r := h.wait(t)
		took := gone.Sub(r.tasks(t)[update].Start)
		t.Logf("the binary ends %s after the start of a task that may take %s", took.Round(time.Millisecond), taskLimit)
		if took < taskLimit-time.Second || took > taskLimit+killLimit {
			t.Errorf("it did not end by the timeout")
		}
		r.wantLog(t, update, "Timeout")
		r.wantHarmless(t)
	}
}

// killed: a signal ends the task's process, or its parent, which supervises it. What remains of the step ends by its
// own timeout. A container that no process of Airflow is left to remove stays, with its environment.
func (w *world) killed(name string, signal syscall.Signal, supervisor bool, left int) func(*testing.T) {
	return func(t *testing.T) {
		h := w.held(t, name, variant{docker: true, env: map[string]string{"ECR_REFRESH_TIMEOUT": ownLimit.String()}})
		pid := h.tasks(t)[update].PID
		if supervisor {
			pid = parent(t, pid)
		}
		must(t, syscall.Kill(pid, signal))
		h.wantEnd(t, ownLimit+killLimit)
		h.wantContainers(t, left)
		err := w.Airflow.MarkFailed(t.Context(), h.dag.id, h.id, update) // it misses a supervisor after minutes
		if status := new(peers.StatusError); !errors.As(err, &status) || status.Status != http.StatusConflict {
			must(t, err) // it has failed by itself
		}
		h.wait(t).wantHarmless(t)
	}
}

// parent returns the id of a process's parent.
func parent(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	id, err := strconv.Atoi(fields[1])
	must(t, err)
	return id
}

// wantContainers waits until as many containers of the step are left, all ended, and removes these.
func (h held) wantContainers(t *testing.T, want int) {
	t.Helper()
	engine, deadline := h.engine(t), time.After(killLimit)
	for tick := time.Tick(100 * time.Millisecond); ; {
		all, err := engine.ContainerList(t.Context(), container.ListOptions{All: true})
		must(t, err)
		var left []container.InspectResponse
		for _, c := range all {
			if found, err := engine.ContainerInspect(t.Context(), c.ID); err == nil && // else it has gone since
				slices.Contains(found.Config.Env, "ECR_REFRESH_CONNECTION_IDS="+h.connection) {
				left = append(left, found)
			}
		}
		running := slices.ContainsFunc(left, func(c container.InspectResponse) bool { return c.State.Running })
		if len(left) == want && !running {
			for _, c := range left {
				must(t, engine.ContainerRemove(t.Context(), c.ID, container.RemoveOptions{}))
			}
			return
		}
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("%d containers are left, one of them running: %t; want %d, ended", len(left), running, want)
		}
	}
}

// held is a run whose second step has sent the change of the connection, and waits for the answer.
type held struct {
	run
	gone chan time.Time // when the step hung up
}

// held starts a copy of the DAG whose calls to Airflow's API go through a gate: it lets everything through but the
// first change of a connection.
func (w *world) held(t *testing.T, name string, v variant) held {
	t.Helper()
	reached, gone := make(chan struct{}), make(chan time.Time, 1)
	var closed atomic.Bool
	gate := front(t, func(r *http.Request) string {
		if r.Method == http.MethodPatch && closed.CompareAndSwap(false, true) {
			_, _ = io.Copy(io.Discard, r.Body) // the server sees that the step hangs up only once the request is read
			close(reached)
			<-r.Context().Done()
			gone <- time.Now()
		}
		return w.Airflow.URL // without the body, and after the caller's end: that one is not sent
	})
	v.api = fmt.Sprintf("airflow-api-%s-%t", name, v.docker)
	w.setAPI(t, v.api, w.Airflow.Users["op"], gate.URL)
	r := w.copy(t, name, v).start(t)
	select {
	case <-reached:
	case <-time.After(runLimit):
		t.Fatal("no call reaches the gate")
	}
	if len(processes(r.connection)) == 0 {
		t.Error("no process of the step is seen")
	}
	return held{r, gone}
}

// wantEnd waits until no process of the step is left, and returns when the call was hung up.
func (h held) wantEnd(t *testing.T, limit time.Duration) (gone time.Time) {
	t.Helper()
	deadline := time.After(limit)
	for tick := time.Tick(20 * time.Millisecond); gone.IsZero() || len(processes(h.connection)) > 0; {
		select {
		case gone = <-h.gone:
		case <-tick:
		case <-deadline:
			t.Fatalf("after %s: hung up at %s, and there are left: %v", limit, gone, processes(h.connection))
		}
	}
	return gone
}

// wantHarmless fails unless the run failed, nothing is left of it, and the next one is green.
func (r run) wantHarmless(t *testing.T) {
	t.Helper()
	r.wantStates(t, "success", "failed", "upstream_failed")
	r.wantPassword(t, r.old)
	r.dag.run(t).wantGreen(t)
	if r.Password(t, r.connection) == r.old {
		t.Error("the next run has published nothing")
	}
}

// processes returns the command lines of all processes that serve a connection, by their environment: a zombie has
// none.
func processes(connection string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		environ, _ := os.ReadFile(file)
		if strings.Contains(string(environ), "\x00ECR_REFRESH_CONNECTION_IDS="+connection+"\x00") {
			argv, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			found = append(found, strings.ReplaceAll(string(argv), "\x00", " "))
		}
	}
	return found
}

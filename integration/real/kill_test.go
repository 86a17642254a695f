package real

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecr-refresh/integration/real/peers"
)

const (
	// killLimit is what Airflow leaves a process between SIGTERM and SIGKILL.
	killLimit = 5 * time.Second
	// noticeLimit is how long Airflow may take to notify the task: it polls a task's state once a second here.
	noticeLimit = 4 * time.Second
	// taskLimit is the execution_timeout of the copies that run into it. A call to Airflow times out after ten seconds.
	taskLimit = 6 * time.Second
)

func (w *world) markedFailed(t *testing.T) {
	gate := newGate(t, w.Airflow.URL)
	w.killed(t, gate, w.copy(t, "marked", peers.SandboxHost, w.through(t, gate, "marked")...))
}

func (w *world) dockerMarkedFailed(t *testing.T) {
	gate := newGate(t, w.Airflow.URL)
	w.killed(t, gate, w.dockerCopy(t, "marked", nil, w.through(t, gate, "docker_marked")...))
}

func (w *world) timedOut(t *testing.T) {
	gate := newGate(t, w.Airflow.URL)
	w.late(t, gate, w.copy(t, "late", peers.SandboxHost, append(w.through(t, gate, "late"), shortTask()...)...))
}

func (w *world) dockerTimedOut(t *testing.T) {
	gate := newGate(t, w.Airflow.URL)
	w.late(t, gate, w.dockerCopy(t, "late", nil, append(w.through(t, gate, "docker_late"), shortTask()...)...))
}

func shortTask() []string {
	return []string{`"execution_timeout": timedelta(minutes=3)`,
		`"execution_timeout": timedelta(seconds=` + strconv.Itoa(int(taskLimit.Seconds())) + `)`}
}

// through is an edit that leads the calls to Airflow's API through a gate.
func (w *world) through(t *testing.T, g *gate, name string) []string {
	t.Helper()
	target, err := url.Parse(g.URL)
	must(t, err)
	port, err := strconv.Atoi(target.Port())
	must(t, err)
	op, id := w.Airflow.Users["op"], "airflow-api-"+name
	must(t, w.Airflow.SetConnection(t.Context(), peers.Connection{
		ID: id, Type: "http", Schema: new("http"), Host: new("127.0.0.1"), Port: &port, Login: &op.User,
		Password: &op.Password,
	}))
	return []string{`AIRFLOW_API = "airflow-api"`, `AIRFLOW_API = "` + id + `"`}
}

// killed: somebody marks the task failed in the UI while it publishes.
func (w *world) killed(t *testing.T, g *gate, d *dag) {
	before, r := d.held(t, g)
	begin := time.Now()
	must(t, w.Airflow.MarkFailed(t.Context(), r.dag, r.id, update))
	gone := d.wantEnd(t, g, noticeLimit+killLimit)
	t.Logf("the binary ends %s after the call that marks its task failed", gone.Sub(begin).Round(time.Millisecond))
	d.wantHarmless(t, before, r.wait(t))
}

// late: the task runs into its execution_timeout while it publishes.
func (w *world) late(t *testing.T, g *gate, d *dag) {
	before, r := d.held(t, g)
	gone := d.wantEnd(t, g, taskLimit+killLimit)
	r = r.wait(t)
	took := gone.Sub(r.tasks(t)[update].Start)
	t.Logf("the binary ends %s after the start of a task that may take %s", took.Round(time.Millisecond), taskLimit)
	if took < taskLimit-time.Second || took > taskLimit+killLimit {
		t.Errorf("it did not end by the timeout")
	}
	r.wantLog(t, update, "Timeout")
	d.wantHarmless(t, before, r)
}

// held starts a run and returns when its second step has sent the change of the connection, and waits for the answer.
func (d *dag) held(t *testing.T, g *gate) (before peers.Connection, r run) {
	t.Helper()
	before, err := d.Airflow.Connection(t.Context(), d.connection)
	must(t, err)
	id, err := d.Airflow.Trigger(t.Context(), d.id)
	must(t, err)
	g.wait(t)
	if len(processes(d.connection)) == 0 {
		t.Error("no process of the step is seen")
	}
	return before, run{world: d.world, dag: d.id, id: id}
}

// wantEnd waits until no process of the step is left, and returns when the call was hung up.
func (d *dag) wantEnd(t *testing.T, g *gate, limit time.Duration) time.Time {
	t.Helper()
	deadline := time.After(limit)
	var gone time.Time
	select {
	case gone = <-g.gone:
	case <-deadline:
		t.Fatalf("the step has not hung up after %s", limit)
	}
	for tick := time.Tick(20 * time.Millisecond); len(processes(d.connection)) > 0; {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("after %s there are left: %v", limit, processes(d.connection))
		}
	}
	return gone
}

// wantHarmless fails unless the run failed, nothing is left of it, and the next one is green.
func (d *dag) wantHarmless(t *testing.T, before peers.Connection, r run) {
	t.Helper()
	r.wantStates(t, "success", "failed", "upstream_failed")
	d.wantOld(t)
	d.wantUnchanged(t, before)
	d.wantNoContainer(t, d.connection)
	d.run(t).wantGreen(t)
	if d.password(t, d.connection) == d.old {
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

// gate stands between a step and Airflow's API, and lets everything through but the first change of a connection: that
// one gets no answer.
type gate struct {
	*httptest.Server
	held, gone chan time.Time
}

func newGate(t *testing.T, airflow string) *gate {
	t.Helper()
	target, err := url.Parse(airflow)
	must(t, err)
	pass := httputil.NewSingleHostReverseProxy(target)
	g := &gate{held: make(chan time.Time, 1), gone: make(chan time.Time, 1)}
	var closed atomic.Bool
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch && closed.CompareAndSwap(false, true) {
			g.hold(r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// newSilence is a server that answers nothing.
func newSilence(t *testing.T) *gate {
	t.Helper()
	g := &gate{held: make(chan time.Time, 1), gone: make(chan time.Time, 1)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { g.hold(r) }))
	t.Cleanup(g.Close)
	return g
}

// hold returns when the caller has hung up. The server sees that only once the request is read.
func (g *gate) hold(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	send(g.held)
	<-r.Context().Done()
	send(g.gone)
}

// send sends the time, unless one was sent before.
func send(to chan<- time.Time) {
	select {
	case to <- time.Now():
	default:
	}
}

// wait returns when a call is held.
func (g *gate) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g.held:
	case <-time.After(runLimit):
		t.Fatal("no call reaches the gate")
	}
}

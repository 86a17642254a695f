package real

import (
	"testing"

	"ecr-refresh/integration/sandbox/suite"
)

// overridden: tasks read AIRFLOW_CONN_DOCKER_OVERRIDDEN of the workers before the database, where the token is.
func (w *world) overridden(t *testing.T) {
	w.copy(t, "overridden", variant{}).run(t).wantRed(t, test, 2, "overridden", "AIRFLOW_CONN_DOCKER_OVERRIDDEN")
}

// engineStopped: the Engine is down when step 3 comes, and up again when that is run once more.
func (w *world) engineStopped(t *testing.T) {
	d := w.copy(t, "engine", variant{})
	w.Docker.Stop()
	r := d.run(t)
	r.wantRed(t, test, 1, "reach Docker at", w.Docker.Host, "ECR_REFRESH_ENGINE=none")
	must(t, w.Docker.Start(t.Context()))
	r.again(t, test).wantGreen(t)
}

// filteredEngine: the calls that are enough for the stand-in are enough for a real Engine.
func (w *world) filteredEngine(t *testing.T) {
	h := w.shell(t, "filtered")
	h.Extract(t).Want(t, 0)
	h.Update(t).Want(t, 0)
	h.Test(t, "DOCKER_HOST="+suite.EngineFilter(t, w.Docker.Socket, suite.EngineCalls()...)).Want(t, 0)
}

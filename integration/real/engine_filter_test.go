package real

import (
	"testing"

	"ecr-refresh/integration/sandbox/suite"
)

// filteredEngine: the calls that are enough for the stand-in are enough for a real Engine.
func (w *world) filteredEngine(t *testing.T) {
	h := w.session(t, "filtered")
	h.Update(t).Want(t, 0)
	h.Test(t, "DOCKER_HOST="+suite.EngineFilter(t, w.Docker.Socket, suite.EngineCalls()...)).Want(t, 0)
}

package real

import (
	"testing"

	"ecr-refresh/integration/real/peers"
)

// viewer: the API user may log in, but not edit connections. The hint is of the auth manager that it has.
func (w *world) viewer(t *testing.T) {
	w.setAPI(t, "airflow-viewer", w.Airflow.Users["viewer"], w.Airflow.URL)
	needs := "can_read on Connections: give it the role op"
	switch {
	case isFAB():
		needs = "can_read on Connections: airflow roles add-perms"
	case isKeycloak(): // its viewer reads all
		needs = "PUT on Connection: let a permission of Airflow's client in Keycloak grant it"
	}
	w.copy(t, "viewer", variant{api: "airflow-viewer"}).run(t).
		wantRed(t, update, 2, "403", "hint: the account of connection airflow-viewer needs "+needs)
}

// noAPIConnection: without airflow-api, the log says so, and how to create it.
func (w *world) noAPIConnection(t *testing.T) {
	w.copy(t, "no_api", variant{api: "no-such-connection"}).run(t).
		wantRed(t, update, 2, `Airflow connection "no-such-connection" is missing`, "ecr-refresh setup")
}

// anotherHost: Variables and the connection's host name two registries.
func (w *world) anotherHost(t *testing.T) {
	w.copy(t, "another_host", variant{host: "docker.io"}).run(t).
		wantRed(t, update, 2, `its host is "docker.io", and the token is for "`+peers.SandboxHost+`"`,
			"hint: correct Variables ecr_aws_account and ecr_aws_region_name (or ecr_targets), or set the host of "+
				"connection docker_another_host to "+peers.SandboxHost)
}

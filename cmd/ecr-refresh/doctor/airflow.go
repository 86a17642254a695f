package doctor

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/rights"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
)

// checkConnections gets Airflow's version, logs in and reads the connections. It stops at the first failure.
func (x *examination) checkConnections(ctx context.Context, f *Findings) {
	if x.AirflowErr != nil {
		f.result("airflow", x.AirflowErr, "")
		return
	}
	version, err := x.Airflow.Version(ctx)
	if !f.result("airflow", err, "Airflow %s answers at %s", version.Version, x.Airflow.BaseURL()) {
		x.Airflow, x.Reader = nil, nil
		return
	}
	if !strings.HasPrefix(version.Version, "3.") {
		f.add(fail, "airflow version", "upgrade to Airflow 3", "Airflow %s has another API", version.Version)
	}
	role, err := x.Airflow.SimpleRole(ctx)
	if role != "" {
		role = ", with role " + failure.Excerpt(role)
	}
	if !f.result("airflow login", err, "the account of %s logs in%s", names.AirflowConnection, role) {
		if x.Reader == x.Airflow {
			x.Reader = nil
		}
		x.Airflow = nil
		return
	}
	found, failed := x.Airflow.ConnectionsByID(ctx, x.ConnectionIDs)
	x.connections = found
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		f.result("connection "+id, failed[id], "")
	}
}

// notChecked adds err, or that Airflow is not available.
func (f *Findings) notChecked(name string, err error) {
	if f.result(name, err, "not checked: see airflow above") {
		f.downgrade(skip)
	}
}

// checkTargets resolves the targets, and compares each connection with its registry.
func (x *examination) checkTargets(f *Findings) {
	hosts := map[string]string{}
	for id, conn := range x.connections {
		hosts[id] = registry.Host(conn.Host)
	}
	targets, err := x.Targets(hosts)
	if err != nil {
		f.result("targets", err, "")
		return
	}
	x.targets = targets
	for _, t := range targets {
		if conn, found := x.connections[t.ConnectionID]; found {
			f.connection(conn, hostOf(t))
		}
	}
}

// connection compares a connection with the registry that it should lead to.
func (f *Findings) connection(conn airflowclient.Connection, want string) {
	name, before := "connection "+conn.ID, len(f.Checks)
	const hintReauth = `remove "reauth" from its extra`
	switch is := failure.Excerpt(conn.Host); {
	case registry.Host(conn.Host) != want:
		f.add(fail, name, "set its host to "+want, "host is %q, want %q", is, want)
	case conn.Host != want:
		f.add(warn, name, "set its host to "+want, "host is %q, want %q: docker-py may not find the login", is, want)
	}
	if conn.Port != 0 {
		f.add(warn, name, "empty its port", "port is %d, want none: docker-py may not find the login", conn.Port)
	}
	if conn.Type != "docker" {
		f.add(warn, name, "set its type to docker", `type is %q, want "docker"`, failure.Excerpt(conn.Type))
	}
	if conn.Login != "AWS" {
		f.add(warn, name, "the next run sets it", `login is %q, want "AWS"`, failure.Excerpt(conn.Login))
	}
	if on, valid := reauth(conn.Extra); !valid {
		f.add(fail, name, hintReauth, `"reauth" in its extra is neither true nor false: every Docker task fails`)
	} else if !on {
		f.add(warn, name, hintReauth,
			`"reauth" in its extra is off: docker-py prefers an old entry of ~/.docker/config.json to the login`)
	}
	if len(f.Checks) == before {
		f.add(ok, name, "", "type docker, host %s, login AWS", want)
	}
}

// reauth returns what DockerHook makes of a connection's extra (providers/docker/hooks/docker.py); valid is false for
// what it rejects.
func reauth(extra string) (on, valid bool) {
	fields := map[string]any{"reauth": true}
	if json.Unmarshal([]byte(extra), &fields) != nil {
		return true, true
	}
	switch value := fields["reauth"].(type) {
	case nil:
		return false, true
	case bool:
		return value, true
	case float64:
		return value != 0, true
	case string:
		on := slices.Contains([]string{"y", "yes", "t", "true", "on", "1"}, strings.ToLower(value))
		return on, on || slices.Contains([]string{"n", "no", "f", "false", "off", "0"}, strings.ToLower(value))
	}
	return true, true
}

// checkRight checks that the account may update connections.
func (x *examination) checkRight(ctx context.Context, f *Findings) {
	const name = "right to edit"
	if x.Airflow == nil {
		f.notChecked(name, nil)
		return
	}
	err := rights.UpdateConnections(ctx, x.Airflow)
	f.result(name, err, "the account of %s may edit connections", names.AirflowConnection)
}

package doctor

import (
	"context"
	"maps"
	"slices"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
)

// checkConnections gets Airflow's version, tries the account and reads the connections. Where Airflow does not answer,
// or nobody can log in, no other check asks it.
func (d *Doctor) checkConnections(ctx context.Context, f *Findings) {
	if d.Airflow == nil {
		return
	}
	version, err := d.Airflow.Version(ctx)
	if !f.result("airflow", err, "Airflow %s answers at %s", version.Version, d.Airflow.BaseURL()) {
		d.Airflow, d.Reader = nil, nil
		return
	}
	role, err := d.Airflow.SimpleRole(ctx)
	if err == nil {
		err = setup.MayUpdate(ctx, d.Airflow)
	}
	if role != "" {
		role = ", role " + failure.Excerpt(role) + ","
	}
	if !f.result("airflow account", err, "%s%s may edit connections", d.Account, role) && !isForbidden(err) {
		d.Airflow = nil
		return
	}
	var failed map[string]error
	d.connections, failed = d.Airflow.ConnectionsByID(ctx, d.ConnectionIDs)
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		f.result("connection "+id, failed[id], "")
	}
}

// checkAdmin logs in with the admin account, where one is given. Where that fails, no other check asks it.
func (d *Doctor) checkAdmin(ctx context.Context, f *Findings) {
	if d.Reader == nil {
		return
	}
	if _, err := d.Reader.SimpleRole(ctx); err != nil {
		f.result(input.AdminAccount, err, "")
		d.Reader = nil
	}
}

// checkTargets resolves the targets, and compares each connection with its registry.
func (d *Doctor) checkTargets(f *Findings) {
	hosts := map[string]string{}
	for id, conn := range d.connections {
		hosts[id] = registry.Host(conn.Host)
	}
	var err error
	if d.targets, err = d.Targets(hosts); err != nil {
		f.result("targets", err, "")
		return
	}
	for _, t := range d.targets {
		name := "connection " + t.ConnectionID
		if conn, found := d.connections[t.ConnectionID]; found {
			f.connection(name, conn, t.Registry.Name)
		}
		if other := input.OverriddenBy(t.ConnectionID); other != "" {
			f.add(warn, name, "unset "+other+" on the workers, unless it is set in this shell alone",
				"overridden by %s: a refresh updates Airflow's database alone", other)
		}
	}
}

// connection compares a connection with the registry that it should lead to. docker-py may not find the login of one
// whose host has a scheme or a port.
func (f *Findings) connection(name string, conn airflowclient.Connection, host string) {
	differs, state := setup.DockerDiffers(conn, host), warn
	if registry.Host(conn.Host) != host {
		state = fail
	}
	for _, what := range differs {
		f.add(state, name, "edit this field of the connection in Airflow (a run sets the login)", "%s", what)
	}
	if len(differs) == 0 {
		f.add(ok, name, "", "type docker, host %s, login AWS", host)
	}
}

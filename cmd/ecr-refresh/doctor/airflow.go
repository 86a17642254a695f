package doctor

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
)

// checkAirflow gets Airflow's version and tries both logins. Where Airflow does not answer, or nobody can log in, no
// other check asks it.
func (d *Doctor) checkAirflow(ctx context.Context, f *Findings) {
	client := cmp.Or(d.Airflow, d.Reader)
	if client == nil {
		return
	}
	version, err := client.Version(ctx)
	if !f.result("airflow", err, "Airflow %s answers at %s", version.Version, client.BaseURL()) {
		d.Airflow, d.Reader = nil, nil
		return
	}
	if d.Reader != nil {
		if _, err := d.Reader.SimpleRole(ctx); err != nil {
			f.result(input.AdminAccount, err, "")
			d.Reader = nil
		}
	}
	if d.Airflow != nil && !d.mayUpdate(ctx, f) {
		d.Airflow = nil
	}
	d.Reader = cmp.Or(d.Reader, d.Airflow)
}

// mayUpdate tries the account of airflow-api, and reports whether it can log in.
func (d *Doctor) mayUpdate(ctx context.Context, f *Findings) bool {
	role, err := d.Airflow.SimpleRole(ctx)
	if err == nil {
		err = setup.MayUpdate(ctx, d.Airflow)
	}
	if role != "" {
		role = ", role " + failure.Excerpt(role) + ","
	}
	return f.result("airflow account", err, "%s%s may edit connections", d.Account, role) || isForbidden(err)
}

// checkAPI compares connection airflow-api, with which a run logs in, with what this shell has in its place.
func (d *Doctor) checkAPI(ctx context.Context, f *Findings) {
	const (
		name = "connection " + names.AirflowConnection
		edit = "edit it: Admin > Connections; a run logs in with what the connection has"
		make = "create it: ecr-refresh setup, or Admin > Connections (type HTTP; host, port, login and password of a " +
			"user who may edit connections); one of a secrets backend is not seen here"
	)
	if d.Reader == nil {
		return
	}
	if env := input.OverriddenBy(names.AirflowConnection); env != "" {
		f.add(warn, name, "unset it on the workers, unless it is set in this shell alone", "overridden by %s", env)
	}
	is, err := cmp.Or(d.Airflow, d.Reader).Connection(ctx, names.AirflowConnection)
	base, login := d.Reader.BaseURL(), cmp.Or(d.Login, is.Login)
	switch differs := setup.AirflowDiffers(is, base, login); {
	case errors.Is(err, airflowclient.ErrNotFound):
		f.add(fail, name, make, "Airflow has no such connection")
	case err != nil:
		f.object(name, err, "")
	case is.Password == nil && d.variables[names.TokenVariable] == "":
		f.add(fail, name, edit, "it has no password")
	case len(differs) > 0:
		f.add(warn, name, edit, "it is not what this shell has: %s", strings.Join(differs, "; "))
	case d.Airflow != nil && d.Login != "":
		f.add(ok, name, "", "its URL and login are those of this shell, whose password was tested; Airflow does not "+
			"show the stored one: doctor --run tests it")
	default:
		f.add(ok, name, "", "it leads to %s as %q; Airflow does not show its password: doctor --run tests it", base,
			failure.Excerpt(login))
	}
}

// readConnections reads the connections that are to be refreshed.
func (d *Doctor) readConnections(ctx context.Context, f *Findings, ids []string) {
	reader := cmp.Or(d.Airflow, d.Reader)
	if reader == nil {
		return
	}
	var failed map[string]error
	d.connections, failed = reader.ConnectionsByID(ctx, ids)
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		f.result("connection "+id, failed[id], "")
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
		hint := hints.Of(err)
		if kind, _ := failure.Describe(err); kind == input.Missing {
			hint = "airflow variables set " + names.AccountVariable + " and " + names.RegionVariable +
				", or give both here: --account and --region"
		}
		f.add(fail, "targets", hint, "%s", err)
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
		f.add(state, name, "correct Variables "+names.AccountVariable+" and "+names.RegionVariable+" (or "+
			names.TargetsVariable+"), or this field of the connection (a run sets the login)", "%s", what)
	}
	if len(differs) == 0 {
		f.add(ok, name, "", "type docker, host %s, login AWS", host)
	}
}

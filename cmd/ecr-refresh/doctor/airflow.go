package doctor

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"ecr-refresh/airflowclient"
	"ecr-refresh/cmd/ecr-refresh/connection"
	"ecr-refresh/cmd/ecr-refresh/hints"
	"ecr-refresh/cmd/ecr-refresh/input"
	"ecr-refresh/cmd/ecr-refresh/names"
	"ecr-refresh/cmd/ecr-refresh/setup"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/untrusted"
)

// checkAirflow gets Airflow's version and tries both logins. Where Airflow does not answer, or nobody can log in, no
// other check asks it.
func (d *Doctor) checkAirflow(ctx context.Context, f *Findings) {
	reader := cmp.Or(d.Reader, d.Airflow)
	if d.Reader = nil; reader == nil {
		return
	}
	version, err := reader.Version(ctx)
	if !f.result("airflow", err, "Airflow %s answers at %s", version.Version, reader.BaseURL()) {
		return
	}
	if reader != d.Airflow {
		if _, err := reader.SimpleRole(ctx); f.result(string(input.Admin), err, "it can log in") {
			d.Reader = reader
		}
	}
	if d.Airflow == nil {
		return
	}
	const name = "airflow account"
	if err = setup.MayUpdate(ctx, d.Airflow); airflowclient.MissingRight(err) != "" {
		f.add(fail, name, hints.Of(err), "%s", err)
	} else if !f.result(name, err, "%s may edit connections", d.Account) {
		return // it cannot log in
	}
	d.Reader = cmp.Or(d.Reader, d.Airflow)
}

// checkAPI compares connection airflow-api, with which a run logs in, with what this shell has in its place.
func (d *Doctor) checkAPI(ctx context.Context, f *Findings) {
	const (
		name = "connection " + names.AirflowConnection
		edit = "edit it: Admin > Connections; a run logs in with what the connection has"
		make = "create it: ecr-refresh setup, or Admin > Connections; one of a secrets backend is not seen here"
	)
	f.override(name, "AIRFLOW_CONN_"+names.AirflowConnection, "")
	is, err := d.Reader.Connection(ctx, names.AirflowConnection)
	base, login, grantType := d.Reader.BaseURL(), d.Login, d.GrantType
	if login == "" {
		login, grantType = is.Login.Raw(), connection.GrantType(is.Extra.Raw())
	}
	switch differs := setup.AirflowDiffers(is, base, login, grantType); {
	case errors.Is(err, airflowclient.ErrNotFound):
		f.add(fail, name, make, "Airflow has no such connection")
	case err != nil:
		f.result(name, err, "")
	case is.Password == nil && d.Inputs.Variables[names.TokenVariable] == "":
		f.add(fail, name, edit, "it has no password")
	case len(differs) > 0:
		f.add(warn, name, edit, "it is not what this shell has: %s", strings.Join(differs, "; "))
	default:
		f.add(ok, name, "", "it leads to %s as %q; what was tested is this shell's password, and Airflow does not "+
			"show the stored one: doctor --run tests it", base, untrusted.New(login))
	}
}

// checkConnections reads the connections that are to be refreshed, resolves the targets, and compares each connection
// with its registry.
func (d *Doctor) checkConnections(ctx context.Context, f *Findings) {
	var ids []string
	_ = d.Inputs.Collect(func() { // Targets returns the errors of these
		for _, e := range d.Inputs.Asked() {
			ids = append(ids, e.ConnectionID)
		}
	})
	var stored map[string]airflowclient.Connection
	var failed map[string]error
	if d.Reader != nil {
		stored, failed = d.Reader.ConnectionsByID(ctx, ids)
	}
	d.Inputs.Hosts = map[string]string{}
	for _, id := range ids {
		d.Inputs.Hosts[id] = stored[id].Host.Raw()
		if failed[id] != nil {
			f.result("connection "+id, failed[id], "")
		}
	}
	if err := d.Inputs.Collect(func() { d.targets = d.Inputs.Targets() }); err != nil {
		hint := hints.Of(err)
		if kind, _ := failure.Describe(err); kind == input.Missing {
			hint = "airflow variables set " + names.AccountVariable + " and " + names.RegionVariable +
				", or give both here: --account and --region"
		}
		f.add(fail, "targets", hint, "%s", err)
		d.targets = nil
	}
	for _, t := range d.targets {
		if conn, found := stored[t.ConnectionID]; found {
			f.connection(conn, t.Registry.Name)
		}
		f.override("connection "+t.ConnectionID, "AIRFLOW_CONN_"+t.ConnectionID, "")
	}
}

// connection compares a connection with the registry that it should lead to. docker-py may not find the login of one
// whose host has a scheme or a port.
func (f *Findings) connection(conn airflowclient.Connection, host string) {
	const fields = "these fields of the connection (a run sets the login)"
	hint := "correct Variables " + names.AccountVariable + " and " + names.RegionVariable + " (or " +
		names.TargetsVariable + "), or " + fields
	if registry.IsIn(conn.Host.Raw(), host) {
		hint = "correct " + fields
	}
	name, differs := "connection "+conn.ID, strings.Join(setup.DockerDiffers(conn, host), "; ")
	switch {
	case differs == "":
		f.add(ok, name, "", "type docker, host %s, login AWS", host)
	case registry.Host(conn.Host.Raw()) != host:
		f.add(fail, name, hint, "%s", differs)
	default:
		f.add(warn, name, hint, "%s", differs)
	}
}

// override adds what tasks may read in place of what Airflow's database has, which is all that a refresh updates.
func (f *Findings) override(name, env, stored string) {
	if env = input.Overriding(env, stored); env != "" {
		f.add(warn, name, "unset it on the workers, unless it is set in this shell alone",
			"overridden by %s: tasks read that before Airflow's database", env)
	}
}

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
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
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
	variables := ""
	if !registry.IsIn(conn.Host.Raw(), host) {
		variables = "Variables " + names.AccountVariable + " and " + names.RegionVariable + " (or " +
			names.TargetsVariable + "), or "
	}
	hint := "correct " + variables + "these fields of the connection (a run sets the login)"
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

// checkVariables reads the Variables of a run as far as Airflow's database has them.
func (d *Doctor) checkVariables(ctx context.Context, f *Findings) {
	stored := map[string]string{}
	for _, key := range []string{names.TargetsVariable, names.AccountVariable, names.RegionVariable,
		names.RecipientVariable, names.PrivateKeyVariable, names.TokenVariable} {
		value, err := d.Reader.Variable(ctx, key)
		if err != nil && !errors.Is(err, airflowclient.ErrNotFound) {
			f.result("Variables", err, "")
			return
		}
		stored[key] = strings.TrimSpace(value)
		if stored[key] != "" {
			f.override("Variable "+key, "AIRFLOW_VAR_"+key, stored[key])
		}
	}
	d.Inputs.Variables = stored
	list := func(text string) error { _, err := target.Parse(text); return err }
	d.checkForm(f, names.TargetsVariable, "", `'[{"connection_id": "docker_default", "registry": "HOST"}]'`, list)
	if stored[names.TargetsVariable] == "" { // which stands in for both
		d.checkForm(f, names.AccountVariable, d.Inputs.String("account"), "123456789012", ecr.CheckAccount)
		d.checkForm(f, names.RegionVariable, d.Inputs.String("region"), "us-east-1", ecr.CheckRegion)
	}
	d.checkKeyPair(f, stored[names.RecipientVariable], stored[names.PrivateKeyVariable])
}

// checkForm checks a Variable, for which another value may be given here. It drops what a run would reject.
func (d *Doctor) checkForm(f *Findings, key, given, example string, check func(string) error) {
	name, set, value := "Variable "+key, "airflow variables set "+key+" ", d.Inputs.Variables[key]
	err := check(value)
	switch {
	case value == "" && given != "": // the connection's host may have it
		f.add(warn, name, set+given, "a run does not see what this command line has")
	case value == "":
	case err != nil:
		f.add(fail, name, "correct it: "+set+failure.WantOf(err, example), "%s", err)
		delete(d.Inputs.Variables, key)
	case given != "" && given != value:
		f.add(fail, name, set+given,
			"it is %q in Airflow, which a run reads, and %q on this command line", value, given)
	default:
		f.add(ok, name, "", "%.60s", value)
	}
}

// checkKeyPair checks the Variables of the encryption key pair. Without it, each worker has a pair of its own.
func (d *Doctor) checkKeyPair(f *Findings, public, private string) {
	const (
		name  = "encryption key pair"
		hint  = "run 'ecr-refresh keygen', and set both Variables as it prints"
		alone = "Variable %s is missing, and %s is set"
	)
	id, unread := secret.ParseIdentity(secret.New(private))
	wrong := secret.CheckRecipient(public)
	switch {
	case public+private == "":
		f.add(ok, name, "", "no Variables: steps 1 and 2 have to run on one worker, as one user")
	case public == "":
		f.add(fail, name, hint, alone, names.RecipientVariable, names.PrivateKeyVariable)
	case wrong != nil:
		f.add(fail, name, hint, "Variable %s: %s", names.RecipientVariable, wrong)
	case private == "" && d.Inputs.Optional(d.Inputs.IdentityFile) == "":
		f.add(fail, name, hint, alone, names.PrivateKeyVariable, names.RecipientVariable)
	case private == "" || private == "***": // Airflow masks it, for its name
		f.add(ok, name, "", "there are both; whether they belong together is not known, since Airflow does not show "+
			"the private key: doctor --run tests it")
	case unread != nil || id.Recipient() != public:
		f.add(fail, name, hint, "Variable %s is not the private key of the other", names.PrivateKeyVariable)
	default:
		f.add(ok, name, "", "both Variables are set, and belong together")
	}
}

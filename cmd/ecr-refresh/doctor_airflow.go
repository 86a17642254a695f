package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

// tokenLife is how long an ECR token lives; a run is due each half of it.
const (
	tokenLife = 12 * time.Hour
	runDue    = 7 * time.Hour
)

const hintReader = "name an account that may read it: ECR_REFRESH_ADMIN_LOGIN and ECR_REFRESH_ADMIN_PASSWORD"

// checkConnections asks for Airflow's version, logs in and reads the connections.
func (d *doctor) checkConnections(ctx context.Context) (f findings) {
	ctx, cancel := limited(ctx)
	defer cancel()
	if d.airflowErr != nil {
		f.fail("airflow", d.airflowErr)
		return f
	}
	version, err := d.airflow.Version(ctx)
	if !f.judge("airflow", err, "Airflow %s answers at %s", version.Version, d.airflow.BaseURL()) {
		d.airflow, d.reader = nil, nil
		return f
	}
	if !strings.HasPrefix(version.Version, "3.") {
		f.fail("airflow version", failure.Permanent("upgrade to Airflow 3", "Airflow %s has no API that ecr-refresh speaks", version.Version))
	}
	f.clock("clock of airflow", d.now(), version.Date)
	if !d.checkLogin(ctx, &f) {
		return f
	}
	found, failed := d.airflow.ConnectionsByID(ctx, d.wanted())
	d.connections = found
	d.hosts = map[string]string{}
	for id, conn := range found {
		d.hosts[id] = registry.Host(conn.Host)
	}
	for _, id := range slices.Sorted(maps.Keys(failed)) {
		f.fail("connection "+id, failed[id])
	}
	return f
}

// checkLogin logs in as airflow-api's account. What would fail of the same trouble is left out.
func (d *doctor) checkLogin(ctx context.Context, f *findings) bool {
	role, err := d.airflow.SimpleRole(ctx)
	if err != nil {
		if d.reader == d.airflow {
			d.reader = nil
		}
		d.airflow = nil
	}
	switch {
	case !secretFromEnv(airflowTokenEnv).Empty():
		return f.judge("airflow login", err, "by the token of %s", airflowTokenEnv)
	case role != "":
		return f.judge("airflow login", err, "airflow-api's account logs in, with role %s", failure.Excerpt(role))
	}
	return f.judge("airflow login", err, "airflow-api's account logs in")
}

// wanted are the ids of the connections that a run would renew.
func (d *doctor) wanted() (ids []string) {
	_ = d.excused(func() {
		ids = d.ids()
		if declared, found := d.declared(); found && len(ids) == 0 {
			for _, t := range declared {
				ids = append(ids, t.ConnectionID)
			}
		}
	})
	if len(ids) == 0 {
		ids = []string{dockerID}
	}
	return ids
}

// checkInputs makes the targets, and compares them with the connections.
func (d *doctor) checkInputs(context.Context) (f findings) {
	if err := d.excused(func() { d.targets = d.targetList() }); err != nil {
		d.targets = nil
		f.fail("targets", err)
		return f
	}
	for _, t := range d.targets {
		if conn, found := d.connections[t.ConnectionID]; found {
			f.connection(conn, t.Registry.Name)
		}
	}
	return f
}

// connection judges what Airflow shows of a connection. What step 2 mends by itself is no fault.
func (f *findings) connection(conn airflowclient.Connection, want string) {
	name, before := "connection "+conn.ID, len(*f)
	switch host := registry.Host(conn.Host); {
	case host != want:
		f.fail(name, failure.Permanent(failure.Kind("set its host to "+want), "its host is %q, and its registry %q", failure.Excerpt(conn.Host), want))
	case conn.Host != want || conn.Port != 0:
		f.warn(name, "set its host to "+want+" and empty its port", "its host is %q with port %d: docker-py may not find the login", failure.Excerpt(conn.Host), conn.Port)
	}
	if conn.Type != "docker" {
		f.warn(name, "make it a connection of type docker", "it is of type %q", failure.Excerpt(conn.Type))
	}
	if conn.Login != "AWS" {
		f.warn(name, "the next run sets it", "its login is %q, not AWS", failure.Excerpt(conn.Login))
	}
	switch reauth, known := reauth(conn.Extra); {
	case !known:
		f.fail(name, failure.Permanent(`remove "reauth" from its extra`, "its extra has a reauth that is neither true nor false: every Docker task fails of it"))
	case !reauth:
		f.warn(name, `remove "reauth" from its extra`, "its extra turns reauth off: an old entry of ~/.docker/config.json wins over the login")
	}
	if len(*f) == before {
		f.ok(name, "type docker, host %s, login AWS", want)
	}
}

// reauth gives what DockerHook makes of a connection's extra (providers/docker/hooks/docker.py); known is false for a text
// that it refuses.
func reauth(extra string) (on, known bool) {
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

// checkRights tries to update a connection that nobody has: who may not edit is refused before it is looked for.
func (d *doctor) checkRights(ctx context.Context) (f findings) {
	ctx, cancel := limited(ctx)
	defer cancel()
	if d.airflow == nil {
		f.skip("right to edit", "", "see airflow above")
		return f
	}
	id := "ecr_refresh_probe_" + rand.Text()
	err := d.airflow.UpdateConnections(ctx, []airflowclient.Update{{ID: id, Type: "docker", Password: secret.New(rand.Text())}})[id]
	if errors.Is(err, airflowclient.ErrNotFound) {
		err = nil
	}
	f.judge("right to edit", err, "airflow-api's account may edit connections")
	return f
}

// checkDAG looks at the pool, the DAG and its last run.
func (d *doctor) checkDAG(ctx context.Context) (f findings) {
	ctx, cancel := limited(ctx)
	defer cancel()
	switch {
	case adminGiven() && d.readerErr != nil:
		f.fail("pool, DAG and runs", d.readerErr)
		return f
	case d.reader == nil:
		f.skip("pool, DAG and runs", "", "see airflow above")
		return f
	}
	pool, err := d.reader.Pool(ctx, d.String("pool"))
	if f.readable("pool "+d.String("pool"), err, "airflow pools set "+d.String("pool")+` 5 "System maintenance tasks"; without it the tasks wait for ever`) {
		f.ok("pool "+pool.Name, "%d slots", pool.Slots)
	}
	id := d.String("dag-id")
	dag, err := d.reader.DAG(ctx, id)
	if !f.readable("DAG "+id, err, "ecr-refresh dag install --dags-folder …, and look for import errors") {
		f.importErrors(ctx, d.reader)
		return f
	}
	f.dag(ctx, dag, d.reader)
	f.lastRun(ctx, id, d.reader, d.now())
	return f
}

// readable tells what is missing from what may not be read.
func (f *findings) readable(name string, err error, missing string) bool {
	var refused *airflowclient.Error
	switch {
	case err == nil:
		return true
	case errors.Is(err, airflowclient.ErrNotFound):
		f.fail(name, failure.Permanent(failure.Kind(missing), "Airflow has none"))
	case errors.As(err, &refused) && refused.Kind == airflowclient.Forbidden:
		f.skip(name, hintReader, "this account may not read it")
	default:
		f.fail(name, err)
	}
	return false
}

func (f *findings) dag(ctx context.Context, dag airflowclient.DAG, reader *airflowclient.Client) {
	name := "DAG " + dag.ID
	switch {
	case dag.HasImportErrors:
		f.fail(name, failure.Permanent("deploy the file of this version: ecr-refresh dag install", "its file has import errors"))
		f.importErrors(ctx, reader)
	case dag.Stale:
		f.fail(name, failure.Permanent("deploy it again: ecr-refresh dag install", "its file is gone"))
	case dag.Paused:
		f.fail(name, failure.Permanent(failure.Kind("airflow dags unpause "+dag.ID), "it is paused"))
	default:
		f.ok(name, "deployed and not paused")
	}
}

func (f *findings) importErrors(ctx context.Context, reader *airflowclient.Client) {
	all, err := reader.ImportErrors(ctx)
	if err != nil {
		return
	}
	for _, e := range all {
		f.fail("import of "+e.File, failure.Permanent("deploy the file of this version: ecr-refresh dag install", "%s", e.Text))
	}
}

func (f *findings) lastRun(ctx context.Context, id string, reader *airflowclient.Client, now time.Time) {
	runs, err := reader.DAGRuns(ctx, id, statusRuns)
	if !f.readable("last run", err, "") {
		return
	}
	at := slices.IndexFunc(runs, func(r airflowclient.DAGRun) bool { return !r.DryRun && (r.State == "success" || r.State == "failed") })
	if at < 0 {
		f.warn("last run", "trigger the DAG", "it has never run to its end")
		return
	}
	last := runs[at]
	switch age := now.Sub(last.End).Round(time.Minute); {
	case last.State == "failed":
		f.fail("last run", failure.Transient("look at the log of its red task", "run %s failed %s ago", last.ID, age))
	case age > tokenLife:
		f.fail("last run", failure.Transient("is the scheduler running?", "it ended %s ago, and a token lives 12h", age))
	case age > runDue:
		f.warn("last run", "is the scheduler running?", "it ended %s ago, and a run is due every 6h", age)
	default:
		f.ok("last run", "succeeded %s ago", age)
	}
}

// clock compares this machine's clock with a server's. AWS refuses what was signed over 5 minutes from its time.
func (f *findings) clock(name string, here, there time.Time) {
	off := here.Sub(there).Abs().Round(time.Second)
	const hint = "set this machine's clock (NTP)"
	switch {
	case there.IsZero():
	case off > 5*time.Minute:
		f.fail(name, failure.Permanent(hint, "this machine's clock is %s off", off))
	case off > 30*time.Second:
		f.warn(name, hint, "this machine's clock is %s off", off)
	default:
		f.ok(name, "agrees with this machine's")
	}
}

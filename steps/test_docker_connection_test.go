package steps_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// The calls name no version of the API, so that no Docker is too old or too new for them.
func TestTestLogsInThroughDocker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ engine, api, min string }{{"20.10.24", "1.41", "1.12"}, {"29.3.0", "1.54", "1.44"}} {
		f := newFixture(t)
		f.box.Engine.SetVersion(c.engine, c.api, c.min)
		two := f.updated(t, id)
		three, err := f.test(two).Run(t.Context())
		must(t, err)
		got, want := three.Connections[0], two.Connections[0]
		if got.Matches == nil || !*got.Matches || got.Engine != c.engine || got.Login != "Login Succeeded" {
			t.Errorf("tested %+v", got)
		}
		if got.ConnectionID != id || got.RegistryURL != want.RegistryURL || got.ExpiresAt != want.ExpiresAt {
			t.Errorf("tested %+v, updated %+v", got, want)
		}
		if logins := f.box.Engine.Logins(); len(logins) != 1 || logins[0].ServerAddress != f.box.RegistryHost() {
			t.Errorf("Docker saw %+v", logins)
		}
	}
}

// give changes a connection as tasks read it.
func give(step steps.TestDockerConnection, change func(*steps.DockerConnection)) steps.TestDockerConnection {
	conn := step.Connections[id]
	change(&conn)
	step.Connections[id] = conn
	return step
}

// Another password within a quarter of an hour can only be read from elsewhere; later another run may have been.
func TestTestTellsOverriddenFromRefreshed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.updated(t, id)
	f.updated(t, id) // another run
	f.now = first.Connections[0].PublishedAt.Add(15*time.Minute - 1)
	_, err := f.test(first).Run(t.Context())
	wantError(t, err, `test connection "docker_default": tasks read another login or password`, steps.Overridden)
	if _, facts := failure.Describe(err); !failure.IsPermanent(err) || facts != (failure.Facts{Object: id}) {
		t.Errorf("%v with %+v", err, facts)
	}
	byVariable := give(f.test(first), func(c *steps.DockerConnection) { c.OverriddenBy = "AIRFLOW_CONN_X" })
	_, err = byVariable.Run(t.Context())
	wantError(t, err, "it is overridden", steps.OverriddenByVariable)
	if _, facts := failure.Describe(err); facts != (failure.Facts{Object: id, Want: "AIRFLOW_CONN_X"}) {
		t.Errorf("facts %+v", facts)
	}
	f.now = f.now.Add(1)
	three, err := f.test(first).Run(t.Context())
	must(t, err)
	if *three.Connections[0].Matches {
		t.Error("two tokens match")
	}
	wantLog(t, f, "another run has refreshed it since")
}

// What tasks read must be of the registry and user that were updated. Docker sends the password to Docker Hub where the
// host is empty.
func TestTestRejectsAnotherConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	two := f.updated(t, id)
	for name, row := range map[string]struct {
		change  func(*steps.DockerConnection)
		message string
	}{
		"host":    {func(c *steps.DockerConnection) { c.Host = "example.com" }, `tasks read host "example.com"`},
		"no host": {func(c *steps.DockerConnection) { c.Host = "" }, `tasks read host ""`},
		"login":   {func(c *steps.DockerConnection) { c.Login = "somebody" }, "tasks read another login or password"},
	} {
		_, err := give(f.test(two), row.change).Run(t.Context())
		wantError(t, err, row.message, steps.Overridden)
		if n := len(f.box.Engine.Logins()); n != 0 {
			t.Errorf("%s: Docker saw %d logins", name, n)
		}
	}
	step := f.test(two)
	delete(step.Connections, id)
	_, err := step.Run(t.Context())
	wantError(t, err, "it was not given to this step", steps.NotGiven)
}

// A rejected login is no fault of Docker. Without Docker the registry is asked.
func TestTestRejectedLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	two := f.updated(t, id)
	alone := f.test(two)
	alone.Engine = nil
	three, err := alone.Run(t.Context())
	must(t, err)
	if got := three.Connections[0]; got.Engine != "none" || got.Login != "Accepted by the registry" {
		t.Errorf("tested %+v", got)
	}
	f.box.ECR.ExpireTokens()
	_, err = f.test(two).Run(t.Context())
	wantError(t, err, "the registry answered Docker 403: login rejected", docker.BadCredential)
	_, err = alone.Run(t.Context())
	wantError(t, err, "it answered 403", registry.Rejected)
}

// After a dry run nothing is compared, and a rejected password is a warning. A registry that is down is not: the step
// would be green.
func TestTestAfterADryRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dry := f.update(f.extracted(t, id))
	dry.DryRun = true
	two, err := dry.Run(t.Context())
	must(t, err)
	if two.Connections[0].Published || two.Connections[0].PublishedAt != nil {
		t.Errorf("a dry run updated %+v", two.Connections)
	}
	none := func(c *steps.DockerConnection) { c.Password = secret.New("") }
	for _, step := range []steps.TestDockerConnection{f.test(two), give(f.test(two), none)} {
		three, err := step.Run(t.Context())
		must(t, err)
		if got := three.Connections[0]; got.Matches != nil || got.Login != "refused" {
			t.Errorf("tested %+v", got)
		}
	}
	wantLog(t, f, "its password is rejected")
	f.box.Registry.SetStatus(503)
	_, err = f.test(two).Run(t.Context())
	wantError(t, err, "the registry answered Docker 503", docker.Unavailable)
}

// A connection that was not read as a task reads it is not compared; without a password it cannot log in.
func TestTestOfAnAssumedConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := give(f.test(f.updated(t, id)), func(c *steps.DockerConnection) { c.Assumed = true })
	three, err := step.Run(t.Context())
	must(t, err)
	if three.Connections[0].Matches != nil {
		t.Errorf("tested %+v", three.Connections[0])
	}
	for _, change := range []func(*steps.DockerConnection){
		func(c *steps.DockerConnection) { c.Password = secret.New("") },
		func(c *steps.DockerConnection) { c.Login, c.Password = "", secret.New("x") },
	} {
		_, err = give(step, change).Run(t.Context())
		wantError(t, err, "it has no login or no password", steps.NoLogin)
	}
}

// Connections with the same login share it, and what docker-py's file holds of it is reported once.
func TestTestLogsInOnceForEachLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.connect(nothing, "a", "b", "port")
	step := f.test(f.updated(t, id, "a", "b", "port"))
	conn := step.Connections["port"]
	conn.Port = "443"
	step.Connections["port"] = conn
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, []byte(`{"auths":{"`+conn.Host+`":{}}}`), 0o600))
	var err error
	step.Config, err = docker.ReadConfig(path)
	must(t, err)
	_, err = step.Run(t.Context())
	wantError(t, err, `test connection "port": docker-py asks `, docker.EntryWins)
	if n := strings.Count(f.log.String(), "level=WARN"); n != 1 || len(f.box.Engine.Logins()) != 1 {
		t.Errorf("reported %d times, %d logins:\n%s", n, len(f.box.Engine.Logins()), f.log)
	}
	step.Config = docker.Config{}
	_, err = step.Run(t.Context())
	must(t, err)
	if logins := f.box.Engine.Logins(); len(logins) != 3 { // DockerHook logs in to host:port
		t.Errorf("Docker saw %+v", logins)
	}
}

func TestStepsEndWhenTheyAreCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	two := f.updated(t, id)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, one := f.extract(id).Run(ctx)
	_, three := f.test(two).Run(ctx)
	for _, err := range []error{one, three} {
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a cancelled step ends with %v", err)
		}
	}
}

// Failures of the steps before are reported even where Docker does not answer.
func TestTestReportsEarlierFailures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	two := f.updated(t, id)
	earlier := xcom.Failure{ConnectionID: "x", Step: xcom.StepUpdateDockerConnection, Error: "no such"}
	two.Failures = append(two.Failures, earlier)
	three, err := f.test(two).Run(t.Context())
	wantError(t, err, `update_docker_connection: connection "x": no such`, steps.EarlierFailure)
	if _, facts := failure.Describe(err); facts.Object != xcom.StepUpdateDockerConnection || len(three.Failures) != 1 {
		t.Errorf("facts %+v, result %+v", facts, three)
	}
	must(t, f.box.Engine.SetDown(true))
	_, err = f.test(two).Run(t.Context())
	wantError(t, err, "2 targets failed", steps.ManyFailed)
	wantLog(t, f, `update_docker_connection: connection \"x\": no such`)
	wantLog(t, f, "reach Docker at ")
}

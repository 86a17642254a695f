package steps_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

func TestTestLogsInThroughTheEngine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.test(f.published(t, id)).Run(t.Context())
	must(t, err)
	got := doc.Connections[0]
	if got.Matches == nil || !*got.Matches || got.Engine == "" || got.Login != "Login Succeeded" {
		t.Errorf("tested %+v", got)
	}
	if logins := f.box.Engine.Logins(); len(logins) != 1 || logins[0].ServerAddress != f.box.RegistryHost() {
		t.Errorf("the Engine saw %+v", logins)
	}
}

// Another password within a quarter of an hour can only be read from elsewhere; later another run may have been.
func TestTestTellsShadowedFromRefreshed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.published(t, id)
	f.published(t, id) // another run
	f.now = f.now.Add(14 * time.Minute)
	_, err := f.test(first).Run(t.Context())
	wantError(t, err, "the connection is shadowed")
	f.now = f.now.Add(2 * time.Minute)
	doc, err := f.test(first).Run(t.Context())
	must(t, err)
	if *doc.Connections[0].Matches {
		t.Error("two tokens match")
	}
	wantLog(t, f, "another run has refreshed it since")
}

// A refused login is told as that, not as a fault of the Engine.
func TestTestRefusedLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	published := f.published(t, id)
	f.box.ECR.ExpireTokens()
	_, err := f.test(published).Run(t.Context())
	wantError(t, err, "the registry answered the Engine 403: login rejected")
}

func TestTestWithoutEngine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := f.test(f.published(t, id))
	step.Engine = nil
	doc, err := step.Run(t.Context())
	must(t, err)
	if got := doc.Connections[0]; got.Engine != "none" || got.Login != "Accepted by the registry" {
		t.Errorf("tested %+v", got)
	}
	f.box.ECR.ExpireTokens()
	_, err = step.Run(t.Context())
	wantError(t, err, "it answered 403")
}

// What docker-py's file says of a registry is told once, however many connections lead there.
func TestTestReadsDockerPysFileOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	conn, _ := f.box.Airflow.Connection(id)
	ids := []string{id}
	for _, more := range []string{"docker_a", "docker_b"} {
		conn.ID = more
		f.box.Airflow.SetConnection(conn)
		ids = append(ids, more)
	}
	step := f.test(f.published(t, ids...))
	step.Config = readConfig(t, `{"auths":{"`+conn.Host+`":{}}}`)
	_, err := step.Run(t.Context())
	must(t, err)
	if n := strings.Count(f.log.String(), "has an auths entry"); n != 1 {
		t.Errorf("told %d times:\n%s", n, f.log)
	}
}

// An Engine that is given no address of a registry sends the password to Docker Hub.
func TestTestNeverLogsInToDockerHub(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := f.test(f.published(t, id))
	step.Connections[id] = steps.DockerConnection{Host: "", Login: "AWS", Password: secret.New("x")}
	_, err := step.Run(t.Context())
	wantError(t, err, `tasks see host ""`)
	if n := len(f.box.Engine.Logins()); n != 0 {
		t.Errorf("the Engine saw %d logins", n)
	}
}

// The calls name no version of the API, so that no Engine is too old or too new for them.
func TestTestTakesAnyEngine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ engine, api, min string }{{"20.10.24", "1.41", "1.12"}, {"29.3.0", "1.54", "1.44"}} {
		f := newFixture(t)
		f.box.Engine.SetVersion(c.engine, c.api, c.min)
		doc, err := f.test(f.published(t, id)).Run(t.Context())
		must(t, err)
		if got := doc.Connections[0].Engine; got != c.engine {
			t.Errorf("engine is %s, want %s", got, c.engine)
		}
	}
}

func TestStepsEndWhenTheyAreCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	published := f.published(t, id)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, one := f.extract(id).Run(ctx)
	_, three := f.test(published).Run(ctx)
	for _, err := range []error{one, three} {
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a cancelled step ends with %v", err)
		}
	}
}

// A login of another user does not match, whatever the password.
func TestTestComparesTheLoginToo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := f.test(f.published(t, id))
	conn := step.Connections[id]
	conn.Login = "somebody"
	step.Connections[id] = conn
	_, err := step.Run(t.Context())
	wantError(t, err, "the connection is shadowed")
}

// DockerHook logs in to host:port where the connection has a port.
func TestTestLogsInToThePort(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := f.test(f.published(t, id))
	conn := step.Connections[id]
	conn.Port = "443"
	step.Connections[id] = conn
	_, err := step.Run(t.Context())
	must(t, err)
	if got := f.box.Engine.Logins()[0].ServerAddress; got != f.box.RegistryHost()+":443" {
		t.Errorf("the Engine was told %q", got)
	}
}

// A registry that is down is not a credential that is refused, least of all in a dry run, which would be green.
func TestTestTellsADownRegistryFromARefusedLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	dry := f.update(doc)
	dry.DryRun = true
	two, err := dry.Run(t.Context())
	must(t, err)
	f.box.Registry.SetStatus(503)
	_, err = f.test(two).Run(t.Context())
	wantError(t, err, "the registry answered the Engine 503")
}

// Failures of the steps before are told even where no Engine answers.
func TestTestTellsFailuresWithoutAnEngine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	two := f.published(t, id)
	two.Failures = append(two.Failures, xcom.Failure{ConnectionID: "x", Step: xcom.StepUpdateDockerConnection, Error: "no such thing"})
	must(t, f.box.Engine.SetDown(true))
	_, err := f.test(two).Run(t.Context())
	wantError(t, err, "2 targets failed")
	wantLog(t, f, `update_docker_connection: connection \"x\": no such thing`)
	wantLog(t, f, "ask Docker Engine at ")
}

package steps_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

// Without Docker the registry is asked. What was not read as a task reads it is not compared. A rejected login is no
// fault of Docker.
func TestTestLogsIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.box.Engine.SetVersion("29.3.0", "1.54", "1.44") // the calls name no version of the API
	two := f.updated(t, id)
	matches := true
	tested := xcom.Tested{
		ConnectionID: id, RegistryURL: two.Connections[0].RegistryURL, ExpiresAt: f.expires,
		Matches: &matches, Engine: "29.3.0", Login: "Login Succeeded",
	}
	want := func(step steps.TestDockerConnection) {
		t.Helper()
		wantResult(t, succeed(t, step.Run), xcom.TestDockerConnection{
			Head:        xcom.NewHead("test_docker_connection"),
			Connections: []xcom.Tested{tested}, Failures: []xcom.Failure{},
		})
	}
	want(f.test(two))
	if logins := f.box.Engine.Logins(); len(logins) != 1 || logins[0].ServerAddress != f.box.RegistryHost() {
		t.Errorf("Docker saw %+v", logins)
	}
	alone := f.test(two)
	alone.Engine, tested.Engine, tested.Login = nil, "none", "Accepted by the registry"
	want(alone)
	tested.Matches = nil
	want(give(alone, func(c *steps.DockerConnection) { c.Assumed = true }))
	f.box.ECR.ExpireTokens()
	fail(t, f.test(two).Run, "the registry answered Docker 403: login rejected", docker.BadCredential,
		failure.Facts{Object: f.box.Engine.Host()}, 1)
	fail(t, alone.Run, "it answered 403", registry.Rejected, failure.Facts{Object: f.box.RegistryHost()}, 1)
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
	f.now = f.now.Add(15*time.Minute - time.Second)
	overridden := failure.Facts{Object: id, Want: "DOCKER_DEFAULT"}
	fail(t, f.test(first).Run, `test connection "docker_default": tasks read another login or password`,
		steps.Overridden, overridden, 2)
	f.now = f.now.Add(time.Second)
	if three := succeed(t, f.test(first).Run); *three.Connections[0].Matches {
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
	type conn = steps.DockerConnection
	for message, change := range map[string]func(*conn){
		`tasks read host "example.com"`:        func(c *conn) { c.Server = "example.com" },
		`tasks read host ""`:                   func(c *conn) { c.Server = "" },
		"tasks read another login or password": func(c *conn) { c.Login = "somebody" },
	} {
		overridden := failure.Facts{Object: id, Want: "DOCKER_DEFAULT"}
		fail(t, give(f.test(two), change).Run, message, steps.Overridden, overridden, 2)
	}
	step := f.test(two)
	delete(step.Connections, id)
	fail(t, step.Run, `tasks read host ""`, steps.Overridden, failure.Facts{Object: id, Want: "DOCKER_DEFAULT"}, 2)
	noPassword := give(f.test(two), func(c *conn) { c.Assumed, c.Password = true, secret.New("") })
	noLogin := give(f.test(two), func(c *conn) { c.Assumed, c.Login = true, "" })
	fail(t, noPassword.Run, "it has no login or no password", steps.NoLogin, failure.Facts{}, 2)
	fail(t, noLogin.Run, "it has no login or no password", steps.NoLogin, failure.Facts{}, 2)
	if logins := f.box.Engine.Logins(); len(logins) != 0 {
		t.Errorf("Docker saw %+v", logins)
	}
}

// Whoever edits XComs chooses the result, and whoever edits connections where they lead: a password is compared, and
// sent to its registry, only if the run was asked to refresh the connection, and that is of ECR and of its port.
func TestTestTrustsItsOwnInputs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	two := f.updated(t, id)
	f.now = f.now.Add(time.Hour) // another fingerprint is no error
	host := f.box.RegistryHost()
	for _, row := range []struct {
		server, registryURL string // of connection and result
		asked               target.Entry
		message             string
		kind                failure.Kind
		facts               failure.Facts
	}{
		{host, "https://" + host, target.Entry{ConnectionID: "other"}, "was not asked to refresh it",
			steps.NotAsked, failure.Facts{Object: id}},
		{"127.0.0.1", "https://127.0.0.1", target.Entry{}, `host "127.0.0.1" of connection "docker_default" is not`,
			ecr.NotECRHost, failure.Facts{}},
		{"evil.example.com", "https://evil.example.com", target.Entry{}, "is not that of a private registry",
			ecr.NotECRHost, failure.Facts{}},
		{"public.ecr.aws", "https://public.ecr.aws", target.Entry{Registry: host}, "this run was asked to refresh",
			steps.HostMismatch, failure.Facts{Object: id, Want: host}},
		{host, "https://" + host + ":8443", target.Entry{}, "its registry is", steps.BadToken, failure.Facts{}},
		{host, "http://" + host, target.Entry{}, "its registry is", steps.BadToken, failure.Facts{}},
		{host + ":5000", "https://" + host, target.Entry{}, "another port or name", docker.OtherServer,
			failure.Facts{Object: host}},
		{host + ":80", "https://" + host, target.Entry{}, "another port or name", docker.OtherServer,
			failure.Facts{Object: host}},
		{"ftp://" + host, "https://" + host, target.Entry{}, "another port or name", docker.OtherServer,
			failure.Facts{Object: host}},
		{"https://me:S3CRET@" + host, "https://" + host, target.Entry{}, "another port or name",
			docker.OtherServer, failure.Facts{Object: host}},
	} {
		step := give(f.test(two), func(c *steps.DockerConnection) {
			c.Server, c.Password = row.server, secret.New("of somebody")
		})
		step.Input.Connections = slices.Clone(two.Connections)
		step.Input.Connections[0].RegistryURL = row.registryURL
		if row.asked.ConnectionID == "" {
			row.asked.ConnectionID = id
		}
		step.Asked = []target.Entry{row.asked}
		fail(t, step.Run, row.message, row.kind, row.facts, 2)
	}
	if logins := f.box.Engine.Logins(); len(logins) != 0 || strings.Contains(f.text.String(), "S3CRET") {
		t.Errorf("Docker saw %+v\n%s", logins, &f.text)
	}
	if strings.Contains(f.text.String(), "another password") {
		t.Errorf("it says whether a fingerprint is right:\n%s", &f.text)
	}
}

// After a dry run nothing is compared, and a rejected password, or none, is a warning. A registry that is down is not:
// the step would be green.
func TestTestAfterADryRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dry, old := f.update(f.extracted(t, id)), f.password(id)
	dry.DryRun = true
	two := succeed(t, dry.Run)
	if f.password(id) != old {
		t.Error("a dry run updates the connection")
	}
	three := give(f.test(two), func(c *steps.DockerConnection) { c.Password = secret.New("") })
	if got := succeed(t, three.Run).Connections[0]; got.Matches != nil || got.Login != xcom.NoPassword {
		t.Errorf("tested %+v", got)
	}
	if got := succeed(t, f.test(two).Run).Connections[0]; got.Login != xcom.LoginRefused {
		t.Errorf("tested %+v", got)
	}
	f.box.Registry.SetStatus(503)
	fail(t, f.test(two).Run, "the registry answered Docker 503", docker.Unavailable,
		failure.Facts{Object: f.box.Engine.Host()}, 1)
}

// Connections with the same login share it, and what docker-py's file holds of it is reported once.
func TestTestLogsInOnceForEachLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.connect("a", "b", "port", "user", "password")
	step := f.test(f.updated(t, id, "a", "b", "port", "user", "password"))
	conn := step.Connections[id]
	conn.Assumed = true // a password or user that another connection does not have
	port, user, password := conn, conn, conn
	port.Server, user.Login = conn.Server+":443", "root"
	password.Password = secret.New(strings.Repeat("x", len(conn.Password.Reveal())))
	step.Connections["port"], step.Connections["user"], step.Connections["password"] = port, user, password
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, []byte(`{"auths":{"`+conn.Server+`":{"auth":"QVdTOnN0YWxl"}}}`), 0o600))
	var err error
	step.Config, err = docker.ReadConfig(path)
	must(t, err)
	fail(t, step.Run, "3 targets failed", steps.ManyFailed, failure.Facts{}, 1)
	wantLog(t, f, `test connection \"port\": docker-py takes the login of `)
	if n := strings.Count(f.text.String(), "docker-py"); n != 2 || len(f.box.Engine.Logins()) != 3 {
		t.Errorf("reported %d times, %d logins:\n%s", n, len(f.box.Engine.Logins()), &f.text)
	}
	step.Config = docker.Config{}
	fail(t, step.Run, "2 targets failed", steps.ManyFailed, failure.Facts{}, 1)
	if logins := f.box.Engine.Logins(); len(logins) != 3+4 { // DockerHook logs in to host:port
		t.Errorf("Docker saw %+v", logins)
	}
}

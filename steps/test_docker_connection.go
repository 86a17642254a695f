package steps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// Why step 3 fails. The fact Object is the connection, of EarlierFailure the step. Want of OverriddenByVariable is the
// name of that variable.
const (
	EarlierFailure       failure.Kind = "an earlier step failed"
	NotGiven             failure.Kind = "connection was not given to the step"
	NoLogin              failure.Kind = "connection has no login or no password"
	Overridden           failure.Kind = "connection is overridden"
	OverriddenByVariable failure.Kind = "connection is overridden by an environment variable"
)

// overrideWindow is how soon after an update another password can only mean that tasks read it elsewhere. Later,
// another run may have refreshed the connection.
const overrideWindow = 15 * time.Minute

// TestDockerConnection logs in with the connections as Airflow gives them to tasks, and compares them with what step 2
// updated.
type TestDockerConnection struct {
	Input       xcom.UpdateDockerConnection
	Connections map[string]DockerConnection // by connection id
	Config      docker.Config

	Engine   *docker.Engine // nil: there is none here, ask the registry itself
	Registry *registry.Client
	Now      func() time.Time
	Log      *slog.Logger
}

// DockerConnection is a connection as Airflow gives it to tasks: from a secrets backend, the environment or the
// database.
type DockerConnection struct {
	Host         string
	Port         string
	Login        string
	Password     secret.Secret
	Assumed      bool   // made of what was updated, not read as a task reads it: nothing to compare
	OverriddenBy string // name of an environment variable that tasks read before the database, if it is set
}

// login returns what DockerHook logs in to: the host as it is written, with the port if there is one.
func (c DockerConnection) login() docker.Login {
	server := c.Host
	if c.Port != "" {
		server += ":" + c.Port
	}
	return docker.Login{Server: server, Registry: registry.Host(c.Host), Username: c.Login}
}

// test is one connection and what came of it.
type test struct {
	want    xcom.Updated
	matches *bool
	login   *login // shared by the connections with the same host, login and password
	err     error
}

// login is one login and what came of it.
type login struct {
	docker.Login
	registryURL string
	password    secret.Secret
	answer      string
	err         error
}

// Run returns what was tested, or an error if anything failed here or in the steps before.
func (s TestDockerConnection) Run(ctx context.Context) (xcom.TestDockerConnection, error) {
	result := xcom.TestDockerConnection{
		Head: xcom.NewHead(xcom.StepTestDockerConnection), Failures: append([]xcom.Failure{}, s.Input.Failures...),
	}
	errs := earlier(s.Input.Failures)
	version, err := s.reach(ctx)
	if err != nil {
		return result, joinLogged(s.Log, append(errs, err))
	}
	tests, logins := s.compareAll()
	inParallel(len(logins), func(i int) { s.logIn(ctx, logins[i]) })
	for _, t := range tests {
		tested, err := s.finish(t)
		if err != nil {
			errs = append(errs, fmt.Errorf("test connection %q: %w", t.want.ConnectionID, err))
			continue
		}
		tested.Engine = version
		result.Connections = append(result.Connections, tested)
	}
	return result, joinLogged(s.Log, errs)
}

// earlier returns the failures of the steps before as errors, each of which names its connection.
func earlier(failures []xcom.Failure) (errs []error) {
	for _, f := range failures {
		step, line, id := failure.Line(f.Step), failure.Line(f.Error), fmt.Sprintf("%q", f.ConnectionID)
		if !strings.Contains(line, id) {
			line = "connection " + id + ": " + line
		}
		errs = append(errs, failure.Transient(EarlierFailure, "%s: %s", step, line).About(step))
	}
	return errs
}

func (s TestDockerConnection) reach(ctx context.Context) (version string, err error) {
	if s.Engine == nil {
		s.Log.Info("no Docker on this worker: asking the registry itself")
		return "none", nil
	}
	version, _, err = s.Engine.Reach(ctx)
	if err == nil {
		s.Log.Info(fmt.Sprintf("Docker %s answers", version))
	}
	return version, err
}

// compareAll returns the tests in the order of the input, and the logins that they need.
func (s TestDockerConnection) compareAll() (tests []*test, logins []*login) {
	for _, want := range s.Input.Connections {
		t := &test{want: want}
		tests = append(tests, t)
		conn, ok := s.Connections[want.ConnectionID]
		if !ok {
			t.err = failure.Permanent(NotGiven, "it was not given to this step").About(want.ConnectionID)
			continue
		}
		if t.matches, t.err = s.compare(conn, want); t.err == nil {
			t.login, logins = loginOf(conn, want.RegistryURL, logins)
		}
	}
	return tests, logins
}

// loginOf returns the login of a connection, and logins with it.
func loginOf(conn DockerConnection, registryURL string, logins []*login) (*login, []*login) {
	for _, l := range logins {
		if l.Login == conn.login() && l.registryURL == registryURL && l.password.Equal(conn.Password) {
			return l, logins
		}
	}
	l := &login{Login: conn.login(), registryURL: registryURL, password: conn.Password}
	return l, append(logins, l)
}

// compare returns whether the connection has the token that it got; nil where nothing can be compared.
func (s TestDockerConnection) compare(conn DockerConnection, want xcom.Updated) (*bool, error) {
	if host := registry.Host(want.RegistryURL); registry.Host(conn.Host) != host {
		const form = "tasks read host %q, and the token is for %q"
		return nil, overridden(conn, want, form, failure.Excerpt(conn.Host), host)
	}
	if !want.Published || conn.Assumed {
		return nil, nil
	}
	matches := conn.Login == want.Username && secret.Fingerprint(conn.Password) == want.Fingerprint
	age := s.Now().Sub(*want.PublishedAt)
	switch {
	case matches:
		s.Log.Info(fmt.Sprintf("connection %q: tasks read the new token", want.ConnectionID))
	case age < overrideWindow:
		const form = "tasks read another login or password than the update %s ago set: it is overridden"
		return nil, overridden(conn, want, form, age.Round(time.Second))
	default:
		s.Log.Warn(fmt.Sprintf("connection %q: tasks read another password than the update %s ago set: "+
			"another run has refreshed it since, or it is overridden", want.ConnectionID, age.Round(time.Second)))
	}
	return &matches, nil
}

func overridden(conn DockerConnection, want xcom.Updated, format string, args ...any) error {
	kind := Overridden
	if conn.OverriddenBy != "" {
		kind = OverriddenByVariable
	}
	return failure.Permanent(kind, format, args...).About(want.ConnectionID).Want(conn.OverriddenBy)
}

// logIn checks docker-py's configuration, then asks Docker, as DockerHook does at the start of each task, or the
// registry where there is no Docker.
func (s TestDockerConnection) logIn(ctx context.Context, l *login) {
	var warning error
	if warning, l.err = s.Config.Check(ctx, l.Login); warning != nil {
		s.Log.Warn(warning.Error(), FailureKey, warning)
	}
	switch {
	case l.err != nil:
	case l.Username == "" || l.password.Empty():
		l.err = failure.Permanent(NoLogin, "it has no login or no password: %w", registry.ErrRejected)
	case s.Engine == nil:
		l.answer, l.err = "Accepted by the registry", s.Registry.Check(ctx, l.registryURL, l.Username, l.password)
	default:
		l.answer, l.err = s.Engine.Login(ctx, l.Server, l.Username, l.password)
	}
}

// finish returns what a login means for one of its connections. After a dry run a rejected password is a warning.
func (s TestDockerConnection) finish(t *test) (xcom.Tested, error) {
	if t.err != nil {
		return xcom.Tested{}, t.err
	}
	id, answer, err := t.want.ConnectionID, t.login.answer, t.login.err
	switch {
	case err != nil && (t.want.Published || !errors.Is(err, registry.ErrRejected)):
		return xcom.Tested{}, err
	case err != nil:
		answer = "refused"
		s.Log.Warn(fmt.Sprintf("connection %q: its password is rejected; a run without dry run replaces it", id))
	case s.Engine != nil:
		s.Log.Info(fmt.Sprintf("connection %q: Docker answered %q", id, answer))
	}
	return xcom.Tested{
		ConnectionID: id, RegistryURL: t.want.RegistryURL, ExpiresAt: t.want.ExpiresAt,
		Matches: t.matches, Login: answer,
	}, nil
}

package steps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/untrusted"
	"ecr-refresh/steps/xcom"
)

// Why step 3 fails. Object is the connection (of EarlierFailure the step), Want of Overridden its id in capitals.
const (
	EarlierFailure failure.Kind = "an earlier step failed"
	NotAsked       failure.Kind = "connection is not to be refreshed"
	NoLogin        failure.Kind = "connection has no login or no password"
	Overridden     failure.Kind = "connection is overridden"
)

// overrideWindow is how soon after an update another password can only mean that tasks read it elsewhere. Later,
// another run may have refreshed the connection.
const overrideWindow = 15 * time.Minute

// TestDockerConnection logs in with the connections as tasks read them, and compares them with what step 2 updated.
type TestDockerConnection struct {
	Input       xcom.UpdateDockerConnection
	Asked       []target.Entry              // what may be tested: whoever edits XComs chooses the input
	Connections map[string]DockerConnection // by connection id
	Config      docker.Config

	Engine   *docker.Engine // nil: there is none here, ask the registry itself
	Registry *registry.Client
	Now      func() time.Time
	Log      *slog.Logger
}

// DockerConnection is a connection as tasks read it: from a secrets backend, the environment or the database.
type DockerConnection struct {
	Server    string // that DockerHook logs in to: the host as it is written, with the port if there is one
	Login     string
	Password  secret.Secret
	KeepLogin bool // reauth of its extra is off: docker-py keeps a login of the same user that its file has
	Assumed   bool // made of what was updated, not read as a task reads it: nothing to compare
}

// assumed returns what tasks should read, once a token was put into a connection.
func assumed(read airflowclient.Connection, t secret.Token) DockerConnection {
	server := strings.TrimSuffix(fmt.Sprintf("%s:%d", read.Host.Raw(), read.Port), ":0")
	return DockerConnection{Server: server, Login: t.Username, Password: t.Password, Assumed: true}
}

// test is one connection and how it logs in.
type test struct {
	want    xcom.Updated
	matches *bool                  // has the token that it got; nil where nothing was compared
	login   func() (string, error) // returns what was answered, or why the connection is not used at all
}

// Run returns what was tested, or an error if anything failed here or in the steps before.
func (s TestDockerConnection) Run(ctx context.Context) (xcom.TestDockerConnection, error) {
	result := xcom.TestDockerConnection{
		Head: xcom.NewHead(xcom.StepTestDockerConnection), Failures: append([]xcom.Failure{}, s.Input.Failures...),
	}
	errs, version := earlier(s.Input.Failures), "none"
	if s.Engine == nil {
		s.Log.Info("no Docker on this worker: asking the registry itself")
	} else {
		var err error
		if version, _, err = s.Engine.Reach(ctx); err != nil {
			return result, verdict(s.Log, 0, append(errs, err))
		}
		s.Log.Info(fmt.Sprintf("Docker %s answers", version))
	}
	tests := s.compareAll(ctx)
	inParallel(tests, func(t test) { _, _ = t.login() })
	for _, t := range tests {
		answer, err := s.answer(t)
		if err != nil {
			errs = append(errs, fmt.Errorf("test connection %q: %w", t.want.ConnectionID, err))
			continue
		}
		result.Connections = append(result.Connections, xcom.Tested{
			ConnectionID: t.want.ConnectionID, RegistryURL: t.want.RegistryURL, ExpiresAt: t.want.ExpiresAt,
			Matches: t.matches, Engine: version, Login: answer,
		})
	}
	return result, verdict(s.Log, 0, errs)
}

// earlier returns the failures of the steps before as errors, each of which names its connection.
func earlier(failures []xcom.Failure) (errs []error) {
	for _, f := range failures {
		step, line := untrusted.New(f.Step).String(), untrusted.New(f.Error).String()
		id := fmt.Sprintf("%q", untrusted.New(f.ConnectionID))
		if !strings.Contains(line, id) {
			line = "connection " + id + ": " + line
		}
		errs = append(errs, failure.Transient(EarlierFailure, "%s: %s", step, line).About(step))
	}
	return errs
}

// compareAll returns the tests in the order of the input. Those with the same host, login and password share one login.
func (s TestDockerConnection) compareAll(ctx context.Context) (tests []test) {
	type key struct {
		server, login, registryURL, fingerprint string
		keepLogin                               bool
	}
	logins := map[key]func() (string, error){}
	for _, want := range s.Input.Connections {
		conn := s.Connections[want.ConnectionID]
		matches, err := s.compare(want)
		if err != nil {
			tests = append(tests, test{want, nil, func() (string, error) { return "", err }})
			continue
		}
		of := key{conn.Server, conn.Login, want.RegistryURL, secret.Fingerprint(conn.Password), conn.KeepLogin}
		if logins[of] == nil {
			logins[of] = sync.OnceValues(func() (string, error) { return s.logIn(ctx, conn, want.RegistryURL) })
		}
		tests = append(tests, test{want, matches, logins[of]})
	}
	return tests
}

// compare returns whether the connection has the token that it got; nil where nothing can be compared.
func (s TestDockerConnection) compare(want xcom.Updated) (*bool, error) {
	id, conn := want.ConnectionID, s.Connections[want.ConnectionID]
	at := slices.IndexFunc(s.Asked, func(e target.Entry) bool { return e.ConnectionID == id })
	if at < 0 {
		return nil, failure.Permanent(NotAsked, "this run was not asked to refresh it").About(id)
	}
	if err := want.Check(s.Now()); err != nil {
		return nil, failure.Permanent(BadToken, "its token is not of ECR: %w", err)
	}
	if err := checkServer(s.Asked[at], want, conn); err != nil {
		return nil, err
	}
	matches := conn.Login == want.Username && secret.Fingerprint(conn.Password) == want.Fingerprint
	switch {
	case !want.Published || conn.Assumed:
		return nil, nil
	case matches:
		s.Log.Info(fmt.Sprintf("connection %q: tasks read the new token", id))
		return &matches, nil
	}
	age := s.Now().Sub(*want.PublishedAt).Round(time.Second)
	if age < overrideWindow {
		const form = "tasks read another login or password than the update %s ago set: it is overridden"
		return nil, failure.Permanent(Overridden, form, age).About(id).Want(strings.ToUpper(id))
	}
	s.Log.Warn(fmt.Sprintf("connection %q: tasks read another password than the update %s ago set: "+
		"another run has refreshed it since, or it is overridden", id, age))
	return &matches, nil
}

// checkServer returns an error unless a connection and the result are of the same registry, which is the one that the
// run was asked for, or any of ECR where it was not named, and Docker logs in to that: the password goes nowhere else.
func checkServer(asked target.Entry, want xcom.Updated, conn DockerConnection) error {
	host := registry.Host(conn.Server)
	if of := registry.Host(want.RegistryURL); host != of {
		read := untrusted.New(conn.Server)
		err := failure.Permanent(Overridden, "tasks read host %q, and the token is for %q", read, of)
		return err.About(want.ConnectionID).Want(strings.ToUpper(want.ConnectionID))
	}
	targets, err := target.Resolve([]target.Entry{asked}, func(string) string { return host })
	switch {
	case err != nil:
		return failure.Permanent(ecr.NotECRHost, "%w", err)
	case want.RegistryURL != "https://"+targets[0].Registry.Name:
		const form = "the token is for %.100q, and this run was asked to refresh %q"
		err := failure.Permanent(HostMismatch, form, want.RegistryURL, targets[0].Registry.Name)
		return err.About(want.ConnectionID).Want(targets[0].Registry.Name)
	case ecr.Bare(conn.Server) != host: // which is not shown: it may have a login
		return failure.Permanent(docker.OtherServer, "Docker logs in to another port or name than %s", host).About(host)
	}
	return nil
}

// logIn checks docker-py's configuration, then asks Docker, as DockerHook does at the start of each task, or the
// registry where there is no Docker. It returns what was answered.
func (s TestDockerConnection) logIn(ctx context.Context, conn DockerConnection, registryURL string) (string, error) {
	warning, err := s.Config.Check(ctx, docker.Pull{
		Server: conn.Server, Registry: registry.Host(registryURL), Username: conn.Login, Reauth: !conn.KeepLogin,
		Accepts: s.Registry.Check,
	})
	if warning != nil {
		s.Log.Warn(warning.Error(), FailureKey, warning)
	}
	switch {
	case err != nil:
		return "", err
	case conn.Login == "" || conn.Password.Empty():
		return "", failure.Permanent(NoLogin, "it has no login or no password: %w", registry.ErrRejected)
	case s.Engine == nil:
		return "Accepted by the registry", s.Registry.Check(ctx, registryURL, conn.Login, conn.Password)
	}
	return s.Engine.Login(ctx, conn.Server, conn.Login, conn.Password)
}

// answer returns what a login means for one of its connections. After a dry run a rejected password is a warning.
func (s TestDockerConnection) answer(t test) (string, error) {
	id := t.want.ConnectionID
	answer, err := t.login()
	kind, _ := failure.Describe(err)
	switch {
	case !t.want.Published && kind == NoLogin:
		s.Log.Warn(fmt.Sprintf("connection %q: it has no login or no password; a run without dry run sets both", id))
		return xcom.NoPassword, nil
	case !t.want.Published && errors.Is(err, registry.ErrRejected):
		s.Log.Warn(fmt.Sprintf("connection %q: its password is rejected; a run without dry run replaces it", id))
		return xcom.LoginRefused, nil
	case err == nil && s.Engine != nil:
		s.Log.Info(fmt.Sprintf("connection %q: Docker answered %q", id, answer))
	}
	return answer, err
}

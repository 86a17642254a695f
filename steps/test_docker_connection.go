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

	"golang.org/x/sync/errgroup"

	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// shadowWindow is how soon after publishing a different password can only mean that tasks read it elsewhere. Later,
// another run may have refreshed the connection.
const shadowWindow = 15 * time.Minute

// TestDockerConnection logs in with the connection as Airflow hands it to tasks, and compares it with what step 2 published.
type TestDockerConnection struct {
	Document    xcom.UpdateDockerConnection
	Connections map[string]DockerConnection // by connection id
	Config      docker.Config

	Engine   *docker.Engine // nil: there is none here, ask the registry itself
	Registry *registry.Client
	Now      func() time.Time
	Log      *slog.Logger
}

// DockerConnection is a connection as Airflow hands it to tasks: out of a secrets backend, the environment or the database.
type DockerConnection struct {
	Host     string
	Port     string
	Login    string
	Password secret.Secret
	Unseen   bool   // made of what was published, not read as a task reads it: nothing to compare
	Shadow   string // name of an environment variable that tasks read before the database, if it is set
}

// server is what DockerHook logs in to: the host as it is written, with the port if there is one.
func (c DockerConnection) server() string {
	if c.Port != "" {
		return c.Host + ":" + c.Port
	}
	return c.Host
}

// Run gives document 3, or an error if anything failed here or in the steps before.
func (s TestDockerConnection) Run(ctx context.Context) (xcom.TestDockerConnection, error) {
	doc := xcom.NewTestDockerConnection()
	doc.Failures = append(doc.Failures, s.Document.Failures...)
	var faults []error
	for _, f := range doc.Failures {
		faults = append(faults, failure.Transient(failure.Kind("look at the log of "+failure.Line(f.Step)), "%s: %s", failure.Line(f.Step), lineOf(f)))
	}
	engine, err := s.engine(ctx)
	if err != nil {
		return doc, joinLogged(s.Log, append(faults, err))
	}
	for i, r := range s.testAll(ctx) {
		if r.err != nil {
			faults = append(faults, fmt.Errorf("test connection %q: %w", s.Document.Connections[i].ConnectionID, r.err))
			continue
		}
		r.tested.Engine = engine
		doc.Connections = append(doc.Connections, r.tested)
	}
	return doc, joinLogged(s.Log, faults)
}

// lineOf names the connection, where the error is of all that share a token.
func lineOf(f xcom.Failure) string {
	line, name := failure.Line(f.Error), fmt.Sprintf("%q", f.ConnectionID)
	if strings.Contains(line, name) {
		return line
	}
	return "connection " + name + ": " + line
}

// tested is what came of one connection.
type tested struct {
	tested xcom.Tested
	err    error
}

// testAll tests the connections side by side, and gives them in the order of the document. What reads alike, host, login
// and password, is one login.
func (s TestDockerConnection) testAll(ctx context.Context) []tested {
	all := make([]tested, len(s.Document.Connections))
	made := &logins{checked: map[docker.Login]func() error{}}
	var tests errgroup.Group
	tests.SetLimit(concurrency)
	for i, want := range s.Document.Connections {
		tests.Go(func() error {
			all[i].tested, all[i].err = s.test(ctx, want, made)
			return nil
		})
	}
	_ = tests.Wait()
	return all
}

// logins remembers what came of each login, and what docker-py's file says of it.
type logins struct {
	mu      sync.Mutex
	done    []loggedIn
	checked map[docker.Login]func() error
}

type loggedIn struct {
	with DockerConnection
	once func() (string, error)
}

// once makes the login of a server, user and password, or gives what came of it before.
func (l *logins) once(conn DockerConnection, login func() (string, error)) (string, error) {
	l.mu.Lock()
	at := slices.IndexFunc(l.done, func(d loggedIn) bool {
		return d.with.server() == conn.server() && d.with.Login == conn.Login && d.with.Password.Equal(conn.Password)
	})
	if at < 0 {
		at, l.done = len(l.done), append(l.done, loggedIn{conn, sync.OnceValues(login)})
	}
	once := l.done[at].once
	l.mu.Unlock()
	return once()
}

// check looks at docker-py's file for a login once: a helper may be slow, and a warning is told once.
func (l *logins) check(login docker.Login, check func() error) error {
	l.mu.Lock()
	once, found := l.checked[login]
	if !found {
		once = sync.OnceValue(check)
		l.checked[login] = once
	}
	l.mu.Unlock()
	return once()
}

func (s TestDockerConnection) engine(ctx context.Context) (string, error) {
	if s.Engine == nil {
		s.Log.Info("no Docker Engine here: the registry itself is asked")
		return "none", nil
	}
	version, _, err := s.Engine.Reach(ctx)
	if err == nil {
		s.Log.Info(fmt.Sprintf("Docker Engine %s answers", version))
	}
	return version, err
}

func (s TestDockerConnection) test(ctx context.Context, want xcom.Published, made *logins) (xcom.Tested, error) {
	conn, ok := s.Connections[want.ConnectionID]
	if !ok {
		return xcom.Tested{}, failure.Permanent("hand it over as the DAG does, or set AIRFLOW_CONN_… for this shell", "it was not handed to this step")
	}
	matches, err := s.compare(conn, want)
	if err != nil {
		return xcom.Tested{}, err
	}
	docker := docker.Login{Server: conn.server(), Registry: registry.Host(want.RegistryURL), Username: conn.Login}
	if err := made.check(docker, func() error { return s.checkConfig(ctx, docker) }); err != nil {
		return xcom.Tested{}, err
	}
	said, err := made.once(conn, func() (string, error) { return s.login(ctx, conn, want) })
	if err != nil && (want.Published || !errors.Is(err, registry.ErrRejected)) {
		return xcom.Tested{}, err
	}
	if err != nil {
		said = "refused"
		s.Log.Warn(fmt.Sprintf("connection %q: its present password is refused; a run that publishes replaces it", want.ConnectionID))
	} else if s.Engine != nil {
		s.Log.Info(fmt.Sprintf("connection %q: the Engine says %q", want.ConnectionID, said))
	}
	return xcom.Tested{
		ConnectionID: want.ConnectionID, RegistryURL: want.RegistryURL, ExpiresAt: want.ExpiresAt, Matches: matches, Login: said,
	}, nil
}

// compare gives whether the connection holds what was published; nil where nothing can be compared.
func (s TestDockerConnection) compare(conn DockerConnection, want xcom.Published) (*bool, error) {
	if host := registry.Host(conn.Host); host != registry.Host(want.RegistryURL) {
		return nil, failure.Permanent(shadowHint(conn), "tasks see host %q, and the token was published for %q", failure.Said(conn.Host), registry.Host(want.RegistryURL))
	}
	if !want.Published || conn.Unseen {
		return nil, nil
	}
	matches := conn.Login == want.Username && secret.Fingerprint(conn.Password) == want.Fingerprint
	age := s.Now().Sub(*want.PublishedAt)
	switch {
	case matches:
		s.Log.Info(fmt.Sprintf("connection %q holds the token that was published", want.ConnectionID))
	case age < shadowWindow:
		return nil, failure.Permanent(shadowHint(conn), "tasks see another login or password than was published %s ago: the connection is shadowed%s", age.Round(time.Second), shadowName(conn))
	default:
		s.Log.Warn(fmt.Sprintf("connection %q holds another password than was published %s ago: another run has refreshed it since, or it is shadowed", want.ConnectionID, age.Round(time.Second)))
	}
	return &matches, nil
}

func shadowName(conn DockerConnection) string {
	if conn.Shadow == "" {
		return ""
	}
	return " by " + conn.Shadow
}

func shadowHint(conn DockerConnection) failure.Kind {
	if conn.Shadow != "" {
		return failure.Kind("unset " + conn.Shadow + " on the workers: tasks read it before Airflow's database, and a refresh reaches only the database")
	}
	return "look for AIRFLOW_CONN_… on the workers and for this connection in the secrets backend: tasks read both before Airflow's database"
}

func (s TestDockerConnection) checkConfig(ctx context.Context, login docker.Login) error {
	warning, err := s.Config.Check(ctx, login)
	if warning != "" {
		s.Log.Warn(warning)
	}
	return err
}

// login asks the Engine, as DockerHook does at the start of each task, or the registry where there is no Engine.
func (s TestDockerConnection) login(ctx context.Context, conn DockerConnection, want xcom.Published) (string, error) {
	if conn.Login == "" || conn.Password.Empty() {
		return "", failure.Permanent("run the DAG without dry_run, and look for what hides the connection from tasks", "it has no login or no password: %w", registry.ErrRejected)
	}
	if s.Engine == nil {
		return "Accepted by the registry", s.Registry.Check(ctx, want.RegistryURL, conn.Login, conn.Password)
	}
	return s.Engine.Login(ctx, conn.server(), conn.Login, conn.Password)
}

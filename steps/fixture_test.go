package steps_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/docker"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

const (
	account = "123456789012"
	region  = "us-east-1"
	id      = "docker_default"
)

// fixture is the real clients on a sandbox of the test's own, and a clock that the test moves.
type fixture struct {
	box      *sandbox.Sandbox
	ecr      ecr.GetToken
	registry *registry.Client
	airflow  *airflowclient.Client
	engine   *docker.Engine
	identity secret.Identity
	log      *logged
	now      time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	f := &fixture{box: box, log: new(logged), now: time.Now()}
	// Proxy variables are read once a process, so the clients get the sandbox's proxy by hand.
	f.registry = registry.New(box.HTTPClient().Transport)
	f.ecr = ecr.New(func(context.Context, string) (aws.Config, error) {
		return aws.Config{
			HTTPClient:  &http.Client{Transport: box.HTTPClient().Transport},
			Credentials: credentials.StaticCredentialsProvider{Value: box.ECR.Credentials()},
		}, nil
	})
	user, _ := box.Airflow.User("refresher")
	f.airflow, err = airflowclient.New(airflowclient.Config{BaseURL: box.Airflow.URL(), Login: "refresher", Password: secret.New(user.Password)})
	must(t, err)
	f.engine, err = docker.NewEngine(box.Engine.Host(), "", false)
	must(t, err)
	f.identity, err = secret.NewIdentity()
	must(t, err)
	return f
}

// logged is a log that a test reads.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (f *fixture) logger() *slog.Logger { return slog.New(slog.NewTextHandler(f.log, nil)) }

func (f *fixture) clock() time.Time { return f.now }

func (f *fixture) extract(connections ...string) steps.ExtractECRToken {
	var declared []target.Entry
	for _, id := range connections {
		declared = append(declared, target.Entry{ConnectionID: id, Account: account, Region: region})
	}
	targets, err := target.Resolve(declared, nil)
	if err != nil {
		panic(err)
	}
	return steps.ExtractECRToken{
		Targets: targets, Recipient: f.identity.Recipient(),
		ECR: f.ecr, Registry: f.registry, Now: f.clock, Log: f.logger(),
	}
}

func (f *fixture) update(doc xcom.ExtractECRToken) steps.UpdateDockerConnection {
	return steps.UpdateDockerConnection{
		Document: doc, Identity: f.identity, MaxAge: time.Hour,
		Airflow: f.airflow, Registry: f.registry, Now: f.clock, Log: f.logger(),
	}
}

// test hands over the connections as the sandbox's Airflow holds them.
func (f *fixture) test(doc xcom.UpdateDockerConnection) steps.TestDockerConnection {
	seen := map[string]steps.DockerConnection{}
	for _, published := range doc.Connections {
		conn, _ := f.box.Airflow.Connection(published.ConnectionID)
		seen[published.ConnectionID] = steps.DockerConnection{Host: conn.Host, Login: conn.Login, Password: secret.New(conn.Password)}
	}
	return steps.TestDockerConnection{
		Document: doc, Connections: seen, Engine: f.engine, Registry: f.registry, Now: f.clock, Log: f.logger(),
	}
}

// published runs steps 1 and 2.
func (f *fixture) published(t *testing.T, connections ...string) xcom.UpdateDockerConnection {
	t.Helper()
	one, err := f.extract(connections...).Run(t.Context())
	must(t, err)
	two, err := f.update(one).Run(t.Context())
	must(t, err)
	return two
}

func (f *fixture) password(id string) string {
	conn, _ := f.box.Airflow.Connection(id)
	return conn.Password
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError fails unless err says words.
func wantError(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("error is %v, want %q in it", err, words)
	}
}

func wantHint(t *testing.T, err error, words string) {
	t.Helper()
	if hint := failure.Hint(err); !strings.Contains(hint, words) {
		t.Errorf("hint of %v is %q, want %q in it", err, hint, words)
	}
}

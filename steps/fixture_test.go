package steps_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

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
	box          *sandbox.Sandbox
	registry     *registry.Client
	airflow      *airflowclient.Client
	engine       *docker.Engine
	identity     secret.Identity
	log          *slog.Logger
	text         bytes.Buffer // of the log
	now, expires time.Time
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	now := time.Now().UTC().Truncate(time.Second)
	f := &fixture{box: box, now: now, expires: now.Add(12 * time.Hour)}
	f.log = slog.New(slog.NewTextHandler(&f.text, nil))
	// Proxy variables are read once a process, so the clients get the sandbox's proxy by hand.
	f.registry = registry.New(box.HTTPClient().Transport)
	user, _ := box.Airflow.User("refresher")
	f.airflow, err = airflowclient.New(airflowclient.Config{
		BaseURL: box.Airflow.URL(), Login: "refresher", Password: secret.New(user.Password),
	})
	must(t, err)
	f.engine, err = docker.NewEngine(box.Engine.Host(), "", false)
	must(t, err)
	f.identity = secret.NewIdentity()
	return f
}

// ecr issues tokens that the sandbox's registries accept.
func (f *fixture) ecr(ctx context.Context, source ecr.Source) (secret.Token, error) {
	t := sandbox.Token{Username: "AWS", Password: rand.Text(), Region: source.Region, ExpiresAt: f.expires}
	f.box.ECR.Accept(t)
	info := secret.TokenInfo{Username: t.Username, ExpiresAt: f.expires}
	return secret.Token{TokenInfo: info, Password: secret.New(t.Password)}, ctx.Err()
}

func (f *fixture) clock() time.Time { return f.now }

func (f *fixture) extract(connections ...string) steps.ExtractECRToken {
	var entries []target.Entry
	for _, id := range connections {
		entries = append(entries, target.Entry{ConnectionID: id, Account: account, Region: region})
	}
	targets, err := target.Resolve(entries, nil)
	if err != nil {
		panic(err)
	}
	return steps.ExtractECRToken{
		Targets: targets, Recipient: f.identity.Recipient(),
		ECR: f.ecr, Registry: f.registry, Now: f.clock, Log: f.log,
	}
}

func (f *fixture) update(one xcom.ExtractECRToken) steps.UpdateDockerConnection {
	return steps.UpdateDockerConnection{
		Input: one, Identity: f.identity, MaxAge: time.Hour,
		Airflow: f.airflow, Registry: f.registry, Now: f.clock, Log: f.log,
	}
}

// test passes the connections on as the sandbox's Airflow holds them.
func (f *fixture) test(two xcom.UpdateDockerConnection) steps.TestDockerConnection {
	given, asked := map[string]steps.DockerConnection{}, []target.Entry{}
	for _, updated := range two.Connections {
		conn, _ := f.box.Airflow.Connection(updated.ConnectionID)
		given[updated.ConnectionID] = steps.DockerConnection{
			Server: conn.Host, Login: conn.Login, Password: secret.New(conn.Password),
		}
		asked = append(asked, target.Entry{ConnectionID: updated.ConnectionID})
	}
	return steps.TestDockerConnection{
		Input: two, Asked: asked, Connections: given, Engine: f.engine, Registry: f.registry, Now: f.clock, Log: f.log,
	}
}

// extracted runs step 1.
func (f *fixture) extracted(t *testing.T, connections ...string) xcom.ExtractECRToken {
	t.Helper()
	return succeed(t, f.extract(connections...).Run)
}

// updated runs steps 1 and 2.
func (f *fixture) updated(t *testing.T, connections ...string) xcom.UpdateDockerConnection {
	t.Helper()
	return succeed(t, f.update(f.extracted(t, connections...)).Run)
}

// connect adds connections to the sandbox's Airflow that are as the one that is there.
func (f *fixture) connect(ids ...string) {
	conn, _ := f.box.Airflow.Connection(id)
	for _, conn.ID = range ids {
		f.box.Airflow.SetConnection(conn)
	}
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

type run[R any] = func(context.Context) (R, error)

func succeed[R any](t *testing.T, run run[R]) R {
	t.Helper()
	result, err := run(t.Context())
	must(t, err)
	return result
}

// fail checks the message, the kind, the facts and the exit code of the error of a step.
func fail[R any](t *testing.T, run run[R], message string, kind failure.Kind, facts failure.Facts, code int) R {
	t.Helper()
	result, err := run(t.Context())
	gotKind, gotFacts := failure.Describe(err)
	if err == nil || !strings.Contains(err.Error(), message) || gotKind != kind || failure.ExitCode(err) != code ||
		gotFacts.Object != facts.Object || gotFacts.Want != facts.Want {
		t.Errorf("error %v of kind %q, %+v, code %d; want %q of kind %q, %+v, code %d",
			err, gotKind, gotFacts, failure.ExitCode(err), message, kind, facts, code)
	}
	return result
}

func wantLog(t *testing.T, f *fixture, words string) {
	t.Helper()
	if !strings.Contains(f.text.String(), words) {
		t.Errorf("log does not say %q:\n%s", words, &f.text)
	}
}

func wantResult(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("result is %+v, want %+v", got, want)
	}
}

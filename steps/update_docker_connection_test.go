package steps_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

func wantLog(t *testing.T, f *fixture, words string) {
	t.Helper()
	if !strings.Contains(f.log.String(), words) {
		t.Errorf("log does not say %q:\n%s", words, f.log)
	}
}

func TestUpdateTouchesThePasswordAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before, _ := f.box.Airflow.Connection(id)
	doc := f.published(t, id)
	after, _ := f.box.Airflow.Connection(id)
	before.Password = f.box.ECR.LastToken().Password
	if after != before {
		t.Errorf("connection is %+v, want %+v", after, before)
	}
	if c := doc.Connections[0]; !c.Published || c.PublishedAt.Sub(f.now).Abs() > time.Minute || c.ConnectionID != id {
		t.Errorf("document says %+v", c)
	}
	if f.box.Airflow.Revoked() != 1 {
		t.Error("the JWT was not revoked")
	}
}

// Clearing step 2 of an old run would put an old token over a newer one.
func TestUpdateRefusesAnOldDocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	old := f.password(id)
	f.now = f.now.Add(time.Hour + 2*time.Second)
	_, err = f.update(doc).Run(t.Context())
	wantError(t, err, "over the limit of 1h0m0s (--max-age)")
	if !failure.IsPermanent(err) || f.password(id) != old {
		t.Error("an old document was not refused for good")
	}
	f.now = f.now.Add(-4 * time.Second)
	_, err = f.update(doc).Run(t.Context())
	must(t, err)
}

// Anyone who knows the recipient can make a seal.
func TestUpdateRefusesAForgedToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	forged := secret.Token{
		RegistryURL: doc.Tokens[0].RegistryURL, Username: "AWS", Password: secret.New("forged"),
		IssuedAt: doc.Tokens[0].IssuedAt, ExpiresAt: doc.Tokens[0].ExpiresAt,
	}
	doc.Sealed, err = secret.Encrypt(doc.Recipient, []secret.Token{forged})
	must(t, err)
	old := f.password(id)
	_, err = f.update(doc).Run(t.Context())
	wantError(t, err, "it was altered")
	doc.Tokens[0].Fingerprint = forged.Fingerprint()
	_, err = f.update(doc).Run(t.Context())
	wantError(t, err, "login rejected")
	if f.password(id) != old {
		t.Error("a forged token was published")
	}
}

// A token that expires between the steps is not published.
func TestUpdateChecksTheTokenAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	old := f.password(id)
	f.box.ECR.ExpireTokens()
	_, err = f.update(doc).Run(t.Context())
	wantError(t, err, "it answered 403")
	if f.password(id) != old {
		t.Error("a dead token was published")
	}
}

// One broken connection does not stop the others, and is told to the next step.
func TestUpdateCarriesFailures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good, _ := f.box.Airflow.Connection(id)
	other := good
	other.ID, other.Host = "other", "example.com"
	f.box.Airflow.SetConnection(other)
	doc, err := f.extract(id, "other", "missing").Run(t.Context())
	must(t, err)
	two, err := f.update(doc).Run(t.Context())
	must(t, err)
	if len(two.Connections) != 1 || len(two.Failures) != 2 || f.password(id) != f.box.ECR.LastToken().Password {
		t.Errorf("document is %+v", two)
	}
	if f.password("other") != good.Password {
		t.Error("the password of another registry's connection was changed")
	}
	_, err = f.test(two).Run(t.Context())
	wantError(t, err, "2 targets failed")
	wantLog(t, f, `update_docker_connection: update connection \"other\": its host is \"example.com\"`)
	wantLog(t, f, `update connection \"missing\": airflow has no such connection`)
	if failure.IsPermanent(err) {
		t.Error("failures of other targets end with exit code 1")
	}
}

func TestUpdateWarnsOfAHostThatDockerPyMisses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sandbox.Connection){
		"scheme": func(c *sandbox.Connection) { c.Host = "https://" + c.Host },
		"port":   func(c *sandbox.Connection) { c.Port = 443 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			conn, _ := f.box.Airflow.Connection(id)
			change(&conn)
			f.box.Airflow.SetConnection(conn)
			f.published(t, id)
			wantLog(t, f, "with no scheme, path or port")
		})
	}
}

func TestUpdateTwiceIsSafe(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	for range 2 {
		_, err = f.update(doc).Run(t.Context())
		must(t, err)
	}
}

// refusing is an Airflow that updates nothing but says so connection by connection.
type refusing struct {
	steps.Airflow
	failed map[string]error
}

func (r refusing) UpdateConnections(context.Context, []airflowclient.Update) map[string]error {
	return r.failed
}

// What Airflow refuses for one connection is not told as published.
func TestUpdateTellsWhatAirflowRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other, _ := f.box.Airflow.Connection(id)
	other.ID = "other"
	f.box.Airflow.SetConnection(other)
	doc, err := f.extract(id, "other").Run(t.Context())
	must(t, err)
	step := f.update(doc)
	step.Airflow = refusing{f.airflow, map[string]error{"other": airflowclient.ErrNotFound}}
	two, err := step.Run(t.Context())
	must(t, err)
	if len(two.Connections) != 1 || two.Connections[0].ConnectionID != id || len(two.Failures) != 1 || two.Failures[0].ConnectionID != "other" {
		t.Errorf("document is %+v", two)
	}
	step.Airflow = refusing{f.airflow, map[string]error{id: airflowclient.ErrNotFound, "other": airflowclient.ErrNotFound}}
	_, err = step.Run(t.Context())
	wantError(t, err, "2 targets failed")
	wantLog(t, f, `update connection \"other\": airflow has no such`)
}

// What the document shows must be what it sealed, field by field: else --max-age, for one, could be edited away.
func TestUpdateHoldsTheDocumentToItsSeal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good, err := f.extract(id).Run(t.Context())
	must(t, err)
	for name, edit := range map[string]func(*xcom.ExtractECRToken){
		"registry":    func(d *xcom.ExtractECRToken) { d.Tokens[0].RegistryURL = "https://example.com" },
		"user":        func(d *xcom.ExtractECRToken) { d.Tokens[0].Username = "root" },
		"issued_at":   func(d *xcom.ExtractECRToken) { d.Tokens[0].IssuedAt = d.Tokens[0].IssuedAt.Add(time.Second) },
		"expires_at":  func(d *xcom.ExtractECRToken) { d.Tokens[0].ExpiresAt = d.Tokens[0].ExpiresAt.Add(time.Hour) },
		"fingerprint": func(d *xcom.ExtractECRToken) { d.Tokens[0].Fingerprint = "000000000000" },
		"fewer":       func(d *xcom.ExtractECRToken) { d.Tokens = nil },
		"more":        func(d *xcom.ExtractECRToken) { d.Tokens = append(d.Tokens, d.Tokens[0]) },
	} {
		doc := good
		doc.Tokens = slices.Clone(good.Tokens)
		edit(&doc)
		_, err := f.update(doc).Run(t.Context())
		wantError(t, err, "open seal: ")
		if !failure.IsPermanent(err) {
			t.Errorf("%s: a retry cannot help", name)
		}
	}
}

// Failures of step 1 travel on.
func TestUpdateCarriesFailuresOfStepOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	doc.Failures = append(doc.Failures, xcom.Failure{ConnectionID: "x", Step: xcom.StepExtractECRToken, Error: "no"})
	two, err := f.update(doc).Run(t.Context())
	must(t, err)
	if len(two.Failures) != 1 || two.Failures[0].ConnectionID != "x" {
		t.Errorf("document is %+v", two)
	}
}

func TestUpdateWarnsOfAnotherType(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	conn, _ := f.box.Airflow.Connection(id)
	conn.Type = "generic"
	f.box.Airflow.SetConnection(conn)
	f.published(t, id)
	wantLog(t, f, `is of type \"generic\", not docker`)
}

// The JWT is revoked also when the step is told to end.
func TestUpdateRevokesItsJWTWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract(id).Run(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	step := f.update(doc)
	step.Airflow = cancelling{f.airflow, cancel}
	if _, err := step.Run(ctx); err == nil {
		t.Error("a cancelled step succeeds")
	}
	if f.box.Airflow.Revoked() != 1 {
		t.Error("the JWT was not revoked")
	}
}

// cancelling cancels the step once it is logged in.
type cancelling struct {
	steps.Airflow
	cancel func()
}

func (c cancelling) ConnectionsByID(ctx context.Context, ids []string) (map[string]airflowclient.Connection, map[string]error) {
	found, failed := c.Airflow.ConnectionsByID(ctx, ids)
	c.cancel()
	return found, failed
}

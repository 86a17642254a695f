package steps_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/xcom"
)

// Only the password changes, also the second time.
func TestUpdateChangesThePasswordAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want, _ := f.box.Airflow.Connection(id)
	one := f.extracted(t, id)
	want.Password = f.box.ECR.LastToken().Password
	for n := range 2 {
		two, err := f.update(one).Run(t.Context())
		must(t, err)
		if got, _ := f.box.Airflow.Connection(id); got != want {
			t.Errorf("connection is %+v, want %+v", got, want)
		}
		updated := two.Connections[0]
		if !updated.Published || updated.PublishedAt.Sub(f.now).Abs() > time.Minute || updated.ConnectionID != id {
			t.Errorf("result is %+v", updated)
		}
		if updated.TokenInfo != one.Tokens[0].TokenInfo {
			t.Errorf("result is %+v of token %+v", updated, one.Tokens[0])
		}
		if f.box.Airflow.Revoked() != n+1 {
			t.Error("Airflow's token was not revoked")
		}
	}
}

// Clearing step 2 of an old run would put an old token over a newer one.
func TestUpdateRejectsAnOldResult(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, old := f.extracted(t, id), f.password(id)
	f.now = f.now.Add(time.Hour + 2*time.Second)
	_, err := f.update(one).Run(t.Context())
	wantError(t, err, "over the limit of 1h0m0s", steps.OldResult)
	if !failure.IsPermanent(err) || f.password(id) != old {
		t.Error("an old token was used")
	}
	f.now = f.now.Add(-4 * time.Second)
	_, err = f.update(one).Run(t.Context())
	must(t, err)
}

// Anyone who knows the public key can encrypt a token.
func TestUpdateRejectsAForgedToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, old := f.extracted(t, id), f.password(id)
	forged := secret.Token{TokenInfo: one.Tokens[0].TokenInfo, Password: secret.New("forged")}
	var err error
	one.Sealed, err = secret.Encrypt(one.Recipient, []secret.Token{forged})
	must(t, err)
	one.Tokens[0].Fingerprint = secret.Fingerprint(forged.Password)
	_, err = f.update(one).Run(t.Context())
	wantError(t, err, "login rejected", registry.WrongRegion)
	if f.password(id) != old {
		t.Error("a forged token was used")
	}
}

// A token that expires between the steps is not used.
func TestUpdateChecksTheTokenAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, old := f.extracted(t, id), f.password(id)
	f.box.ECR.ExpireTokens()
	_, err := f.update(one).Run(t.Context())
	wantError(t, err, "it answered 403", registry.Rejected)
	if f.password(id) != old {
		t.Error("an expired token was used")
	}
}

// One connection that fails does not stop the others. Failures of step 1 go on too, and step 3 reports them all.
func TestUpdateCarriesFailures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good, _ := f.box.Airflow.Connection(id)
	other := good
	other.ID, other.Host = "other", "example.com"
	f.box.Airflow.SetConnection(other)
	one := f.extracted(t, id, "other", "missing")
	earlier := xcom.Failure{ConnectionID: "x", Step: xcom.StepExtractECRToken, Error: "no\ntoken"}
	one.Failures = append(one.Failures, earlier)
	two, err := f.update(one).Run(t.Context())
	must(t, err)
	if len(two.Connections) != 1 || len(two.Failures) != 3 || f.password(id) != f.box.ECR.LastToken().Password {
		t.Errorf("result is %+v", two)
	}
	if f.password("other") != good.Password {
		t.Error("the password of another registry's connection was changed")
	}
	_, err = f.test(two).Run(t.Context())
	wantError(t, err, "3 targets failed", steps.ManyFailed)
	wantLog(t, f, `extract_ecr_token: connection \"x\": no token`)
	wantLog(t, f, `update_docker_connection: update connection \"other\": its host is \"example.com\"`)
	wantLog(t, f, `update connection \"missing\": airflow has no such connection`)
	if failure.IsPermanent(err) {
		t.Error("failures of other targets end with exit code 1")
	}
}

// What makes docker-py miss the login, or changes more than the password, is in the log.
func TestUpdateReportsWhatIsOdd(t *testing.T) {
	t.Parallel()
	for words, change := range map[string]func(*sandbox.Connection){
		"its host should be 123456789012.dkr": func(c *sandbox.Connection) { c.Host = "https://" + c.Host },
		"with no scheme, path or port":        func(c *sandbox.Connection) { c.Port = 443 },
		`is of type \"generic\", not docker`:  func(c *sandbox.Connection) { c.Type = "generic" },
		`login \"somebody\" becomes \"AWS\"`:  func(c *sandbox.Connection) { c.Login = "somebody" },
	} {
		f := newFixture(t)
		f.connect(change)
		f.updated(t, id)
		wantLog(t, f, words)
		if conn, _ := f.box.Airflow.Connection(id); conn.Login != "AWS" {
			t.Errorf("login is %q", conn.Login)
		}
	}
}

func TestUpdateRejectsAnotherHost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.connect(func(c *sandbox.Connection) { c.Host = "example.com" })
	_, err := f.update(f.extracted(t, id)).Run(t.Context())
	wantError(t, err, `update connection "docker_default": its host is "example.com"`, steps.HostMismatch)
	_, facts := failure.Describe(err)
	if want := (failure.Facts{Object: id, Want: f.box.RegistryHost()}); facts != want || !failure.IsPermanent(err) {
		t.Errorf("facts %+v, want %+v", facts, want)
	}
}

// airflow is an Airflow that a test interferes with.
type airflow struct {
	steps.Airflow
	read   func()                                                 // called after the connections are read
	update func([]airflowclient.Update) (failed map[string]error) // nil: as usual
}

func (a airflow) ConnectionsByID(
	ctx context.Context, ids []string,
) (map[string]airflowclient.Connection, map[string]error) {
	defer a.read()
	return a.Airflow.ConnectionsByID(ctx, ids)
}

func (a airflow) UpdateConnections(ctx context.Context, updates []airflowclient.Update) map[string]error {
	if a.update == nil {
		return a.Airflow.UpdateConnections(ctx, updates)
	}
	return a.update(updates)
}

// What Airflow rejects for one connection is not in the result as updated.
func TestUpdateReportsWhatAirflowRejected(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.connect(nothing, "other")
	step := f.update(f.extracted(t, id, "other"))
	rejected := map[string]error{"other": airflowclient.ErrNotFound}
	step.Airflow = airflow{f.airflow, func() {}, func([]airflowclient.Update) map[string]error { return rejected }}
	two, err := step.Run(t.Context())
	must(t, err)
	if len(two.Connections) != 1 || two.Connections[0].ConnectionID != id || two.Failures[0].ConnectionID != "other" {
		t.Errorf("result is %+v", two)
	}
	rejected[id] = airflowclient.ErrNotFound
	_, err = step.Run(t.Context())
	wantError(t, err, "2 targets failed", steps.ManyFailed)
	wantLog(t, f, `update connection \"other\": airflow has no such`)
}

// What the result shows must be what is encrypted, field by field: else its age, for one, could be edited.
func TestUpdateRejectsAnAlteredResult(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.extracted(t, id)
	for name, edit := range map[string]func(*xcom.ExtractECRToken){
		"registry":    func(d *xcom.ExtractECRToken) { d.Tokens[0].RegistryURL = "https://example.com" },
		"user":        func(d *xcom.ExtractECRToken) { d.Tokens[0].Username = "root" },
		"issued_at":   func(d *xcom.ExtractECRToken) { d.Tokens[0].IssuedAt = d.Tokens[0].IssuedAt.Add(time.Second) },
		"expires_at":  func(d *xcom.ExtractECRToken) { d.Tokens[0].ExpiresAt = d.Tokens[0].ExpiresAt.Add(time.Hour) },
		"fingerprint": func(d *xcom.ExtractECRToken) { d.Tokens[0].Fingerprint = "000000000000" },
		"fewer":       func(d *xcom.ExtractECRToken) { d.Tokens = nil },
		"more":        func(d *xcom.ExtractECRToken) { d.Tokens = append(d.Tokens, d.Tokens[0]) },
	} {
		one := good
		one.Tokens = slices.Clone(good.Tokens)
		edit(&one)
		_, err := f.update(one).Run(t.Context())
		wantError(t, err, "it was altered", steps.AlteredResult)
		if !failure.IsPermanent(err) {
			t.Errorf("%s: a retry cannot help", name)
		}
	}
}

// Airflow's token is revoked also when the step is cancelled.
func TestUpdateRevokesItsTokenWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	step := f.update(f.extracted(t, id))
	step.Airflow = airflow{f.airflow, cancel, nil}
	if _, err := step.Run(ctx); err == nil {
		t.Error("a cancelled step succeeds")
	}
	if f.box.Airflow.Revoked() != 1 {
		t.Error("Airflow's token was not revoked")
	}
}

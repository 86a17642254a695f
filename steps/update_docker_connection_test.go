package steps_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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

// Only the password changes, and the login if it is another; also the second time.
func TestUpdateChangesThePasswordAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want, _ := f.box.Airflow.Connection(id)
	want.Login = "somebody"
	f.box.Airflow.SetConnection(want)
	one := f.extracted(t, id)
	want.Login, want.Password = "AWS", f.box.ECR.LastToken().Password
	for n := range 2 {
		two := succeed(t, f.update(one).Run)
		if got, _ := f.box.Airflow.Connection(id); got != want {
			t.Errorf("connection is %+v, want %+v", got, want)
		}
		updated := xcom.Updated{
			ConnectionID: id, TokenInfo: one.Tokens[0].TokenInfo, Published: true, PublishedAt: &f.now,
		}
		wantResult(t, two, xcom.UpdateDockerConnection{
			Head: xcom.NewHead("update_docker_connection"), Connections: []xcom.Updated{updated},
			Failures: []xcom.Failure{},
		})
		if f.box.Airflow.Revoked() != n+1 {
			t.Error("Airflow's token was not revoked")
		}
	}
}

// Nothing is updated with what is old, forged, altered or expired: clearing step 2 of an old run would put an old token
// over a newer one, and anyone who knows the public key can encrypt a token.
func TestUpdateRejects(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good, old := f.extracted(t, id), f.password(id)
	type edit = func(*xcom.ExtractECRToken)
	reject := func(name string, edit edit, message string, kind failure.Kind, object string, code int) {
		one := good
		one.Tokens = slices.Clone(good.Tokens)
		edit(&one)
		fail(t, f.update(one).Run, message, kind, failure.Facts{Object: object}, code)
		if f.password(id) != old {
			t.Errorf("%s: the connection was changed", name)
		}
	}
	// What the result shows must be what is encrypted, field by field: else its age, for one, could be edited.
	for name, edit := range map[string]edit{
		"registry":    func(d *xcom.ExtractECRToken) { d.Tokens[0].RegistryURL = "https://example.com" },
		"path":        func(d *xcom.ExtractECRToken) { d.Tokens[0].RegistryURL += "/v2" },
		"user":        func(d *xcom.ExtractECRToken) { d.Tokens[0].Username = "root" },
		"issued_at":   func(d *xcom.ExtractECRToken) { d.Tokens[0].IssuedAt = f.now.Add(time.Second) },
		"expires_at":  func(d *xcom.ExtractECRToken) { d.Tokens[0].ExpiresAt = f.now.Add(24 * time.Hour) },
		"fingerprint": func(d *xcom.ExtractECRToken) { d.Tokens[0].Fingerprint = "000000000000" },
		"more":        func(d *xcom.ExtractECRToken) { d.Tokens = append(d.Tokens, d.Tokens[0]) },
	} {
		reject(name, edit, "it was altered", secret.Damaged, "", 2)
	}
	fewer := func(d *xcom.ExtractECRToken) { d.Tokens = nil }
	reject("fewer", fewer, "decrypt tokens: cut or altered", secret.Damaged, "", 2)
	reject("forged", func(d *xcom.ExtractECRToken) {
		forged := secret.Token{TokenInfo: d.Tokens[0].TokenInfo, Password: secret.New("forged")}
		d.Tokens[0].Fingerprint = secret.Fingerprint(forged.Password)
		d.Sealed, _ = secret.Encrypt(d.Recipient, []secret.Token{forged})
	}, "login rejected", registry.WrongRegion, f.box.RegistryHost(), 1)
	// Anyone can encrypt a token that registry and connection accept, with fields that silence what looks at them.
	late := 5*time.Minute + time.Second
	for message, edit := range map[string]func(*secret.TokenInfo){
		`its user is "root", not AWS`:  func(t *secret.TokenInfo) { t.Username = "root" },
		`.com:8443", not https://HOST`: func(t *secret.TokenInfo) { t.RegistryURL += ":8443" },
		"in the future":                func(t *secret.TokenInfo) { t.IssuedAt = f.now.Add(late) },
		"valid for 12 hours":           func(t *secret.TokenInfo) { t.ExpiresAt = f.expires.Add(late) },
	} {
		reject(message, func(d *xcom.ExtractECRToken) {
			tokens, _ := secret.Decrypt(f.identity, d.Recipient, d.Sealed, 1)
			edit(&tokens[0].TokenInfo)
			edit(&d.Tokens[0].TokenInfo)
			d.Sealed, _ = secret.Encrypt(d.Recipient, tokens)
		}, message, steps.BadToken, "", 2)
	}
	asItIs := func(*xcom.ExtractECRToken) {}
	f.now = f.now.Add(time.Hour + 1)
	reject("old", asItIs, "is 1h0m0s old, over the limit of 1h0m0s", steps.OldResult, "", 2)
	f.now = f.now.Add(-1)
	f.box.ECR.ExpireTokens()
	reject("expired", asItIs, "it answered 403", registry.Rejected, f.box.RegistryHost(), 1)
}

// One connection that fails does not stop the others. Failures of step 1 go on too, and step 3 reports them all.
func TestUpdateCarriesFailures(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := sandbox.Connection{ID: "other", Type: "docker", Host: "example.com", Password: "old"}
	f.box.Airflow.SetConnection(other)
	one := f.extracted(t, id, "other", "missing")
	earlier := xcom.Failure{ConnectionID: "x", Step: xcom.StepExtractECRToken, Error: "no\ntoken"}
	one.Failures = append(one.Failures, earlier)
	two := succeed(t, f.update(one).Run)
	if len(two.Connections) != 1 || len(two.Failures) != 3 || f.password(id) != f.box.ECR.LastToken().Password {
		t.Errorf("result is %+v", two)
	}
	if f.password("other") != "old" {
		t.Error("the password of another registry's connection was changed")
	}
	fail(t, f.test(two).Run, "3 targets failed", steps.ManyFailed, failure.Facts{}, 1)
	wantLog(t, f, `extract_ecr_token: connection \"x\": no token`)
	wantLog(t, f, `update_docker_connection: update connection \"other\": its host is \"example.com\"`)
	wantLog(t, f, `update connection \"missing\": airflow has no such connection`)
	facts := failure.Facts{Object: "other", Want: f.box.RegistryHost()}
	fail(t, f.update(f.extracted(t, "other")).Run, `update connection "other": its host is "example.com"`,
		steps.HostMismatch, facts, 2)
}

// A registry that rejects a token fails all its connections, and is reported once.
func TestUpdateReportsARegistryOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.connect("other")
	one := f.extracted(t, id, "other")
	f.box.ECR.ExpireTokens()
	two := fail(t, f.update(one).Run, "it answered 403: login rejected", registry.Rejected,
		failure.Facts{Object: f.box.RegistryHost()}, 1)
	if len(two.Failures) != 2 || two.Failures[0].Error != two.Failures[1].Error {
		t.Errorf("failures %+v", two.Failures)
	}
}

// airflowWith is the sandbox's Airflow, but for its answer to updates.
func (f *fixture) airflowWith(t *testing.T, update http.HandlerFunc) *airflowclient.Client {
	t.Helper()
	to, err := url.Parse(f.box.Airflow.URL())
	must(t, err)
	pass := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			update(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	user, _ := f.box.Airflow.User("refresher")
	client, err := airflowclient.New(airflowclient.Config{
		BaseURL: server.URL, Login: "refresher", Password: secret.New(user.Password),
	})
	must(t, err)
	return client
}

// What Airflow rejects for one connection is not in the result as updated. Airflow's token is revoked also when the
// step is cancelled.
func TestUpdateReportsWhatAirflowRejected(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.connect("other")
	step := f.update(f.extracted(t, id, "other"))
	updated := `"docker_default"`
	step.Airflow = f.airflowWith(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"update":{"success":[%s],"errors":[{"error":"gone","status_code":400}]}}`, updated)
	})
	two := succeed(t, step.Run)
	if len(two.Connections) != 1 || two.Connections[0].ConnectionID != id || two.Failures[0].ConnectionID != "other" ||
		f.box.Airflow.Revoked() != 1 {
		t.Errorf("result is %+v, revoked %d times", two, f.box.Airflow.Revoked())
	}
	updated = ""
	fail(t, step.Run, "2 targets failed", steps.ManyFailed, failure.Facts{}, 2)
	wantLog(t, f, `update connection \"other\": airflow answered 400: gone`)
	ctx, cancel := context.WithCancel(t.Context())
	step.Airflow = f.airflowWith(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if _, err := step.Run(ctx); err == nil || f.box.Airflow.Revoked() != 3 {
		t.Errorf("%v, revoked %d times", err, f.box.Airflow.Revoked())
	}
}

package steps_test

import (
	"testing"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
)

func TestExtract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.extracted(t, "a", "b")
	got := one.Tokens[0]
	want := "https://" + account + ".dkr.ecr." + region + ".amazonaws.com"
	if got.RegistryURL != want || got.Username != "AWS" || len(got.Connections) != 2 || len(one.Failures) != 0 {
		t.Errorf("result is %+v", one)
	}
	if left := got.ExpiresAt.Sub(f.now); left < 12*time.Hour-time.Minute || left > 12*time.Hour+time.Minute {
		t.Errorf("token is valid for %s", left)
	}
	if age := f.now.Sub(got.IssuedAt); age < 0 || age >= time.Second {
		t.Errorf("token was issued %s ago", age)
	}
	tokens, err := secret.Decrypt(f.identity, one.Recipient, one.Sealed)
	must(t, err)
	issued := f.box.ECR.LastToken().Password
	if tokens[0].Password.Reveal() != issued || got.Fingerprint != tokens[0].Fingerprint {
		t.Error("another password is encrypted than ECR issued")
	}
	wantLog(t, f, ".amazonaws.com accepts the token")
}

// An expiry in the past is a warning, since a clock may be wrong: the registry decides.
func TestExtractWithWrongClock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.now = f.now.Add(24 * time.Hour)
	f.extracted(t, id)
	wantLog(t, f, "check this machine's clock")
}

// Each connection gets a failure, and the error is reported once. The check can be left to step 2.
func TestExtractChecksTheTokenAtItsRegistry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.box.Registry.Refuse(true)
	one, err := f.extract(id, "other").Run(t.Context())
	wantError(t, err, "it answered 403: login rejected", registry.Rejected)
	if failure.IsPermanent(err) || len(one.Failures) != 2 || one.Failures[1].ConnectionID != "other" {
		t.Errorf("permanent %v, failures %+v", failure.IsPermanent(err), one.Failures)
	}
	step := f.extract(id)
	step.Registry = nil
	_, err = step.Run(t.Context())
	must(t, err)
}

func TestExtractNeedsAPublicKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := f.extract(id)
	step.Recipient = "age1nobody"
	_, err := step.Run(t.Context())
	wantError(t, err, "read public key", secret.NotAPublicKey)
}

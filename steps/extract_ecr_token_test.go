package steps_test

import (
	"testing"
	"time"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

func TestExtract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	doc, err := f.extract("a", "b").Run(t.Context())
	must(t, err)
	got := doc.Tokens[0]
	issued := f.box.ECR.LastToken()
	if got.RegistryURL != "https://"+account+".dkr.ecr."+region+".amazonaws.com" || got.Username != "AWS" || len(got.Connections) != 2 {
		t.Errorf("token is %+v", got)
	}
	if left := got.ExpiresAt.Sub(f.now); left < 12*time.Hour-time.Minute || left > 12*time.Hour+time.Minute {
		t.Errorf("token lives %s", left)
	}
	opened, err := secret.Decrypt(f.identity, doc.Recipient, doc.Sealed)
	must(t, err)
	if opened[0].Password.Reveal() != issued.Password || got.Fingerprint != opened[0].Fingerprint() {
		t.Error("the seal holds another password than ECR issued")
	}
}

// An expiry in the past is a warning, since a clock may be wrong: the registry decides.
func TestExtractWithWrongClock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.now = f.now.Add(24 * time.Hour)
	_, err := f.extract(id).Run(t.Context())
	must(t, err)
	wantLog(t, f, "look at this machine's clock")
}

func TestExtractChecksTheTokenAtItsRegistry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.box.Registry.Refuse(true)
	_, err := f.extract(id).Run(t.Context())
	wantError(t, err, "it answered 403: login rejected")
	if failure.IsPermanent(err) {
		t.Error("a refusal may pass")
	}
}

func TestRegistryTriesOnceMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []struct{ status, requests int }{{503, 2}, {429, 2}, {403, 1}, {400, 1}, {404, 1}} {
		before := len(f.box.Registry.Requests())
		f.box.Registry.SetStatus(c.status)
		if err := f.registry.Check(t.Context(), "https://"+f.box.RegistryHost(), "AWS", secret.New("x")); err == nil {
			t.Errorf("%d passes", c.status)
		}
		if n := len(f.box.Registry.Requests()) - before; n != c.requests {
			t.Errorf("%d: %d requests, want %d", c.status, n, c.requests)
		}
	}
}

func TestChecksOfNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		check func(string) error
		good  []string
		bad   []string
	}{
		{ecr.CheckAccount, []string{"123456789012", "000000000000"}, []string{"", "12345678901", "1234567890123", "12345678901a", " 123456789012"}},
		{ecr.CheckRegion, []string{"us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-isob-east-1", "ap-southeast-7"},
			[]string{"", "us-east", "US-EAST-1", "us-east-1.evil.example", "us_east_1", "us-east-1/", "../us-east-1"}},
		{target.CheckConnectionID, []string{"docker_default", "a.b-c", "A1"}, []string{"", "a/b", "a b", "a\n"}},
	} {
		for _, name := range c.good {
			must(t, c.check(name))
		}
		for _, name := range c.bad {
			if c.check(name) == nil {
				t.Errorf("%q passes", name)
			}
		}
	}
}

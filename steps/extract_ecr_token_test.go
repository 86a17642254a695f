package steps_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
	"ecr-refresh/steps/xcom"
)

// An expiry in the past is a warning, since a clock may be wrong: the registry decides.
func TestExtract(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.extracted(t, "a", "b")
	issued := f.box.ECR.LastToken().Password
	info := secret.TokenInfo{
		RegistryURL: "https://" + f.box.RegistryHost(), Username: "AWS", IssuedAt: f.now, ExpiresAt: f.expires,
		Fingerprint: secret.Fingerprint(secret.New(issued)),
	}
	wantResult(t, one, xcom.ExtractECRToken{
		Head: xcom.NewHead("extract_ecr_token"), Recipient: f.identity.Recipient(), Sealed: one.Sealed,
		Tokens: []xcom.Token{{TokenInfo: info, Connections: []string{"a", "b"}}}, Failures: []xcom.Failure{},
	})
	tokens, err := secret.Decrypt(f.identity, one.Recipient, one.Sealed, 1)
	must(t, err)
	if tokens[0].TokenInfo != info || tokens[0].Password.Reveal() != issued {
		t.Error("another token is encrypted than ECR issued")
	}
	wantLog(t, f, ".amazonaws.com accepts the token")
	wantLog(t, f, "(12h0m0s)")
	f.now = f.expires
	f.extracted(t, id)
	wantLog(t, f, "check this machine's clock")
	f.now = f.expires.Add(-24 * time.Hour) // far behind: what later steps check holds by this clock
	late := f.extracted(t, id).Tokens[0].TokenInfo
	must(t, late.Check(f.now))
}

// Each connection gets a failure, and the error is reported once.
func TestExtractChecksTheTokenAtItsRegistry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.box.Registry.Refuse(true)
	const rejected = "it answered 403: login rejected"
	step := f.extract(id, "other")
	one := fail(t, step.Run, rejected, registry.Rejected, failure.Facts{Object: f.box.RegistryHost()}, 1)
	if last := one.Failures[1]; last.ConnectionID != "other" || !strings.Contains(last.Error, rejected) {
		t.Errorf("failures %+v", one.Failures)
	}
	f.box.Registry.Refuse(false)
	step.Recipient = "age1nobody"
	fail(t, step.Run, "read public key", secret.NotAKey, failure.Facts{}, 2)
}

// One call for each identity and region, however many accounts; then one check for each registry. A source that fails
// stops no other, and is reported once.
func TestExtractCallsOnceForEachSource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var entries []target.Entry
	add := func(id, account, region string, identity ecr.Identity) {
		entries = append(entries, target.Entry{ConnectionID: id, Account: account, Region: region, Identity: identity})
	}
	for i := range 60 {
		add(fmt.Sprint("c", i), fmt.Sprintf("%012d", i/20), fmt.Sprintf("eu-west-%d", 1+i%3), ecr.Identity{})
	}
	role := ecr.Identity{RoleARN: "arn:aws:iam::210987654321:role/pull", Profile: "x"}
	add("role", "000000000000", "eu-west-1", role)
	add("bad", "000000000000", "zz-none-1", role)
	add("worse", "000000000001", "zz-none-1", role)
	step := f.extract()
	var err error
	step.Targets, err = target.Resolve(entries, nil)
	must(t, err)
	var calls sync.Map
	step.ECR = func(ctx context.Context, source ecr.Source) (secret.Token, error) {
		if _, again := calls.LoadOrStore(source, true); again {
			t.Errorf("two calls for %+v", source)
		}
		if source.Region == "zz-none-1" {
			return secret.Token{}, errors.New("no such region")
		}
		return f.ecr(ctx, source)
	}
	one := succeed(t, step.Run)
	fingerprints := map[string]bool{}
	for _, token := range one.Tokens {
		fingerprints[token.Fingerprint] = true
	}
	if len(fingerprints) != 4 || len(one.Tokens) != 10 || len(f.box.Registry.Checks()) != 10 {
		t.Errorf("%d different tokens of %d, %d checks; want three accounts in three regions, and the role's",
			len(fingerprints), len(one.Tokens), len(f.box.Registry.Checks()))
	}
	if last := one.Failures[len(one.Failures)-1]; len(one.Failures) != 2 || last != (xcom.Failure{
		ConnectionID: "worse", RegistryURL: "https://000000000001.dkr.ecr.zz-none-1.amazonaws.com",
		Step: "extract_ecr_token", Error: "extract token of account 000000000000 in zz-none-1 as " +
			"arn:aws:iam::210987654321:role/pull with profile x: no such region",
	}) {
		t.Errorf("failures %+v", one.Failures)
	}
	if n := strings.Count(f.text.String(), "level=ERROR"); n != 1 {
		t.Errorf("reported %d times", n)
	}
}

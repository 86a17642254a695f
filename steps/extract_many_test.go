package steps_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// One call for each identity and region, however many accounts; then one check for each registry. A source that fails
// stops no other.
func TestExtractCallsOnceForEachSource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var entries []target.Entry
	for i := range 60 {
		entries = append(entries, target.Entry{ConnectionID: fmt.Sprint("c", i), Account: fmt.Sprintf("%012d", i/20),
			Region: fmt.Sprintf("eu-west-%d", 1+i%3)})
	}
	role := ecr.Identity{RoleARN: "arn:aws:iam::210987654321:role/pull"}
	entries = append(entries,
		target.Entry{ConnectionID: "role", Account: "000000000000", Region: "eu-west-1", Identity: role},
		target.Entry{ConnectionID: "bad", Account: "000000000000", Region: "zz-none-1"})
	targets, err := target.Resolve(entries, nil)
	must(t, err)
	step := f.extract()
	step.Targets = targets
	var mu sync.Mutex
	calls := map[ecr.Source]int{}
	step.ECR = func(ctx context.Context, source ecr.Source) (secret.Token, error) {
		mu.Lock()
		calls[source]++
		mu.Unlock()
		if source.Region == "zz-none-1" {
			return secret.Token{}, errors.New("no such region")
		}
		source.Identity = ecr.Identity{}
		return f.ecr(ctx, source)
	}
	doc, err := step.Run(t.Context())
	must(t, err)
	for source, n := range calls {
		if n != 1 {
			t.Errorf("%d calls for %+v", n, source)
		}
	}
	if len(calls) != 5 || len(doc.Tokens) != 10 || len(f.box.Registry.Checks()) != 10 {
		t.Errorf("%d tokens, %d checks, calls %v; want three accounts in three regions, and the role's",
			len(doc.Tokens), len(f.box.Registry.Checks()), calls)
	}
	if len(doc.Failures) != 1 || doc.Failures[0].ConnectionID != "bad" {
		t.Errorf("failures %+v", doc.Failures)
	}
	fingerprints := map[string]bool{}
	for _, token := range doc.Tokens {
		fingerprints[token.Fingerprint] = true
	}
	if len(fingerprints) != 4 {
		t.Errorf("%d different tokens, want 4", len(fingerprints))
	}
}

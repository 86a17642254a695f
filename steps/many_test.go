package steps_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// Of three registries one rejects: the others are updated, its own connection keeps what it has, and step 3 fails.
func TestOneFailingTargetStopsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var entries []target.Entry
	for id, host := range map[string]string{
		"one": "123456789012.dkr.ecr.us-east-1.amazonaws.com", "two": "210987654321.dkr.ecr.us-east-1.amazonaws.com",
		"three": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
	} {
		f.box.Airflow.SetConnection(sandbox.Connection{
			ID: id, Type: "docker", Host: host, Login: "AWS", Password: "old-" + id,
		})
		entry := target.Entry{ConnectionID: id, Registry: host}
		if id == "three" {
			entry.Profile = "stranger"
		}
		entries = append(entries, entry)
	}
	step := f.extract()
	var err error
	step.Targets, err = target.Resolve(entries, nil)
	must(t, err)
	step.ECR = func(ctx context.Context, source ecr.Source) (secret.Token, error) {
		if source.Profile == "stranger" {
			return secret.Token{}, errors.New("AWS answered UnrecognizedClientException")
		}
		return f.ecr(ctx, source)
	}
	one, err := step.Run(t.Context())
	must(t, err)
	two, err := f.update(one).Run(t.Context())
	must(t, err)
	if len(two.Connections) != 2 || len(two.Failures) != 1 || f.password("three") != "old-three" {
		t.Errorf("%+v; three has %q", two, f.password("three"))
	}
	if f.password("one") != f.password("two") || f.password("one") == "old-one" {
		t.Errorf("one has %q, two has %q", f.password("one"), f.password("two"))
	}
	three, err := f.test(two).Run(t.Context())
	wantError(t, err, `extract_ecr_token: connection "three": extract token `, steps.EarlierFailure)
	wantError(t, err, `eu-west-1 with profile stranger: AWS answered UnrecognizedClientException`, steps.EarlierFailure)
	if len(three.Connections) != 2 {
		t.Errorf("tested %+v", three)
	}
}

// managed adds n connections to the sandbox's Airflow, and returns the ids of the first ones.
func (f *fixture) managed(n, others int) (ids []string) {
	for i := range n + others {
		id := fmt.Sprint("c", i)
		f.box.Airflow.SetConnection(sandbox.Connection{
			ID: id, Type: "docker", Host: f.box.RegistryHost(), Login: "AWS", Password: "old",
		})
		if i < n {
			ids = append(ids, id)
		}
	}
	return ids
}

// However many connections there are, Airflow is called at most 3 + ⌈M/100⌉ + ⌈N/100⌉ times; what the first page lacks
// is read one by one where that takes fewer calls than the other pages.
func TestUpdateOfManyCallsAirflowSeldom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ managed, others, limit int }{
		{1, 999, 4}, {3, 997, 6}, {4, 996, 8}, {60, 940, 14}, {250, 750, 16},
	} {
		t.Run(fmt.Sprint(c.managed), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			two := f.updated(t, f.managed(c.managed, c.others)...)
			calls := f.box.Airflow.Requests()
			if len(two.Connections) != c.managed || len(calls) > c.limit {
				t.Errorf("%d updated with %d calls, at most %d: %v", len(two.Connections), len(calls), c.limit, calls)
			}
		})
	}
}

func TestAConnectionDeletedMeanwhileStopsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step := f.update(f.extracted(t, f.managed(100, 0)...))
	step.Airflow = airflow{f.airflow, func() { f.box.Airflow.DeleteConnection("c7") }, nil}
	two, err := step.Run(t.Context())
	must(t, err)
	if len(two.Connections) != 99 || len(two.Failures) != 1 || two.Failures[0].ConnectionID != "c7" {
		t.Errorf("%d updated, failures %+v", len(two.Connections), two.Failures)
	}
}

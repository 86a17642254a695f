package steps_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// many is step 1 over a targets list. ECR knows no profile "stranger".
func (f *fixture) many(t *testing.T, list string) steps.ExtractECRToken {
	t.Helper()
	entries, err := target.Parse(list)
	must(t, err)
	step := f.extract()
	step.Targets, err = target.Resolve(entries, nil)
	must(t, err)
	step.ECR = func(ctx context.Context, source ecr.Source) (secret.Token, error) {
		if source.Profile == "stranger" {
			return secret.Token{}, errors.New("AWS answered UnrecognizedClientException")
		}
		return f.ecr(ctx, source)
	}
	return step
}

const oneRegistry = `"registry":"123456789012.dkr.ecr.us-east-1.amazonaws.com"`

// Three registries, one of which refuses: the others are published, its own connection keeps what it has, step 3 is red.
func TestOneBrokenTargetStopsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for id, host := range map[string]string{
		"one": "123456789012.dkr.ecr.us-east-1.amazonaws.com", "two": "210987654321.dkr.ecr.us-east-1.amazonaws.com",
		"three": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
	} {
		f.box.Airflow.SetConnection(sandbox.Connection{ID: id, Type: "docker", Host: host, Login: "AWS", Password: "old-" + id})
	}
	step := f.many(t, `[{"connection_id":"one","account":"123456789012","region":"us-east-1"},
		{"connection_id":"two","account":"210987654321","region":"us-east-1"},
		{"connection_id":"three","account":"123456789012","region":"eu-west-1","profile":"stranger"}]`)
	doc, err := step.Run(t.Context())
	must(t, err)
	two, err := f.update(doc).Run(t.Context())
	must(t, err)
	if len(two.Connections) != 2 || len(two.Failures) != 1 || f.password("three") != "old-three" || f.password("one") != f.password("two") || f.password("one") == "old-one" {
		t.Errorf("%+v; three holds %q", two, f.password("three"))
	}
	three, err := f.test(two).Run(t.Context())
	wantError(t, err, `extract_ecr_token: connection "three": extract token in eu-west-1 with profile stranger: AWS answered UnrecognizedClientException`)
	if len(three.Connections) != 2 {
		t.Errorf("tested %+v", three)
	}
}

// However many connections there are, Airflow is called at most 3 + ⌈M/100⌉ + ⌈N/100⌉ times; and what the first page lacks is
// read one by one where that takes fewer calls than the other pages.
func TestUpdateOfManyCallsAirflowSeldom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ managed, others, limit int }{{1, 999, 4}, {3, 997, 6}, {4, 996, 8}, {60, 940, 14}, {250, 750, 16}} {
		t.Run(fmt.Sprint(c.managed), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var entries []string
			for i := range c.managed + c.others {
				id := fmt.Sprintf("c%d", i)
				f.box.Airflow.SetConnection(sandbox.Connection{ID: id, Type: "docker", Host: f.box.RegistryHost(), Login: "AWS", Password: "old"})
				if i < c.managed {
					entries = append(entries, fmt.Sprintf(`{"connection_id":%q,%s}`, id, oneRegistry))
				}
			}
			step := f.many(t, "["+strings.Join(entries, ",")+"]")
			doc, err := step.Run(t.Context())
			must(t, err)
			two, err := f.update(doc).Run(t.Context())
			must(t, err)
			calls := f.box.Airflow.Requests()
			if len(two.Connections) != c.managed || len(calls) > c.limit {
				t.Errorf("%d updated with %d calls, want %d with at most %d: %v", len(two.Connections), len(calls), c.managed, c.limit, calls)
			}
		})
	}
}

// deleting deletes a connection once it has been read.
type deleting struct {
	steps.Airflow
	box *sandbox.Sandbox
	id  string
}

func (d deleting) ConnectionsByID(ctx context.Context, ids []string) (map[string]airflowclient.Connection, map[string]error) {
	found, failed := d.Airflow.ConnectionsByID(ctx, ids)
	d.box.Airflow.DeleteConnection(d.id)
	return found, failed
}

func TestAConnectionDeletedMeanwhileSinksNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var entries []string
	for i := range 100 {
		id := fmt.Sprintf("c%d", i)
		f.box.Airflow.SetConnection(sandbox.Connection{ID: id, Type: "docker", Host: f.box.RegistryHost(), Login: "AWS", Password: "old"})
		entries = append(entries, fmt.Sprintf(`{"connection_id":%q,%s}`, id, oneRegistry))
	}
	step := f.many(t, "["+strings.Join(entries, ",")+"]")
	doc, err := step.Run(t.Context())
	must(t, err)
	up := f.update(doc)
	up.Airflow = deleting{f.airflow, f.box, "c7"}
	two, err := up.Run(t.Context())
	must(t, err)
	if len(two.Connections) != 99 || len(two.Failures) != 1 || two.Failures[0].ConnectionID != "c7" {
		t.Errorf("%d updated, failures %+v", len(two.Connections), two.Failures)
	}
}

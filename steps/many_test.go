package steps_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
)

// asked is a transport that remembers which hosts were asked.
type asked struct {
	http.RoundTripper
	mu    sync.Mutex
	hosts []string
	times []time.Time
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.hosts, a.times = append(a.hosts, r.URL.Host), append(a.times, time.Now())
	a.mu.Unlock()
	return a.RoundTripper.RoundTrip(r)
}

func (a *asked) of(prefix string) (hosts []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.hosts {
		if strings.HasPrefix(h, prefix) {
			hosts = append(hosts, h)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// many is step 1 over a targets list.
func (f *fixture) many(t *testing.T, list string) (steps.ExtractECRToken, *asked) {
	t.Helper()
	targets, err := parse(list, noHost)
	must(t, err)
	a := &asked{RoundTripper: f.box.HTTPClient().Transport}
	step := f.extract()
	step.Targets = targets
	step.ECR = steps.NewECR(func(_ context.Context, profile string) (aws.Config, error) {
		c := f.box.ECR.Credentials()
		if profile == "stranger" {
			c.AccessKeyID = "AKIASTRANGER"
		}
		return aws.Config{HTTPClient: &http.Client{Transport: a}, Credentials: credentials.StaticCredentialsProvider{Value: c}}, nil
	})
	return step, a
}

// Every form of a host leads to the endpoint that the SDK has for it, and the token to the host as it is written.
func TestExtractAsksTheEndpointOfEachForm(t *testing.T) {
	t.Parallel()
	for target, endpoint := range map[string]string{
		`"registry":"123456789012.dkr.ecr.us-east-1.amazonaws.com"`:                                                      "api.ecr.us-east-1.amazonaws.com",
		`"registry":"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"`:                                                 "api.ecr-fips.us-east-1.amazonaws.com",
		`"registry":"123456789012.dkr-ecr.us-east-1.on.aws"`:                                                             "ecr.us-east-1.api.aws",
		`"registry":"123456789012.dkr-ecr-fips.us-gov-west-1.on.aws"`:                                                    "ecr-fips.us-gov-west-1.api.aws",
		`"registry":"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"`:                                                  "api.ecr.cn-north-1.amazonaws.com.cn",
		`"registry":"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"`:                                       "ecr.cn-north-1.api.amazonwebservices.com.cn",
		`"registry":"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"`:                                                  "api.ecr.eusc-de-east-1.amazonaws.eu",
		`"registry":"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov"`:                                                     "api.ecr.us-iso-east-1.c2s.ic.gov",
		`"registry":"123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"`:                                                 "api.ecr.us-isob-east-1.sc2s.sgov.gov",
		`"registry":"123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"`:                                                "api.ecr.eu-isoe-west-1.cloud.adc-e.uk",
		`"registry":"123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"`:                                               "api.ecr.us-isof-south-1.csp.hci.ic.gov",
		`"registry":"123456789012.dkr.ecr.us-east-1.amazonaws.com","fips":true`:                                          "api.ecr-fips.us-east-1.amazonaws.com",
		`"registry":"123456789012.dkr.ecr.us-east-1.amazonaws.com","dual_stack":true`:                                    "ecr.us-east-1.api.aws",
		`"account":"123456789012","region":"us-east-2","fips":true,"dual_stack":true`:                                    "ecr-fips.us-east-2.api.aws",
		`"registry":"public.ecr.aws"`:                                                                                    "api.ecr-public.us-east-1.amazonaws.com",
		`"registry":"ecr-public.aws.com"`:                                                                                "ecr-public.us-east-1.api.aws",
		`"account":"123456789012","region":"us-east-1","endpoint":"https://api.ecr.us-east-1.amazonaws.com","fips":true`: "api.ecr.us-east-1.amazonaws.com",
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			step, a := f.many(t, `[{"connection_id":"a",`+target+`}]`)
			doc, err := step.Run(t.Context())
			must(t, err)
			if hosts := a.of(""); !slices.Equal(hosts, []string{endpoint}) {
				t.Errorf("asked %v, want %s", hosts, endpoint)
			}
			host := step.Targets[0].Registry.Name
			if got := f.box.Registry.Checks()[0].Host; got != host || doc.Tokens[0].RegistryURL != "https://"+host {
				t.Errorf("checked at %s, document says %s, want %s", got, doc.Tokens[0].RegistryURL, host)
			}
		})
	}
}

// One call for each identity and region, however many accounts and forms of hosts; then each host is checked.
func TestExtractAsksOnceForEachIdentityAndRegion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var list []map[string]any
	for i := range 60 {
		list = append(list, map[string]any{
			"connection_id": fmt.Sprintf("c%02d", i), "account": fmt.Sprintf("%012d", i/20), "region": fmt.Sprintf("eu-west-%d", 1+i%3),
		})
	}
	list = append(list, map[string]any{"connection_id": "role", "account": "000000000000", "region": "eu-west-1", "role_arn": "arn:aws:iam::210987654321:role/pull"})
	text, _ := json.Marshal(list)
	step, a := f.many(t, string(text))
	doc, err := step.Run(t.Context())
	must(t, err)
	if calls := a.of("api.ecr."); len(calls) != 4 {
		t.Errorf("%d calls: %v", len(calls), calls)
	}
	if sts := a.of("sts."); !slices.Equal(sts, []string{"sts.eu-west-1.amazonaws.com"}) {
		t.Errorf("STS was asked at %v", sts)
	}
	if len(doc.Tokens) != 10 || len(f.box.Registry.Checks()) != 10 {
		t.Errorf("%d tokens and %d checks, want 10: three accounts in three regions, and the role's", len(doc.Tokens), len(f.box.Registry.Checks()))
	}
	fingerprints := map[string]bool{}
	for _, token := range doc.Tokens {
		fingerprints[token.Fingerprint] = true
	}
	if len(fingerprints) != 4 {
		t.Errorf("%d different tokens, want 4", len(fingerprints))
	}
}

// ECR takes 20 calls a second.
func TestExtractKeepsECRsPace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var entries []string
	for i := range 10 {
		entries = append(entries, fmt.Sprintf(`{"connection_id":"c%d","account":"123456789012","region":"eu-west-%d"}`, i, 1+i))
	}
	step, a := f.many(t, "["+strings.Join(entries, ",")+"]")
	_, err := step.Run(t.Context())
	must(t, err)
	slices.SortFunc(a.times, time.Time.Compare)
	if took := a.times[9].Sub(a.times[0]); took < 9*45*time.Millisecond || took > 5*time.Second {
		t.Errorf("10 calls took %s", took)
	}
}

// A role is assumed with all that its trust policy may want.
func TestExtractAssumesARole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.box.STS.SetExternalID("the-id")
	step, _ := f.many(t, `[{"connection_id":"a","account":"210987654321","region":"eu-west-1","role_arn":"arn:aws:iam::210987654321:role/pull",
		"external_id":"the-id","role_session_name":"airflow"},
		{"connection_id":"b","account":"210987654321","region":"eu-west-2","role_arn":"arn:aws:iam::210987654321:role/pull"}]`)
	doc, err := step.Run(t.Context())
	must(t, err)
	want := sandbox.AssumedRole{Region: "eu-west-1", RoleARN: "arn:aws:iam::210987654321:role/pull", SessionName: "airflow", ExternalID: "the-id"}
	all := f.box.STS.Assumed()
	if len(all) != 1 {
		t.Fatalf("assumed %+v", all)
	}
	want.AccessKeyID = all[0].AccessKeyID
	if all[0] != want {
		t.Errorf("assumed %+v, want %+v", all[0], want)
	}
	if len(doc.Tokens) != 1 || len(doc.Failures) != 1 || doc.Failures[0].ConnectionID != "b" || !strings.Contains(doc.Failures[0].Error, "AccessDenied") {
		t.Errorf("failures are %+v", doc.Failures)
	}
}

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
	step, _ := f.many(t, `[{"connection_id":"one","account":"123456789012","region":"us-east-1"},
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
	wantError(t, err, "extract_ecr_token: extract token in eu-west-1 with profile stranger: AWS answered UnrecognizedClientException")
	if len(three.Connections) != 2 {
		t.Errorf("tested %+v", three)
	}
}

// However many connections there are, Airflow is called at most 3 + ⌈M/100⌉ + ⌈N/100⌉ times; and one that is deleted
// meanwhile does not sink its neighbours.
func TestUpdateOfManyCallsAirflowSeldom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ managed, others, limit int }{{1, 0, 5}, {3, 997, 7}, {4, 996, 14}, {250, 750, 16}} {
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
			step, _ := f.many(t, "["+strings.Join(entries, ",")+"]")
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
	step, _ := f.many(t, "["+strings.Join(entries, ",")+"]")
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

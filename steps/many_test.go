package steps_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ecr-refresh/airflowclient"
	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/target"
)

// asked is a transport that remembers which hosts were asked.
type asked struct {
	http.RoundTripper
	mu     sync.Mutex
	hosts  []string
	refuse string // start of the hosts that do not answer
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.hosts = append(a.hosts, r.URL.Host)
	a.mu.Unlock()
	if a.refuse != "" && strings.HasPrefix(r.URL.Host, a.refuse) {
		return nil, &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}
	}
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
	step.ECR = ecr.New(func(_ context.Context, profile string) (aws.Config, error) {
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
		`"registry":"123456789012.dkr-ecr-fips.us-east-1.on.aws"`:                                                        "ecr-fips.us-east-1.api.aws",
		`"registry":"123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com"`:                                             "api.ecr-fips.us-gov-east-1.amazonaws.com",
		`"registry":"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"`:                                                  "api.ecr.us-gov-west-1.amazonaws.com",
		`"registry":"123456789012.dkr-ecr.us-gov-west-1.on.aws"`:                                                         "ecr.us-gov-west-1.api.aws",
		`"registry":"123456789012.dkr.ecr.xx-new-1.aws.example","partition_suffix":"aws.example"`:                        "api.ecr.xx-new-1.aws.example",
		`"account":"123456789012","region":"xx-new-2","partition_suffix":"aws.example","fips":true`:                      "api.ecr-fips.xx-new-2.aws.example",
		`"account":"123456789012","region":"eusc-de-east-1","dual_stack":true`:                                           "ecr.eusc-de-east-1.api.amazonwebservices.eu",
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
	for _, t := range doc.Tokens {
		fingerprints[t.Fingerprint] = true
	}
	if len(fingerprints) != 4 {
		t.Errorf("%d different tokens, want 4", len(fingerprints))
	}
}

// ECR takes 20 calls a second; jitter keeps them from a beat. The clock is the bubble's.
func TestExtractKeepsECRsPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		step := steps.ExtractECRToken{Now: time.Now, Log: slog.New(slog.DiscardHandler), ECR: func(context.Context, ecr.Source) (secret.Token, error) {
			mu.Lock()
			at = append(at, time.Now())
			mu.Unlock()
			time.Sleep(300 * time.Millisecond) // ECR is slow, and others go on meanwhile
			return secret.Token{}, errors.New("no token")
		}}
		for i := range 100 {
			step.Targets = append(step.Targets, target.Target{ConnectionID: "c", Source: ecr.Source{Service: ecr.Private, Region: fmt.Sprint(i)}})
		}
		start := time.Now()
		_, _ = step.Run(t.Context())
		slices.SortFunc(at, time.Time.Compare)
		gaps := map[time.Duration]bool{}
		for i := range at {
			if i >= 20 && at[i].Sub(at[i-20]) < time.Second {
				t.Errorf("calls %d to %d came within %s", i-20, i, at[i].Sub(at[i-20]))
			}
			if i > 0 {
				gaps[at[i].Sub(at[i-1])] = true
			}
		}
		if took := time.Since(start); len(at) != 100 || took > 8*time.Second || len(gaps) < 10 {
			t.Errorf("%d calls took %s, with %d different gaps", len(at), took, len(gaps))
		}
	})
}

// A region that cannot assume the role, or is none, stops no other that has the same role.
func TestARegionsOwnSTSStopsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const role = `"account":"123456789012","role_arn":"arn:aws:iam::123456789012:role/pull"`
	step, a := f.many(t, `[{"connection_id":"typo","region":"zz-none-1","endpoint":"https://api.ecr.eu-west-1.amazonaws.com",`+role+`},
		{"connection_id":"one","region":"eu-west-1",`+role+`},{"connection_id":"new","region":"xx-new-1","partition_suffix":"aws.example",`+role+`}]`)
	doc, err := step.Run(t.Context())
	must(t, err)
	if len(doc.Tokens) != 2 || len(doc.Failures) != 1 || doc.Failures[0].ConnectionID != "typo" {
		t.Errorf("%d tokens, failures %+v", len(doc.Tokens), doc.Failures)
	}
	for _, host := range []string{"sts.eu-west-1.amazonaws.com", "sts.xx-new-1.aws.example"} {
		if !slices.Contains(a.of("sts."), host) {
			t.Errorf("STS was asked at %v, not at %s", a.of("sts."), host)
		}
	}
}

// The one call for a region is made in all forms that are wanted; where that form does not answer, each by itself.
func TestAFormOfAnEndpointStopsNoOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	step, a := f.many(t, `[{"connection_id":"plain","account":"123456789012","region":"eu-west-1"},
		{"connection_id":"fips","account":"123456789012","region":"eu-west-1","fips":true}]`)
	a.refuse = "api.ecr-fips."
	doc, err := step.Run(t.Context())
	must(t, err)
	if len(doc.Tokens) != 1 || !slices.Equal(doc.Tokens[0].Connections, []string{"plain"}) || len(doc.Failures) != 1 || doc.Failures[0].ConnectionID != "fips" {
		t.Errorf("%+v", doc)
	}
	a.refuse, a.hosts = "", nil
	doc, err = step.Run(t.Context())
	must(t, err)
	if hosts := a.of(""); len(doc.Tokens) != 2 || !slices.Equal(hosts, []string{"api.ecr-fips.eu-west-1.amazonaws.com"}) {
		t.Errorf("%d tokens of %v", len(doc.Tokens), hosts)
	}
}

// What the identity may not do has a hint of its own, of the service that refused.
func TestRightsThatAreMissing(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		`"account":"123456789012","region":"us-east-1"`: "allow ecr:GetAuthorizationToken",
		`"registry":"public.ecr.aws"`:                   "allow ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken",
		`"account":"123456789012","region":"us-east-1","role_arn":"arn:aws:iam::123456789012:role/pull"`: "allow sts:AssumeRole",
	} {
		f := newFixture(t)
		f.box.ECR.DenyBearerToken(true)
		f.box.ECR.Deny(strings.HasPrefix(want, "allow ecr:"))
		f.box.STS.SetExternalID("another")
		step, _ := f.many(t, `[{"connection_id":"a",`+target+`}]`)
		_, err := step.Run(t.Context())
		if !failure.IsPermanent(err) || !strings.HasPrefix(failure.Hint(err), want) {
			t.Errorf("%s: %v, hint %q", target, err, failure.Hint(err))
		}
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

package ecr_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

const (
	region = "us-east-1"
	role   = "arn:aws:iam::123456789012:role/pull"
)

var (
	source  = ecr.Source{Service: ecr.Private, Region: region}
	discard = slog.New(slog.DiscardHandler)
	anyone  = credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "none", "")
)

// never lets the AWS SDK repeat no call.
func never() aws.Retryer { return aws.NopRetryer{} }

func newSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	box, err := sandbox.Start(sandbox.Options{})
	must(t, err)
	t.Cleanup(func() { box.Close() })
	return box
}

func settings(box *sandbox.Sandbox, rt http.RoundTripper) ecr.Config {
	return func(context.Context, string, string) (aws.Config, error) {
		return aws.Config{HTTPClient: &http.Client{Transport: rt}, Retryer: never,
			Credentials: credentials.StaticCredentialsProvider{Value: box.ECR.Credentials()}}, nil
	}
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantFailure(t *testing.T, err error, kind failure.Kind, permanent bool, says string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", kind)
		return
	}
	got, _ := failure.Describe(err)
	if got != kind || failure.IsPermanent(err) != permanent || !strings.Contains(err.Error(), says) {
		t.Errorf("%q (%q), want %q, permanent %v, that says %q", err, got, kind, permanent, says)
	}
	if strings.Contains(err.Error(), "S3CRET") || strings.HasSuffix(err.Error(), ": ") {
		t.Errorf("%q", err)
	}
}

func TestTokensThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	token := func(login string) string {
		encoded := base64.StdEncoding.EncodeToString([]byte(login))
		return `{"authorizationToken":"` + encoded + `","expiresAt":4000000000}`
	}
	longest := "AWS:" + strings.Repeat("p", 8<<10)
	for data, usable := range map[string]bool{
		``:                                    false,
		token("AWS:p") + "," + token("AWS:p"): false,
		`{"authorizationToken":"*","expiresAt":4000000000}`: false,
		token("somebody:p"):                 false,
		token("AWS"):                        false,
		token(longest + "p"):                false,
		token("AWS:p p"):                    false,
		token("AWS:p\x7f"):                  false,
		`{"authorizationToken":"QVdTOnA="}`: false,
		token(longest):                      true,
		token("AWS:!:~"):                    true,
	} {
		at := source
		at.Endpoint = serve(t, "application/x-amz-json-1.1", `{"authorizationData":[`+data+`]}`, -1, http.StatusOK)
		_, err := tokenBy(anyone)(t.Context(), at)
		if usable {
			must(t, err)
		} else {
			wantFailure(t, err, ecr.NotAWS, false, "ECR's answer has no token that can be used")
		}
	}
}

// A profile is loaded once, whatever number of regions and services need it.
func TestProfilesAreLoadedOnce(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	var loads []string
	get := ecr.New(func(ctx context.Context, profile, region string) (aws.Config, error) {
		loads = append(loads, profile)
		return settings(box, box.HTTPClient().Transport)(ctx, profile, region)
	})
	west, other, public := source, source, source
	west.Region, other.Profile, public.Service = "eu-west-1", "other", ecr.Public
	for _, at := range []ecr.Source{source, source, west, other, public} {
		token, err := get(t.Context(), at)
		must(t, err)
		issued := box.ECR.LastToken()
		late := issued.ExpiresAt.Sub(token.ExpiresAt)
		if token.Username != "AWS" || token.Password.Reveal() != issued.Password || late < 0 || late > time.Second {
			t.Errorf("%+v, want %+v", token, issued)
		}
	}
	if !slices.Equal(loads, []string{"", "other"}) {
		t.Errorf("loaded %q", loads)
	}
}

// assuming returns the source of a region as a role.
func assuming(region string, as ecr.Identity) ecr.Source {
	as.RoleARN = role
	return ecr.Source{Service: ecr.Private, Region: region, Identity: as}
}

// A role is assumed at the STS of its own region, with all that its trust policy may require.
func TestRoles(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	elsewhere := assuming("xx-new-1", ecr.Identity{})
	elsewhere.Suffix = "aws.example"
	for _, row := range []struct {
		at                       ecr.Source
		sts, session, externalID string
	}{
		{assuming("eu-west-1", ecr.Identity{}), "sts.eu-west-1.amazonaws.com", "ecr-refresh", ""},
		{elsewhere, "sts.xx-new-1.aws.example", "ecr-refresh", ""},
		{assuming("eu-west-2", ecr.Identity{ExternalID: "the-id", RoleSessionName: "airflow"}),
			"sts.eu-west-2.amazonaws.com", "airflow", "the-id"},
	} {
		box.STS.SetExternalID(row.externalID)
		var hosts []string
		_, err := ecr.New(settings(box, roundTrip(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			return box.HTTPClient().Transport.RoundTrip(r)
		})))(t.Context(), row.at)
		must(t, err)
		if len(hosts) != 2 || hosts[0] != row.sts {
			t.Errorf("called %q, want %s", hosts, row.sts)
		}
		assumed := box.STS.Assumed()
		got := assumed[len(assumed)-1]
		got.AccessKeyID = ""
		want := sandbox.AssumedRole{
			Region: row.at.Region, RoleARN: role, SessionName: row.session, ExternalID: row.externalID,
		}
		if got != want {
			t.Errorf("assumed %+v, want %+v", got, want)
		}
	}
}

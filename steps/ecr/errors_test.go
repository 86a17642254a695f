package ecr_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	for _, row := range []struct {
		code, message string
		want          failure.Kind
		permanent     bool
	}{
		{"ThrottlingException", "Rate exceeded", ecr.Throttled, false},
		{"InvalidSignatureException", "Signature expired: 1 is now earlier than 2", ecr.ClockSkew, true},
		{"InvalidSignatureException", "Signature not yet current: 2 is still later than 1", ecr.ClockSkew, true},
		{"InvalidSignatureException", "The request signature we calculated does not match", ecr.BadKeys, true},
		{"InvalidClientTokenId", "The security token included in the request is invalid", ecr.BadKeys, true},
		{"ExpiredTokenException", "The security token included in the request is expired", ecr.SessionExpired, true},
		{"InvalidParameterException", "Invalid parameter", ecr.WrongAccountOrRegion, true},
		{"ServerException", "", ecr.Unavailable, false},
	} {
		box.ECR.Clear()
		box.ECR.Inject(sandbox.Fault{Status: 400, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
			Body: fmt.Sprintf(`{"__type":%q,"message":%q}`, row.code, row.message)})
		_, err := ecr.New(settings(box, box.HTTPClient().Transport))(t.Context(), source)
		says := strings.TrimSuffix("AWS answered "+row.code+": "+row.message, ": ")
		if wantFailure(t, err, row.want, row.permanent, says); fmt.Sprint(err) != says {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

// The permission that is missing is that of the innermost call.
func TestDenials(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		source ecr.Source
		kind   failure.Kind
		want   string
	}{
		{ecr.Source{Service: ecr.Public, Region: region}, ecr.AccessDenied,
			"ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"},
		{assuming(region, ecr.Identity{}), ecr.RoleDenied, "sts:AssumeRole"},
	} {
		box := newSandbox(t)
		box.ECR.DenyBearerToken(true)
		box.STS.SetExternalID("another")
		_, err := ecr.New(settings(box, box.HTTPClient().Transport))(t.Context(), row.source)
		wantFailure(t, err, row.kind, true, "AWS answered AccessDenied")
		if _, facts := failure.Describe(err); facts.Want != row.want {
			t.Errorf("wants %q, not %q", facts.Want, row.want)
		}
	}
}

// serve returns the URL of a server that answers to a method as written; -1 hangs, and 0 for PUT serves nobody.
func serve(t *testing.T, form, body string, put, get int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := get
		if r.Method == http.MethodPut {
			status = put
		}
		if status < 0 {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", form)
		w.Header().Set("Location", "https://elsewhere.example.com/?S3CRET")
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	if put == 0 {
		server.Close()
	}
	return server.URL
}

// The answer of the instance metadata service tells no service, no role and a hop limit that is too low apart.
func TestMetadataService(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		put, get  int
		wait      time.Duration
		kind      failure.Kind
		permanent bool
		says      string
	}{
		{405, 401, time.Minute, ecr.HopLimit, true, "session token of the instance metadata service"},
		{403, 403, time.Minute, ecr.NoCredentials, true, "the instance metadata service answered 403"},
		{200, 404, time.Minute, ecr.NoCredentials, true, "this instance has no role"},
		{200, 500, time.Minute, ecr.Unavailable, false, "the instance metadata service answered 500"},
		{-1, 401, time.Second / 4, ecr.HopLimit, true, "does not arrive"},
		{0, 0, time.Minute, ecr.NoCredentials, true, "the instance metadata service does not answer"},
	} {
		options := imds.Options{Endpoint: serve(t, "text/plain", "t", row.put, row.get), Retryer: aws.NopRetryer{}}
		provider := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = imds.New(options) })
		ctx, cancel := context.WithTimeout(t.Context(), row.wait)
		defer cancel()
		_, err := tokenBy(provider)(ctx, source)
		wantFailure(t, err, row.kind, row.permanent, row.says)
	}
}

// ECS and EKS serve a container's role at an address of its own. A body of unknown form is not repeated.
func TestContainerEndpoint(t *testing.T) {
	t.Parallel()
	const denied = `{"code":"AccessDeniedException","message":"no"}`
	for _, row := range []struct {
		status     int
		form, body string
		kind       failure.Kind
		permanent  bool
		says       string
	}{
		{403, "text/plain", "S3CRET", ecr.ContainerEndpoint, true, "the container's credential endpoint answered 403"},
		{400, "application/json", denied, ecr.ContainerEndpoint, true, "answered 400 AccessDeniedException: no"},
		{500, "application/json", denied, ecr.Unavailable, false, "credential endpoint answered 500"},
	} {
		provider := endpointcreds.New(serve(t, row.form, row.body, -1, row.status), once)
		_, err := tokenBy(provider)(t.Context(), source)
		wantFailure(t, err, row.kind, row.permanent, row.says)
	}
	_, err := tokenBy(endpointcreds.New(serve(t, "", "", 0, 0), once))(t.Context(), source)
	wantFailure(t, err, failure.Unreachable, false, "the container's credential endpoint: dial tcp")
}

func once(o *endpointcreds.Options) { o.Retryer = aws.NopRetryer{} }

func tokenBy(provider aws.CredentialsProvider) ecr.GetToken {
	return ecr.New(func(context.Context, string) (aws.Config, error) {
		return aws.Config{Retryer: never, Credentials: provider}, nil
	})
}

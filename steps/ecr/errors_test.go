package ecr_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

const hangs = -1

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	for _, row := range []struct {
		code, message string
		want          failure.Kind
		permanent     bool
	}{
		{"AccessDeniedException", "not authorized", ecr.AccessDenied, true},
		{"ThrottlingException", "Rate exceeded", ecr.Throttled, false},
		{"TooManyRequestsException", "Too many requests", ecr.Throttled, false},
		{"InvalidSignatureException", "Signature expired: 1 is now earlier than 2", ecr.ClockSkew, true},
		{"InvalidSignatureException", "Signature not yet current: 2 is still later than 1", ecr.ClockSkew, true},
		{"InvalidSignatureException", "The request signature we calculated does not match", ecr.BadKeys, true},
		{"UnrecognizedClientException", "The security token included in the request is invalid", ecr.BadKeys, true},
		{"ExpiredTokenException", "The security token included in the request is expired", ecr.SessionExpired, true},
		{"InvalidParameterException", "Invalid parameter", ecr.WrongAccountOrRegion, true},
		{"ServerException", "internal", ecr.Unavailable, false},
		{"ServerException", "", ecr.Unavailable, false},
	} {
		box.ECR.Clear()
		box.ECR.Inject(sandbox.Fault{Status: 400, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
			Body: fmt.Sprintf(`{"__type":%q,"message":%q}`, row.code, row.message)})
		_, err := ecr.New(settings(box, box.HTTPClient().Transport))(t.Context(), source)
		wantFailure(t, err, row.want, row.permanent, "AWS answered "+row.code)
		if named := strings.HasSuffix(err.Error(), row.code); named != (row.message == "") {
			t.Errorf("%q", err)
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
		{source, ecr.AccessDenied, "ecr:GetAuthorizationToken"},
		{ecr.Source{Service: ecr.Public, Region: region}, ecr.AccessDenied,
			"ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"},
		{sourceOf(t, `"account":"123456789012","region":"us-east-1","role_arn":"`+role+`"`),
			ecr.RoleDenied, "sts:AssumeRole"},
	} {
		box := newSandbox(t)
		box.ECR.DenyBearerToken(true)
		box.ECR.Deny(row.source == source)
		box.STS.SetExternalID("another")
		_, err := ecr.New(settings(box, box.HTTPClient().Transport))(t.Context(), row.source)
		wantFailure(t, err, row.kind, true, "AWS answered AccessDenied")
		if _, facts := failure.Describe(err); facts.Want != row.want {
			t.Errorf("wants %q, not %q", facts.Want, row.want)
		}
	}
}

// Something other than AWS answers. Its words are not repeated, and no redirect is followed.
func TestAnswersThatAreNotOfAWS(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status    int
		body      string
		kind      failure.Kind
		permanent bool
		says      string
	}{
		{200, "<html>S3CRET</html>", ecr.NotAWS, false, "ECR answered 200 with something that is not AWS's JSON"},
		{200, `{"a":"` + strings.Repeat("x", 1<<20) + `"}`, ecr.NotAWS, false, "ECR's answer is longer than 1 MiB"},
		{300, "S3CRET", ecr.NotAWS, true, "ECR answered 300, a redirect to"},
		{302, "S3CRET", ecr.NotAWS, true, `ECR answered 302, a redirect to "elsewhere.example.com"`},
		{399, "S3CRET", ecr.NotAWS, true, "ECR answered 399, a redirect to"},
		{404, "S3CRET", ecr.NotAWS, false, "ECR answered 404 with something that is not AWS's JSON"},
		{429, "S3CRET", ecr.Unavailable, false, "ECR answered 429 Too Many Requests"},
		{500, "S3CRET", ecr.Unavailable, false, "ECR answered 500 Internal Server Error"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example.com/?S3CRET")
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body)
		}))
		t.Cleanup(server.Close)
		at := source
		at.Endpoint = server.URL
		_, err := ecr.New(func(ctx context.Context, profile string) (aws.Config, error) {
			cfg, err := ecr.DefaultConfig(nil, nil, discard)(ctx, profile)
			cfg.Credentials = anyone
			// The SDK closes the body of a request that is answered, now and then before it is sent, and with it the
			// connection: then it repeats the call. Its own retryer repeats no answer of 200.
			if row.status != http.StatusOK {
				cfg.Retryer = never
			}
			return cfg, err
		})(t.Context(), at)
		wantFailure(t, err, row.kind, row.permanent, row.says)
	}
}

// The answer of the instance metadata service tells no service, no role and a hop limit that is too low apart.
func TestMetadataService(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		put, get  int
		kind      failure.Kind
		permanent bool
		says      string
	}{
		{405, 401, ecr.HopLimit, true, "the session token of the instance metadata service does not arrive"},
		{403, 403, ecr.NoCredentials, true, "answered 403"},
		{200, 404, ecr.NoCredentials, true, "this instance has no role"},
		{200, 429, ecr.Unavailable, false, "answered 429"},
		{200, 500, ecr.Unavailable, false, "answered 500"},
		{hangs, 401, ecr.HopLimit, true, "does not arrive"},
		{0, 0, ecr.NoCredentials, true, "the instance metadata service does not answer"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && row.put == hangs {
				<-r.Context().Done()
				return
			}
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			w.WriteHeader(map[string]int{"PUT": row.put, "GET": row.get}[r.Method])
			_, _ = io.WriteString(w, "t")
		}))
		t.Cleanup(server.Close)
		if row.put == 0 {
			server.Close()
		}
		options := imds.Options{Endpoint: server.URL}
		if row.put != hangs { // else the SDK tries again for 5 s
			options.Retryer = aws.NopRetryer{}
		}
		provider := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = imds.New(options) })
		_, err := tokenBy(provider)(t.Context(), source)
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
		{403, "text/plain", "S3CRET", ecr.ContainerEndpoint, true, "credential endpoint answered 403"},
		{400, "application/json", denied, ecr.ContainerEndpoint, true, "answered 400 AccessDeniedException: no"},
		{429, "text/plain", "S3CRET", ecr.Unavailable, false, "credential endpoint answered 429"},
		{500, "text/plain", "S3CRET", ecr.Unavailable, false, "credential endpoint answered 500"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", row.form)
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.body)
		}))
		t.Cleanup(server.Close)
		_, err := tokenBy(endpointcreds.New(server.URL, once))(t.Context(), source)
		wantFailure(t, err, row.kind, row.permanent, row.says)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	_, err := tokenBy(endpointcreds.New(closed.URL, once))(t.Context(), source)
	if failure.IsPermanent(err) || !strings.Contains(fmt.Sprint(err), "the container's credential endpoint: dial tcp") {
		t.Errorf("%v", err)
	}
}

func once(o *endpointcreds.Options) { o.Retryer = aws.NopRetryer{} }

func tokenBy(provider aws.CredentialsProvider) ecr.GetToken {
	return ecr.New(func(context.Context, string) (aws.Config, error) {
		return aws.Config{Retryer: never, Credentials: provider}, nil
	})
}

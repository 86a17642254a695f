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
		{"ThrottlingException", "Rate exceeded", ecr.Unavailable, false},
		{"InvalidSignatureException", "Signature expired: 1 is now earlier than 2", ecr.BadKeys, true},
		{"InvalidSignatureException", "Signature not yet current: 2 is still later than 1", ecr.BadKeys, true},
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
	box := newSandbox(t)
	box.ECR.DenyBearerToken(true)
	box.STS.SetExternalID("another")
	get := ecr.New(settings(box, box.HTTPClient().Transport))
	for want, of := range map[string]ecr.Source{
		"ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken": {Service: ecr.Public, Region: region},
		"sts:AssumeRole": assuming(region, ecr.Identity{}),
	} {
		_, err := get(t.Context(), of)
		kind := map[bool]failure.Kind{true: ecr.AccessDenied, false: ecr.RoleDenied}[of.Service == ecr.Public]
		wantFailure(t, err, kind, true, "AWS answered AccessDenied")
		if _, facts := failure.Describe(err); facts.Want != want {
			t.Errorf("wants %q, not %q", facts.Want, want)
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

// The answers of the instance metadata service tell no service, no role and a hop limit that is too low apart. ECS and
// EKS serve a container's role at an address of its own. A body of unknown form is not repeated.
func TestCredentialsOfAMachine(t *testing.T) {
	t.Parallel()
	instance := func(url string) aws.CredentialsProvider {
		client := imds.New(imds.Options{Endpoint: url, Retryer: never()})
		return ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client })
	}
	container := func(url string) aws.CredentialsProvider {
		return endpointcreds.New(url, func(o *endpointcreds.Options) { o.Retryer = never() })
	}
	const denied = `{"code":"AccessDeniedException","message":"no"}`
	for _, row := range []struct {
		from      func(url string) aws.CredentialsProvider
		put, get  int
		body      string
		kind      failure.Kind
		permanent bool
		says      string
	}{
		{instance, 405, 401, "t", ecr.NoCredentials, true, "session token of the instance metadata service"},
		{instance, 403, 403, "t", ecr.NoCredentials, true, "the instance metadata service answered 403"},
		{instance, 200, 404, "t", ecr.NoCredentials, true, "this instance has no role"},
		{instance, 200, 500, "t", ecr.Unavailable, false, "the instance metadata service answered 500"},
		{instance, -1, 401, "t", ecr.NoCredentials, true, "does not arrive"},
		{instance, 0, 0, "", ecr.NoCredentials, true, "the instance metadata service does not answer"},
		{container, -1, 403, "S3CRET", ecr.ContainerEndpoint, true, "the container's credential endpoint answered 403"},
		{container, -1, 400, denied, ecr.ContainerEndpoint, true, "answered 400 AccessDeniedException: no"},
		{container, -1, 500, denied, ecr.Unavailable, false, "credential endpoint answered 500"},
		{container, 0, 0, "", failure.Unreachable, false, "the container's credential endpoint: dial tcp"},
	} {
		t.Run(row.says, func(t *testing.T) {
			t.Parallel()
			form := map[bool]string{true: "application/json", false: "text/plain"}[row.body == denied]
			wait := map[bool]time.Duration{true: time.Second / 4, false: time.Minute}[row.says == "does not arrive"]
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			_, err := tokenBy(row.from(serve(t, form, row.body, row.put, row.get)))(ctx, source)
			wantFailure(t, err, row.kind, row.permanent, row.says)
		})
	}
}

func tokenBy(provider aws.CredentialsProvider) ecr.GetToken {
	return ecr.New(func(context.Context, string, string) (aws.Config, error) {
		return aws.Config{Retryer: never, Credentials: provider}, nil
	})
}

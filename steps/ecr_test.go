package steps_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps"
	"ecr-refresh/steps/failure"
)

// What the instance's metadata service answers tells no service, no role and a hop limit that is too low apart.
func TestECRTellsWhyThereAreNoCredentials(t *testing.T) {
	t.Parallel()
	const hangs = -1
	for _, row := range []struct {
		put, get   int
		says, hint string
	}{
		{405, 401, "its session token does not arrive", "hop limit to 2"},
		{403, 403, "answers 403", "AWS_PROFILE"},
		{200, 404, "this instance has no role", "attach a role"},
		{hangs, 401, "does not answer in time", "hop limit to 2"},
		{0, 0, "no instance metadata service answers", "AWS_PROFILE"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" && row.put == hangs {
				<-r.Context().Done()
				return
			}
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			w.WriteHeader(map[string]int{"PUT": row.put, "GET": row.get}[r.Method])
			_, _ = io.WriteString(w, "t")
		}))
		defer server.Close()
		if row.put == 0 {
			server.Close()
		}
		metadata := imds.Options{Endpoint: server.URL}
		if row.put != hangs { // else the SDK tries again for 5 s
			metadata.Retryer = aws.NopRetryer{}
		}
		ecr := steps.NewECR(func(context.Context, string) (aws.Config, error) {
			return aws.Config{Credentials: ec2rolecreds.New(func(o *ec2rolecreds.Options) {
				o.Client = imds.New(metadata)
			})}, nil
		})
		_, err := ecr(t.Context(), steps.TokenSource{Service: steps.ServiceECR, Region: region})
		wantError(t, err, row.says)
		if !failure.IsPermanent(err) {
			t.Errorf("%v: may pass", err)
		}
		wantHint(t, err, row.hint)
	}
}

// A throttled call, a clock and a key are different troubles.
func TestECRTellsThrottlingClockAndServiceApart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, row := range []struct{ code, message, hint string }{
		{"ThrottlingException", "Rate exceeded", "20 calls a second"},
		{"TooManyRequestsException", "Too many requests", "20 calls a second"},
		{"InvalidSignatureException", "Signature expired: 20261123T175503Z is now earlier than 20261123T181003Z", "set this machine's clock"},
		{"InvalidSignatureException", "Signature not yet current: 20261123T175503Z is still later than 20261123T174003Z", "set this machine's clock"},
		{"InvalidSignatureException", "The request signature we calculated does not match", "look at the access key"},
		{"AccessDeniedException", "not authorized", "allow ecr:GetAuthorizationToken"},
		{"ServerException", "internal", "wait and run it again"},
	} {
		f.box.ECR.Clear()
		f.box.ECR.Inject(sandbox.Fault{Status: 400, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
			Body: `{"__type":"` + row.code + `","message":"` + row.message + `"}`})
		_, err := f.ecr(t.Context(), steps.TokenSource{Service: steps.ServiceECR, Region: region})
		wantError(t, err, row.code)
		wantHint(t, err, row.hint)
	}
}

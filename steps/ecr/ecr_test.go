package ecr_test

import (
	"context"
	"crypto/sha1" // #nosec G505 -- names a file of AWS's
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/trust"
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
		{200, 503, "answers 503", "run it again"},
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
		ecr := ecr.New(func(context.Context, string) (aws.Config, error) {
			return aws.Config{Retryer: once, Credentials: ec2rolecreds.New(func(o *ec2rolecreds.Options) {
				o.Client = imds.New(metadata)
			})}, nil
		})
		_, err := ecr(t.Context(), ecr.Source{Service: ecr.Private, Region: region})
		wantError(t, err, row.says)
		if failure.IsPermanent(err) != (row.get < 500) {
			t.Errorf("%v: permanent %v", err, failure.IsPermanent(err))
		}
		wantHint(t, err, row.hint)
	}
}

// ECS and EKS give a container its role at an address of its own. What answers there in words of its own is not repeated.
func TestECRTellsWhatAContainersEndpointAnswers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status             int
		kind, answer       string
		says, hint, hidden string
		permanent          bool
	}{
		{403, "text/plain", "S3CRET", "credential endpoint answered 403", "Pod Identity association", "S3CRET", true},
		{400, "application/json", `{"code":"AccessDeniedException","message":"no"}`, "answered 400 AccessDeniedException: no", "Pod Identity association", "", true},
		{500, "text/plain", "S3CRET", "credential endpoint answered 500", "run it again", "S3CRET", false},
		{0, "", "", "reach the container's credential endpoint: dial tcp", "NO_PROXY", "ECR", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", row.kind)
			w.WriteHeader(row.status)
			_, _ = io.WriteString(w, row.answer)
		}))
		defer server.Close()
		if row.status == 0 {
			server.Close()
		}
		ecr := ecr.New(func(context.Context, string) (aws.Config, error) {
			return aws.Config{Retryer: once, Credentials: endpointcreds.New(server.URL, func(o *endpointcreds.Options) { o.Retryer = aws.NopRetryer{} })}, nil
		})
		_, err := ecr(t.Context(), ecr.Source{Service: ecr.Private, Region: region})
		wantError(t, err, row.says)
		wantHint(t, err, row.hint)
		if failure.IsPermanent(err) != row.permanent || row.hidden != "" && strings.Contains(err.Error(), row.hidden) {
			t.Errorf("permanent %v: %q", failure.IsPermanent(err), err)
		}
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
		_, err := f.ecr(t.Context(), ecr.Source{Service: ecr.Private, Region: region})
		wantError(t, err, row.code)
		wantHint(t, err, row.hint)
	}
}

// What is wrong with a source of credentials tells what to do, and that no retry helps.
func TestECRTellsSourcesOfCredentialsApart(t *testing.T) { // not parallel: the sources are named in the environment
	xml := func(code string) string {
		return "<ErrorResponse><Error><Code>" + code + "</Code></Error></ErrorResponse>"
	}
	json := func(code string) string { return `{"code":"` + code + `"}` }
	for _, row := range []struct {
		name, source string
		status       int
		answer       string
		says, hint   string
	}{
		{"SSO session", "sso", 401, json("UnauthorizedException"), "UnauthorizedException", "aws sso login"},
		{"SSO role", "sso", 403, json("ForbiddenException"), "ForbiddenException", "aws sso login"},
		{"SSO refresh", "session", 400, json("InvalidGrantException"), "InvalidGrantException", "aws sso login"},
		{"SSO expired", "expired", 0, "", "has expired or is invalid", "aws sso login"},
		{"SSO never", "never", 0, "", "get AWS credentials: failed to refresh", "aws sso login"},
		{"process", "process", 0, "", "credential_process failed: run it by hand", "AWS_PROFILE"},
		{"file of a token", "processing", 0, "", "unable to read file at /", "AWS_PROFILE"},
		{"token of no provider", "web", 400, xml("InvalidIdentityToken"), "InvalidIdentityToken", "trust policy take"},
		{"token refused", "web", 403, xml("IDPRejectedClaim"), "IDPRejectedClaim", "trust policy take"},
		{"role refused", "web", 403, xml("AccessDenied"), "AccessDenied", "trust policy take"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.answer)
			}))
			defer server.Close()
			if row.status == 0 {
				server.Close()
			}
			credentialsFrom(t, row.source, server.URL)
			ecr := ecr.New(ecr.DefaultConfig(noRoots(t), slog.New(slog.DiscardHandler)))
			_, err := ecr(t.Context(), ecr.Source{Service: ecr.Private, Region: region})
			wantError(t, err, row.says)
			wantHint(t, err, row.hint)
			if !failure.IsPermanent(err) || strings.HasSuffix(err.Error(), ": ") || strings.Contains(err.Error(), "S3CRET") {
				t.Errorf("permanent %v: %q", failure.IsPermanent(err), err)
			}
		})
	}
}

// once lets AWS's SDK try no call again.
func once() aws.Retryer { return aws.NopRetryer{} }

// credentialsFrom makes AWS's SDK ask a source at url.
func credentialsFrom(t *testing.T, source, url string) {
	t.Helper()
	home := t.TempDir()
	for name, text := range map[string]string{
		"HOME": home, "AWS_CONFIG_FILE": filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "none"),
		"AWS_MAX_ATTEMPTS": "1", "AWS_ENDPOINT_URL_STS": url, "AWS_ENDPOINT_URL_SSO": url, "AWS_ENDPOINT_URL_SSO_OIDC": url,
	} {
		t.Setenv(name, text)
	}
	switch source {
	case "sso", "session", "expired", "never", "process":
		t.Setenv("AWS_PROFILE", source)
	case "processing":
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::"+account+":role/pull")
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, "processing", "token"))
	case "web":
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::"+account+":role/pull")
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, "config"))
	}
	profile := func(name string) string {
		return "[profile " + name + "]\nsso_region = us-east-1\nsso_account_id = " + account + "\nsso_role_name = pull\nsso_start_url = " + name + "\n"
	}
	must(t, os.WriteFile(filepath.Join(home, "config"), []byte(profile("sso")+profile("expired")+profile("never")+
		"[profile process]\ncredential_process = echo S3CRET\n"+
		"[profile session]\nsso_session = session\nsso_account_id = "+account+"\nsso_role_name = pull\n"+
		"[sso-session session]\nsso_region = us-east-1\nsso_start_url = session\n"), 0o600))
	cache := filepath.Join(home, ".aws", "sso", "cache")
	must(t, os.MkdirAll(cache, 0o700))
	for name, expires := range map[string]string{"sso": "2100-01-01T00:00:00Z", "session": "2000-01-01T00:00:00Z", "expired": "2000-01-01T00:00:00Z"} {
		must(t, os.WriteFile(filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte(name)))), // #nosec G401 -- as AWS names it
			[]byte(`{"accessToken":"t","refreshToken":"t","clientId":"c","clientSecret":"s","expiresAt":"`+expires+`","registrationExpiresAt":"2100-01-01T00:00:00Z"}`), 0o600))
	}
}

func noRoots(t *testing.T) *trust.Roots {
	t.Helper()
	roots, err := trust.New(nil, nil)
	must(t, err)
	return roots
}

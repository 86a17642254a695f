package ecr_test

import (
	"crypto/sha1" // #nosec G505 -- names a file of AWS's
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"
	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

// authority is an authority with a server that answers as ECR does.
type authority struct {
	pem []byte
	url string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	ca, err := sandbox.NewAuthority()
	must(t, err)
	leaf, err := ca.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost")
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, `{"authorizationData":[{"authorizationToken":"QVdTOnA=","expiresAt":4000000000}]}`)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*leaf}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return authority{ca.PEM(), strings.Replace(server.URL, "127.0.0.1", "localhost", 1)}
}

func pool(authorities ...authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AppendCertsFromPEM(a.pem)
	}
	return pool
}

// AWS_CA_BUNDLE and a profile's ca_bundle replace the system's certificates; those that are added stay.
func TestCertificates(t *testing.T) { // not parallel: AWS's settings come from the environment
	system, bundle, extra := newAuthority(t), newAuthority(t), newAuthority(t)
	home := t.TempDir()
	file := filepath.Join(home, "bundle.pem")
	must(t, os.WriteFile(file, bundle.pem, 0o600))
	must(t, os.WriteFile(filepath.Join(home, "config"), []byte("[profile bundled]\nca_bundle = "+file+
		"\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = none\n"), 0o600))
	for _, row := range []struct {
		name, env, profile string
		extra              []authority
		trusted            []authority
		rejected           []authority
	}{
		{"system and extra", "", "", []authority{extra}, []authority{system, extra}, []authority{bundle}},
		{"AWS_CA_BUNDLE and extra", file, "", []authority{extra}, []authority{bundle, extra}, []authority{system}},
		{"the same twice", file, "", []authority{bundle}, []authority{bundle}, []authority{system, extra}},
		{"ca_bundle and extra", "", "bundled", []authority{extra}, []authority{bundle, extra}, []authority{system}},
	} {
		t.Run(row.name, func(t *testing.T) {
			awsHome(t, home)
			t.Setenv("AWS_CA_BUNDLE", row.env)
			var pem []byte
			for _, a := range row.extra {
				pem = a.pem
			}
			get := ecr.New(ecr.DefaultConfig(pool(append(row.extra, system)...), pem, discard))
			ask := func(a authority) error {
				at := source
				at.Endpoint, at.Profile = a.url, row.profile
				_, err := get(t.Context(), at)
				return err
			}
			for i, a := range row.trusted {
				if err := ask(a); err != nil {
					t.Errorf("trusted %d: %v", i, err)
				}
			}
			for i, a := range row.rejected {
				if err := ask(a); !failure.IsPermanent(err) || !strings.Contains(err.Error(), "unknown authority") {
					t.Errorf("rejected %d: %v", i, err)
				}
			}
		})
	}
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(home, "nowhere"))
	_, err := ecr.New(ecr.DefaultConfig(nil, nil, discard))(t.Context(), source)
	wantFailure(t, err, ecr.BadConfig, true, "load AWS configuration: ")
}

// awsHome makes the AWS SDK read its settings from dir, with static keys.
func awsHome(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{
		"HOME": dir, "AWS_CONFIG_FILE": filepath.Join(dir, "config"),
		"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"),
		"AWS_MAX_ATTEMPTS":            "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "", "AWS_CA_BUNDLE": "",
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "none",
	} {
		t.Setenv(name, text)
	}
}

func TestSourcesOfCredentials(t *testing.T) { // not parallel: the sources are named in the environment
	xml := func(code string) string {
		return "<ErrorResponse><Error><Code>" + code + "</Code></Error></ErrorResponse>"
	}
	for _, row := range []struct {
		source string
		status int
		answer string
		says   string
		kind   failure.Kind
	}{
		{"sso", 401, `{"code":"UnauthorizedException"}`, "UnauthorizedException", ecr.SSOLogin},
		{"sso", 403, `{"code":"ForbiddenException"}`, "ForbiddenException", ecr.SSOLogin},
		{"session", 400, `{"code":"InvalidGrantException"}`, "InvalidGrantException", ecr.SSOLogin},
		{"expired", 0, "", "has expired or is invalid", ecr.SSOLogin},
		{"process", 0, "", "get AWS credentials: credential_process failed", ecr.ProcessFailed},
		{"processing", 0, "", "unable to read file at /", ecr.NoCredentials},
		{"web", 400, xml("InvalidIdentityToken"), "InvalidIdentityToken", ecr.WebIdentityDenied},
		{"web", 403, xml("AccessDenied"), "AccessDenied", ecr.WebIdentityDenied},
	} {
		credentialsFrom(t, row.source, serve(t, "", row.answer, row.status, row.status))
		_, err := ecr.New(ecr.DefaultConfig(x509.NewCertPool(), nil, discard))(t.Context(), source)
		wantFailure(t, err, row.kind, true, row.says)
	}
}

// credentialsFrom makes the AWS SDK get credentials from a source at url.
func credentialsFrom(t *testing.T, source, url string) {
	t.Helper()
	home := t.TempDir()
	awsHome(t, home)
	const of = "sso_account_id = 123456789012\nsso_role_name = pull\n"
	const portal = "sso_region = us-east-1\nsso_start_url = "
	must(t, os.WriteFile(filepath.Join(home, "config"), []byte("[profile sso]\n"+portal+"sso\n"+of+
		"[profile expired]\n"+portal+"expired\n"+of+"[profile process]\ncredential_process = echo S3CRET\n"+
		"[profile session]\nsso_session = session\n"+of+"[sso-session session]\n"+portal+"session\n"), 0o600))
	cache := filepath.Join(home, ".aws", "sso", "cache")
	must(t, os.MkdirAll(cache, 0o700))
	for name, year := range map[string]int{"sso": 2100, "session": 2000, "expired": 2000} {
		text := fmt.Sprintf(`{"accessToken":"t","refreshToken":"t","clientId":"c","clientSecret":"s",`+
			`"expiresAt":"%d-01-01T00:00:00Z","registrationExpiresAt":"2100-01-01T00:00:00Z"}`, year)
		at := filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte(name)))) // #nosec G401 -- as AWS names it
		must(t, os.WriteFile(at, []byte(text), 0o600))
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC"} {
		t.Setenv(name, url)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if file, web := map[string]string{"web": "config", "processing": "processing/token"}[source]; web {
		t.Setenv("AWS_ROLE_ARN", role)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, file))
		return
	}
	t.Setenv("AWS_ROLE_ARN", "")
	t.Setenv("AWS_PROFILE", source)
}

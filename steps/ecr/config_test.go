package ecr_test

import (
	"cmp"
	"context"
	"crypto/sha1" // #nosec G505 -- names a file of AWS's
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ecr-refresh/steps/ecr"
	"ecr-refresh/steps/failure"
)

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
		{"processing", 0, "", "get AWS credentials: web identity, unable to read file at /", ecr.NoTokenFile},
		{"web", 400, xml("InvalidIdentityToken"), "InvalidIdentityToken", ecr.WebIdentityDenied},
		{"web", 403, xml("AccessDenied"), "AccessDenied", ecr.WebIdentityDenied},
	} {
		credentialsFrom(t, row.source, serve(t, "", row.answer, row.status, row.status))
		_, err := ecr.New(ecr.DefaultConfig(x509.NewCertPool(), nil, anyURL, discard))(t.Context(), source)
		wantFailure(t, err, row.kind, true, row.says)
	}
}

// credentialsFrom makes the AWS SDK get credentials from a source at url.
func credentialsFrom(t *testing.T, source, url string) {
	t.Helper()
	home := t.TempDir()
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
	for name, value := range map[string]string{
		"HOME": home, "AWS_CONFIG_FILE": filepath.Join(home, "config"), "AWS_PROFILE": source,
		"AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "none"), "AWS_MAX_ATTEMPTS": "1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_ENDPOINT_URL_STS": url, "AWS_ENDPOINT_URL_SSO": url, "AWS_ENDPOINT_URL_SSO_OIDC": url, "AWS_ROLE_ARN": "",
	} {
		t.Setenv(name, value)
	}
	if file, web := map[string]string{"web": "config", "processing": "processing/token"}[source]; web {
		t.Setenv("AWS_PROFILE", "")
		t.Setenv("AWS_ROLE_ARN", role)
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", filepath.Join(home, file))
	}
}

// The places where botocore finds an STS that Go's SDK alone does not.
func TestSTS(t *testing.T) { // not parallel: the environment
	const answer = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId>` +
		`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>` +
		`<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	profiles := "[profile role]\nrole_arn = " + role + "\nsource_profile = keys\n" +
		"[profile keys]\naws_access_key_id = a\naws_secret_access_key = s\n"
	for name, environment := range map[string]map[string]string{
		"no region":           {"AWS_PROFILE": "role"},
		"web":                 {"AWS_PROFILE": "", "AWS_ROLE_ARN": role},
		"FIPS":                {"AWS_PROFILE": "role", "AWS_USE_FIPS_ENDPOINT": "true"},
		"dual-stack":          {"AWS_PROFILE": "", "AWS_ROLE_ARN": role, "AWS_USE_DUALSTACK_ENDPOINT": "true"},
		"one address for all": {"AWS_PROFILE": "role", "AWS_ENDPOINT_URL_STS": "", "AWS_USE_FIPS_ENDPOINT": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			file, text := filepath.Join(t.TempDir(), "config"), answer
			if environment["AWS_ROLE_ARN"] != "" {
				text = strings.ReplaceAll(answer, "AssumeRoleR", "AssumeRoleWithWebIdentityR")
				t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
			}
			url := serve(t, "", text, 200, 200)
			credentialsFrom(t, "role", url)
			must(t, os.WriteFile(file, []byte(profiles), 0o600))
			t.Setenv("AWS_CONFIG_FILE", file)
			t.Setenv("AWS_ENDPOINT_URL", url)
			for key, value := range environment {
				t.Setenv(key, value)
			}
			cfg, err := ecr.DefaultConfig(x509.NewCertPool(), nil, anyURL, discard)(t.Context(), "", "us-east-1")
			must(t, err)
			found, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil || found.SessionToken != "t" {
				t.Errorf("%v, %v", found.SessionToken, err)
			}
		})
	}
}

// anyURL allows all calls.
func anyURL(*url.URL) error { return nil }

// Every call to AWS is asked for before it is sent, whatever named its URL, but those to the addresses of AWS on this
// machine.
func TestEveryCallIsAskedFor(t *testing.T) { // not parallel: the environment
	const refused failure.Kind = "refused"
	for _, name := range strings.Fields("sso session web container instance profile services link-local") {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("%s was sent", r.URL)
			}))
			defer server.Close()
			credentialsFrom(t, name, server.URL)
			keys := "aws_access_key_id = a\naws_secret_access_key = s\n"
			switch name {
			case "container":
				t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL)
			case "link-local":
				t.Setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")
			case "instance":
				t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
				t.Setenv("AWS_EC2_METADATA_DISABLED", "")
			case "profile":
				keys += "endpoint_url = " + server.URL
			case "services":
				keys += "services = own\n[services own]\necr =\n  endpoint_url = " + server.URL
			}
			if slices.Contains(strings.Fields("container link-local instance profile services"), name) {
				if !strings.Contains(keys, "endpoint_url") {
					keys = ""
				}
				file := filepath.Join(t.TempDir(), "config")
				must(t, os.WriteFile(file, []byte("[profile "+name+"]\n"+keys), 0o600))
				t.Setenv("AWS_CONFIG_FILE", file)
			}
			asked := ""
			ask := func(to *url.URL) error {
				asked = to.Scheme + "://" + to.Host
				return failure.Permanent(refused, "no http")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if name == "link-local" {
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			_, err := ecr.New(ecr.DefaultConfig(x509.NewCertPool(), nil, ask, discard))(ctx, source)
			if name != "link-local" {
				wantFailure(t, err, refused, true, "no http")
			} else if asked != "" || err == nil {
				t.Errorf("asked for %s: %v", asked, err)
			}
			if name != "link-local" && asked != server.URL {
				t.Errorf("asked for %s", asked)
			}
		})
	}
}

// What a service that issues credentials repeats of the token that it was sent, in a header or in the body, is not
// shown.
func TestEchoedTokens(t *testing.T) { // not parallel: the environment
	token := "eyJ" + strings.Repeat("webIdentity", 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := cmp.Or(r.Header.Get("Authorization"), r.FormValue("WebIdentityToken"))
		form := map[string]string{http.MethodPost: "text/xml", http.MethodGet: "application/json"}[r.Method]
		w.Header().Set("Content-Type", form)
		w.WriteHeader(http.StatusForbidden)
		if r.Method == http.MethodPost {
			fmt.Fprintf(w, "<ErrorResponse><Error><Code>X</Code><Message>no %s</Message></Error></ErrorResponse>", sent)
			return
		}
		fmt.Fprintf(w, `{"code":"X","message":"no %s"}`, sent)
	}))
	defer server.Close()
	for _, name := range []string{"web", "container"} {
		credentialsFrom(t, name, server.URL)
		file := filepath.Join(t.TempDir(), "token")
		must(t, os.WriteFile(file, []byte(token+name), 0o600))
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
		if name == "container" {
			empty := filepath.Join(t.TempDir(), "config")
			must(t, os.WriteFile(empty, []byte("[profile container]"), 0o600))
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "")
			t.Setenv("AWS_CONFIG_FILE", empty)
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL)
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
		}
		_, err := ecr.New(ecr.DefaultConfig(x509.NewCertPool(), nil, anyURL, discard))(t.Context(), source)
		if text := fmt.Sprint(err); !strings.Contains(text, "no [redacted]") || strings.Contains(text, token[10:20]) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// An answer without an end, of whatever issues credentials, ends with an error.
func TestEndlessCredentials(t *testing.T) { // not parallel: the environment
	long := strings.Repeat("x", 1<<16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := map[string]string{http.MethodGet: `{"roleCredentials":{"accessKeyId":"`, http.MethodPut: "t",
			http.MethodPost: "<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>"}[r.Method]
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		for n, err := fmt.Fprint(w, text); err == nil && n > 1; n, err = fmt.Fprint(w, long) {
		}
	}))
	defer server.Close()
	for _, name := range []string{"web", "sso", "container", "instance"} {
		credentialsFrom(t, name, server.URL)
		if strings.HasPrefix(name, "c") || strings.HasPrefix(name, "i") {
			empty := filepath.Join(t.TempDir(), "config")
			must(t, os.WriteFile(empty, []byte("[profile "+name+"]"), 0o600))
			t.Setenv("AWS_CONFIG_FILE", empty)
		}
		if name == "container" {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.URL)
		} else if name == "instance" {
			t.Setenv("AWS_EC2_METADATA_DISABLED", "")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := ecr.New(ecr.DefaultConfig(x509.NewCertPool(), nil, anyURL, discard))(ctx, source)
		if err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// AWS's files that botocore can read, and what is said of those that nobody can.
func TestFiles(t *testing.T) { // not parallel: the environment
	const keys, open = "aws_access_key_id = a\naws_secret_access_key = s\n", "load AWS configuration: open "
	const mfa = "its profile asks for an MFA code (mfa_serial), which nobody enters here"
	const assume, legacy = "[profile p]\nrole_arn=" + role + "\nsource_profile=q\n", "retry_mode = legacy\n"
	const bom = " begins with a byte order mark (BOM)"
	const none = "no AWS credentials found in the environment or the AWS files"
	for name, row := range map[string]struct{ config, credentials, profile, says string }{
		"legacy":                {"[profile p]\n retry_mode=legacy \n" + keys, "", "p", ""},
		"legacy of another":     {"[profile p]\n" + keys + "[profile q]\n" + legacy, "", "p", ""},
		"legacy of a source":    {assume, "[q]\n" + legacy + keys, "p", ""},
		"legacy in both":        {"[profile p]\n" + legacy, "[p]\n" + legacy + keys, "p", ""},
		"as botocore, no other": {"[profile p]\nretry_mode = Legacy\n" + keys, "", "p", "unknown RetryMode, Legacy"},
		"a long file":           {strings.Repeat("# long\n", 20000) + "[profile p]\n" + legacy + keys, "", "p", ""},
		"MFA":                   {assume + "mfa_serial=m\n[profile q]\n" + keys, "", "p", mfa},
		"BOM":                   {"\ufeff[profile p]\n" + keys, "", "p", bom},
		"BOM, no profile":       {"", "\ufeff[default]\n" + keys, "", bom},
		"unreadable":            {"-", "", "p", open},
		"unreadable, no need":   {"-", "[default]\n" + keys, "", ""},
		"unreadable, no other":  {"", "-", "", open},
		"nothing":               {"", "", "", none},
	} {
		t.Run(name, func(t *testing.T) {
			credentialsFrom(t, row.profile, "")
			for env, text := range map[string]string{
				"AWS_CONFIG_FILE": row.config, "AWS_SHARED_CREDENTIALS_FILE": row.credentials,
			} {
				file := filepath.Join(t.TempDir(), "file")
				must(t, os.WriteFile(file, []byte(text), 0o600))
				if text == "-" { // below a file: root may read all else
					file = filepath.Join(file, "file")
				}
				t.Setenv(env, file)
			}
			cfg, err := ecr.DefaultConfig(x509.NewCertPool(), nil, anyURL, discard)(t.Context(), "", "us-east-1")
			if err == nil && row.says != "" {
				_, err = tokenBy(cfg.Credentials)(t.Context(), source)
			}
			if row.says == "" {
				must(t, err)
			} else if !strings.Contains(fmt.Sprint(err), row.says) || !failure.IsPermanent(err) {
				t.Errorf("%v, want %s", err, row.says)
			}
		})
	}
}

package sandbox_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// call is a signed call of ECR.
type call struct {
	credentials     aws.Credentials
	region, service string
	skew            time.Duration
	change          func(*http.Request) // after it was signed
}

func (f *fixture) signed(c call) *http.Request {
	f.t.Helper()
	request := f.request("POST", "https://api.ecr.us-east-1.amazonaws.com/", "{}", "Content-Type",
		"application/x-amz-json-1.1", "X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
	sum := sha256.Sum256([]byte("{}"))
	must(f.t, v4.NewSigner().SignHTTP(f.t.Context(), c.credentials, request, hex.EncodeToString(sum[:]), c.service,
		c.region, time.Now().Add(c.skew)))
	if c.change != nil {
		c.change(request)
	}
	return request
}

// token issues a token and returns its password.
func (f *fixture) token() string {
	f.t.Helper()
	do(f.t, f.http, f.signed(call{credentials: f.ECR.Credentials(), region: "us-east-1", service: "ecr"}))
	return f.ECR.LastToken().Password
}

func TestECRRejects(t *testing.T) {
	t.Parallel()
	s := start(t)
	credentials := s.ECR.Credentials()
	credentials.SessionToken = "session"
	s.ECR.SetCredentials(credentials)
	set := func(name, value string) func(*call) {
		return func(c *call) { c.change = func(r *http.Request) { r.Header.Set(name, value) } }
	}
	for want, change := range map[string]func(*call){
		`"proxyEndpoint":"https://123456789012.dkr.ecr.us-east-1.amazonaws.com"`: func(*call) {},
		"200":                          func(c *call) { c.skew = -14 * time.Minute },
		"authorizationData":            set("X-Amz-Meta", "added later"),
		"Signature expired":            func(c *call) { c.skew = -16 * time.Minute },
		"Signature not yet current":    func(c *call) { c.skew = 16 * time.Minute },
		"scoped to a valid region":     func(c *call) { c.region = "eu-west-1" },
		"scoped to correct service":    func(c *call) { c.service = "sts" },
		"InvalidSignatureException":    func(c *call) { c.credentials.SecretAccessKey += "x" },
		"UnrecognizedClientException":  func(c *call) { c.credentials.AccessKeyID = "AKIANOBODY" },
		"UnrecognizedClient":           func(c *call) { c.credentials.SessionToken = "another" },
		"requires existence":           set("X-Amz-Date", ""),
		"MissingAuthenticationToken":   set("Authorization", ""),
		"IncompleteSignatureException": set("Authorization", "AWS4-HMAC-SHA256 Credential=x"),
		"UnknownOperationException":    set("X-Amz-Target", "ListImages"),
		"UnknownOperation":             set("Content-Type", "application/cbor"),
		"request signature we calculated": func(c *call) {
			c.change = func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 }
		},
	} {
		c := call{credentials: credentials, region: "us-east-1", service: "ecr"}
		change(&c)
		if got := do(t, s.http, s.signed(c)); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// check asks a registry with credentials, or without any for an empty username.
func (f *fixture) check(host, username, password string) string {
	f.t.Helper()
	request := f.request("GET", "https://"+host+"/v2/", "")
	if username != "" {
		request.SetBasicAuth(username, password)
	}
	return do(f.t, f.http, request)
}

func TestRegistryVerifiesTheToken(t *testing.T) {
	t.Parallel()
	s := start(t)
	token, own := s.token(), s.RegistryHost()
	foreign := base64.StdEncoding.EncodeToString([]byte(`{"payload":"x"}`))
	for name, test := range map[string]struct{ host, username, password, want string }{
		"good":            {own, "AWS", token, "200 {}"},
		"another account": {"210987654321.dkr.ecr.us-east-1.amazonaws.com", "AWS", token, "200 {}"},
		"dual-stack":      {"123456789012.dkr-ecr.us-east-1.on.aws", "AWS", token, "200 {}"},
		"another region":  {"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS", token, "400 "},
		"mangled":         {own, "AWS", token[:100], "400 "},
		"not ours":        {own, "AWS", foreign, "403 Your Authorization Token is invalid."},
		"another user":    {own, "root", token, "401 Not Authorized"},
		"nobody":          {own, "", "", "401 Not Authorized"},
	} {
		if got := s.check(test.host, test.username, test.password); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
	s.ahead = 12*time.Hour - 10*time.Second
	before := s.check(own, "AWS", token)
	s.ahead = 12 * time.Hour
	if after := s.check(own, "AWS", token); before != "200 {}" || !strings.Contains(after, "has expired") {
		t.Errorf("%s, then %s", before, after)
	}
	last := s.Registry.Checks()[9]
	if want := (sandbox.Check{Host: own, Username: "AWS", Status: 403}); last != want {
		t.Errorf("check: %v", last)
	}
}

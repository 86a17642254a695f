package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"ecr-refresh/integration/sandbox"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
)

// ecrClient is AWS's own client, through the proxy.
func ecrClient(t *testing.T, s *sandbox.Sandbox, credentials aws.Credentials) *ecr.Client {
	client := s.HTTPClient()
	t.Cleanup(client.CloseIdleConnections)
	return ecr.New(ecr.Options{
		Region: "us-east-1", HTTPClient: client, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
	})
}

func TestECRGivesATokenThatTheRegistryTakes(t *testing.T) {
	now := time.Now()
	s := start(t, sandbox.Options{Now: func() time.Time { return now }})
	output, err := ecrClient(t, s, s.ECR.Credentials()).GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data := output.AuthorizationData[0]
	if got := *data.ProxyEndpoint; got != "https://123456789012.dkr.ecr.us-east-1.amazonaws.com" {
		t.Error(got)
	}
	if got := data.ExpiresAt.Sub(now); got.Round(time.Second) != 12*time.Hour {
		t.Errorf("valid for %v", got)
	}
	pair, err := base64.StdEncoding.DecodeString(*data.AuthorizationToken)
	username, password, _ := strings.Cut(string(pair), ":")
	if err != nil || username != "AWS" || len(password) < 2300 || len(password) > 2500 {
		t.Errorf("%q with %d characters, %v", username, len(password), err)
	}
	if last := s.ECR.LastToken(); last.Password != password || last.Region != "us-east-1" {
		t.Error("LastToken is another one")
	}
	if got, _ := checkV2(t, s, s.RegistryHost(), username, password); got != http.StatusOK {
		t.Errorf("registry: %d", got)
	}
}

func TestECRRefusals(t *testing.T) {
	type change = func(*sandbox.ECR, *aws.Credentials)
	for want, change := range map[string]change{
		"UnrecognizedClientException": func(_ *sandbox.ECR, c *aws.Credentials) { c.AccessKeyID = "AKIANOBODY" },
		"InvalidSignatureException":   func(_ *sandbox.ECR, c *aws.Credentials) { c.SecretAccessKey += "x" },
		"AccessDeniedException":       func(e *sandbox.ECR, _ *aws.Credentials) { e.Deny(true) },
		"ThrottlingException":         func(e *sandbox.ECR, _ *aws.Credentials) { e.Throttle(1) },
		"ExpiredTokenException":       func(e *sandbox.ECR, _ *aws.Credentials) { e.ExpireSession(true) },
	} {
		t.Run(want, func(t *testing.T) {
			s := start(t, sandbox.Options{})
			credentials := s.ECR.Credentials()
			change(s.ECR, &credentials)
			_, err := ecrClient(t, s, credentials).GetAuthorizationToken(t.Context(), nil)
			var api smithy.APIError
			if !errors.As(err, &api) || api.ErrorCode() != want {
				t.Fatalf("got %v", err)
			}
			var response *awshttp.ResponseError
			if !errors.As(err, &response) || response.HTTPStatusCode() != 400 || response.ServiceRequestID() == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestECRThrottlesSoManyTimes(t *testing.T) {
	s := start(t, sandbox.Options{})
	s.ECR.Throttle(1)
	client := ecrClient(t, s, s.ECR.Credentials())
	if _, err := client.GetAuthorizationToken(t.Context(), nil,
		func(o *ecr.Options) { o.RetryMaxAttempts = 2 }); err != nil {
		t.Error(err)
	}
	if got := s.ECR.Calls(); got != 2 {
		t.Errorf("%d calls", got)
	}
}

func TestECRSessionToken(t *testing.T) {
	s := start(t, sandbox.Options{})
	session := aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "session"}
	s.ECR.SetCredentials(session)
	if _, err := ecrClient(t, s, session).GetAuthorizationToken(t.Context(), nil); err != nil {
		t.Error(err)
	}
	session.SessionToken = "another"
	if _, err := ecrClient(t, s, session).GetAuthorizationToken(t.Context(), nil); err == nil {
		t.Error("took another session's token")
	}
	if environ(s.Environ(), "AWS_SESSION_TOKEN") != "session" {
		t.Error("AWS_SESSION_TOKEN is missing")
	}
}

func TestECRHandMadeRequests(t *testing.T) {
	s := start(t, sandbox.Options{})
	for _, test := range []struct {
		name, region, service string
		skew                  time.Duration
		change                func(*http.Request)
		want                  string
	}{
		{"good", "us-east-1", "ecr", 0, nil, "authorizationData"},
		{"a little late", "us-east-1", "ecr", -14 * time.Minute, nil, "authorizationData"},
		{"late", "us-east-1", "ecr", -16 * time.Minute, nil, "Signature expired"},
		{"early", "us-east-1", "ecr", 16 * time.Minute, nil, "Signature not yet current"},
		{"region", "eu-west-1", "ecr", 0, nil, "scoped to a valid region"},
		{"service", "us-east-1", "sts", 0, nil, "scoped to correct service"},
		{"header", "us-east-1", "ecr", 0, func(r *http.Request) { r.Header.Set("X-Amz-Meta", "added later") },
			"authorizationData"},
		{"date", "us-east-1", "ecr", 0, func(r *http.Request) { r.Header.Del("X-Amz-Date") },
			"IncompleteSignatureException"},
		{"unsigned", "us-east-1", "ecr", 0, func(r *http.Request) { r.Header.Del("Authorization") },
			"MissingAuthenticationTokenException"},
		{"half", "us-east-1", "ecr", 0, func(r *http.Request) {
			r.Header.Set("Authorization",
				"AWS4-HMAC-SHA256 Credential=x")
		}, "IncompleteSignatureException"},
		{"target", "us-east-1", "ecr", 0, func(r *http.Request) { r.Header.Set("X-Amz-Target", "ListImages") },
			"UnknownOperationException"},
		{"protocol", "us-east-1", "ecr", 0, func(r *http.Request) { r.Header.Set("Content-Type", "application/cbor") },
			"UnknownOperationException"},
		{"body", "us-east-1", "ecr", 0, func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 },
			"InvalidSignatureException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := signed(t, s, test.region, test.service, time.Now().Add(test.skew))
			if test.change != nil {
				test.change(request)
			}
			client := s.HTTPClient()
			defer client.CloseIdleConnections()
			if _, body := do(t, client, request); !strings.Contains(body, test.want) {
				t.Errorf("got %s, want %s", body, test.want)
			}
		})
	}
}

func signed(t *testing.T, s *sandbox.Sandbox, region, service string, at time.Time) *http.Request {
	t.Helper()
	body := []byte("{}")
	request, err := http.NewRequestWithContext(t.Context(), "POST", "https://api.ecr.us-east-1.amazonaws.com/",
		bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), s.ECR.Credentials(), request, hex.EncodeToString(sum[:]), service,
		region, at); err != nil {
		t.Fatal(err)
	}
	return request
}

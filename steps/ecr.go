package steps

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
	"ecr-refresh/steps/trust"
)

// attemptTimeout bounds one attempt of one call to ECR or a registry.
const attemptTimeout = 10 * time.Second

// maxPassword bounds a token. ECR's have about 2,400 characters, and nothing promises that they stay so.
const maxPassword = 8 << 10

// tokenUser is the user name in every ECR authorization token.
const tokenUser = "AWS"

// ECR is the one call of Amazon ECR's API that step 1 makes, GetAuthorizationToken of *ecr.Client. (As an interface it
// would make the linker keep every call of the API.)
type ECR func(context.Context, *ecr.GetAuthorizationTokenInput, ...func(*ecr.Options)) (*ecr.GetAuthorizationTokenOutput, error)

// NewECR makes the call for one region out of AWS's default credential chain, which reads its own environment and files.
// AWS_CA_BUNDLE, where set, takes the place of the system's certificates (and joins those of --ca-file).
func NewECR(ctx context.Context, region string, roots *trust.Roots, log *slog.Logger) (ECR, error) {
	cfg, err := loadAWS(ctx, region, roots.ConfigForNames(), log)
	if err == nil && hasOwnTrust(cfg) {
		var pool *x509.CertPool
		if pool, err = roots.Pool(); err == nil {
			cfg, err = loadAWS(ctx, region, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, log)
		}
	}
	if err != nil {
		return nil, failure.Permanent("look at AWS_PROFILE, AWS_CONFIG_FILE and AWS_CA_BUNDLE", "load AWS configuration: %w", err)
	}
	return ecr.NewFromConfig(cfg).GetAuthorizationToken, nil
}

func loadAWS(ctx context.Context, region string, tlsConfig *tls.Config, log *slog.Logger) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTimeout(attemptTimeout).WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig = tlsConfig
		t.ForceAttemptHTTP2 = false // one request a connection
	})
	return config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithHTTPClient(client),
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, v ...any) {
			log.Debug(fmt.Sprintf("AWS SDK: "+format, v...))
		})))
}

// hasOwnTrust tells whether AWS's own settings name certificates (AWS_CA_BUNDLE, ca_bundle) or another endpoint, which
// may be an address: then crypto/tls judges certificates itself.
func hasOwnTrust(cfg aws.Config) bool {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	return !ok || client.GetTransport().TLSClientConfig.RootCAs != nil || ecr.NewFromConfig(cfg).Options().BaseEndpoint != nil
}

// decodeToken takes apart what ECR answered: base64 of "user:password", an endpoint and an expiry.
func decodeToken(data types.AuthorizationData, issued time.Time) (token.Token, error) {
	clear, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	if err != nil {
		return token.Token{}, errors.New("it is not base64")
	}
	user, password, _ := strings.Cut(string(clear), ":")
	switch {
	case user != tokenUser:
		return token.Token{}, fmt.Errorf("its user is %.20q, not %q", user, tokenUser)
	case password == "" || len(password) > maxPassword:
		return token.Token{}, fmt.Errorf("its password has %d characters, not 1 to %d", len(password), maxPassword)
	case strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' }):
		return token.Token{}, errors.New("its password holds blanks or characters beyond ASCII")
	case data.ExpiresAt == nil:
		return token.Token{}, errors.New("it has no expiry")
	}
	return token.Token{
		RegistryURL: aws.ToString(data.ProxyEndpoint),
		Username:    user,
		Password:    token.NewSecret(password),
		IssuedAt:    issued.UTC().Truncate(time.Second),
		ExpiresAt:   data.ExpiresAt.UTC().Truncate(time.Second),
	}, nil
}

// ownHost is the host of a private registry, whatever the partition's suffix: account, then the rest.
var ownHost = regexp.MustCompile(`^\d{12}(\.dkr[.-]ecr.*)$`)

// registryURL turns ECR's endpoint, which is the caller's own account's, into that of account. A token reaches every
// account of its region that the identity may reach.
func registryURL(endpoint, account string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("its endpoint %.80q is not https://HOST", endpoint)
	}
	if m := ownHost.FindStringSubmatch(u.Host); m != nil {
		return "https://" + account + m[1], nil
	}
	return "https://" + u.Host, nil
}

// ecrError sorts an error of the AWS SDK: whether a retry may help, and what to do next.
// Codes: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func ecrError(err error) error {
	var api smithy.APIError
	_, cause, credentials := strings.Cut(err.Error(), "get credentials: ")
	switch {
	case errors.As(err, &api):
		return ecrAPIError(api)
	case hasIMDS(err):
		return failure.Permanent(hintCredentials, "no AWS credentials found in the environment, the AWS files or the instance's metadata")
	case credentials && !isNetwork(err):
		return failure.Permanent(hintCredentials, "get AWS credentials: %s", credentialsCause(cause))
	}
	return failure.Network("ECR", err)
}

// credentialsCause keeps what a credential_process printed out of the log: it may be the credentials.
func credentialsCause(cause string) string {
	if strings.Contains(cause, "process") {
		return "credential_process failed: run it by hand"
	}
	return failure.Said(cause)
}

func isNetwork(err error) bool {
	var network net.Error
	return failure.IsCertificate(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network)
}

// hasIMDS tells whether the credential chain ran to its end, the instance metadata service, in vain.
func hasIMDS(err error) bool {
	var call *smithy.OperationError
	for ; errors.As(err, &call); err = call.Err {
		if call.Service() == "ec2imds" {
			return true
		}
	}
	return false
}

func ecrAPIError(api smithy.APIError) error {
	answer := fmt.Sprintf("AWS answered %s: %s", api.ErrorCode(), failure.Said(api.ErrorMessage()))
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied", "UnauthorizedOperation":
		return failure.Permanent("allow ecr:GetAuthorizationToken on resource * to this identity", "%s", answer)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException":
		return failure.Permanent("look at the access key, its secret, the region and this machine's clock", "%s", answer)
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return failure.Permanent("renew the AWS session (SSO login, role or AWS_SESSION_TOKEN) and look at the clock", "%s", answer)
	case "InvalidParameterException", "UnsupportedCommandException", "ValidationError", "OptInRequired", "InvalidIdentityToken":
		return failure.Permanent("look at account and region", "%s", answer)
	}
	return failure.Transient("wait and run it again; ECR's limit is 20 calls a second", "%s", answer)
}

const hintCredentials = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the worker a role; in a container, instance metadata needs hop limit 2 (HttpPutResponseHopLimit)"

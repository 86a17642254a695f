package steps

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/smithy-go"
	transport "github.com/aws/smithy-go/endpoints"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
)

// attemptTimeout bounds one attempt of one call to ECR or a registry.
const attemptTimeout = 10 * time.Second

// maxPassword bounds a token. ECR's have about 2,400 characters, and nothing promises that they stay so.
const maxPassword = 8 << 10

// tokenUser is the user name in every ECR authorization token.
const tokenUser = "AWS"

// ECR gives the token of a source: GetAuthorizationToken of Amazon ECR's API or of ECR Public's. The token's RegistryURL
// is what ECR named, its own account's ("" from ECR Public), and IssuedAt is the caller's to set. (As an interface of the
// SDK's client it would make the linker keep every call of the API.)
type ECR func(ctx context.Context, source TokenSource) (token.Token, error)

// NewECR makes the call out of AWS's settings.
func NewECR(load AWSConfig) ECR {
	ids := newIdentities(load)
	return func(ctx context.Context, source TokenSource) (token.Token, error) {
		cfg, err := ids.config(ctx, source)
		if err != nil {
			return token.Token{}, err
		}
		data, err := source.ask(ctx, cfg)
		if err != nil {
			return token.Token{}, ecrError("ECR", err)
		}
		t, err := decodeToken(data)
		if err != nil {
			return token.Token{}, failure.Transient(hintECR, "ECR's token cannot be used: %w", err)
		}
		return t, nil
	}
}

func (s TokenSource) ask(ctx context.Context, cfg aws.Config) (types.AuthorizationData, error) {
	if s.Service == ServiceECRPublic {
		return s.askPublic(ctx, cfg)
	}
	out, err := ecr.NewFromConfig(cfg, func(o *ecr.Options) {
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	}).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return types.AuthorizationData{}, err
	}
	if len(out.AuthorizationData) != 1 {
		return types.AuthorizationData{}, failure.Transient(hintECR, "ECR answered with %d tokens, not one", len(out.AuthorizationData))
	}
	return out.AuthorizationData[0], nil
}

func (s TokenSource) askPublic(ctx context.Context, cfg aws.Config) (types.AuthorizationData, error) {
	out, err := ecrpublic.NewFromConfig(cfg, func(o *ecrpublic.Options) {
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	}).GetAuthorizationToken(ctx, &ecrpublic.GetAuthorizationTokenInput{})
	if err != nil {
		return types.AuthorizationData{}, err
	}
	if out.AuthorizationData == nil {
		return types.AuthorizationData{}, failure.Transient(hintECR, "ECR Public answered without a token")
	}
	return types.AuthorizationData{AuthorizationToken: out.AuthorizationData.AuthorizationToken, ExpiresAt: out.AuthorizationData.ExpiresAt}, nil
}

// endpoint turns the SDK's own settings. Where an address is given, by the source or by AWS_ENDPOINT_URL, it is called as
// it stands: the SDK refuses to make a FIPS or dual-stack endpoint of it.
func (s TokenSource) endpoint(base **string, fips *aws.FIPSEndpointState, dualStack *aws.DualStackEndpointState) {
	if s.Endpoint != "" {
		*base = &s.Endpoint
	}
	if *base != nil {
		*fips, *dualStack = aws.FIPSEndpointStateDisabled, aws.DualStackEndpointStateDisabled
		return
	}
	if s.FIPS {
		*fips = aws.FIPSEndpointStateEnabled
	}
	if s.DualStack {
		*dualStack = aws.DualStackEndpointStateEnabled
	}
}

// EndpointURL gives where the token is asked for. It sends nothing.
func (s TokenSource) EndpointURL(ctx context.Context, cfg aws.Config) (string, error) {
	cfg.Region = s.Region
	if s.Service == ServiceECRPublic {
		o := ecrpublic.NewFromConfig(cfg).Options()
		s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
		return endpointURL(ecrpublic.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecrpublic.EndpointParameters{
			Region: &s.Region, Endpoint: o.BaseEndpoint,
			UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
			UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		}))
	}
	o := ecr.NewFromConfig(cfg).Options()
	s.endpoint(&o.BaseEndpoint, &o.EndpointOptions.UseFIPSEndpoint, &o.EndpointOptions.UseDualStackEndpoint)
	return endpointURL(ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region: &s.Region, Endpoint: o.BaseEndpoint,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	}))
}

func endpointURL(endpoint transport.Endpoint, err error) (string, error) {
	if err != nil {
		return "", failure.Permanent("look at fips, dual_stack and the region", "find ECR's endpoint: %w", err)
	}
	return endpoint.URI.String(), nil
}

// decodeToken takes apart what ECR answered: base64 of "user:password", an endpoint and an expiry.
func decodeToken(data types.AuthorizationData) (token.Token, error) {
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
		ExpiresAt:   data.ExpiresAt.UTC().Truncate(time.Second),
	}, nil
}

// ecrError sorts an error of the AWS SDK, of the service that peer names: whether a retry may help, and what to do next.
// Codes: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func ecrError(peer string, err error) error {
	var sorted *failure.Error
	if errors.As(err, &sorted) {
		return err
	}
	var api smithy.APIError
	var answer *smithyhttp.ResponseError
	_, cause, credentials := strings.Cut(err.Error(), "get credentials: ")
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return failure.Transient("look at the proxy between this machine and AWS", "%s's answer is longer than %d MiB", peer, mostAnswer>>20)
	case ofContainer(err) && errors.As(err, &api):
		return containerError(api)
	case errors.As(err, &api) && api.ErrorCode() != unknownCode:
		return ecrAPIError(api, hintRight(err))
	case hasIMDS(err):
		return metadataError(err)
	case errors.As(err, &answer) && !isNetwork(err):
		return strangeAnswer(service(err, peer), answer.Response.Response)
	case credentials && !isNetwork(err):
		return credentialsError(cause)
	}
	return failure.Network(service(err, peer), err)
}

// service gives AWS's service that was called: STS or SSO, where credentials are fetched within a call of ECR.
func service(err error, outermost string) string {
	if ofContainer(err) {
		return containerEndpoint
	}
	var call *smithy.OperationError
	for ; errors.As(err, &call); err = call.Err {
		outermost = call.Service()
	}
	return outermost
}

// unknownCode is the SDK's word for an answer without an error code.
const unknownCode = "UnknownError"

// strangeAnswer sorts an answer that is none of AWS's API by its status. Its body is not repeated: something between here
// and AWS may have made it.
func strangeAnswer(peer string, resp *http.Response) error {
	switch status := resp.StatusCode; {
	case status >= 300 && status < 400:
		return failure.Permanent("no redirect is followed: "+hintECR, "%s answered %d, a redirect to %.80q", peer, status, redirectHost(resp))
	case status == http.StatusTooManyRequests || status >= 500:
		return failure.Transient(hintWait, "%s answered %d %s", peer, status, http.StatusText(status))
	case status >= 400:
		return failure.Transient(hintECR, "%s answered %d %s, and not in AWS's words", peer, status, http.StatusText(status))
	}
	return failure.Transient(hintECR, "%s answered %d with what is not AWS's JSON, or is cut", peer, resp.StatusCode)
}

func isNetwork(err error) bool {
	var network net.Error
	if errors.As(err, new(*fs.PathError)) { // its cause looks like a net.Error
		return false
	}
	return failure.IsCertificate(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network)
}

func ecrAPIError(api smithy.APIError, right string) error {
	answer := "AWS answered " + coded(api)
	if strings.HasPrefix(api.ErrorMessage(), "Signature expired") || strings.HasPrefix(api.ErrorMessage(), "Signature not yet current") {
		return failure.Permanent("set this machine's clock (NTP): AWS takes what was signed within 15 minutes of its own", "%s", answer)
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
		return failure.Transient(hintWait, "%s", answer)
	}
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "InvalidIdentityToken", "IDPRejectedClaim",
		"UnauthorizedException", "ForbiddenException", "InvalidGrantException", "InvalidClientException", "UnauthorizedClientException": // the last five are SSO's
		return failure.Permanent(right, "%s", answer)
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException":
		return failure.Permanent("look at the access key, its secret, the region and this machine's clock", "%s", answer)
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return failure.Permanent("renew the AWS session (SSO login, role or AWS_SESSION_TOKEN) and look at the clock", "%s", answer)
	case "InvalidParameterException", "UnsupportedCommandException", "ValidationError", "OptInRequired", "RegionDisabledException":
		return failure.Permanent("look at account and region", "%s", answer)
	}
	return failure.Transient(hintAgain, "%s", answer)
}

// coded is what an answer in AWS's words says. The SDK puts "UnknownError" where there is no message.
func coded(api smithy.APIError) string {
	if message := failure.Said(api.ErrorMessage()); message != "" && message != unknownCode {
		return api.ErrorCode() + ": " + message
	}
	return api.ErrorCode()
}

const (
	hintWait        = "wait and run it again; ECR's limit is 20 calls a second"
	hintCredentials = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the worker a role"
	hintSSO         = "log in anew (aws sso login), and look at sso_account_id and sso_role_name of the profile"
	// A session token is sent in a packet that goes no further than the hop limit: with 1, into no container.
	hintHop = "in a container, set the instance's hop limit to 2 (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2); elsewhere, AWS_PROFILE or AWS_ACCESS_KEY_ID"
)

const hintECR = "is AWS_ENDPOINT_URL or a proxy answering in ECR's place?"

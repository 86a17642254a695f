package ecr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Kinds of failure of a call to AWS. Facts: Service was called, and Want is the permission that the identity lacks.
const (
	AccessDenied         failure.Kind = "aws access denied"
	RoleDenied           failure.Kind = "aws role denied"         // sts:AssumeRole
	WebIdentityDenied    failure.Kind = "aws web identity denied" // sts:AssumeRoleWithWebIdentity
	SSOLogin             failure.Kind = "aws sso login needed"
	BadKeys              failure.Kind = "aws keys rejected"
	SessionExpired       failure.Kind = "aws session expired"
	ClockSkew            failure.Kind = "aws signature out of time"
	WrongAccountOrRegion failure.Kind = "aws account or region rejected"
	Throttled            failure.Kind = "aws throttled"
	Unavailable          failure.Kind = "aws unavailable"
	NotAWS               failure.Kind = "not aws" // something else answered
	BadConfig            failure.Kind = "aws configuration"
	NoCredentials        failure.Kind = "no aws credentials"
	ProcessFailed        failure.Kind = "credential_process failed"
	ContainerEndpoint    failure.Kind = "no credentials of a container role" // ECS task role or EKS Pod Identity
	HopLimit             failure.Kind = "instance metadata hop limit"
)

// The services that the SDK asks for credentials, beside STS and SSO: the second one last of all.
const (
	containerEndpoint = "the container's credential endpoint"
	metadataService   = "the instance metadata service"
)

// unknownCode is the SDK's word for an answer without an error code, and for one without a message.
const unknownCode = "UnknownError"

// classify returns an error of the AWS SDK as one of a kind, which reports whether a retry may help.
func classify(err error) error {
	if errors.As(err, new(*failure.Error)) {
		return err
	}
	service, operation := innermost(err)
	status := statusOf(err)
	kind, message := describe(err, service, status)
	facts := failure.Facts{Service: service}
	switch kind {
	case "":
		return failure.Network(service, err)
	case AccessDenied:
		kind, facts.Want = denied(service, operation)
	}
	redirect := status/100 == 3
	return &failure.Error{Kind: kind, Facts: facts, Err: errors.New(message),
		Transient: kind == Throttled || kind == Unavailable || kind == NotAWS && !redirect}
}

// innermost returns the last of the calls within err: one for credentials, where ECR's call needed them first. The SDK
// has no type for the call of a container's endpoint.
func innermost(err error) (service, operation string) {
	if strings.Contains(err.Error(), ": failed to load credentials, ") {
		return containerEndpoint, ""
	}
	service = "AWS"
	var call *smithy.OperationError
	for ; errors.As(err, &call); err = call.Err {
		service, operation = call.Service(), call.Operation()
	}
	if service == "ec2imds" {
		service = metadataService
	}
	return service, operation
}

// statusOf returns the HTTP status of an answer, or 0. The SDK's error for a 401 of the metadata service hides it.
func statusOf(err error) int {
	var answer interface{ HTTPStatusCode() int }
	switch {
	case errors.As(err, &answer):
		return answer.HTTPStatusCode()
	case strings.Contains(err.Error(), "StatusCode: 401, request to EC2 IMDS failed"):
		return http.StatusUnauthorized
	}
	return 0
}

// describe returns the kind of an error and its message, or "" where the service sent no answer. Only messages with an
// error code of AWS are repeated: something between here and AWS may have made another.
func describe(err error, service string, status int) (failure.Kind, string) {
	api := smithy.APIError(new(smithy.GenericAPIError))
	var answer *smithyhttp.ResponseError
	answered := fmt.Sprintf("%s answered %d", service, status)
	hasCode := errors.As(err, &api) && api.ErrorCode() != unknownCode
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return NotAWS, fmt.Sprintf("%s's answer is longer than %d MiB", service, transport.MaxResponse>>20)
	case hasCode && service != containerEndpoint:
		return kindOf(api), "AWS answered" + coded(api)
	case transport.MayPass(status):
		return Unavailable, answered + " " + http.StatusText(status)
	case service == containerEndpoint && status != 0:
		return ContainerEndpoint, answered + coded(api)
	case service == metadataService:
		return metadataError(err, status)
	case isNetwork(err):
		return "", ""
	case status == 0:
		return credentialsError(err)
	case status/100 == 3 && errors.As(err, &answer):
		to := transport.RedirectHost(answer.Response.Response)
		return NotAWS, fmt.Sprintf("%s, a redirect to %.80q", answered, to)
	}
	return NotAWS, answered + " with something that is not AWS's JSON, or is cut"
}

// metadataError classifies why the instance metadata service returned no credentials. Its session token travels no
// further than the hop limit: with a limit of 1, it reaches no container.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html#instance-metadata-returns
func metadataError(err error, status int) (failure.Kind, string) {
	kind, why := NoCredentials, fmt.Sprintf("%s answered %d", metadataService, status)
	switch {
	case status == 401 || status == 0 && errors.Is(err, context.DeadlineExceeded):
		kind, why = HopLimit, "the session token of "+metadataService+" does not arrive"
	case status == 0:
		why = metadataService + " does not answer"
	case status == 404:
		why = "this instance has no role"
	}
	return kind, "no AWS credentials found in the environment or the AWS files, and " + why
}

// credentialsError classifies the error of a source that was not called, or that answered without credentials. What a
// credential_process printed is kept out of the log: it may be the credentials.
func credentialsError(err error) (failure.Kind, string) {
	_, cause, found := strings.Cut(err.Error(), "get credentials: ")
	const get = "get AWS credentials: "
	switch {
	case !found:
		return "", ""
	case strings.Contains(cause, "process provider error: "):
		return ProcessFailed, get + "credential_process failed"
	case strings.Contains(cause, "SSO"):
		return SSOLogin, get + failure.Excerpt(cause)
	}
	return NoCredentials, get + failure.Excerpt(cause)
}

func isNetwork(err error) bool {
	var network net.Error
	if errors.As(err, new(*fs.PathError)) { // its cause looks like a net.Error
		return false
	}
	return failure.IsCertificate(err) || errors.As(err, &network) || errors.Is(err, context.Canceled)
}

// kindOf returns the kind of an error code, of which some services know a form with "Exception" at its end.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func kindOf(api smithy.APIError) failure.Kind {
	if strings.HasPrefix(api.ErrorMessage(), "Signature ") { // "expired: …" or "not yet current: …"
		return ClockSkew
	}
	switch strings.TrimSuffix(api.ErrorCode(), "Exception") {
	case "AccessDenied", "UnauthorizedOperation", "InvalidIdentityToken", "IDPRejectedClaim",
		"Unauthorized", "Forbidden", "InvalidGrant", "InvalidClient", "UnauthorizedClient": // of SSO
		return AccessDenied
	case "UnrecognizedClient", "InvalidClientTokenId", "InvalidSignature", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken":
		return BadKeys
	case "ExpiredToken", "RequestExpired":
		return SessionExpired
	case "InvalidParameter", "UnsupportedCommand", "ValidationError", "OptInRequired", "RegionDisabled":
		return WrongAccountOrRegion
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
		return Throttled
	}
	return Unavailable
}

// denied returns the kind of a denial of the innermost call, and the permissions that the identity lacks.
func denied(service, operation string) (kind failure.Kind, permissions string) {
	switch {
	case operation == "AssumeRoleWithWebIdentity":
		return WebIdentityDenied, ""
	case service == sts.ServiceID:
		return RoleDenied, "sts:AssumeRole"
	case strings.HasPrefix(service, "SSO"):
		return SSOLogin, ""
	case service == ecrpublic.ServiceID:
		return AccessDenied, "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
	}
	return AccessDenied, "ecr:GetAuthorizationToken"
}

// coded returns the code and the message of an error, each after a blank. A message without a code is not AWS's.
func coded(api smithy.APIError) string {
	code, message := api.ErrorCode(), failure.Excerpt(api.ErrorMessage())
	switch {
	case code == "":
		return ""
	case message == "" || message == unknownCode:
		return " " + code
	}
	return " " + code + ": " + message
}

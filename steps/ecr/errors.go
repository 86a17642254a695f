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

// call is the last of the calls within an error of the AWS SDK: one for credentials, where ECR's call needed them first.
type call struct {
	service, operation string
	status             int // of its answer; 0: none
}

// classify returns an error of the AWS SDK as one of a kind, which reports whether a retry may help.
func classify(err error) error {
	call := innermost(err)
	kind, message := describe(err, call)
	facts := failure.Facts{Service: call.service}
	switch kind {
	case "":
		return failure.Network(call.service, err)
	case AccessDenied:
		kind, facts.Want = call.denied()
	}
	passes := kind == Throttled || kind == Unavailable || kind == NotAWS && call.status/100 != 3
	return &failure.Error{Kind: kind, Facts: facts, Err: errors.New(message), Transient: passes}
}

// innermost returns the call that failed. The SDK has no type for that of a container's endpoint, and its error for a
// 401 of the metadata service hides the status.
func innermost(err error) call {
	last := call{service: "AWS"}
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		last.status = answer.HTTPStatusCode()
	} else if strings.Contains(err.Error(), "StatusCode: 401, request to EC2 IMDS failed") {
		last.status = http.StatusUnauthorized
	}
	if strings.Contains(err.Error(), ": failed to load credentials, ") {
		last.service = containerEndpoint
		return last
	}
	var operation *smithy.OperationError
	for ; errors.As(err, &operation); err = operation.Err {
		last.service, last.operation = operation.Service(), operation.Operation()
	}
	if last.service == "ec2imds" {
		last.service = metadataService
	}
	return last
}

// describe returns the kind of an error and its message, or "" where the service sent no answer. Only messages with an
// error code of AWS are repeated: something between here and AWS may have made another.
func describe(err error, c call) (failure.Kind, string) {
	api := smithy.APIError(new(smithy.GenericAPIError))
	var answer *smithyhttp.ResponseError
	answered := fmt.Sprintf("%s answered %d", c.service, c.status)
	hasCode := errors.As(err, &api) && api.ErrorCode() != unknownCode
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return NotAWS, fmt.Sprintf("%s's answer is longer than %d MiB", c.service, transport.MaxResponse>>20)
	case hasCode && c.service != containerEndpoint:
		return kindOf(api), "AWS answered" + coded(api)
	case transport.MayPass(c.status):
		return Unavailable, answered + " " + http.StatusText(c.status)
	case c.service == containerEndpoint && c.status != 0:
		return ContainerEndpoint, answered + coded(api)
	case c.service == metadataService:
		return metadataError(err, c.status)
	case isNetwork(err):
		return "", ""
	case c.status == 0:
		return credentialsError(err)
	case c.status/100 == 3 && errors.As(err, &answer):
		return NotAWS, fmt.Sprintf("%s, a redirect to %.80q", answered, transport.RedirectHost(answer.Response.Response))
	}
	return NotAWS, answered + " with something that is not AWS's JSON, or is cut"
}

// metadataError classifies why the instance metadata service returned no credentials. Its session token travels no
// further than the hop limit: with a limit of 1, it reaches no container.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html#instance-metadata-returns
func metadataError(err error, status int) (failure.Kind, string) {
	const none = "no AWS credentials found in the environment or the AWS files, and "
	switch {
	case status == 401 || status == 0 && errors.Is(err, context.DeadlineExceeded):
		return HopLimit, none + "the session token of " + metadataService + " does not arrive"
	case status == 0:
		return NoCredentials, none + metadataService + " does not answer"
	case status == 404:
		return NoCredentials, none + "this instance has no role"
	}
	return NoCredentials, fmt.Sprintf("%s%s answered %d", none, metadataService, status)
}

// credentialsError classifies the error of a source that was not called, or that answered without credentials. What a
// credential_process printed is kept out of the log: it may be the credentials.
func credentialsError(err error) (failure.Kind, string) {
	_, cause, found := strings.Cut(err.Error(), "get credentials: ")
	message := "get AWS credentials: " + failure.Excerpt(cause)
	switch {
	case !found:
		return "", ""
	case strings.Contains(cause, "process provider error: "):
		return ProcessFailed, "get AWS credentials: credential_process failed"
	case strings.Contains(cause, "SSO"):
		return SSOLogin, message
	}
	return NoCredentials, message
}

// isNetwork does not take the error of a file for one, though its cause looks like a net.Error.
func isNetwork(err error) bool {
	isFile := errors.As(err, new(*fs.PathError))
	return !isFile && (failure.IsCertificate(err) || errors.As(err, new(net.Error)) || errors.Is(err, context.Canceled))
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

// denied returns the kind of a denial, and the permissions that the identity lacks.
func (c call) denied() (kind failure.Kind, permissions string) {
	switch {
	case c.operation == "AssumeRoleWithWebIdentity":
		return WebIdentityDenied, ""
	case c.service == sts.ServiceID:
		return RoleDenied, "sts:AssumeRole"
	case strings.HasPrefix(c.service, "SSO"):
		return SSOLogin, ""
	case c.service == ecrpublic.ServiceID:
		return AccessDenied, "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
	}
	return AccessDenied, "ecr:GetAuthorizationToken"
}

// coded returns the code and the message of an error, each after a blank. A message without a code is not AWS's.
func coded(api smithy.APIError) string {
	if api.ErrorCode() == "" {
		return ""
	}
	message := strings.TrimSuffix(failure.Excerpt(api.ErrorMessage()), unknownCode)
	return strings.TrimSuffix(" "+api.ErrorCode()+": "+message, ": ")
}

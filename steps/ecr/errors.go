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
	Redirect             failure.Kind = "aws redirect"
	NotAWS               failure.Kind = "not aws" // something else answered
	BadConfig            failure.Kind = "aws configuration"
)

// unknownCode is the SDK's word for an answer without an error code, and for one without a message.
const unknownCode = "UnknownError"

// classify returns an error of the AWS SDK as one of a kind, which reports whether a retry may help.
func classify(err error) error {
	if errors.As(err, new(*failure.Error)) {
		return err
	}
	service, operation := innermost(err)
	kind, message := describe(service, err)
	facts := failure.Facts{Service: service}
	switch kind {
	case "":
		return failure.Network(service, err)
	case AccessDenied:
		kind, facts.Want = denied(service, operation)
	}
	return &failure.Error{Kind: kind, Facts: facts, Err: errors.New(message),
		Transient: kind == Throttled || kind == Unavailable || kind == NotAWS}
}

// describe returns the kind of an error and its message, or "" where the service sent no answer.
func describe(service string, err error) (failure.Kind, string) {
	var api smithy.APIError
	var container containerAnswer
	var answer *smithyhttp.ResponseError
	_, cause, credentials := strings.Cut(err.Error(), "get credentials: ")
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return NotAWS, fmt.Sprintf("%s's answer is longer than %d MiB", service, transport.MaxResponse>>20)
	case service == containerEndpoint && errors.As(err, &container):
		return containerError(container)
	case errors.As(err, &api) && api.ErrorCode() != unknownCode:
		return kindOf(api), "AWS answered " + coded(api)
	case service == metadataService:
		return metadataError(err)
	case isNetwork(err):
		return "", ""
	case errors.As(err, &answer):
		return statusError(service, answer.Response.Response)
	case credentials:
		return credentialsError(cause)
	}
	return "", ""
}

// innermost returns the last of the calls within err: one of STS or SSO, where ECR's call needed credentials first.
func innermost(err error) (service, operation string) {
	if ofContainer(err) {
		return containerEndpoint, ""
	}
	service = "AWS"
	var call *smithy.OperationError
	for ; errors.As(err, &call); err = call.Err {
		service, operation = call.Service(), call.Operation()
	}
	return service, operation
}

// statusError classifies an answer that is none of AWS's API by its status. Its body is not repeated: something between
// here and AWS may have made it.
func statusError(service string, resp *http.Response) (failure.Kind, string) {
	answered := fmt.Sprintf("%s answered %d", service, resp.StatusCode)
	switch status := resp.StatusCode; {
	case status < 300:
		return NotAWS, answered + " with something that is not AWS's JSON, or is cut"
	case status < 400:
		return Redirect, fmt.Sprintf("%s, a redirect to %.80q", answered, transport.RedirectHost(resp))
	case transport.MayPass(status):
		return Unavailable, answered + " " + http.StatusText(status)
	}
	return NotAWS, answered + " without an error code of AWS"
}

func isNetwork(err error) bool {
	var network net.Error
	if errors.As(err, new(*fs.PathError)) { // its cause looks like a net.Error
		return false
	}
	return failure.IsCertificate(err) || errors.As(err, &network) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// kindOf returns the kind of an error code.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func kindOf(api smithy.APIError) failure.Kind {
	message := api.ErrorMessage()
	if strings.HasPrefix(message, "Signature expired") || strings.HasPrefix(message, "Signature not yet current") {
		return ClockSkew
	}
	switch api.ErrorCode() {
	case "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "InvalidIdentityToken", "IDPRejectedClaim",
		"UnauthorizedException", "ForbiddenException", "InvalidGrantException", // of SSO, as the next two
		"InvalidClientException", "UnauthorizedClientException":
		return AccessDenied
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"IncompleteSignature", "MissingAuthenticationToken", "MissingAuthenticationTokenException":
		return BadKeys
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return SessionExpired
	case "InvalidParameterException", "UnsupportedCommandException", "ValidationError", "OptInRequired",
		"RegionDisabledException":
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

// coded returns the code and the message of an error.
func coded(api smithy.APIError) string {
	if message := failure.Excerpt(api.ErrorMessage()); message != "" && message != unknownCode {
		return api.ErrorCode() + ": " + message
	}
	return api.ErrorCode()
}

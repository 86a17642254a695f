package ecr

import (
	"context"
	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"strings"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

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
		return failure.Transient("look at the proxy between this machine and AWS", "%s's answer is longer than %d MiB", peer, transport.MaxResponse>>20)
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
		return failure.Permanent("no redirect is followed: "+hintECR, "%s answered %d, a redirect to %.80q", peer, status, transport.RedirectHost(resp))
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

func ecrAPIError(api smithy.APIError, right failure.Kind) error {
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
	hintAgain       = "wait and run it again"
	hintWait        = "wait and run it again; ECR's limit is 20 calls a second"
	hintCredentials = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the worker a role"
	hintSSO         = "log in anew (aws sso login), and look at sso_account_id and sso_role_name of the profile"
	// A session token is sent in a packet that goes no further than the hop limit: with 1, into no container.
	hintHop = "in a container, set the instance's hop limit to 2 (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2); elsewhere, AWS_PROFILE or AWS_ACCESS_KEY_ID"
)

const hintECR = "is AWS_ENDPOINT_URL or a proxy answering in ECR's place?"

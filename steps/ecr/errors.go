package ecr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Kinds of failure of a call to AWS. The fact Want is the permission that the identity lacks.
const (
	AccessDenied         failure.Kind = "aws access denied"
	RoleDenied           failure.Kind = "aws role denied"         // sts:AssumeRole
	WebIdentityDenied    failure.Kind = "aws web identity denied" // sts:AssumeRoleWithWebIdentity
	SSOLogin             failure.Kind = "aws sso login needed"
	BadKeys              failure.Kind = "aws keys rejected" // or their signature, by its time
	SessionExpired       failure.Kind = "aws session expired"
	WrongAccountOrRegion failure.Kind = "aws account or region rejected"
	Unavailable          failure.Kind = "aws unavailable" // or limits the rate of calls
	NotAWS               failure.Kind = "not aws"         // something else answered
	BadConfig            failure.Kind = "aws configuration"
	BadEndpoint          failure.Kind = "aws endpoint"
	NoCredentials        failure.Kind = "no aws credentials"
	NoTokenFile          failure.Kind = "web identity token not read"
	ProcessFailed        failure.Kind = "credential_process failed"
	ContainerEndpoint    failure.Kind = "no credentials of a container role" // ECS task role or EKS Pod Identity
)

// The services that the SDK asks for credentials, beside STS and SSO: the second one last of all.
const (
	noTokenFile       = "unable to read file at " // of a web identity
	containerEndpoint = "the container's credential endpoint"
	metadataService   = "the instance metadata service"

	unknownCode = "UnknownError" // the SDK's word for an answer without an error code, and for one without a message
)

// call is the last of the calls within an error of the AWS SDK: one for credentials, where ECR's call needed them.
type call struct {
	service, operation string
	status             int // of its answer; 0: none
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
	if strings.Contains(err.Error(), " failed to load credentials, ") {
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

// classify returns an error of the AWS SDK as one of a kind, which reports whether a retry may help.
func classify(err error) error {
	c := innermost(err)
	switch {
	case errors.As(err, new(*failure.Error)): // by DefaultConfig's allow, or a proxy
		return failure.Network(c.service, err)
	case c.service == metadataService && !transport.IsTransient(c.status):
		return c.metadata(err)
	case c.status != 0:
		return c.answered(err)
	case regexp.MustCompile("failed to resolve service endpoint|unsupported protocol scheme").MatchString(err.Error()):
		return failure.Permanent(BadEndpoint, "the URL of %s is not https://HOST", c.service)
	case isNetwork(err):
		return failure.Network(c.service, err)
	}
	return c.credentials(err)
}

// answered classifies an answer. It repeats messages with an error code alone: any other may not be AWS's.
func (c call) answered(err error) error {
	api := smithy.APIError(new(smithy.GenericAPIError))
	hasCode := errors.As(err, &api) && api.ErrorCode() != unknownCode
	var answer *smithyhttp.ResponseError
	answered := fmt.Sprintf("%s answered %d", c.service, c.status)
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return failure.Transient(NotAWS, "%s's answer is longer than %d MiB", c.service, transport.MaxResponse>>20)
	case hasCode && c.service != containerEndpoint:
		return c.coded(api)
	case transport.IsTransient(c.status):
		return failure.Transient(Unavailable, "%s %s", answered, http.StatusText(c.status))
	case c.service == containerEndpoint:
		return failure.Permanent(ContainerEndpoint, "%s%s", answered, textOf(api))
	case isNetwork(err): // within the answer
		return failure.Network(c.service, err)
	case c.status/100 == 3 && errors.As(err, &answer):
		to := transport.RedirectHost(answer.Response.Response)
		return failure.Permanent(NotAWS, "%s, a redirect to %q", answered, to)
	}
	return failure.Transient(NotAWS, "%s with something that is not AWS's JSON, or is cut", answered)
}

// metadata classifies why the instance metadata service returned no credentials. Its session token travels no further
// than the hop limit: with a limit of 1, it reaches no container.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html#instance-metadata-returns
func (c call) metadata(err error) error {
	why := fmt.Sprintf("%s answered %d", c.service, c.status)
	switch {
	case c.status == 401 || c.status == 0 && errors.Is(err, context.DeadlineExceeded):
		why = "the session token of " + c.service + " does not arrive: in a container, it needs a hop limit of 2"
	case c.status == 0:
		why = c.service + " does not answer"
	case c.status == 404:
		why = "this instance has no role"
	}
	return failure.Permanent(NoCredentials, "no AWS credentials found in the environment or the AWS files, and %s", why)
}

// credentials classifies the error of a source that was not called, or that answered without credentials. What a
// credential_process printed is kept out of the log: it may be the credentials.
func (c call) credentials(err error) error {
	_, cause, found := strings.Cut(err.Error(), "get credentials: ")
	kind, why := NoCredentials, untrusted.New(cause).String()
	switch {
	case !found:
		return failure.Network(c.service, err)
	case strings.Contains(cause, "process provider error: "):
		kind, why = ProcessFailed, "credential_process failed"
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			why += ": " + exit.String()
		}
	case strings.Contains(cause, "SSO"):
		kind = SSOLogin
	case strings.Contains(cause, noTokenFile):
		kind, why = NoTokenFile, untrusted.New("web identity, "+cause[strings.Index(cause, noTokenFile):]).String()
	}
	return failure.Permanent(kind, "get AWS credentials: %s", why)
}

// isNetwork does not take the error of a file for one, though its cause looks like a net.Error.
func isNetwork(err error) bool {
	return !errors.As(err, new(*fs.PathError)) && (errors.As(err, new(net.Error)) || errors.Is(err, context.Canceled))
}

// coded classifies an answer with an error code. What is denied is the innermost call.
func (c call) coded(api smithy.APIError) error {
	kind, want := kindOf(api.ErrorCode()), ""
	switch {
	case kind != AccessDenied:
	case c.operation == "AssumeRoleWithWebIdentity":
		kind = WebIdentityDenied
	case c.service == sts.ServiceID:
		kind, want = RoleDenied, "sts:AssumeRole"
	case strings.HasPrefix(c.service, "SSO"):
		kind = SSOLogin
	case c.service == ecrpublic.ServiceID:
		want = "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken"
	default:
		want = "ecr:GetAuthorizationToken"
	}
	return &failure.Error{
		Kind: kind, Facts: failure.Facts{Want: want}, Err: errors.New("AWS answered" + textOf(api)),
		Transient: kind == Unavailable,
	}
}

// kindOf returns the kind of an error code, of which some services know a form with "Exception" at its end.
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func kindOf(code string) failure.Kind {
	switch strings.TrimSuffix(code, "Exception") {
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
	return Unavailable
}

// textOf returns the code and the message of an error, each after a blank. A message without a code is not AWS's.
func textOf(api smithy.APIError) string {
	if api.ErrorCode() == "" {
		return ""
	}
	code, message := untrusted.New(api.ErrorCode()), untrusted.New(strings.TrimSuffix(api.ErrorMessage(), unknownCode))
	return strings.TrimSuffix(fmt.Sprintf(" %s: %s", code, message), ": ")
}

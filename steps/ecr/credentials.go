package ecr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"ecr-refresh/steps/failure"
)

// credentialsError tells of a source that gave none without being asked over the network. What a credential_process printed
// is kept out of the log: it may be the credentials.
func credentialsError(cause string) error {
	var hint failure.Kind = hintCredentials
	switch {
	case strings.Contains(cause, "process provider error: "):
		cause = "credential_process failed: run it by hand"
	case strings.Contains(cause, "SSO"):
		hint = hintSSO
	}
	return failure.Permanent(hint, "get AWS credentials: %s", failure.Said(cause))
}

// containerEndpoint gives a container its role: ECS's task role, or EKS's Pod Identity (AWS_CONTAINER_CREDENTIALS_FULL_URI).
const containerEndpoint = "the container's credential endpoint"

// ofContainer tells whether that endpoint was asked. The SDK has an exported type neither for its call nor for its answer.
func ofContainer(err error) bool {
	return strings.Contains(err.Error(), "get credentials: ") && strings.Contains(err.Error(), "failed to load credentials, ")
}

// containerError sorts that endpoint's answer. One without a code is some server's body, and not repeated.
func containerError(api smithy.APIError) error {
	said := ""
	var status interface{ HTTPStatusCode() int }
	if errors.As(error(api), &status) {
		said = fmt.Sprintf(" %d", status.HTTPStatusCode())
	}
	if api.ErrorCode() != "" {
		said += " " + coded(api)
	}
	if status == nil || status.HTTPStatusCode() >= 500 || status.HTTPStatusCode() == http.StatusTooManyRequests {
		return failure.Transient(hintAgain, "%s answered%s", containerEndpoint, said)
	}
	return failure.Permanent("look at the pod's Pod Identity association (EKS) or the task's role (ECS), and whom that role trusts",
		"%s answered%s", containerEndpoint, said)
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

// metadataSaid is how the SDK reports an answer. (Its error for 401 hides what it wraps.)
const metadataSaid = `StatusCode: (\d{3}), request to EC2 IMDS failed`

// metadataError tells why the last of the chain gave no credentials, by what the instance metadata service answered.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html#instance-metadata-returns
func metadataError(err error) error {
	const none = "no AWS credentials found in the environment or the AWS files, and "
	m := regexp.MustCompile(metadataSaid).FindStringSubmatch(err.Error())
	switch {
	case m == nil && errors.Is(err, context.DeadlineExceeded):
		return failure.Permanent(hintHop, none+"the instance's metadata service does not answer in time")
	case m == nil:
		return failure.Permanent(hintCredentials, none+"no instance metadata service answers")
	case m[1] == "401":
		return failure.Permanent(hintHop, none+"the instance's metadata service answers, but its session token does not arrive")
	case m[1] == "404":
		return failure.Permanent("attach a role to the instance, or set AWS_PROFILE or AWS_ACCESS_KEY_ID", none+"this instance has no role")
	}
	if m[1] == "429" || m[1] >= "500" {
		return failure.Transient(hintAgain, none+"the instance's metadata service answers %s", m[1])
	}
	return failure.Permanent(hintCredentials, none+"the instance's metadata service answers %s", m[1])
}

// hintRight names what the identity must be allowed: by the innermost call, since a role is assumed within ECR's.
func hintRight(err error) (hint failure.Kind) {
	hint = "allow ecr:GetAuthorizationToken on resource * to this identity"
	var call *smithy.OperationError
	for ; errors.As(err, &call); err = call.Err {
		switch call.Service() {
		case ecrpublic.ServiceID:
			hint = "allow ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken on resource * to this identity"
		case sts.ServiceID:
			hint = "allow sts:AssumeRole on the role to this identity, and this identity in the role's trust policy; look at external_id"
			if call.Operation() == "AssumeRoleWithWebIdentity" {
				hint = "let the role's trust policy take the token's issuer, audience and subject (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE)"
			}
		case "SSO", "SSO OIDC":
			hint = hintSSO
		}
	}
	return hint
}

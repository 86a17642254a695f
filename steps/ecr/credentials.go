package ecr

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/transport"
)

// Kinds of failure of a source of credentials.
const (
	NoCredentials     failure.Kind = "no aws credentials"
	ProcessFailed     failure.Kind = "credential_process failed"
	ContainerEndpoint failure.Kind = "no credentials of a container role" // ECS task role or EKS Pod Identity
	NoInstanceRole    failure.Kind = "no instance role"
	HopLimit          failure.Kind = "instance metadata hop limit"
)

// credentialsError classifies the error of a source that was not called, or that answered without credentials. What a
// credential_process printed is kept out of the log: it may be the credentials.
func credentialsError(cause string) (failure.Kind, string) {
	const get = "get AWS credentials: "
	switch {
	case strings.Contains(cause, "process provider error: "):
		return ProcessFailed, get + "credential_process failed"
	case strings.Contains(cause, "validate credentials, "):
		return NoCredentials, get + "STS answered without any"
	case strings.Contains(cause, "SSO"):
		return SSOLogin, get + failure.Excerpt(cause)
	}
	return NoCredentials, get + failure.Excerpt(cause)
}

// containerEndpoint (AWS_CONTAINER_CREDENTIALS_FULL_URI) serves ECS's task role or EKS's Pod Identity.
const containerEndpoint = "the container's credential endpoint"

// ofContainer reports whether that endpoint was called. The SDK exports a type neither for its call nor for its answer.
func ofContainer(err error) bool {
	_, cause, _ := strings.Cut(err.Error(), "get credentials: ")
	return strings.Contains(cause, "failed to load credentials, ")
}

type containerAnswer interface {
	smithy.APIError
	HTTPStatusCode() int
}

// containerError classifies that endpoint's answer. One without a code is some server's body, and not repeated.
func containerError(answer containerAnswer) (failure.Kind, string) {
	status := answer.HTTPStatusCode()
	message := containerEndpoint + " answered " + strconv.Itoa(status)
	if answer.ErrorCode() != "" {
		message += " " + coded(answer)
	}
	if transport.MayPass(status) {
		return Unavailable, message
	}
	return ContainerEndpoint, message
}

// metadataService is the SDK's name of the instance metadata service, the last source of the credential chain.
const metadataService = "ec2imds"

// metadataAnswer is how the SDK reports an answer of it. (Its error for 401 hides what it wraps.)
const metadataAnswer = `StatusCode: (\d{3}), request to EC2 IMDS failed`

// metadataError classifies why the instance metadata service returned no credentials. Its session token travels no
// further than the hop limit: with a limit of 1, it reaches no container.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html#instance-metadata-returns
func metadataError(err error) (failure.Kind, string) {
	const none = "no AWS credentials found in the environment or the AWS files, and "
	status := 0
	if m := regexp.MustCompile(metadataAnswer).FindStringSubmatch(err.Error()); m != nil {
		status, _ = strconv.Atoi(m[1])
	}
	switch {
	case status == 0 && errors.Is(err, context.DeadlineExceeded):
		return HopLimit, none + "the instance metadata service does not answer in time"
	case status == 0:
		return NoCredentials, none + "no instance metadata service answers"
	case status == 401:
		return HopLimit, none + "the instance metadata service answers, but its session token does not arrive"
	case status == 404:
		return NoInstanceRole, none + "this instance has no role"
	case transport.MayPass(status):
		return Unavailable, fmt.Sprintf(none+"the instance metadata service answered %d", status)
	}
	return NoCredentials, fmt.Sprintf(none+"the instance metadata service answered %d", status)
}

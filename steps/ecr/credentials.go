package ecr

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ecr-refresh/steps/failure"
)

// Kinds of failure of a source of credentials.
const (
	NoCredentials     failure.Kind = "no aws credentials"
	ProcessFailed     failure.Kind = "credential_process failed"
	ContainerEndpoint failure.Kind = "no credentials of a container role" // ECS task role or EKS Pod Identity
	HopLimit          failure.Kind = "instance metadata hop limit"
)

// The services that the SDK asks for credentials, beside STS and SSO. metadataService, the last one of the credential
// chain, has the SDK's name.
const (
	containerEndpoint = "the container's credential endpoint"
	metadataService   = "ec2imds"
)

// credentialsError classifies the error of a source that was not called, or that answered without credentials. What a
// credential_process printed is kept out of the log: it may be the credentials.
func credentialsError(cause string) (failure.Kind, string) {
	const get = "get AWS credentials: "
	switch {
	case strings.Contains(cause, "process provider error: "):
		return ProcessFailed, get + "credential_process failed"
	case strings.Contains(cause, "SSO"):
		return SSOLogin, get + failure.Excerpt(cause)
	}
	return NoCredentials, get + failure.Excerpt(cause)
}

// metadataError classifies why the instance metadata service returned no credentials; status is 0 where it did not
// answer. Its session token travels no further than the hop limit: with a limit of 1, it reaches no container.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html#instance-metadata-returns
func metadataError(status int, err error) (failure.Kind, string) {
	kind, why := ofStatus(status, NoCredentials), fmt.Sprintf("the instance metadata service answered %d", status)
	switch {
	case status == 401 || status == 0 && errors.Is(err, context.DeadlineExceeded):
		kind, why = HopLimit, "the session token of the instance metadata service does not arrive"
	case status == 0:
		why = "no instance metadata service answers"
	case status == 404:
		why = "this instance has no role"
	}
	return kind, "no AWS credentials found in the environment or the AWS files, and " + why
}

package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/transport"
)

// Why Docker cannot be called, or answers with an error. The fact Object is the host as in DOCKER_HOST; of
// BadCertificates it is the folder.
const (
	BadHost          failure.Kind = "docker host is not valid"
	LoginInHost      failure.Kind = "docker host holds a login"
	BadCertificates  failure.Kind = "docker certificates cannot be loaded"
	NoDaemon         failure.Kind = "docker is not reachable"
	NotDocker        failure.Kind = "something else than docker answered"
	SocketPermission failure.Kind = "docker socket is closed to this user"
	Untrusted        failure.Kind = "docker certificate is not trusted"
	TLSAlert         failure.Kind = "docker rejected the TLS handshake"
	Busy             failure.Kind = "docker is busy"
	Failed           failure.Kind = "docker failed"
	NoAnswer         failure.Kind = "docker did not answer in time"
)

// Why a login through Docker failed. The fact Object is the host as in DOCKER_HOST.
const (
	NoLoginAnswer       failure.Kind = "docker did not answer a login in time"
	BadCredential       failure.Kind = "registry rejected the login of docker"
	UntrustedRegistry   failure.Kind = "docker does not trust the registry's certificate"
	RegistryUnavailable failure.Kind = "registry is unavailable to docker"
)

// unreached classifies the error of a call that got no answer.
func unreached(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrPermission):
		return failure.Permanent(SocketPermission, "permission denied")
	case failure.IsCertificate(err):
		return failure.Permanent(Untrusted, "%s", failure.Cause(err))
	case failure.IsAlert(err):
		return failure.Permanent(TLSAlert, "agree on TLS: %s", failure.Cause(err))
	}
	return failure.Transient(NoDaemon, "%s", failure.Cause(err))
}

// notDocker classifies an answer that Docker does not send, but a proxy or a web server. Its body is not repeated.
func notDocker(resp *http.Response, kind string) error {
	code := resp.StatusCode
	switch {
	case code == http.StatusTooManyRequests || code >= 500:
		return failure.Transient(Busy, "it answered %d %s", code, http.StatusText(code))
	case code/100 == 3:
		return failure.Permanent(NotDocker, "it answered %d, a redirect to %.80q", code, transport.RedirectHost(resp))
	case code >= 400:
		return failure.Permanent(NotDocker, "it answered %d %s", code, http.StatusText(code))
	}
	kind = cmp.Or(failure.Excerpt(kind), "nothing")
	return failure.Permanent(NotDocker, "it answered %d with %s instead of JSON", code, kind)
}

// answered classifies an answer other than 200. A registry's answer to Docker comes as a 500 whose message ends in
// "failed with status: 401 Unauthorized" (moby, registry/auth.go).
func answered(status int, message string) error {
	if m := regexp.MustCompile(`failed with status: (\d{3})`).FindStringSubmatch(message); m != nil {
		switch m[1] {
		case "400", "401", "403":
			return failure.Transient(BadCredential, "the registry answered Docker %s: %w", m[1], registry.ErrRejected)
		}
		return failure.Transient(RegistryUnavailable, "the registry answered Docker %s", m[1])
	}
	text := fmt.Sprintf("Docker answered %d: %s", status, cmp.Or(failure.Excerpt(message), http.StatusText(status)))
	switch {
	case strings.Contains(message, "x509: "):
		return failure.Permanent(UntrustedRegistry, "%s", text)
	case status == http.StatusTooManyRequests:
		return failure.Transient(Busy, "%s", text)
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return failure.Permanent(NotDocker, "%s", text)
	}
	return failure.Transient(Failed, "%s", text)
}

// unread classifies the error of reading an answer of 200.
func unread(err error) error {
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, new(*http.MaxBytesError)):
		return failure.Permanent(NotDocker, "its answer is longer than %d MiB", transport.MaxResponse>>20)
	}
	return failure.Transient(NotDocker, "its answer is not Docker's JSON, or is cut")
}

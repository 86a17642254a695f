package docker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strings"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/registry"
	"ecr-refresh/steps/transport"
	"ecr-refresh/steps/untrusted"
)

// Why Docker cannot be called, or answers with an error. The fact Object is Engine.Host.
const (
	BadHost           failure.Kind = "docker host is not valid"
	BadCertificates   failure.Kind = "docker certificates do not fit"
	NoDaemon          failure.Kind = "docker is not reachable"
	NotDocker         failure.Kind = "something else than docker answered"
	SocketPermission  failure.Kind = "docker socket is closed to this user"
	Unavailable       failure.Kind = "docker, or the registry for it, is unavailable"
	Failed            failure.Kind = "docker failed"
	BadCredential     failure.Kind = "registry rejected the login of docker"
	UntrustedRegistry failure.Kind = "docker does not trust the registry's certificate"
)

// unreached classifies the error of a call that got no answer.
func unreached(err error) error {
	proxy, ok := errors.AsType[*failure.Error](err)
	switch {
	case ok:
		return proxy
	case errors.Is(err, fs.ErrPermission):
		return failure.Permanent(SocketPermission, "permission denied")
	case failure.IsCertificate(err) || failure.IsAlert(err):
		return failure.Permanent(BadCertificates, "agree on TLS: %s", failure.Cause(err))
	}
	return failure.Transient(NoDaemon, "%s", failure.Cause(err))
}

// notDocker classifies an answer that Docker does not send, but a proxy or a web server. Its body is not repeated.
func notDocker(resp *http.Response, form string) error {
	answer := fmt.Sprintf("it answered %d", resp.StatusCode)
	switch code := resp.StatusCode; {
	case transport.IsTransient(code):
		return failure.Transient(Unavailable, "%s %s", answer, http.StatusText(code))
	case code/100 == 3:
		return failure.Permanent(NotDocker, "%s, a redirect to %q", answer, transport.RedirectHost(resp))
	}
	return failure.Permanent(NotDocker, "%s with %s instead of JSON", answer, untrusted.New(cmp.Or(form, "nothing")))
}

// fromRegistry is how Docker repeats a registry's answer, in the message of a 500 (moby, registry/auth.go), and podman
// (containers/image, docker/errors.go), which has a text for 429.
var fromRegistry = regexp.MustCompile(
	`(?:failed with status|code from registry|HTTP status|StatusCode):? (\d{3})|too many requests to registry`)

// podmanPrefix stands before what podman reports of a call that failed.
var podmanPrefix = regexp.MustCompile(`^login attempt to \S+ failed with status: (pinging container registry \S+: )?`)

// answered classifies an answer of Docker other than 200.
func answered(status int, message untrusted.Text) error {
	if m := fromRegistry.FindStringSubmatch(message.Raw()); m != nil {
		switch m[1] {
		case "400", "401", "403":
			return failure.Transient(BadCredential, "the registry answered Docker %s: %w", m[1], registry.ErrRejected)
		}
		return failure.Transient(Unavailable, "the registry answered Docker %s", cmp.Or(m[1], "429"))
	}
	message = untrusted.New(podmanPrefix.ReplaceAllString(message.Raw(), ""))
	words := fmt.Sprintf("Docker answered %d: %s", status, cmp.Or(message.String(), http.StatusText(status)))
	switch {
	case strings.Contains(message.Raw(), "x509: "):
		return failure.Permanent(UntrustedRegistry, "%s", words)
	case status == http.StatusTooManyRequests:
		return failure.Transient(Unavailable, "%s", words)
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return failure.Permanent(NotDocker, "%s", words)
	}
	return failure.Transient(Failed, "%s", words)
}

package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
	"github.com/docker/go-connections/tlsconfig"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/token"
)

const (
	enginePing = 10 * time.Second
	// engineLogin outlasts the Engine's own two attempts of 15 s at a registry.
	engineLogin = 35 * time.Second
)

// Engine is the part of the Docker Engine's API that step 3 uses: calls of *client.Client. (As an interface it would make
// the linker keep every call of the API.)
type Engine struct {
	Host    string
	Version func(context.Context) (types.Version, error)
	Login   func(context.Context, registry.AuthConfig) (registry.AuthenticateOKBody, error)
}

// NewEngine makes a client that agrees with the Engine on an API version. host is as in DOCKER_HOST (unix://, tcp://);
// certPath, where not empty, is a folder with ca.pem, cert.pem and key.pem as in DOCKER_CERT_PATH.
func NewEngine(host, certPath string, verify bool) (*Engine, error) {
	options := []client.Opt{client.WithAPIVersionNegotiation()}
	if certPath != "" {
		transport, err := engineTransport(certPath, verify)
		if err != nil {
			return nil, failure.Permanent("look at DOCKER_CERT_PATH", "load Engine certificates of %q: %w", certPath, err)
		}
		options = append(options, client.WithHTTPClient(transport))
	}
	engine, err := client.NewClientWithOpts(append(options, client.WithHost(host))...)
	if err != nil {
		return nil, failure.Permanent("give unix:///path/docker.sock or tcp://host:port, or 'none'", "read Engine host %q: %w", host, err)
	}
	return &Engine{Host: engine.DaemonHost(), Version: engine.ServerVersion, Login: engine.RegistryLogin}, nil
}

func engineTransport(certPath string, verify bool) (*http.Client, error) {
	config, err := tlsconfig.Client(tlsconfig.Options{
		CAFile:             filepath.Join(certPath, "ca.pem"),
		CertFile:           filepath.Join(certPath, "cert.pem"),
		KeyFile:            filepath.Join(certPath, "key.pem"),
		InsecureSkipVerify: !verify,
	})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}, CheckRedirect: client.CheckRedirect}, nil
}

// Reach gives the Engine's version and that of its API. Before its first call the client pings the Engine and agrees on an
// API version.
func (e *Engine) Reach(ctx context.Context) (version, api string, err error) {
	ctx, cancel := context.WithTimeout(ctx, enginePing)
	defer cancel()
	v, err := e.Version(ctx)
	if err != nil {
		return "", "", fmt.Errorf("ask Docker Engine at %s: %w", e.Host, engineError(err))
	}
	return failure.Said(v.Version), failure.Said(v.APIVersion), nil
}

// login makes the Engine ask the registry, and gives its answer ("Login Succeeded"). server must not be empty: an
// Engine would send the password to Docker Hub.
func login(ctx context.Context, engine *Engine, server, username string, password token.Secret) (string, error) {
	if server == "" {
		return "", failure.Permanent("", "log in to registry: the host is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, engineLogin)
	defer cancel()
	answer, err := engine.Login(ctx, registry.AuthConfig{Username: username, Password: password.Reveal(), ServerAddress: server})
	if err != nil {
		return "", fmt.Errorf("log in to %s through Docker Engine: %w", server, engineError(err))
	}
	return failure.Said(answer.Status), nil
}

// registrySaid is how an Engine reports a Basic registry's answer: as a 500 with this text (moby, registry/auth.go).
var registrySaid = regexp.MustCompile(`failed with status: (\d{3})`)

func engineError(err error) error {
	if m := registrySaid.FindStringSubmatch(err.Error()); m != nil {
		return engineLoginError(m[1])
	}
	switch {
	case failure.IsCertificate(err) || strings.Contains(err.Error(), "x509: "):
		return failure.Permanent("give the Engine the registry's certificate: /etc/docker/certs.d/HOST/ca.crt", "%s", failure.Said(err.Error()))
	case errors.Is(err, context.DeadlineExceeded):
		return failure.Transient("look at the Engine's log and its way to the registry (its own proxy settings)", "no answer in time")
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "permission denied while trying to connect"):
		return failure.Permanent("let this user use the Engine's socket (group docker), or mount it into the container", "permission denied")
	case client.IsErrConnectionFailed(err) || isDial(err):
		return failure.Transient("start it, or set DOCKER_HOST (--engine); with no Engine on this worker give --engine none", "it cannot be reached")
	}
	return failure.Transient("look at the Engine's log", "the Engine answered: %s", failure.Said(err.Error()))
}

func engineLoginError(status string) error {
	switch status {
	case "400", "401", "403":
		return failure.Transient("the connection's login or password is not good for this registry: run the DAG again from extract_ecr_token",
			"the registry answered the Engine %s: %w", status, errRefused)
	}
	return failure.Transient("wait and run it again", "the registry answered the Engine %s", status)
}

func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

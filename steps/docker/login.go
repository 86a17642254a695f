package docker

import (
	"context"
	ecrregistry "ecr-refresh/steps/registry"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/registry"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

const (
	enginePing = 10 * time.Second
	// engineLogin outlasts the Engine's own two attempts of 15 s at a registry.
	engineLogin = 35 * time.Second
)

// Reach gives the Engine's version and that of its API.
func (e *Engine) Reach(ctx context.Context) (version, api string, err error) {
	ctx, cancel := context.WithTimeout(ctx, enginePing)
	defer cancel()
	var v types.Version
	if err := e.call(ctx, http.MethodGet, "/version", nil, &v); err != nil {
		return "", "", fmt.Errorf("ask Docker Engine at %s: %w", e.Host, judged(err, "look at the Engine's log"))
	}
	if v.Version == "" {
		return "", "", failure.Permanent(hintNoEngine, "ask Docker Engine at %s: it names no version", e.Host)
	}
	return failure.Said(v.Version), failure.Said(v.APIVersion), nil
}

// Login makes the Engine ask the registry, and gives its answer ("Login Succeeded"). server must not be empty: an
// Engine would send the password to Docker Hub.
func (e *Engine) Login(ctx context.Context, server, username string, password secret.Secret) (string, error) {
	if server == "" {
		return "", failure.Permanent("", "log in to registry: the host is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, engineLogin)
	defer cancel()
	var answer registry.AuthenticateOKBody
	err := e.call(ctx, http.MethodPost, "/auth", registry.AuthConfig{Username: username, Password: password.Reveal(), ServerAddress: server}, &answer)
	if err != nil {
		return "", fmt.Errorf("log in to %s through Docker Engine: %w", server,
			judged(err, "look at the Engine's log and its way to the registry (its own proxy settings)"))
	}
	return failure.Said(answer.Status), nil
}

// judged sorts an error of a call. hintSlow is what to look at when there was no answer in time. A Basic registry's answer
// to the Engine comes as a 500 that ends in "failed with status: 401 Unauthorized" (moby, registry/auth.go).
func judged(err error, hintSlow failure.Kind) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return failure.Transient(hintSlow, "no answer in time")
	}
	var said engineSaid
	if !errors.As(err, &said) {
		return err
	}
	if m := regexp.MustCompile(`failed with status: (\d{3})`).FindStringSubmatch(said.message); m != nil {
		return engineLoginError(m[1])
	}
	switch {
	case strings.Contains(said.message, "x509: "):
		return failure.Permanent("give the Engine the registry's certificate: /etc/docker/certs.d/HOST/ca.crt", "%w", err)
	case said.status == http.StatusTooManyRequests:
		return failure.Transient(hintAgain, "%w", err)
	case slices.Contains([]int{http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}, said.status):
		return failure.Permanent(hintNoEngine, "%w", err)
	}
	return failure.Transient("look at the Engine's log", "%w", err)
}

func engineLoginError(status string) error {
	switch status {
	case "400", "401", "403":
		return failure.Transient("the connection's login or password is not good for this registry: run the DAG again from extract_ecr_token",
			"the registry answered the Engine %s: %w", status, ecrregistry.ErrRejected)
	}
	return failure.Transient(hintAgain, "the registry answered the Engine %s", status)
}

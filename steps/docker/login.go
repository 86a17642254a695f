package docker

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/registry"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
)

const (
	reachTimeout = 10 * time.Second
	// loginTimeout outlasts Docker's own two attempts of 15 s at a registry.
	loginTimeout = 35 * time.Second
)

// Reach returns Docker's version and that of its API.
func (e *Engine) Reach(ctx context.Context) (version, api string, err error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var v types.Version
	err = e.call(ctx, http.MethodGet, "/version", nil, &v)
	if err == nil && v.Version == "" {
		err = failure.With(failure.Permanent(NotDocker, "it names no version"), failure.Facts{Object: e.Host})
	}
	if err != nil {
		return "", "", fmt.Errorf("reach Docker at %s: %w", e.Host, err)
	}
	return failure.Excerpt(v.Version), failure.Excerpt(v.APIVersion), nil
}

// Login makes Docker log in to the registry at server, and returns its answer ("Login Succeeded"). The error of a
// rejected login is registry.ErrRejected. server must not be empty: Docker would send the password to Docker Hub.
func (e *Engine) Login(ctx context.Context, server, username string, password secret.Secret) (string, error) {
	if server == "" {
		return "", failure.Permanent("", "log in to registry: the host is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	login := registry.AuthConfig{Username: username, Password: password.Reveal(), ServerAddress: server}
	var answer registry.AuthenticateOKBody
	if err := e.call(ctx, http.MethodPost, "/auth", login, &answer); err != nil {
		return "", fmt.Errorf("log in to %s through Docker: %w", server, err)
	}
	return failure.Excerpt(answer.Status), nil
}

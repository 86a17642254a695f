// Package registry asks a Docker registry whether it accepts a login.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ecr-refresh/steps/failure"
	"ecr-refresh/steps/secret"
	"ecr-refresh/steps/transport"
)

// registryPause stands between the two attempts at a registry.
const registryPause = 500 * time.Millisecond

// Client asks Docker registries whether they accept a credential.
type Client struct{ http *http.Client }

// New makes a Client on transport.
func New(rt http.RoundTripper) *Client {
	return &Client{&http.Client{
		Timeout:       transport.AttemptTimeout,
		Transport:     rt,
		CheckRedirect: transport.NoRedirect,
	}}
}

// Check asks the registry's /v2/ with Basic authentication (the Docker Client API's login test) and is nil only if it
// answers 200. registryURL is https://HOST. A failed connection and a 5xx are tried once more.
func (r *Client) Check(ctx context.Context, registryURL, username string, password secret.Secret) error {
	u, err := url.Parse(registryURL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return failure.Permanent("", "check registry: %.80q is not https://HOST", registryURL)
	}
	err = r.ask(ctx, u.Host, username, password)
	if err != nil && worthAnother(err) && pause(ctx, registryPause) {
		err = r.ask(ctx, u.Host, username, password)
	}
	if err != nil {
		return fmt.Errorf("check token at registry %s: %w", u.Host, err)
	}
	return nil
}

// Reach asks the registry's /v2/ without a login, and gives the time of its clock (zero where it does not say). An answer
// of 401 is what a registry gives; its TLS certificate was checked on the way.
func (r *Client) Reach(ctx context.Context, registryURL string) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, registryURL+"/v2/", nil)
	if err != nil {
		return time.Time{}, failure.Permanent("", "the host's name is not valid")
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return time.Time{}, failure.Network(req.URL.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusOK {
		return time.Time{}, registryError(resp)
	}
	date, _ := http.ParseTime(resp.Header.Get("Date"))
	return date, nil
}

// noAnswer marks what a second attempt may change.
type noAnswer struct{ error }

func (e noAnswer) Unwrap() error { return e.error }

func worthAnother(err error) bool {
	_, ok := err.(noAnswer)
	return ok && !failure.IsPermanent(err)
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *Client) ask(ctx context.Context, host, username string, password secret.Secret) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return failure.Permanent("", "the host's name is not valid")
	}
	req.SetBasicAuth(username, password.Reveal())
	resp, err := r.http.Do(req)
	if err != nil {
		return noAnswer{failure.Network(host, err)}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return registryError(resp)
}

// ErrRefused tells a bad credential from a peer that failed.
var ErrRefused = errors.New("the credential is refused")

// registryError reads the status alone: a registry's body may be HTML, plain text or JSON, and repeats its input.
func registryError(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusBadRequest:
		return failure.Transient("ECR answers 400 to a token of another region, or to one that was cut or altered: look at the region",
			"it answered 400: %w", ErrRefused)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return failure.Transient("the token is refused: expired, revoked, or its identity may not use this account's registry (repository policy, VPC endpoint policy)",
			"it answered %d: %w", code, ErrRefused)
	case code >= 300 && code < 400:
		return failure.Permanent("a redirect is not followed: name the registry itself", "it answered %d, a redirect to %.80q", code, transport.RedirectHost(resp))
	case code >= 500 || code == http.StatusTooManyRequests:
		return noAnswer{failure.Transient("wait and run it again", "it answered %d", code)}
	default:
		return failure.Permanent("is this host a Docker registry?", "it answered %d", code)
	}
}

// Host returns the host of a registry's URL, or of a host with neither scheme nor path, in lower case, without port and path.
func Host(registry string) string {
	if !strings.Contains(registry, "://") {
		registry = "https://" + registry
	}
	u, err := url.Parse(registry)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
